/**
 * What several rounds say together: the median, and how far the rounds lie apart.
 *
 * Role: pure functions; NaN stands for "not measured" and is left out. With three rounds the spread is the range, which
 * claims no distribution.
 */

export interface Spread {
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
}

const NOTHING: Spread = Object.freeze({ median: Number.NaN, lowest: Number.NaN, highest: Number.NaN });

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  const { length } = sorted;
  if (length === 0) return NOTHING;
  const upper = sorted[length >> 1] as number;
  const lower = sorted[(length - 1) >> 1] as number;
  return { median: (lower + upper) / 2, lowest: sorted[0] as number, highest: sorted[length - 1] as number };
}

export function medianOf(values: readonly number[]): number {
  return spreadOf(values).median;
}

/** Half the range as a share of the median: the `±` of a table. 0 for one round. */
export function relativeSpread(spread: Spread): number {
  return spread.median === 0 ? 0 : (spread.highest - spread.lowest) / 2 / Math.abs(spread.median);
}

/** Slope of the least-squares line through the points, in units of y per unit of x. */
export function slopeOf(points: readonly (readonly [x: number, y: number])[]): number {
  const n = points.length;
  if (n < 2) return Number.NaN;
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / n;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / n;
  let covariance = 0;
  let variance = 0;
  for (const [x, y] of points) {
    covariance += (x - meanX) * (y - meanY);
    variance += (x - meanX) ** 2;
  }
  return variance === 0 ? Number.NaN : covariance / variance;
}
