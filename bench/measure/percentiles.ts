/**
 * The percentiles at which a latency curve is kept: the same for every client and every round.
 *
 * Role: a fixed grid makes curves of several rounds comparable point by point, and lets wrk, which hands out
 * percentiles but no counts, stand in one picture with the others. The grid halves the distance to 100 % again and
 * again, with a few points in each half, as HdrHistogram prints its distributions.
 */

const HALVINGS = 17;
const POINTS_PER_HALF = 4;

function grid(): number[] {
  const points: number[] = [];
  for (let half = 0; half < HALVINGS; half++) {
    const from = 100 - 100 / 2 ** half;
    const width = 100 / 2 ** (half + 1);
    for (let k = 0; k < POINTS_PER_HALF; k++) points.push(from + (width * k) / POINTS_PER_HALF);
  }
  return [...points, 90, 95, 99, 99.9, 100].sort((a, b) => a - b);
}

/** Rising, from 0 to 100. */
export const CURVE_PERCENTILES: readonly number[] = grid();

/** Latencies in microseconds at `CURVE_PERCENTILES`. */
export type CurveUs = readonly number[];

/** Highest percentile of which `count` values can say something: above it the curve only repeats the maximum. */
export function highestMeaningful(count: number): number {
  return count <= 1 ? 0 : 100 - 100 / count;
}
