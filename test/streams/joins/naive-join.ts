/** What a join tells, by a program that holds events in lists and looks at all of them. */
import type { JoinPlan } from '../../../src/streams/plan.ts';
import type { JoinEvent, Told } from './join-run.ts';

interface Held {
  readonly event: JoinEvent;
  readonly trace: string;
  matched: boolean;
}

export class NaiveJoin {
  readonly told: Told[] = [];
  late = 0;
  readonly #join: JoinPlan;
  #sides: [Held[], Held[]] = [[], []];
  #watermark = Number.NEGATIVE_INFINITY;

  constructor(join: JoinPlan) {
    this.#join = join;
  }

  get held(): number {
    return this.#sides[0].length + this.#sides[1].length;
  }

  events(side: number, events: readonly JoinEvent[], trace: string): void {
    const { lowerMs, type, upperMs } = this.#join;
    for (const event of events) {
      const held = { event, trace, matched: false };
      if (type === 'interval') {
        for (const other of this.#sides[1 - side] as Held[]) {
          const [left, right] = side === 0 ? [held, other] : [other, held];
          const apart = right.event.ts - left.event.ts;
          if (apart >= lowerMs && apart <= upperMs) this.#meet(left, right);
        }
      }
      if (this.#lastUse(event, side) > this.#watermark) (this.#sides[side] as Held[]).push(held);
      else if (event.ts <= this.#watermark) this.late += 1;
      else if (side === 0 && this.#join.outer && !held.matched) this.#tell(held, null);
    }
  }

  advance(watermark: number): void {
    this.#watermark = watermark;
    const isGone = (side: number) => (held: Held) => this.#lastUse(held.event, side) <= watermark;
    const [lefts, rights] = this.#sides;
    for (const left of lefts.filter(isGone(0))) {
      if (this.#join.type === 'window') {
        for (const right of rights) if (this.#windowOf(left) === this.#windowOf(right)) this.#meet(left, right);
      } else if (this.#join.type === 'lookup') this.#lookUp(left, rights);
      if (this.#join.outer && !left.matched) this.#tell(left, null);
    }
    this.#sides = [lefts.filter((left) => !isGone(0)(left)), rights.filter((right) => !isGone(1)(right))];
    // Versions that nothing can ask for any more.
    if (this.#join.type === 'lookup') this.#sides[1] = rights.filter((right) => this.#isOfUse(right, rights));
  }

  #isOfUse(right: Held, rights: readonly Held[]): boolean {
    const { ttlMs } = this.#join;
    const at = rights.indexOf(right);
    const isReplaced = rights.some(
      (other, i) =>
        other.event.key === right.event.key &&
        other.event.ts <= this.#watermark &&
        (other.event.ts > right.event.ts || (other.event.ts === right.event.ts && i > at)),
    );
    return !isReplaced && (ttlMs === 0 || right.event.ts + ttlMs >= this.#watermark);
  }

  #lookUp(left: Held, rights: readonly Held[]): void {
    let newest: Held | null = null;
    for (const right of rights) {
      if (right.event.key !== left.event.key || right.event.ts > left.event.ts) continue;
      if (newest === null || right.event.ts >= newest.event.ts) newest = right;
    }
    const { ttlMs } = this.#join;
    if (newest !== null && (ttlMs === 0 || left.event.ts - newest.event.ts <= ttlMs)) this.#meet(left, newest);
  }

  #windowOf({ event }: Held): number {
    return Math.floor(event.ts / this.#join.sizeMs);
  }

  #lastUse({ ts }: JoinEvent, side: number): number {
    const { lowerMs, sizeMs, type, upperMs } = this.#join;
    if (type === 'interval') return side === 0 ? ts + upperMs : ts - lowerMs;
    if (type === 'window') return (Math.floor(ts / sizeMs) + 1) * sizeMs - 1;
    return side === 0 ? ts : Number.POSITIVE_INFINITY;
  }

  #meet(left: Held, right: Held): void {
    const [a, b] = [left.event, right.event];
    if (a.key !== b.key) return;
    // As the condition of the tests has it: absent numbers hold nothing.
    if (this.#join.where !== '' && !((a['n'] as number | null) !== null && (b['n'] as number | null) !== null)) return;
    left.matched = true;
    right.matched = true;
    this.#tell(left, right);
  }

  #tell(left: Held, right: Held | null): void {
    const [a, b] = [left.event, right?.event ?? null];
    const [n, m] = [a['n'] ?? null, b?.['n'] ?? null] as (number | null)[];
    const sum = n === null || m === null || n === undefined || m === undefined ? null : n + m;
    this.told.push({
      key: a.key,
      start: Math.min(a.ts, b?.ts ?? a.ts),
      end: Math.max(a.ts, b?.ts ?? a.ts),
      names: [a.name, b?.name ?? ''],
      values: [a['note'] ?? null, b?.['note'] ?? null, sum, b?.['hot'] ?? null, b === null ? null : b.ts - a.ts],
      traces: [...new Set([left.trace, right?.trace ?? ''])].filter((text) => text !== ''),
    });
  }
}
