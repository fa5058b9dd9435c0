/**
 * Questions that wait for their turn, and how many of them a round answers.
 *
 * Role: between who asks and the rounds of `pipeline.ts`. A round that answered all at once would hold the records behind
 * it for as long as all of them take: it answers as many as cost `ROUND_US_MAX` of the threads by what the dearest of the
 * last ones cost, one in any case, and records have their turn in between.
 * Bounds: `QUESTIONS_MAX` wait; who was passed over by a round and has waited `WAIT_MS_MAX` is refused, as who asks gives
 * up by then, and is not to cost those who come.
 */
import type { QueryRows, Step } from './task.ts';

export type QueryStep = Extract<Step, { kind: 'query' }>;

export const QUESTIONS_MAX = 1000;
/** What those that are not begun yet wait at most, while others are answered: within a call's deadline, so that it is told. */
export const WAIT_MS_MAX = 4000;
/** Thread time. */
const ROUND_US_MAX = 100_000;
const PER_ROUND_MAX = 16;

interface Waiting {
  readonly step: QueryStep;
  readonly sinceMs: number;
}

export class Questions {
  readonly #waiting: Waiting[] = [];
  /** What the dearest of the last ones cost: an older one counts for half as much with each round. */
  #dearestUs = 0;
  #most = 1;

  get isFull(): boolean {
    return this.#waiting.length >= QUESTIONS_MAX;
  }

  add(step: QueryStep, nowMs: number): void {
    this.#waiting.push({ step, sinceMs: nowMs });
  }

  /** Those of the next round, and ids of those that are refused: they have waited too long, and it is not their turn. */
  take(nowMs: number): { readonly asked: readonly QueryStep[]; readonly overdue: readonly number[] } {
    const asked = this.#waiting.splice(0, this.#most).map(({ step }) => step);
    const since = this.#waiting.findIndex(({ sinceMs }) => nowMs - sinceMs < WAIT_MS_MAX);
    const late = this.#waiting.splice(0, since < 0 ? this.#waiting.length : since);
    return { asked, overdue: late.map(({ step }) => step.id) };
  }

  /** A round has answered; `rows`: of each shard or thread. */
  answered(rows: readonly Pick<QueryRows, 'id' | 'us'>[]): void {
    const costs = new Map<number, number>();
    for (const { id, us } of rows) costs.set(id, (costs.get(id) ?? 0) + us);
    if (costs.size === 0) return;
    this.#dearestUs = Math.max(this.#dearestUs / 2, ...costs.values());
    const room = Math.floor(ROUND_US_MAX / Math.max(1, this.#dearestUs));
    this.#most = Math.max(1, Math.min(room, 2 * this.#most, PER_ROUND_MAX));
  }

  /** Ids of all that wait, which do so no more. */
  drop(): number[] {
    return this.#waiting.splice(0).map(({ step }) => step.id);
  }
}
