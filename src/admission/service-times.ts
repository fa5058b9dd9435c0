// HOT PATH
/**
 * How long a call of each entry keeps its thread busy, as observed: what batching and caller-runs decide by. The mean
 * counts only the time in which the thread can do nothing else; the worst case counts waiting too, since what a handler
 * does after an await is not seen and may be as long as the whole call.
 *
 * Per entry: a mean (exponentially weighted, newest 1/8) and a worst case that rises at once and sinks by 1/64 of its
 * distance to the mean per call, so that one slow call is remembered for about a hundred.
 * Bounds: `ENTRIES_MAX` rows; entries beyond stay unknown. Rows of entries that left the catalogue go with `retain`.
 */
import type { Entry } from '../catalogue/entry.ts';

export const ENTRIES_MAX = 65_536;
/** Calls seen before an estimate is given: the first ones pay for compilation. */
export const OBSERVATIONS_MIN = 3;
const ROWS_AT_START = 64;

export class ServiceTimes {
  readonly #rows = new Map<number, number>();
  readonly #free: number[] = [];
  #meanUs = new Float64Array(ROWS_AT_START);
  #worstUs = new Float64Array(ROWS_AT_START);
  #count = new Uint32Array(ROWS_AT_START);
  /** Asked for last: one tool's calls come in runs. */
  #lastKey = -1;
  #lastRow = -1;

  /** Mean in µs; Infinity until known. */
  expectedUs(key: number): number {
    const row = this.#rowOf(key);
    if (row < 0 || (this.#count[row] ?? 0) < OBSERVATIONS_MIN) return Number.POSITIVE_INFINITY;
    return this.#meanUs[row] ?? Number.POSITIVE_INFINITY;
  }

  /** Slowly forgotten maximum in µs, never below the mean; Infinity until known. */
  worstUs(key: number): number {
    const row = this.#rowOf(key);
    if (row < 0 || (this.#count[row] ?? 0) < OBSERVATIONS_MIN) return Number.POSITIVE_INFINITY;
    return this.#worstUs[row] ?? Number.POSITIVE_INFINITY;
  }

  /** Calls observed; stops counting at 2^32 − 1. */
  count(key: number): number {
    const row = this.#rowOf(key);
    return row < 0 ? 0 : (this.#count[row] ?? 0);
  }

  /** -1 when the entry was never seen. */
  #rowOf(key: number): number {
    if (key === this.#lastKey) return this.#lastRow;
    const row = this.#rows.get(key);
    if (row === undefined) return -1;
    this.#lastKey = key;
    this.#lastRow = row;
    return row;
  }

  /** `wallUs`: from the call to its end. */
  observe(key: number, blockingUs: number, wallUs: number = blockingUs): void {
    let row = this.#rowOf(key);
    if (row < 0) {
      row = this.#newRow(key);
      if (row < 0) return;
    }
    const count = this.#count[row] ?? 0;
    const before = this.#meanUs[row] ?? 0;
    const mean = count === 0 ? blockingUs : before + (blockingUs - before) / 8;
    const worst = this.#worstUs[row] ?? 0;
    const sunk = worst - (worst - mean) / 64;
    this.#meanUs[row] = mean;
    this.#worstUs[row] = Math.max(blockingUs, wallUs, sunk);
    if (count < 0xffff_ffff) this.#count[row] = count + 1;
  }

  /** Forgets every entry that is not among these. */
  retain(entries: readonly Entry[]): void {
    this.#lastKey = -1;
    const kept = new Set<number>();
    for (const entry of entries) kept.add(entry.key);
    for (const [key, row] of this.#rows) {
      if (kept.has(key)) continue;
      this.#rows.delete(key);
      this.#free.push(row);
    }
  }

  /** A zeroed row, or -1 when there is no room for another entry. */
  #newRow(key: number): number {
    const used = this.#rows.size;
    if (used === ENTRIES_MAX) return -1;
    const row = this.#free.pop() ?? used;
    if (row >= this.#count.length) this.#grow();
    this.#meanUs[row] = 0;
    this.#worstUs[row] = 0;
    this.#count[row] = 0;
    this.#rows.set(key, row);
    return row;
  }

  #grow(): void {
    const meanUs = new Float64Array(this.#meanUs.length * 2);
    const worstUs = new Float64Array(meanUs.length);
    const count = new Uint32Array(meanUs.length);
    meanUs.set(this.#meanUs);
    worstUs.set(this.#worstUs);
    count.set(this.#count);
    this.#meanUs = meanUs;
    this.#worstUs = worstUs;
    this.#count = count;
  }
}
