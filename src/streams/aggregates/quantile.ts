// HOT PATH
/**
 * `quantile`: exact while there are at most QUANTILE_EXACT_MAX values, then a DDSketch.
 *
 * Role: most windows of most keys see few values: those are kept as they are and sorted when asked. The result is the
 * value at rank ⌈q·n⌉, as SQL's `quantile_disc` has it, exactly or within the relative error. Quantiles of the same values
 * in one window share one part.
 * Row: offset (0: nothing yet), number of values kept or SKETCHED. Block: the values as they came, or the sketch.
 */
import type { Arena } from '../state/arena.ts';
import type { ArenaPart } from './arena-part.ts';
import { DDSketch, rankOf } from './dd-sketch.ts';

export const QUANTILE_EXACT_MAX = 64;
const SKETCHED = -1;
const VALUES_AT_START = 4;
/** Up to here insertion beats the engine's sort. */
const INSERTION_MAX = 24;

export class Quantile implements ArenaPart {
  readonly doubles = 2;
  readonly #sketch: DDSketch;
  /** Values of the row that `load` was called for, sorted. */
  readonly #sorted = new Float64Array(QUANTILE_EXACT_MAX);
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
    let block = rows[at] as number;
    // Full at each power of two from the first room on.
    if (count === 0 || (count >= VALUES_AT_START && (count & (count - 1)) === 0)) {
      block = count === 0 ? arena.alloc(VALUES_AT_START * 8) : arena.resize(block, count * 16);
      rows[at] = block;
    }
    arena.doubles[(block >>> 3) + count] = value;
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
    const sorted = this.#sorted;
    const first = block >>> 3;
    for (let i = 0; i < count; i++) sorted[i] = arena.doubles[first + i] as number;
    if (count > INSERTION_MAX) sorted.subarray(0, count).sort();
    else insertionSort(sorted, count);
  }

  value(q: number): number | null {
    if (this.#loaded === 0) return null;
    if (this.#loaded === SKETCHED) return this.#sketch.quantile(this.#arena as Arena, this.#block, q);
    return this.#sorted[rankOf(q, this.#loaded) - 1] as number;
  }

  free(arena: Arena, rows: Float64Array, at: number): void {
    const block = rows[at] as number;
    if ((rows[at + 1] as number) === SKETCHED) this.#sketch.free(arena, block);
    else if (block !== 0) arena.free(block);
    rows[at] = 0;
    rows[at + 1] = 0;
  }

  #makeSketch(arena: Arena, rows: Float64Array, at: number): void {
    const count = rows[at + 1] as number;
    const block = rows[at] as number;
    const sketch = this.#sketch.create(arena);
    for (let i = 0; i < count; i++) this.#sketch.add(arena, sketch, arena.doubles[(block >>> 3) + i] as number);
    if (block !== 0) arena.free(block);
    rows[at] = sketch;
    rows[at + 1] = SKETCHED;
  }
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
