/**
 * The steps since the base: what brings a copy of a shard to where the shard was when a thread was lost.
 *
 * Role: beside `ShardSet`, which has the copies. Knows which steps were left out in which shards, since they are left out
 * of what is done again as well. A base that is newer than the first step says how many it has had already.
 * Bound: `STEPS_MAX` steps, and bytes of batches as `isLong` says; then a new base is due. Few bytes, so that the memory of
 * batches comes again while it is in the cache.
 */
import type { Step } from '../task.ts';

const BYTES_MIN = 16 * 1024 * 1024;
const STEPS_MAX = 100_000;

export type StepsOfShards = readonly [shards: readonly number[], steps: readonly Step[]];

export class Redo {
  #steps: Step[] = [];
  /** Steps that could not be applied, and the shards they were left out in. */
  readonly #leftOut = new Map<Step, Set<number>>();
  #bytes = 0;
  /** Grows with each base that could not be made. */
  #patience = 1;

  get length(): number {
    return this.#steps.length;
  }

  /** What would have to be applied again is larger than this, and than what is not worth a copy. */
  isLong(bytesMax: number): boolean {
    const times = this.#patience;
    return this.#steps.length > STEPS_MAX * times || this.#bytes > Math.max(BYTES_MIN, bytesMax) * times;
  }

  /** No base could be made now. */
  wait(): void {
    this.#patience *= 2;
  }

  remember(step: Step): void {
    if (step.kind === 'query' || step.kind === 'copy') return;
    this.#steps.push(step);
    if (step.kind === 'events') this.#bytes += step.batch.byteLength;
  }

  leaveOut(step: Step, part: readonly number[]): void {
    const shards = this.#leftOut.get(step) ?? new Set();
    for (const shard of part) shards.add(shard);
    this.#leftOut.set(step, shards);
  }

  /** The shards are to have these after all. */
  takeBack(steps: readonly Step[], part: readonly number[]): void {
    for (const step of steps) for (const shard of part) this.#leftOut.get(step)?.delete(shard);
  }

  /** From the bases of these shards to now, then `applied`: for all of them together where it is the same. */
  since(shards: readonly number[], fromOf: (shard: number) => number, applied: readonly Step[]): StepsOfShards[] {
    const all = applied.length === 0 ? this.#steps : [...this.#steps, ...applied];
    const alike = this.#leftOut.size === 0 && shards.every((shard) => fromOf(shard) === 0);
    const parts = alike
      ? [[shards, all] as const]
      : shards.map((shard) => [[shard], this.#in(shard, all.slice(fromOf(shard)))] as const);
    return parts.filter(([each, steps]) => each.length > 0 && steps.length > 0);
  }

  /** Without what was left out in this shard. */
  #in(shard: number, steps: readonly Step[]): Step[] {
    return steps.filter((step) => this.#leftOut.get(step)?.has(shard) !== true);
  }

  /** There is a new base. Gives the batches that nothing will be made of again. */
  clear(): SharedArrayBuffer[] {
    const batches = this.#steps.flatMap((step) => (step.kind === 'events' ? [step.batch] : []));
    this.#steps = [];
    this.#leftOut.clear();
    this.#bytes = 0;
    this.#patience = 1;
    return batches;
  }
}
