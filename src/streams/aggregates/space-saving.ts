// HOT PATH
/**
 * SpaceSaving: the values seen most often, with how wrong each count can be, in one block of the arena.
 *
 * Role: the table behind `top`. It knows hashes and counts; what a counter's value is, its owner writes into VALUE.
 * A value without a counter takes over one with the lowest count, which becomes its error.
 * Block: doubles: 0 counters in use, 1 places, 2 lowest count as far as known, 3 where the search for it goes on; then
 * per place 5 doubles: count, error, value, hash (2 × 32 bits), next counter of its chain + 1 (32 bits), free; then per
 * place 32 bits: first counter of a chain + 1.
 * Guarantees, N values seen, K counters, after any merges too: count − error ≤ true count ≤ count; error ≤ N / K; what is
 * seen more than N / K times has a counter.
 * The lowest count is found by going round: counts only rise, so a full turn without the lowest means a higher lowest.
 */
import type { Arena } from '../state/arena.ts';

export const COUNT = 0;
export const ERROR = 1;
export const VALUE = 2;
const HASH = 3;
const CHAIN = 4;
const USED = 0;
const PLACES = 1;
const LOWEST = 2;
const CURSOR = 3;
const HEADER_DOUBLES = 4;
const COUNTER_DOUBLES = 5;
export const COUNTERS_AT_START = 8;

const bytesOfPlaces = (places: number): number => (HEADER_DOUBLES + COUNTER_DOUBLES * places) * 8 + 4 * places;

/** An empty table. `places` is a power of two. */
export function createCounters(arena: Arena, places: number): number {
  const block = arena.alloc(bytesOfPlaces(places));
  const h = block >>> 3;
  arena.doubles[h + USED] = 0;
  arena.doubles[h + PLACES] = places;
  arena.doubles[h + LOWEST] = 0;
  arena.doubles[h + CURSOR] = 0;
  const heads = headsOf(block, places);
  arena.words.fill(0, heads, heads + places);
  return block;
}

export function countersUsed(arena: Arena, block: number): number {
  return arena.doubles[(block >>> 3) + USED] as number;
}

/** Index of a counter's first double. */
export function counterAt(block: number, counter: number): number {
  return (block >>> 3) + HEADER_DOUBLES + COUNTER_DOUBLES * counter;
}

export const hashLow = (arena: Arena, at: number): number => arena.words[2 * (at + HASH)] as number;
export const hashHigh = (arena: Arena, at: number): number => arena.words[2 * (at + HASH) + 1] as number;

/** Index of the counter with a hash; −1 when it has none. */
export function findCounter(arena: Arena, block: number, low: number, high: number): number {
  const words = arena.words;
  const places = arena.doubles[(block >>> 3) + PLACES] as number;
  let counter = words[headsOf(block, places) + (low & (places - 1))] as number;
  while (counter !== 0) {
    const at = counterAt(block, counter - 1);
    if (words[2 * (at + HASH)] === low && words[2 * (at + HASH) + 1] === high) return counter - 1;
    counter = words[2 * (at + CHAIN)] as number;
  }
  return -1;
}

export function isFull(arena: Arena, block: number): boolean {
  return arena.doubles[(block >>> 3) + USED] === arena.doubles[(block >>> 3) + PLACES];
}

/** A counter for a hash that has none; there must be room. */
export function appendCounter(arena: Arena, block: number, low: number, high: number): number {
  const h = block >>> 3;
  const counter = arena.doubles[h + USED] as number;
  arena.doubles[h + USED] = counter + 1;
  arena.doubles.fill(0, counterAt(block, counter), counterAt(block, counter) + COUNTER_DOUBLES);
  link(arena, block, counter, low, high);
  return counter;
}

/** The same table with twice the places. The old block is freed. */
export function growCounters(arena: Arena, block: number): number {
  const places = arena.doubles[(block >>> 3) + PLACES] as number;
  const used = countersUsed(arena, block);
  const larger = createCounters(arena, places * 2);
  const d = arena.doubles;
  d.copyWithin(counterAt(larger, 0), counterAt(block, 0), counterAt(block, used));
  d[(larger >>> 3) + USED] = used;
  for (let i = 0; i < used; i++) {
    const at = counterAt(larger, i);
    link(arena, larger, i, hashLow(arena, at), hashHigh(arena, at));
  }
  arena.free(block);
  return larger;
}

/** A counter with the lowest count of a full table goes over to another hash; its count becomes the error. */
export function takeLowest(arena: Arena, block: number, low: number, high: number): number {
  const d = arena.doubles;
  const h = block >>> 3;
  const counter = lowestCounter(d, block);
  d[h + CURSOR] = counter + 1;
  unlink(arena, block, counter);
  link(arena, block, counter, low, high);
  const at = counterAt(block, counter);
  d[at + ERROR] = d[at + COUNT] as number;
  return counter;
}

/** What a value without a counter may have been seen at most: the lowest count of a table of `places`, 0 while it has room. */
export function lowestCount(arena: Arena, block: number, places: number): number {
  if (countersUsed(arena, block) < places) return 0;
  let lowest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < places; i++) lowest = Math.min(lowest, arena.doubles[counterAt(block, i) + COUNT] as number);
  return lowest;
}

function lowestCounter(d: Float64Array, block: number): number {
  const h = block >>> 3;
  const places = d[h + PLACES] as number;
  let from = d[h + CURSOR] as number;
  for (;;) {
    const lowest = d[h + LOWEST] as number;
    for (let i = from; i < places; i++) if (d[counterAt(block, i) + COUNT] === lowest) return i;
    let next = Number.POSITIVE_INFINITY;
    for (let i = 0; i < places; i++) next = Math.min(next, d[counterAt(block, i) + COUNT] as number);
    d[h + LOWEST] = next;
    from = 0;
  }
}

const headsOf = (block: number, places: number): number => 2 * counterAt(block, places);

function link(arena: Arena, block: number, counter: number, low: number, high: number): void {
  const words = arena.words;
  const places = arena.doubles[(block >>> 3) + PLACES] as number;
  const head = headsOf(block, places) + (low & (places - 1));
  const at = 2 * counterAt(block, counter);
  words[at + 2 * HASH] = low;
  words[at + 2 * HASH + 1] = high;
  words[at + 2 * CHAIN] = words[head] as number;
  words[at + 2 * CHAIN + 1] = 0;
  words[head] = counter + 1;
}

function unlink(arena: Arena, block: number, counter: number): void {
  const words = arena.words;
  const places = arena.doubles[(block >>> 3) + PLACES] as number;
  const own = 2 * counterAt(block, counter);
  let link = headsOf(block, places) + ((words[own + 2 * HASH] as number) & (places - 1));
  while (words[link] !== counter + 1) link = 2 * (counterAt(block, (words[link] as number) - 1) + CHAIN);
  words[link] = words[own + 2 * CHAIN] as number;
}
