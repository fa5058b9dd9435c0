// HOT PATH
/**
 * DDSketch (arXiv 1908.10693) in the arena: quantiles within a relative error, of numbers of any sign and size.
 *
 * Role: what `quantile` goes over to. A value x > 0 is counted in the bin of index ⌈log x / log γ⌉, γ = (1 + α) / (1 − α),
 * and told as the point of its bin that is within α of all of it; negative values have bins of their own.
 * Block: doubles: 0 count, 1 zeros, 2 min, 3 max, then for positive (4) and negative (7) values: index of the first
 * bin, number of bins, offset of their block (doubles, one count each; 0 before the first value).
 * Bound: BINS_MAX neighbouring bins for each sign, those of the greatest magnitudes; what is smaller is counted in the
 * smallest bin kept. So the error holds for values down to γ^−4095 of the greatest magnitude of their sign: a factor of
 * 10^35 for α = 0.01, 3,600 for α = 0.001.
 * Invariant: count, zeros, min, max and bins are a function of the values and not of their order or of merges.
 */
import type { Arena } from '../state/arena.ts';

export const BINS_MAX = 4096;
const BINS_AT_START = 16;
const COUNT = 0;
const ZEROS = 1;
const MIN = 2;
const MAX = 3;
const POSITIVE = 4;
const NEGATIVE = 7;
const FIRST = 0;
const BINS = 1;
const BLOCK = 2;
const HEADER_DOUBLES = 10;
/** Magnitudes below the smallest normal double count as zero. */
const ZERO_BELOW = 2 ** -1022;

/** Rank (from 1) of quantile q of n values: ⌈q·n⌉ with q taken as the decimal it is written as, not as its double. */
export function rankOf(q: number, n: number): number {
  const scaled = q * n;
  const nearest = Math.round(scaled);
  const rank = Math.abs(scaled - nearest) <= scaled * 4e-16 ? nearest : Math.ceil(scaled);
  return Math.min(n, Math.max(1, rank));
}

export class DDSketch {
  readonly #logGamma: number;
  readonly #perLog: number;
  /** Of a bin's upper end, where its point is. */
  readonly #point: number;

  constructor(relativeError: number) {
    const gamma = (1 + relativeError) / (1 - relativeError);
    this.#logGamma = Math.log1p((2 * relativeError) / (1 - relativeError));
    this.#perLog = 1 / this.#logGamma;
    this.#point = 2 / (1 + gamma);
  }

  create(arena: Arena): number {
    const sketch = arena.alloc(HEADER_DOUBLES * 8);
    const h = sketch >>> 3;
    arena.doubles.fill(0, h, h + HEADER_DOUBLES);
    arena.doubles[h + MIN] = Number.POSITIVE_INFINITY;
    arena.doubles[h + MAX] = Number.NEGATIVE_INFINITY;
    return sketch;
  }

  free(arena: Arena, sketch: number): void {
    for (const store of [POSITIVE, NEGATIVE]) {
      const block = arena.doubles[(sketch >>> 3) + store + BLOCK] as number;
      if (block !== 0) arena.free(block);
    }
    arena.free(sketch);
  }

  add(arena: Arena, sketch: number, given: number): void {
    const value = given > Number.MAX_VALUE ? Number.MAX_VALUE : given < -Number.MAX_VALUE ? -Number.MAX_VALUE : given;
    const d = arena.doubles;
    const h = sketch >>> 3;
    d[h + COUNT] = (d[h + COUNT] as number) + 1;
    if (value < (d[h + MIN] as number)) d[h + MIN] = value;
    if (value > (d[h + MAX] as number)) d[h + MAX] = value;
    const size = Math.abs(value);
    if (size < ZERO_BELOW) {
      d[h + ZEROS] = (d[h + ZEROS] as number) + 1;
      return;
    }
    const store = h + (value > 0 ? POSITIVE : NEGATIVE);
    countIn(arena, store, Math.ceil(Math.log(size) * this.#perLog), 1);
  }

  merge(arena: Arena, sketch: number, from: Arena, fromSketch: number): void {
    const d = arena.doubles;
    const h = sketch >>> 3;
    const f = from.doubles;
    const g = fromSketch >>> 3;
    d[h + COUNT] = (d[h + COUNT] as number) + (f[g + COUNT] as number);
    d[h + ZEROS] = (d[h + ZEROS] as number) + (f[g + ZEROS] as number);
    d[h + MIN] = Math.min(d[h + MIN] as number, f[g + MIN] as number);
    d[h + MAX] = Math.max(d[h + MAX] as number, f[g + MAX] as number);
    mergeStore(arena, h + POSITIVE, from, g + POSITIVE);
    mergeStore(arena, h + NEGATIVE, from, g + NEGATIVE);
  }

  count(arena: Arena, sketch: number): number {
    return arena.doubles[(sketch >>> 3) + COUNT] as number;
  }

  /** Value at rank ⌈q·n⌉, within the relative error; the lowest and the highest are exact. */
  quantile(arena: Arena, sketch: number, q: number): number {
    const d = arena.doubles;
    const h = sketch >>> 3;
    const count = d[h + COUNT] as number;
    const min = d[h + MIN] as number;
    const max = d[h + MAX] as number;
    const rank = rankOf(q, count);
    if (rank === 1) return min;
    if (rank === count) return max;
    let seen = 0;
    const negative = (d[h + NEGATIVE + BLOCK] as number) >>> 3;
    for (let i = (d[h + NEGATIVE + BINS] as number) - 1; i >= 0; i--) {
      seen += d[negative + i] as number;
      if (seen >= rank) return Math.max(min, -this.#pointOf((d[h + NEGATIVE + FIRST] as number) + i));
    }
    seen += d[h + ZEROS] as number;
    if (seen >= rank) return Math.min(max, Math.max(min, 0));
    const positive = (d[h + POSITIVE + BLOCK] as number) >>> 3;
    const bins = d[h + POSITIVE + BINS] as number;
    for (let i = 0; i < bins; i++) {
      seen += d[positive + i] as number;
      if (seen >= rank) return Math.min(max, Math.max(min, this.#pointOf((d[h + POSITIVE + FIRST] as number) + i)));
    }
    return max;
  }

  #pointOf(index: number): number {
    return Math.exp(index * this.#logGamma) * this.#point;
  }
}

function countIn(arena: Arena, store: number, index: number, count: number): void {
  let d = arena.doubles;
  const bins = d[store + BINS] as number;
  let bin = index - (d[store + FIRST] as number);
  if (!(bin >= 0 && bin < bins)) {
    const top = ((d[store + BLOCK] as number) >>> 3) + bins - 1;
    if (bin < 0 && bins === BINS_MAX && (d[top] as number) > 0) bin = 0;
    else {
      extend(arena, store, index);
      d = arena.doubles;
      bin = Math.max(0, index - (d[store + FIRST] as number));
    }
  }
  const at = ((d[store + BLOCK] as number) >>> 3) + bin;
  d[at] = (d[at] as number) + count;
}

/** Makes room for a bin of this index: more bins, or others at the cost of the smallest. */
function extend(arena: Arena, store: number, index: number): void {
  const first = arena.doubles[store + FIRST] as number;
  const bins = arena.doubles[store + BINS] as number;
  const block = arena.doubles[store + BLOCK] as number;
  const old = block >>> 3;
  let low = 0;
  let high = bins - 1;
  while (low < bins && arena.doubles[old + low] === 0) low += 1;
  while (high >= low && arena.doubles[old + high] === 0) high -= 1;
  const empty = high < low;
  const highest = empty ? index : Math.max(first + high, index);
  const lowest = Math.max(highest - BINS_MAX + 1, empty ? index : Math.min(first + low, index));
  const range = highest - lowest + 1;
  const size = Math.min(BINS_MAX, Math.max(bins, BINS_AT_START, 2 ** Math.ceil(Math.log2(range * 1.25))));
  const newFirst = lowest - ((size - range) >>> 1);
  const moved = arena.alloc(size * 8);
  const d = arena.doubles;
  const to = moved >>> 3;
  d.fill(0, to, to + size);
  for (let i = low; i <= high; i++) {
    const target = to + Math.max(0, first + i - newFirst);
    d[target] = (d[target] as number) + (d[old + i] as number);
  }
  if (block !== 0) arena.free(block);
  d[store + FIRST] = newFirst;
  d[store + BINS] = size;
  d[store + BLOCK] = moved;
}

/** From the greatest magnitudes down, so that room is made once. */
function mergeStore(arena: Arena, store: number, from: Arena, fromStore: number): void {
  const bins = from.doubles[fromStore + BINS] as number;
  const first = from.doubles[fromStore + FIRST] as number;
  for (let i = bins - 1; i >= 0; i--) {
    const count = from.doubles[((from.doubles[fromStore + BLOCK] as number) >>> 3) + i] as number;
    if (count > 0) countIn(arena, store, first + i, count);
  }
}
