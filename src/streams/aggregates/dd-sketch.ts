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
    const index = Math.ceil(Math.log(size) * this.#perLog);
    const bin = index - (d[store + FIRST] as number);
    if (bin >= 0 && bin < (d[store + BINS] as number)) {
      const at = ((d[store + BLOCK] as number) >>> 3) + bin;
      d[at] = (d[at] as number) + 1;
    } else countIn(arena, store, index, 1);
  }

  /** Adds the values of a block. Room is made once. */
  addAll(arena: Arena, sketch: number, block: number, count: number): void {
    const first = block >>> 3;
    this.#makeRoom(arena, sketch, first, count, 1);
    this.#makeRoom(arena, sketch, first, count, -1);
    for (let i = 0; i < count; i++) this.add(arena, sketch, arena.doubles[first + i] as number);
  }

  /** Room for those of the values that have this sign. */
  #makeRoom(arena: Arena, sketch: number, first: number, count: number, sign: 1 | -1): void {
    const d = arena.doubles;
    let least = Number.POSITIVE_INFINITY;
    let greatest = 0;
    for (let i = 0; i < count; i++) {
      const size = (d[first + i] as number) * sign;
      if (size < ZERO_BELOW) continue;
      if (size < least) least = size;
      if (size > greatest) greatest = size;
    }
    if (greatest === 0) return;
    const store = (sketch >>> 3) + (sign === 1 ? POSITIVE : NEGATIVE);
    const lowest = Math.ceil(Math.log(Math.min(least, Number.MAX_VALUE)) * this.#perLog);
    const highest = Math.ceil(Math.log(Math.min(greatest, Number.MAX_VALUE)) * this.#perLog);
    cover(arena, store, lowest, highest);
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
    const value = 2 * rank > count ? this.#fromTop(d, h, count - rank + 1) : this.#fromBottom(d, h, rank);
    return Math.min(max, Math.max(min, value));
  }

  /** Point of the bin of the value at a rank from the lowest, 1, on. */
  #fromBottom(d: Float64Array, h: number, rank: number): number {
    let left = rank;
    const negative = (d[h + NEGATIVE + BLOCK] as number) >>> 3;
    for (let i = (d[h + NEGATIVE + BINS] as number) - 1; i >= 0; i--) {
      left -= d[negative + i] as number;
      if (left <= 0) return -this.#pointOf((d[h + NEGATIVE + FIRST] as number) + i);
    }
    left -= d[h + ZEROS] as number;
    if (left <= 0) return 0;
    const positive = (d[h + POSITIVE + BLOCK] as number) >>> 3;
    const bins = d[h + POSITIVE + BINS] as number;
    for (let i = 0; i < bins; i++) {
      left -= d[positive + i] as number;
      if (left <= 0) return this.#pointOf((d[h + POSITIVE + FIRST] as number) + i);
    }
    return Number.POSITIVE_INFINITY;
  }

  /** The same from the highest on: the shorter way to the quantiles that are asked for most. */
  #fromTop(d: Float64Array, h: number, rank: number): number {
    let left = rank;
    const positive = (d[h + POSITIVE + BLOCK] as number) >>> 3;
    for (let i = (d[h + POSITIVE + BINS] as number) - 1; i >= 0; i--) {
      left -= d[positive + i] as number;
      if (left <= 0) return this.#pointOf((d[h + POSITIVE + FIRST] as number) + i);
    }
    left -= d[h + ZEROS] as number;
    if (left <= 0) return 0;
    const negative = (d[h + NEGATIVE + BLOCK] as number) >>> 3;
    const bins = d[h + NEGATIVE + BINS] as number;
    for (let i = 0; i < bins; i++) {
      left -= d[negative + i] as number;
      if (left <= 0) return -this.#pointOf((d[h + NEGATIVE + FIRST] as number) + i);
    }
    return Number.NEGATIVE_INFINITY;
  }

  #pointOf(index: number): number {
    return Math.exp(index * this.#logGamma) * this.#point;
  }
}

function countIn(arena: Arena, store: number, index: number, count: number): void {
  cover(arena, store, index, index);
  const d = arena.doubles;
  const at = ((d[store + BLOCK] as number) >>> 3) + Math.max(0, index - (d[store + FIRST] as number));
  d[at] = (d[at] as number) + count;
}

/** Sees to it that there are bins for these indexes, or that what has none belongs into the smallest bin. */
function cover(arena: Arena, store: number, lowest: number, highest: number): void {
  const d = arena.doubles;
  const first = d[store + FIRST] as number;
  const bins = d[store + BINS] as number;
  if (bins > 0 && highest < first + bins) {
    if (lowest >= first) return;
    if (bins === BINS_MAX && (d[((d[store + BLOCK] as number) >>> 3) + bins - 1] as number) > 0) return;
  }
  extend(arena, store, lowest, highest);
}

/** Makes room for bins of these indexes: more bins, or others at the cost of the smallest. */
function extend(arena: Arena, store: number, from: number, until: number): void {
  const first = arena.doubles[store + FIRST] as number;
  const bins = arena.doubles[store + BINS] as number;
  const block = arena.doubles[store + BLOCK] as number;
  const old = block >>> 3;
  let low = 0;
  let high = bins - 1;
  while (low < bins && arena.doubles[old + low] === 0) low += 1;
  while (high >= low && arena.doubles[old + high] === 0) high -= 1;
  const empty = high < low;
  const highest = empty ? until : Math.max(first + high, until);
  const lowest = Math.max(highest - BINS_MAX + 1, empty ? from : Math.min(first + low, from));
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

/** Adds the bins of another store. Room is made once. */
function mergeStore(arena: Arena, store: number, from: Arena, fromStore: number): void {
  const first = from.doubles[fromStore + FIRST] as number;
  const block = (from.doubles[fromStore + BLOCK] as number) >>> 3;
  let low = 0;
  let high = (from.doubles[fromStore + BINS] as number) - 1;
  while (low <= high && from.doubles[block + low] === 0) low += 1;
  while (high >= low && from.doubles[block + high] === 0) high -= 1;
  if (high < low) return;
  cover(arena, store, first + low, first + high);
  const d = arena.doubles;
  const q = from.doubles;
  const to = (d[store + BLOCK] as number) >>> 3;
  const shift = first - (d[store + FIRST] as number);
  for (let i = low; i <= high; i++) {
    const at = to + Math.max(0, shift + i);
    d[at] = (d[at] as number) + (q[block + i] as number);
  }
}
