/**
 * The steps since the base: what brings a copy of a shard to where the shard was when a thread was lost.
 *
 * Role: beside `ShardSet`, which has the copies; what was left out it is not given. A base that is newer than the first
 * step says how many it has had already.
 * Bound: `STEPS_MAX` steps, and bytes of batches as `isLong` says; then a new base is due. Few bytes, so that the memory of
 * batches comes again while it is in the cache.
 */
import { isLook, type Step } from '../task.ts';

const BYTES_MIN = 16 * 1024 * 1024;
const STEPS_MAX = 100_000;

export type StepsOfShards = readonly [shards: readonly number[], steps: readonly Step[]];

export class Redo {
  #steps: Step[] = [];
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
    if (isLook(step)) return;
    this.#steps.push(step);
    if (step.kind === 'events') this.#bytes += step.batch.byteLength;
  }

  /** From the bases of these shards to now, then `applied`: for all of them together where it is the same. */
  since(shards: readonly number[], fromOf: (shard: number) => number, applied: readonly Step[]): StepsOfShards[] {
    const all = applied.length === 0 ? this.#steps : [...this.#steps, ...applied];
    const parts = shards.every((shard) => fromOf(shard) === 0)
      ? [[shards, all] as const]
      : shards.map((shard) => [[shard], all.slice(fromOf(shard))] as const);
    return parts.filter(([each, steps]) => each.length > 0 && steps.length > 0);
  }

  /** There is a new base. Gives the batches that nothing will be made of again. */
  clear(): SharedArrayBuffer[] {
    const batches = this.#steps.flatMap((step) => (step.kind === 'events' ? [step.batch] : []));
    this.#steps = [];
    this.#bytes = 0;
    this.#patience = 1;
    return batches;
  }
}
