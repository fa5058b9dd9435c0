// HOT PATH
/**
 * `distinct`: how many different values there were. Exact up to DISTINCT_EXACT_MAX, then within HyperLogLog's error.
 *
 * Role: a set of 64-bit hashes grows until it would be as large as the sketch, then becomes the sketch.
 * Row: offset of the block (0: nothing yet), number of hashes in the set or DENSE.
 * Block: a table of pairs of 32-bit words with linear probing, a power of two of places, at most three quarters of
 * them taken, 0, 0 for free; or 16,384 registers.
 * `merge` and the order of events do not matter: what is counted is the same, exactly or register for register.
 */
import type { Arena } from '../state/arena.ts';
import type { ArenaPart } from './arena-part.ts';
import { encodeValue, hashScratch } from './cells.ts';
import { hash, hashBytes, hashNumber, SEED_NUMBER, SEED_TEXT } from './hash.ts';
import { HLL_REGISTERS, hllAdd, hllEstimate, hllMerge } from './hyper-log-log.ts';

export const DISTINCT_EXACT_MAX = 1024;
const DENSE = -1;
const PLACES_AT_START = 4;
const PLACE_BYTES = 8;

export class Distinct implements ArenaPart {
  readonly doubles = 2;

  addNumber(arena: Arena, rows: Float64Array, at: number, value: number): void {
    hashNumber(value, SEED_NUMBER);
    addHash(arena, rows, at, hash[0] as number, hash[1] as number);
  }

  addText(arena: Arena, rows: Float64Array, at: number, bytes: Uint8Array, textAt: number, length: number): void {
    hashBytes(bytes, textAt, length, SEED_TEXT);
    addHash(arena, rows, at, hash[0] as number, hash[1] as number);
  }

  addValue(arena: Arena, rows: Float64Array, at: number, value: unknown): void {
    encodeValue(value);
    hashScratch();
    addHash(arena, rows, at, hash[0] as number, hash[1] as number);
  }

  merge(arena: Arena, rows: Float64Array, at: number, from: Arena, fromRows: Float64Array, fromAt: number): void {
    const block = fromRows[fromAt] as number;
    if (block === 0) return;
    if ((fromRows[fromAt + 1] as number) === DENSE) {
      if ((rows[at + 1] as number) !== DENSE) makeDense(arena, rows, at);
      hllMerge(arena.bytes, rows[at] as number, from.bytes, block);
      return;
    }
    const end = (block + from.capacity(block)) >>> 2;
    for (let i = block >>> 2; i < end; i += 2) {
      const low = from.words[i] as number;
      const high = from.words[i + 1] as number;
      if ((low | high) !== 0) addHash(arena, rows, at, low, high);
    }
  }

  result(arena: Arena, rows: Float64Array, at: number): number {
    const count = rows[at + 1] as number;
    return count === DENSE ? Math.round(hllEstimate(arena.bytes, rows[at] as number)) : count;
  }

  free(arena: Arena, rows: Float64Array, at: number): void {
    if ((rows[at] as number) !== 0) arena.free(rows[at] as number);
    rows[at] = 0;
    rows[at + 1] = 0;
  }
}

function addHash(arena: Arena, rows: Float64Array, at: number, low: number, high: number): void {
  const count = rows[at + 1] as number;
  if (count === DENSE) {
    hllAdd(arena.bytes, rows[at] as number, low, high);
    return;
  }
  let block = rows[at] as number;
  if (block === 0) {
    block = emptyTable(arena, PLACES_AT_START);
    rows[at] = block;
  }
  const places = arena.capacity(block) / PLACE_BYTES;
  const place = find(arena.words, block, places, low, high);
  if (place < 0) return;
  if (count === DISTINCT_EXACT_MAX) {
    makeDense(arena, rows, at);
    hllAdd(arena.bytes, rows[at] as number, low, high);
    return;
  }
  arena.words[place] = low;
  arena.words[place + 1] = high;
  rows[at + 1] = count + 1;
  if ((count + 1) * 4 > places * 3) rows[at] = grown(arena, block, places);
}

/** Word index of the free place a hash belongs to; −1 when it is there. */
function find(words: Uint32Array, block: number, places: number, low: number, high: number): number {
  const first = block >>> 2;
  for (let i = low & (places - 1); ; i = (i + 1) & (places - 1)) {
    const place = first + 2 * i;
    const placeLow = words[place] as number;
    const placeHigh = words[place + 1] as number;
    if (placeLow === low && placeHigh === high) return -1;
    if ((placeLow | placeHigh) === 0) return place;
  }
}

function emptyTable(arena: Arena, places: number): number {
  const block = arena.alloc(places * PLACE_BYTES);
  arena.words.fill(0, block >>> 2, (block >>> 2) + 2 * places);
  return block;
}

function grown(arena: Arena, block: number, places: number): number {
  const larger = emptyTable(arena, 2 * places);
  const words = arena.words;
  for (let i = block >>> 2; i < (block >>> 2) + 2 * places; i += 2) {
    const low = words[i] as number;
    const high = words[i + 1] as number;
    if ((low | high) === 0) continue;
    const place = find(words, larger, 2 * places, low, high);
    words[place] = low;
    words[place + 1] = high;
  }
  arena.free(block);
  return larger;
}

function makeDense(arena: Arena, rows: Float64Array, at: number): void {
  const block = rows[at] as number;
  const registers = arena.alloc(HLL_REGISTERS);
  arena.bytes.fill(0, registers, registers + HLL_REGISTERS);
  rows[at] = registers;
  rows[at + 1] = DENSE;
  if (block === 0) return;
  const end = (block + arena.capacity(block)) >>> 2;
  for (let i = block >>> 2; i < end; i += 2) {
    const low = arena.words[i] as number;
    const high = arena.words[i + 1] as number;
    if ((low | high) !== 0) hllAdd(arena.bytes, registers, low, high);
  }
  arena.free(block);
}
