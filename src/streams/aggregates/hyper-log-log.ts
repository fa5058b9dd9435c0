// HOT PATH
/**
 * HyperLogLog with p = 14 over a block of 16,384 bytes, one register each: how many different hashes there were.
 *
 * Role: what `distinct` goes over to. A register holds the highest rank (leading zeros + 1 of the other 50 bits) seen
 * of the hashes whose low 14 bits are its index; merging takes the greater of each pair.
 * The estimate is Ertl's (arXiv 1702.01284, improved raw estimator): from the histogram of the registers alone, without
 * tables of bias and without thresholds. Relative standard error 1.04 / sqrt(16,384) = 0.81 %.
 */
const PRECISION = 14;
export const HLL_REGISTERS = 1 << PRECISION;
export const HLL_RELATIVE_ERROR = 1.04 / Math.sqrt(HLL_REGISTERS);
const RANK_MAX = 64 - PRECISION + 1;
const ALPHA_INFINITY = 1 / (2 * Math.LN2);

export function hllAdd(registers: Uint8Array, at: number, low: number, high: number): void {
  const rank = high !== 0 ? Math.clz32(high) + 1 : Math.clz32(low >>> PRECISION) + 33 - PRECISION;
  const register = at + (low & (HLL_REGISTERS - 1));
  if ((registers[register] as number) < rank) registers[register] = rank;
}

export function hllMerge(registers: Uint8Array, at: number, from: Uint8Array, fromAt: number): void {
  for (let i = 0; i < HLL_REGISTERS; i++) {
    const rank = from[fromAt + i] as number;
    if ((registers[at + i] as number) < rank) registers[at + i] = rank;
  }
}

const histogram = new Uint32Array(RANK_MAX + 1);

export function hllEstimate(registers: Uint8Array, at: number): number {
  histogram.fill(0);
  for (let i = at; i < at + HLL_REGISTERS; i++) {
    const rank = registers[i] as number;
    histogram[rank] = (histogram[rank] as number) + 1;
  }
  const m = HLL_REGISTERS;
  let z = m * tau(1 - (histogram[RANK_MAX] as number) / m);
  for (let rank = RANK_MAX - 1; rank >= 1; rank--) z = 0.5 * (z + (histogram[rank] as number));
  z += m * sigma((histogram[0] as number) / m);
  return (ALPHA_INFINITY * m * m) / z;
}

/** Σ x^(2^k) 2^(k−1) + x: what registers that are still 0 stand for. */
function sigma(share: number): number {
  if (share === 1) return Number.POSITIVE_INFINITY;
  let x = share;
  let weight = 1;
  let sum = share;
  for (let before = -1; before !== sum; weight += weight) {
    before = sum;
    x *= x;
    sum += x * weight;
  }
  return sum;
}

/** (1 − x − Σ (1 − x^(2^−k))² 2^−k) / 3: what registers at the highest rank stand for. */
function tau(share: number): number {
  if (share === 0 || share === 1) return 0;
  let x = share;
  let weight = 1;
  let sum = 1 - share;
  for (let before = -1; before !== sum; ) {
    before = sum;
    x = Math.sqrt(x);
    weight *= 0.5;
    sum -= (1 - x) ** 2 * weight;
  }
  return sum / 3;
}
