// HOT PATH
/**
 * The slices of each key in order, and two stacks over them: what overlapping windows are combined from.
 *
 * Role: a window of 60 slices costs a key about three merges per close instead of 60, and nothing is ever subtracted.
 * A key's rows are linked by time. Those before `mid` have a second row of aggregates, the suffix: themselves and all
 * later rows before `mid`. Those from `mid` on that have closed are merged into one loose row, the back:
 *
 *   rows      s3   s4   s5   s6 | s7   s8 | s9        window [s4 … s8] = suffix of s4, and back
 *   suffix  3…6  4…6  5…6    6  |         |           s3 left, its suffix with it; s9 has not closed: the frontier
 *   back                 mid →  | s7 + s8 |
 *
 * When the window has left `mid` behind, the suffixes of all its rows are made anew and the back is emptied. A row that
 * changes after it was merged makes its key dirty: the same is done at its next close.
 * Layout: buffer `base` has 10 words per key id:
 *   0 newest row   1 oldest row   2 frontier: oldest row not merged yet   3 back   4 place in the list + 1   5 dirty
 *   6–7 mid (a double)   8–9 first slice in the back (a double; NaN: it is empty)
 * buffer `base + 1` is the list of keys that have rows: word 0 their number, then their ids.
 * In a row, after ROW_HEAD: words older, newer; a double: its slice.
 */
import type { RowAggregates } from '../aggregates/port.ts';
import type { ShardMemory } from '../state/memory.ts';
import { ROW_FLAGS, ROW_HEAD, type RowStore } from './row-store.ts';

/** Doubles of a row before its aggregates. */
export const CHAIN_HEAD = ROW_HEAD + 2;
export const CHAIN_BYTES: readonly number[] = [320, 64];
/** Flags of rows. */
export const ROW_CHAINED = 2;
const ROW_SUFFIX = 4;

const OLDER = 2 * ROW_HEAD;
const NEWER = OLDER + 1;
const SLICE = ROW_HEAD + 1;

const KEY_WORDS = 10;
/** Those, and its place in the list. */
const KEY_BYTES = (KEY_WORDS + 1) * 4;
const NEWEST = 0;
const OLDEST = 1;
const FRONTIER = 2;
const BACK = 3;
const PLACE = 4;
const DIRTY = 5;
const MID = 3;
const BACK_FROM = 4;

export class KeyChains {
  readonly #memory: ShardMemory;
  readonly #base: number;
  readonly #store: RowStore;
  readonly #aggregates: RowAggregates;
  readonly #own: number;
  readonly #suffix: number;
  #words!: Uint32Array;
  #doubles!: Float64Array;
  #list!: Uint32Array;

  /** `own`, `suffix`: where a row's aggregates and their suffix stand in it. */
  constructor(
    memory: ShardMemory,
    base: number,
    store: RowStore,
    aggregates: RowAggregates,
    own: number,
    suffix: number,
  ) {
    this.#memory = memory;
    this.#base = base;
    this.#store = store;
    this.#aggregates = aggregates;
    this.#own = own;
    this.#suffix = suffix;
    this.#view();
  }

  #view(): void {
    const buffer = this.#memory.buffer(this.#base);
    this.#words = new Uint32Array(buffer);
    this.#doubles = new Float64Array(buffer);
    this.#list = new Uint32Array(this.#memory.buffer(this.#base + 1));
  }

  /** Keys that have rows. */
  get size(): number {
    return this.#list[0] as number;
  }

  /** In use, beside the rows. */
  get byteLength(): number {
    return this.size * KEY_BYTES;
  }

  keyAt(place: number): number {
    return this.#list[1 + place] as number;
  }

  sliceOf(row: number): number {
    return this.#store.rows[row * this.#store.stride + SLICE] as number;
  }

  oldest(key: number): number {
    return this.#words[key * KEY_WORDS + OLDEST] as number;
  }

  newest(key: number): number {
    return this.#words[key * KEY_WORDS + NEWEST] as number;
  }

  newer(row: number): number {
    return this.#store.words[row * this.#store.step + NEWER] as number;
  }

  older(row: number): number {
    return this.#store.words[row * this.#store.step + OLDER] as number;
  }

  /** Takes a new row of a key up. `closed`: the slices before it have been merged already. */
  add(key: number, row: number, slice: number, closed: number): void {
    if (key * KEY_WORDS >= this.#words.length) this.#growKeys(key);
    const words = this.#words;
    const rows = this.#store.words;
    const step = this.#store.step;
    const at = key * KEY_WORDS;
    if (words[at + PLACE] === 0) this.#activate(key);
    this.#store.rows[row * this.#store.stride + SLICE] = slice;
    rows[row * step + ROW_FLAGS] = (rows[row * step + ROW_FLAGS] as number) | ROW_CHAINED;
    let older = words[at + NEWEST] as number;
    while (older !== 0 && this.sliceOf(older) > slice) older = rows[older * step + OLDER] as number;
    const newer = older === 0 ? (words[at + OLDEST] as number) : (rows[older * step + NEWER] as number);
    rows[row * step + OLDER] = older;
    rows[row * step + NEWER] = newer;
    if (older === 0) words[at + OLDEST] = row;
    else rows[older * step + NEWER] = row;
    if (newer === 0) words[at + NEWEST] = row;
    else rows[newer * step + OLDER] = row;
    if (slice < closed) words[at + DIRTY] = 1;
    else if (newer === (words[at + FRONTIER] as number)) words[at + FRONTIER] = row;
  }

  #growKeys(key: number): void {
    let size = this.#words.byteLength;
    while (size <= key * KEY_WORDS * 4) size *= 2;
    this.#memory.grow(this.#base, size);
    this.#view();
  }

  #activate(key: number): void {
    const place = this.size;
    if (place + 2 > this.#list.length) {
      this.#memory.grow(this.#base + 1, this.#list.byteLength * 2);
      this.#list = new Uint32Array(this.#memory.buffer(this.#base + 1));
    }
    this.#list[1 + place] = key;
    this.#list[0] = place + 1;
    this.#words.fill(0, key * KEY_WORDS, (key + 1) * KEY_WORDS);
    this.#words[key * KEY_WORDS + PLACE] = place + 1;
    this.#doubles[(key * KEY_WORDS) / 2 + MID] = Number.NEGATIVE_INFINITY;
    this.#doubles[(key * KEY_WORDS) / 2 + BACK_FROM] = Number.NaN;
  }

  /** A row that was merged already has changed. */
  dirty(key: number): void {
    this.#words[key * KEY_WORDS + DIRTY] = 1;
  }

  /** Lets go of a row; its key leaves with its last one. Rows not taken up are left alone. */
  remove(row: number): void {
    const rows = this.#store.words;
    const step = this.#store.step;
    const flags = rows[row * step + ROW_FLAGS] as number;
    if ((flags & ROW_CHAINED) === 0) return;
    this.#freeSuffix(row);
    rows[row * step + ROW_FLAGS] = flags & ~(ROW_CHAINED | ROW_SUFFIX);
    const key = this.#store.keyOf(row);
    const words = this.#words;
    const at = key * KEY_WORDS;
    const older = rows[row * step + OLDER] as number;
    const newer = rows[row * step + NEWER] as number;
    if (older === 0) words[at + OLDEST] = newer;
    else rows[older * step + NEWER] = newer;
    if (newer === 0) words[at + NEWEST] = older;
    else rows[newer * step + OLDER] = older;
    if (words[at + FRONTIER] === row) words[at + FRONTIER] = newer;
    if (words[at + NEWEST] === 0) this.#deactivate(key);
  }

  #freeSuffix(row: number): void {
    const { words, step, stride } = this.#store;
    if (((words[row * step + ROW_FLAGS] as number) & ROW_SUFFIX) === 0) return;
    this.#aggregates.free(this.#store, row * stride + this.#suffix);
  }

  #deactivate(key: number): void {
    const at = key * KEY_WORDS;
    const back = this.#words[at + BACK] as number;
    if (back !== 0) {
      this.#emptyBack(key);
      this.#store.give(back);
    }
    const place = (this.#words[at + PLACE] as number) - 1;
    const last = this.size - 1;
    const moved = this.#list[1 + last] as number;
    this.#list[1 + place] = moved;
    this.#words[moved * KEY_WORDS + PLACE] = place + 1;
    this.#list[0] = last;
    this.#words[at + PLACE] = 0;
  }

  #emptyBack(key: number): void {
    const from = (key * KEY_WORDS) / 2 + BACK_FROM;
    if (Number.isNaN(this.#doubles[from] as number)) return;
    const back = this.#words[key * KEY_WORDS + BACK] as number;
    this.#aggregates.free(this.#store, back * this.#store.stride + this.#own);
    this.#doubles[from] = Number.NaN;
  }

  /**
   * Gets a key ready for the window of slices [first, end): all rows before `first` have been removed, and windows come
   * in order. False when it has no row in the window.
   */
  close(key: number, first: number, end: number): boolean {
    const at = key * KEY_WORDS;
    const doubles = this.#doubles;
    const backFrom = doubles[at / 2 + BACK_FROM] as number;
    // Whatever is in the back then is of rows that left, and is thrown away at the next close.
    if (this.sliceOf(this.#words[at + OLDEST] as number) >= end) return false;
    // NaN, an empty back, is not below anything.
    if (this.#words[at + DIRTY] === 1 || backFrom < first) this.#rebuild(key, end);
    else this.#absorb(key, end);
    return true;
  }

  /** Merges rows that have closed into the back. */
  #absorb(key: number, end: number): void {
    const store = this.#store;
    const at = key * KEY_WORDS;
    let row = this.#words[at + FRONTIER] as number;
    while (row !== 0 && this.sliceOf(row) < end) {
      const own = row * store.stride + this.#own;
      if (Number.isNaN(this.#doubles[at / 2 + BACK_FROM] as number)) {
        if (this.#words[at + BACK] === 0) this.#words[at + BACK] = store.take();
        this.#doubles[at / 2 + BACK_FROM] = this.sliceOf(row);
        this.#copy((this.#words[at + BACK] as number) * store.stride + this.#own, own);
      } else this.#aggregates.merge(store, (this.#words[at + BACK] as number) * store.stride + this.#own, store, own);
      row = this.newer(row);
    }
    this.#words[at + FRONTIER] = row;
  }

  /** Suffixes of all rows before `end`; nothing is left in the back. */
  #rebuild(key: number, end: number): void {
    const store = this.#store;
    const { step, stride } = store;
    const at = key * KEY_WORDS;
    this.#emptyBack(key);
    let row = this.newest(key);
    while (row !== 0 && this.sliceOf(row) >= end) row = this.older(row);
    this.#words[at + FRONTIER] = row === 0 ? this.oldest(key) : this.newer(row);
    this.#words[at + DIRTY] = 0;
    this.#doubles[at / 2 + MID] = end;
    let later = 0;
    for (; row !== 0; row = this.older(row)) {
      this.#freeSuffix(row);
      this.#copy(row * stride + this.#suffix, row * stride + this.#own);
      if (later !== 0) {
        this.#aggregates.merge(store, row * stride + this.#suffix, store, later * stride + this.#suffix);
      }
      store.words[row * step + ROW_FLAGS] = (store.words[row * step + ROW_FLAGS] as number) | ROW_SUFFIX;
      later = row;
    }
  }

  /** Makes aggregates the same as others; what was there has been freed. */
  #copy(to: number, from: number): void {
    const store = this.#store;
    if (!this.#aggregates.flat) {
      this.#aggregates.init(store, to);
      this.#aggregates.merge(store, to, store, from);
      return;
    }
    const { rows } = store;
    const { doubles } = this.#aggregates;
    for (let i = 0; i < doubles; i++) rows[to + i] = rows[from + i] as number;
  }

  /** Index of the aggregates of a key that was made ready; row 0 when they had to be put together there. */
  combined(key: number): number {
    const store = this.#store;
    const at = key * KEY_WORDS;
    const oldest = this.#words[at + OLDEST] as number;
    const suffix = this.sliceOf(oldest) < (this.#doubles[at / 2 + MID] as number);
    const filled = !Number.isNaN(this.#doubles[at / 2 + BACK_FROM] as number);
    const back = (this.#words[at + BACK] as number) * store.stride + this.#own;
    if (!suffix) return back;
    if (!filled) return oldest * store.stride + this.#suffix;
    this.#copy(this.#own, oldest * store.stride + this.#suffix);
    this.#aggregates.merge(store, this.#own, store, back);
    return this.#own;
  }
}
