// HOT PATH
/**
 * `quantile`: exact while there are at most QUANTILE_EXACT_MAX values, then a DDSketch.
 *
 * Role: most windows of most keys see few values: those are kept as they are, and looked through when asked. Up to
 * QUANTILE_EXACT_MAX of them take less memory than the bins of a sketch, and less time. The result is the value at rank
 * ⌈q·n⌉, as SQL's `quantile_disc` has it, exactly or within the relative error. Quantiles of the same values in one window
 * share one part.
 * Row: offset (0: nothing yet), number of values kept or SKETCHED. Block: the values as they came, or the sketch.
 */
import type { Arena } from '../state/arena.ts';
import type { ArenaPart } from './arena-part.ts';
import { DDSketch, rankOf } from './dd-sketch.ts';

export const QUANTILE_EXACT_MAX = 256;
const SKETCHED = -1;
const VALUES_AT_START = 4;
/** Up to here all are put in order; of more, each quantile asked for is selected. */
const INSERTION_MAX = 24;
/** So many from the highest on are found by looking at each value once. */
const NEAR_TOP_MAX = 8;

export class Quantile implements ArenaPart {
  readonly doubles = 2;
  readonly #sketch: DDSketch;
  /** Values of the row that `load` was called for: in order when they are few, else as the last selection left them. */
  readonly #values = new Float64Array(QUANTILE_EXACT_MAX);
  readonly #highest = new Float64Array(NEAR_TOP_MAX);
  #loaded = 0;
  #arena: Arena | null = null;
  #block = 0;

  constructor(relativeError: number) {
    this.#sketch = new DDSketch(relativeError);
  }

  addNumber(arena: Arena, rows: Float64Array, at: number, value: number): void {
    const count = rows[at + 1] as number;
    if (count === SKETCHED) {
      this.#sketch.add(arena, rows[at] as number, value);
      return;
    }
    if (count === QUANTILE_EXACT_MAX) {
      this.#makeSketch(arena, rows, at);
      this.#sketch.add(arena, rows[at] as number, value);
      return;
    }
    // Full at each power of two from the first room on.
    if (count === 0 || (count >= VALUES_AT_START && (count & (count - 1)) === 0)) makeRoom(arena, rows, at, count);
    arena.doubles[((rows[at] as number) >>> 3) + count] = value;
    rows[at + 1] = count + 1;
  }

  merge(arena: Arena, rows: Float64Array, at: number, from: Arena, fromRows: Float64Array, fromAt: number): void {
    const count = fromRows[fromAt + 1] as number;
    const block = fromRows[fromAt] as number;
    if (count === SKETCHED) {
      if ((rows[at + 1] as number) !== SKETCHED) this.#makeSketch(arena, rows, at);
      this.#sketch.merge(arena, rows[at] as number, from, block);
      return;
    }
    for (let i = 0; i < count; i++) this.addNumber(arena, rows, at, from.doubles[(block >>> 3) + i] as number);
  }

  /** Takes up a row, of which `value` tells quantiles until the next call. */
  load(arena: Arena, rows: Float64Array, at: number): void {
    const count = rows[at + 1] as number;
    const block = rows[at] as number;
    this.#loaded = count;
    this.#arena = arena;
    this.#block = block;
    if (count === SKETCHED) return;
    const values = this.#values;
    const { doubles } = arena;
    const first = block >>> 3;
    for (let i = 0; i < count; i++) values[i] = doubles[first + i] as number;
    if (count <= INSERTION_MAX) insertionSort(values, count);
  }

  value(q: number): number | null {
    const count = this.#loaded;
    if (count === 0) return null;
    if (count === SKETCHED) return this.#sketch.quantile(this.#arena as Arena, this.#block, q);
    const place = rankOf(q, count) - 1;
    if (count <= INSERTION_MAX) return this.#values[place] as number;
    if (count - place <= NEAR_TOP_MAX) return this.#nearTop(count, count - place);
    return select(this.#values, count, place);
  }

  /** The nth highest value, by one look at each: nearly all are below those kept. */
  #nearTop(count: number, nth: number): number {
    const values = this.#values;
    const highest = this.#highest;
    highest.fill(Number.NEGATIVE_INFINITY);
    let least = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < count; i++) {
      const value = values[i] as number;
      if (value <= least) continue;
      let at = nth - 1;
      while (at > 0 && (highest[at - 1] as number) < value) {
        highest[at] = highest[at - 1] as number;
        at -= 1;
      }
      highest[at] = value;
      least = highest[nth - 1] as number;
    }
    return least;
  }

  free(arena: Arena, rows: Float64Array, at: number): void {
    const block = rows[at] as number;
    if ((rows[at + 1] as number) === SKETCHED) this.#sketch.free(arena, block);
    else if (block !== 0) arena.free(block);
    rows[at] = 0;
    rows[at + 1] = 0;
  }

  #makeSketch(arena: Arena, rows: Float64Array, at: number): void {
    const block = rows[at] as number;
    const sketch = this.#sketch.create(arena);
    this.#sketch.addAll(arena, sketch, block, rows[at + 1] as number);
    if (block !== 0) arena.free(block);
    rows[at] = sketch;
    rows[at + 1] = SKETCHED;
  }
}

/** Room for twice the values, or for the first ones. */
function makeRoom(arena: Arena, rows: Float64Array, at: number, count: number): void {
  const block = rows[at] as number;
  const larger = arena.alloc(count === 0 ? VALUES_AT_START * 8 : count * 16);
  rows[at] = larger;
  if (count === 0) return;
  const { doubles } = arena;
  const from = block >>> 3;
  const to = larger >>> 3;
  for (let i = 0; i < count; i++) doubles[to + i] = doubles[from + i] as number;
  arena.free(block);
}

/** The value that order would put at a place (Hoare's FIND); moves values on its way there. */
function select(values: Float64Array, count: number, place: number): number {
  let low = 0;
  let high = count - 1;
  while (low < high) {
    const pivot = middleOf(values[low] as number, values[(low + high) >>> 1] as number, values[high] as number);
    let i = low;
    let j = high;
    while (i <= j) {
      while ((values[i] as number) < pivot) i += 1;
      while ((values[j] as number) > pivot) j -= 1;
      if (i > j) break;
      const moved = values[i] as number;
      values[i] = values[j] as number;
      values[j] = moved;
      i += 1;
      j -= 1;
    }
    if (place <= j) high = j;
    else if (place >= i) low = i;
    else break;
  }
  return values[place] as number;
}

function middleOf(a: number, b: number, c: number): number {
  return a < b ? Math.max(a, Math.min(b, c)) : Math.max(b, Math.min(a, c));
}

function insertionSort(values: Float64Array, count: number): void {
  for (let i = 1; i < count; i++) {
    const value = values[i] as number;
    let j = i - 1;
    while (j >= 0 && (values[j] as number) > value) {
      values[j + 1] = values[j] as number;
      j -= 1;
    }
    values[j + 1] = value;
  }
}
