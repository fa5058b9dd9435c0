// HOT PATH
/**
 * `top`: the values seen most often: `[{value, count, error}]`, highest count first, at most `limit`.
 *
 * Role: SpaceSaving with COUNTERS_PER_RESULT counters for each result wanted, and the values themselves, so that texts
 * can be told. Exact, with error 0, while there are no more different values than counters.
 * Row: offset of the table (0: nothing yet). A counter's VALUE is the number, or the offset of a cell.
 * Merging adds the counts of the same value; where a value has no counter, the lowest count of a full table stands in and
 * becomes part of the error. The counters with the highest counts stay.
 */
import type { Arena } from '../state/arena.ts';
import type { ArenaPart } from './arena-part.ts';
import { copyCell, encodeValue, hashScratch, readCell, writeScratch, writeText } from './cells.ts';
import { hash, hashBytes, hashNumber, SEED_NUMBER, SEED_TEXT } from './hash.ts';
import {
  appendCounter,
  COUNT,
  COUNTERS_AT_START,
  counterAt,
  countersUsed,
  createCounters,
  ERROR,
  findCounter,
  growCounters,
  hashHigh,
  hashLow,
  isFull,
  lowestCount,
  takeLowest,
  VALUE,
} from './space-saving.ts';

export const COUNTERS_PER_RESULT = 8;
export const COUNTERS_MIN = 64;

export interface TopEntry {
  readonly value: unknown;
  readonly count: number;
  /** The true count is at least `count − error`. */
  readonly error: number;
}

/** A counter of either table while they are merged. */
interface Candidate {
  /** Of the table that is added to: its cell is kept or freed; the other's is copied. */
  readonly own: boolean;
  readonly low: number;
  readonly high: number;
  readonly count: number;
  readonly error: number;
  readonly value: number;
}

export class Top implements ArenaPart {
  readonly doubles = 1;
  readonly countersMax: number;
  readonly #limit: number;
  readonly #kind: 'number' | 'boolean' | 'cell';

  constructor(limit: number, kind: 'number' | 'boolean' | 'cell') {
    this.#limit = limit;
    this.#kind = kind;
    this.countersMax = 2 ** Math.ceil(Math.log2(Math.max(COUNTERS_MIN, COUNTERS_PER_RESULT * limit)));
  }

  addNumber(arena: Arena, rows: Float64Array, at: number, value: number): void {
    hashNumber(value, SEED_NUMBER);
    const counter = this.#count(arena, rows, at);
    if (counter >= 0) arena.doubles[counter + VALUE] = value + 0;
  }

  addText(arena: Arena, rows: Float64Array, at: number, bytes: Uint8Array, textAt: number, length: number): void {
    hashBytes(bytes, textAt, length, SEED_TEXT);
    const counter = this.#count(arena, rows, at);
    if (counter < 0) return;
    const cell = writeText(arena, arena.doubles[counter + VALUE] as number, bytes, textAt, length);
    arena.doubles[counter + VALUE] = cell;
  }

  addValue(arena: Arena, rows: Float64Array, at: number, value: unknown): void {
    encodeValue(value);
    hashScratch();
    const counter = this.#count(arena, rows, at);
    if (counter < 0) return;
    const cell = writeScratch(arena, arena.doubles[counter + VALUE] as number);
    arena.doubles[counter + VALUE] = cell;
  }

  merge(arena: Arena, rows: Float64Array, at: number, from: Arena, fromRows: Float64Array, fromAt: number): void {
    const other = fromRows[fromAt] as number;
    if (other === 0) return;
    const block = (rows[at] as number) === 0 ? createCounters(arena, COUNTERS_AT_START) : (rows[at] as number);
    const all = this.#candidates(arena, block, from, other);
    all.sort((a, b) => b.count - a.count || a.error - b.error || a.high - b.high || a.low - b.low);
    let places = COUNTERS_AT_START;
    while (places < Math.min(all.length, this.countersMax)) places *= 2;
    const table = createCounters(arena, places);
    const cells = this.#kind === 'cell';
    for (let i = 0; i < all.length; i++) {
      const { own, low, high, count, error, value } = all[i] as Candidate;
      if (i >= this.countersMax) {
        if (cells && own) arena.free(value);
        continue;
      }
      const kept = cells && !own ? copyCell(arena, 0, from, value) : value;
      const counter = counterAt(table, appendCounter(arena, table, low, high));
      arena.doubles[counter + COUNT] = count;
      arena.doubles[counter + ERROR] = error;
      arena.doubles[counter + VALUE] = kept;
    }
    arena.free(block);
    rows[at] = table;
  }

  result(arena: Arena, rows: Float64Array, at: number): TopEntry[] {
    const block = rows[at] as number;
    const entries: TopEntry[] = [];
    if (block === 0) return entries;
    const counts: number[] = [];
    for (let i = 0; i < countersUsed(arena, block); i++)
      counts.push(arena.doubles[counterAt(block, i) + COUNT] as number);
    // Only counters that can be among the best are read in full: their values may be texts.
    counts.sort((a, b) => b - a);
    const least = counts[Math.min(this.#limit, counts.length) - 1] as number;
    for (let i = 0; i < counts.length; i++) {
      const counter = counterAt(block, i);
      const count = arena.doubles[counter + COUNT] as number;
      if (count < least) continue;
      const value = this.#read(arena, arena.doubles[counter + VALUE] as number);
      entries.push({ value, count, error: arena.doubles[counter + ERROR] as number });
    }
    entries.sort(better);
    return entries.slice(0, this.#limit);
  }

  free(arena: Arena, rows: Float64Array, at: number): void {
    const block = rows[at] as number;
    rows[at] = 0;
    if (block === 0) return;
    if (this.#kind === 'cell') {
      for (let i = 0; i < countersUsed(arena, block); i++) {
        arena.free(arena.doubles[counterAt(block, i) + VALUE] as number);
      }
    }
    arena.free(block);
  }

  /** Counts what stands in `hash`. Index of the counter when its value is to be written, else −1. */
  #count(arena: Arena, rows: Float64Array, at: number): number {
    const low = hash[0] as number;
    const high = hash[1] as number;
    let block = rows[at] as number;
    if (block === 0) {
      block = createCounters(arena, COUNTERS_AT_START);
      rows[at] = block;
    }
    let counter = findCounter(arena, block, low, high);
    const known = counter >= 0;
    if (!known) {
      if (isFull(arena, block) && countersUsed(arena, block) < this.countersMax) {
        block = growCounters(arena, block);
        rows[at] = block;
      }
      counter = isFull(arena, block) ? takeLowest(arena, block, low, high) : appendCounter(arena, block, low, high);
    }
    const first = counterAt(block, counter);
    arena.doubles[first + COUNT] = (arena.doubles[first + COUNT] as number) + 1;
    return known ? -1 : first;
  }

  #candidates(arena: Arena, block: number, from: Arena, other: number): Candidate[] {
    const ownLowest = lowestCount(arena, block, this.countersMax);
    const otherLowest = lowestCount(from, other, this.countersMax);
    const all: Candidate[] = [];
    for (let i = 0; i < countersUsed(arena, block); i++) {
      const mine = counterAt(block, i);
      const low = hashLow(arena, mine);
      const high = hashHigh(arena, mine);
      const theirs = findCounter(from, other, low, high);
      const at = counterAt(other, theirs);
      const count = theirs < 0 ? otherLowest : (from.doubles[at + COUNT] as number);
      const error = theirs < 0 ? otherLowest : (from.doubles[at + ERROR] as number);
      all.push(candidate(arena, mine, true, count, error));
    }
    for (let i = 0; i < countersUsed(from, other); i++) {
      const theirs = counterAt(other, i);
      if (findCounter(arena, block, hashLow(from, theirs), hashHigh(from, theirs)) >= 0) continue;
      all.push(candidate(from, theirs, false, ownLowest, ownLowest));
    }
    return all;
  }

  #read(arena: Arena, value: number): unknown {
    if (this.#kind === 'number') return value;
    return this.#kind === 'boolean' ? value === 1 : readCell(arena, value);
  }
}

function candidate(arena: Arena, at: number, own: boolean, count: number, error: number): Candidate {
  return {
    own,
    low: hashLow(arena, at),
    high: hashHigh(arena, at),
    count: (arena.doubles[at + COUNT] as number) + count,
    error: (arena.doubles[at + ERROR] as number) + error,
    value: arena.doubles[at + VALUE] as number,
  };
}

/** By count, then certainty, then value, so that equal contents read equally whatever order they came in. */
function better(a: TopEntry, b: TopEntry): number {
  if (a.count !== b.count) return b.count - a.count;
  if (a.error !== b.error) return a.error - b.error;
  if (typeof a.value === 'number' && typeof b.value === 'number') return a.value - b.value;
  const left = typeof a.value === 'object' ? JSON.stringify(a.value) : String(a.value);
  const right = typeof b.value === 'object' ? JSON.stringify(b.value) : String(b.value);
  return left < right ? -1 : left > right ? 1 : 0;
}
