// HOT PATH
/**
 * A histogram with fixed buckets: one addition per observation, no object.
 *
 *   counts   [ ≤ bounds[0] | ≤ bounds[1] | … | ≤ bounds[n-1] | above ]      each bucket alone, not cumulative
 *
 * Role: what `meters.ts` adds to and `exposition.ts` reads. The search is linear from the lowest bound because most
 * calls are short: the first few comparisons settle them.
 */
export class FixedHistogram {
  readonly bounds: Float64Array;
  /** One more than there are bounds. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = Float64Array.from(bounds);
    this.counts = new Float64Array(bounds.length + 1);
  }

  record(value: number): void {
    const bounds = this.bounds;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++;
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
    this.sum += value;
  }

  get total(): number {
    let total = 0;
    for (let bucket = 0; bucket < this.counts.length; bucket++) total += this.counts[bucket] as number;
    return total;
  }
}
