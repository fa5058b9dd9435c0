/**
 * Joins of two streams by key: interval, window, and look-up of the newest version.
 *
 * Role: both sides of a key meet in one shard; what may still find a partner is kept per key, and given up when the
 * watermark (the lower of the two streams') says that nothing can come any more.
 * - interval: left.ts + lower ≤ right.ts ≤ left.ts + upper. Told as soon as both are there.
 * - window: both in the same tumbling window [n·size, (n+1)·size). Told when it closes.
 * - lookup: the newest right event at or before left.ts. Told when the watermark has passed left.ts, so that the version
 *   is the right one whatever order the two came in. Versions older than the one in force, or than `ttlMs`, go.
 * With `outer`, a left event without a partner is told once, its right values absent.
 * An event that is late (at or before the watermark) still finds partners that are there, but is not kept.
 * Bounds: `HELD_MAX` events per key and side; the oldest goes, and counts as late.
 */
import { Packr } from 'msgpackr';
import { contextOf, distinctTexts, eventId, NO_CONTEXT } from '../event-context.ts';
import { compileScoped, type Environment, type ScopedExpression } from '../expressions/scoped.ts';
import { joinScope } from '../expressions/scopes.ts';
import type { Emitter, OperatorInput, OperatorKind, OperatorStats, ResultRow, ShardOperator } from '../operator.ts';
import type { JoinPlan, Plan } from '../plan.ts';
import { evictIdlest } from '../state/evict-idle.ts';
import { SharedKeyedStates } from '../state/keyed-states.ts';
import type { StateCodec } from '../state/keyed-states-port.ts';
import { FieldReader } from './field-reader.ts';
import { firstFrom, type Held, insert, takeBefore } from './side-buffer.ts';

export const HELD_MAX = 100_000;

interface JoinState {
  readonly left: Held[];
  readonly right: Held[];
}

const packr = new Packr({ useRecords: false, moreTypes: false });

type Packed = readonly (readonly [
  ts: number,
  id: string,
  matched: boolean,
  values: readonly unknown[],
  traceparent: string,
  correlationId: string,
])[];

const packed = (side: readonly Held[]): Packed =>
  side.map(({ context, id, matched, ts, values }) => [
    ts,
    id,
    matched,
    values,
    context.traceparent,
    context.correlationId,
  ]);
const unpacked = (side: Packed): Held[] =>
  side.map(([ts, id, matched, values, traceparent, correlationId]) => ({
    ts,
    id,
    matched,
    values,
    context: traceparent === '' && correlationId === '' ? NO_CONTEXT : { traceparent, correlationId },
  }));

const codec: StateCodec<JoinState> = {
  encode: ({ left, right }) => packr.pack([packed(left), packed(right)]),
  decode(bytes) {
    const [left, right] = packr.unpack(bytes) as [Packed, Packed];
    return { left: unpacked(left), right: unpacked(right) };
  },
};

export const joinKind: OperatorKind<JoinPlan> = {
  create: () => SharedKeyedStates.create(),
  attach: (join, memory, { keys, plan }) => new Join(join, plan, new SharedKeyedStates(memory, keys, codec)),
};

const TALLY_LATE = 0;
/** Watermark of the join, and whether there has been one. */
const TALLY_WATERMARK = 1;
const TALLY_BEGUN = 2;

class Join implements ShardOperator, Environment {
  readonly columns: readonly string[];
  readonly #plan: JoinPlan;
  readonly #states: SharedKeyedStates<JoinState>;
  readonly #readers: readonly [FieldReader, FieldReader];
  readonly #select: readonly ScopedExpression[];
  readonly #where: ScopedExpression | null;
  #left: Held | null = null;
  #right: Held | null = null;
  readonly #row: ResultRow;

  constructor(join: JoinPlan, plan: Plan, states: SharedKeyedStates<JoinState>) {
    const left = plan.streams[join.stream]?.fields ?? [];
    const right = plan.streams[join.right]?.fields ?? [];
    const scope = joinScope(left, right);
    this.#plan = join;
    this.#states = states;
    this.columns = join.select.map(({ name }) => name);
    this.#select = join.select.map(({ expression }) => compileScoped(expression, scope));
    this.#where = join.where === '' ? null : compileScoped(join.where, scope, 'boolean');
    const named = [...this.#select, ...(this.#where === null ? [] : [this.#where])].flatMap(({ members }) => members);
    const of = (side: string): string[] => [
      ...new Set(named.filter(([name]) => name === side).map(([, field]) => field as string)),
    ];
    this.#readers = [new FieldReader(left, of('left')), new FieldReader(right, of('right'))];
    this.#row = {
      keyId: -1,
      start: 0,
      end: 0,
      origin: '',
      pane: 0,
      timing: 'on-time',
      final: true,
      retraction: false,
      output: '',
      values: [],
      evidence: null,
    };
  }

  member([side, field]: readonly string[]): unknown {
    const held = side === 'left' ? this.#left : this.#right;
    if (held === null) return null;
    const reader = this.#readers[side === 'left' ? 0 : 1];
    const at = reader.position(field as string);
    return at < 0 ? held.ts : held.values[at];
  }

  events(input: OperatorInput, out: Emitter): void {
    const { batch, count, keys, provenance, rows, side } = input;
    const reader = this.#readers[side === 0 ? 0 : 1];
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number;
      const keyId = keys[i] as number;
      const held: Held = {
        ts: batch.ts[row] as number,
        id: eventId(provenance, row),
        context: contextOf(batch, row, provenance),
        values: reader.read(batch, row),
        matched: false,
      };
      const state = this.#states.get(keyId) ?? { left: [], right: [] };
      if (this.#plan.type === 'interval') this.#meet(keyId, state, held, side, out);
      this.#keep(keyId, state, held, side);
    }
    this.#states.flush();
  }

  #keep(keyId: number, state: JoinState, held: Held, side: number): void {
    const late = this.#lastUse(held.ts, side) <= this.#watermark;
    const buffer = side === 0 ? state.left : state.right;
    if (late) this.#states.addTally(TALLY_LATE, 1);
    else insert(buffer, held);
    if (buffer.length > HELD_MAX) {
      buffer.shift();
      this.#states.addTally(TALLY_LATE, 1);
    }
    if (state.left.length + state.right.length > 0) this.#states.put(keyId, state, this.#timer(state));
  }

  /** The lower one of both streams', which is what an event must not be behind. */
  get #watermark(): number {
    return this.#states.tally(TALLY_BEGUN) === 0 ? Number.NEGATIVE_INFINITY : this.#states.tally(TALLY_WATERMARK);
  }

  set #watermark(value: number) {
    this.#states.addTally(TALLY_WATERMARK, value - this.#states.tally(TALLY_WATERMARK));
    if (this.#states.tally(TALLY_BEGUN) === 0) this.#states.addTally(TALLY_BEGUN, 1);
  }

  /** Watermark at which an event can no longer find a partner. */
  #lastUse(ts: number, side: number): number {
    const { lowerMs, sizeMs, type, upperMs } = this.#plan;
    if (type === 'interval') return side === 0 ? ts + upperMs : ts - lowerMs;
    if (type === 'window') return Math.floor(ts / sizeMs) * sizeMs + sizeMs - 1;
    return side === 0 ? ts : Number.POSITIVE_INFINITY;
  }

  #timer({ left, right }: JoinState): number {
    const first = left[0] === undefined ? Number.POSITIVE_INFINITY : this.#lastUse(left[0].ts, 0);
    if (this.#plan.type === 'lookup') {
      // Versions go only when a newer one is in force, or by age.
      const second = right[1]?.ts ?? Number.POSITIVE_INFINITY;
      const aged =
        this.#plan.ttlMs > 0 && right[0] !== undefined ? right[0].ts + this.#plan.ttlMs : Number.POSITIVE_INFINITY;
      return Math.min(first, second, aged);
    }
    return Math.min(first, right[0] === undefined ? Number.POSITIVE_INFINITY : this.#lastUse(right[0].ts, 1));
  }

  #meet(keyId: number, state: JoinState, held: Held, side: number, out: Emitter): void {
    const { lowerMs, upperMs } = this.#plan;
    const others = side === 0 ? state.right : state.left;
    const from = side === 0 ? held.ts + lowerMs : held.ts - upperMs;
    const to = side === 0 ? held.ts + upperMs : held.ts - lowerMs;
    for (let i = firstFrom(others, from); i < others.length; i++) {
      const other = others[i] as Held;
      if (other.ts > to) return;
      if (side === 0) this.#pair(keyId, held, other, out);
      else this.#pair(keyId, other, held, out);
    }
  }

  #pair(keyId: number, left: Held, right: Held, out: Emitter): void {
    this.#left = left;
    this.#right = right;
    if (this.#where !== null && !this.#where.test(this)) return;
    left.matched = true;
    right.matched = true;
    this.#tell(keyId, Math.min(left.ts, right.ts), Math.max(left.ts, right.ts), [left, right], out);
  }

  #alone(keyId: number, left: Held, out: Emitter): void {
    if (!this.#plan.outer || left.matched) return;
    this.#left = left;
    this.#right = null;
    this.#tell(keyId, left.ts, left.ts, [left], out);
  }

  #tell(keyId: number, start: number, end: number, events: readonly Held[], out: Emitter): void {
    const row = this.#row;
    row.keyId = keyId;
    row.start = start;
    row.end = end;
    row.values = this.#select.map((expression) => expression.value(this));
    row.evidence = {
      events: events.map(({ id }) => id),
      traces: distinctTexts(events.map(({ context }) => context.traceparent)),
      correlationIds: distinctTexts(events.map(({ context }) => context.correlationId)),
    };
    out.emit(row);
  }

  advance(watermark: number, out: Emitter): void {
    if (!Number.isFinite(watermark)) return;
    this.#watermark = watermark;
    for (const keyId of this.#states.due(watermark)) {
      const state = this.#states.get(keyId);
      if (state === undefined) continue;
      if (this.#plan.type === 'interval') this.#expire(keyId, state, watermark, out);
      else if (this.#plan.type === 'window') this.#close(keyId, state, watermark, out);
      else this.#lookUp(keyId, state, watermark, out);
      if (state.left.length + state.right.length === 0) this.#states.delete(keyId);
      else this.#states.put(keyId, state, this.#timer(state));
    }
    this.#states.flush();
  }

  #expire(keyId: number, state: JoinState, watermark: number, out: Emitter): void {
    const { lowerMs, upperMs } = this.#plan;
    for (const left of takeBefore(state.left, watermark - upperMs + 1)) this.#alone(keyId, left, out);
    takeBefore(state.right, watermark + lowerMs + 1);
  }

  /** Every window whose end the watermark has reached, oldest first. */
  #close(keyId: number, state: JoinState, watermark: number, out: Emitter): void {
    const { sizeMs } = this.#plan;
    for (;;) {
      const first = Math.min(
        state.left[0]?.ts ?? Number.POSITIVE_INFINITY,
        state.right[0]?.ts ?? Number.POSITIVE_INFINITY,
      );
      const end = Math.floor(first / sizeMs) * sizeMs + sizeMs;
      if (!(end - 1 <= watermark)) return;
      const rights = takeBefore(state.right, end);
      for (const left of takeBefore(state.left, end)) {
        for (const right of rights) this.#pair(keyId, left, right, out);
        this.#alone(keyId, left, out);
      }
    }
  }

  #lookUp(keyId: number, state: JoinState, watermark: number, out: Emitter): void {
    const { ttlMs } = this.#plan;
    for (const left of takeBefore(state.left, watermark + 1)) {
      const version = state.right[firstFrom(state.right, left.ts + 1) - 1];
      const current = version !== undefined && version.ts <= left.ts && (ttlMs === 0 || left.ts - version.ts <= ttlMs);
      if (current) this.#pair(keyId, left, version, out);
      this.#alone(keyId, left, out);
    }
    const inForce = firstFrom(state.right, watermark + 1) - 1;
    if (inForce > 0) state.right.splice(0, inForce);
    if (ttlMs > 0) takeBefore(state.right, watermark - ttlMs);
  }

  evictIdle(share: number): number {
    return evictIdlest(this.#states, share);
  }

  stats(): OperatorStats {
    return {
      rows: this.#states.size,
      bytes: this.#states.byteLength,
      late: this.#states.tally(TALLY_LATE),
    };
  }
}
