// HOT PATH
/**
 * The open sessions of each key: rows of doubles, linked from the newest session of a key to its oldest, and a timer.
 *
 * Role: nearly every event extends the newest session of its key, which is then one look at the key's word and one at the
 * row: nothing is decoded, nothing is encoded, and the timer stays where it is.
 * Layout: buffers of the memory
 *   0  words: keys with sessions · end of the key ids in use
 *   1  a word per key id: the row of its newest session, 0 for none
 *   2, 3  the timers, see `state/key-timers.ts`
 *   4…  rows, see `keyed-rows.ts`; word ROW_NEXT is the next older session of the key, and the owner's doubles are
 *       start · end (exclusive: newest event + gap) · words panes, news · words said, spare
 *   `panes`: firings so far; `news`: events since the last one; `said`: of what the last firing said, for retractions,
 *   offset in the rows' arena (length as a word, MessagePack), 0 for nothing.
 * Invariants: sessions of a key do not overlap. A key's timer is not later than the first time one of its sessions has
 * to be looked at; it may be too early, which costs a look, where moving it with each event would cost more.
 */
import { Packr } from 'msgpackr';
import type { Keys, ResultRow } from '../operator.ts';
import { KeyTimers, TIMER_HEAP_BYTES_AT_START, TIMER_PLACES_BYTES_AT_START } from '../state/key-timers.ts';
import type { ShardMemory } from '../state/memory.ts';
import type { KeyedRows, KeyedRowsLayout } from './keyed-rows.ts';
import { ROW_FLAGS, ROW_HEAD, ROW_NEXT, type RowStore } from './row-store.ts';

/** Doubles of a row: of a session, and where they are. */
export const SESSION_START = ROW_HEAD;
export const SESSION_END = ROW_HEAD + 1;
/** Words of a row. */
export const SESSION_NEWS = 2 * ROW_HEAD + 5;
const PANES = 2 * ROW_HEAD + 4;
const SAID = 2 * ROW_HEAD + 6;
/** Of ROW_FLAGS: told on time; waits for the end of its lateness. */
export const SESSION_FIRED = 1;

const KEYS_AT_START = 16;
export const SESSION_BYTES: readonly number[] = [
  8,
  KEYS_AT_START * 4,
  TIMER_HEAP_BYTES_AT_START,
  TIMER_PLACES_BYTES_AT_START,
];
export const SESSION_ROWS: KeyedRowsLayout = { base: SESSION_BYTES.length, head: 4 };

/** A key's word, its timer's time and key in the heap, and its place there. */
const KEY_BYTES = 4 + 20;
const SIZE = 0;
const KEY_END = 1;

export interface Said {
  readonly start: number;
  readonly end: number;
  readonly pane: number;
  readonly values: unknown[];
}

const packr = new Packr({ useRecords: false });

export class OpenSessions {
  readonly #memory: ShardMemory;
  readonly #keys: Keys;
  readonly #store: RowStore;
  readonly #timers: KeyTimers;
  readonly #header: Uint32Array;
  /** Row of the newest session by key id. */
  newest: Uint32Array;

  constructor(memory: ShardMemory, keys: Keys, rows: KeyedRows) {
    this.#memory = memory;
    this.#keys = keys;
    this.#store = rows.store;
    this.#header = new Uint32Array(memory.buffer(0));
    this.newest = new Uint32Array(memory.buffer(1));
    this.#timers = new KeyTimers(memory, 2, 3);
  }

  /** Keys with sessions. */
  get size(): number {
    return this.#header[SIZE] as number;
  }

  /** Of what is beside the rows, in use. */
  get byteLength(): number {
    return this.size * KEY_BYTES;
  }

  newestOf(key: number): number {
    return key < this.newest.length ? (this.newest[key] as number) : 0;
  }

  older(row: number): number {
    return this.#store.words[row * this.#store.step + ROW_NEXT] as number;
  }

  startOf(row: number): number {
    return this.#store.rows[row * this.#store.stride + SESSION_START] as number;
  }

  endOf(row: number): number {
    return this.#store.rows[row * this.#store.stride + SESSION_END] as number;
  }

  bound(row: number, start: number, end: number): void {
    const at = row * this.#store.stride;
    this.#store.rows[at + SESSION_START] = start;
    this.#store.rows[at + SESSION_END] = end;
  }

  panesOf(row: number): number {
    return this.#store.words[row * this.#store.step + PANES] as number;
  }

  newsOf(row: number): number {
    return this.#store.words[row * this.#store.step + SESSION_NEWS] as number;
  }

  fired(row: number): boolean {
    return ((this.#store.words[row * this.#store.step + ROW_FLAGS] as number) & SESSION_FIRED) !== 0;
  }

  markFired(row: number, fired: boolean): void {
    this.#store.words[row * this.#store.step + ROW_FLAGS] = fired ? SESSION_FIRED : 0;
  }

  /** A session without events. */
  begin(row: number, start: number, end: number): void {
    const at = row * this.#store.step;
    this.bound(row, start, end);
    this.#store.words[at + PANES] = 0;
    this.#store.words[at + SESSION_NEWS] = 0;
    this.#store.words[at + SAID] = 0;
  }

  /** Counts an event in. */
  count(row: number): void {
    const at = row * this.#store.step + SESSION_NEWS;
    this.#store.words[at] = (this.#store.words[at] as number) + 1;
  }

  /** One pane has been told. */
  told(row: number): void {
    const at = row * this.#store.step;
    this.#store.words[at + PANES] = (this.#store.words[at + PANES] as number) + 1;
    this.#store.words[at + SESSION_NEWS] = 0;
  }

  /** Counts of a session that another takes in. */
  join(row: number, from: number): void {
    const { step, words } = this.#store;
    words[row * step + PANES] = Math.max(this.panesOf(row), this.panesOf(from));
    words[row * step + SESSION_NEWS] = this.newsOf(row) + this.newsOf(from);
  }

  /** Puts a session after `newer` in its key's list, 0: in front. */
  link(key: number, row: number, newer: number): void {
    const { step, words } = this.#store;
    if (key >= this.newest.length) this.#grow(key);
    const header = this.#header;
    if (newer !== 0) {
      words[row * step + ROW_NEXT] = words[newer * step + ROW_NEXT] as number;
      words[newer * step + ROW_NEXT] = row;
      return;
    }
    const before = this.newest[key] as number;
    words[row * step + ROW_NEXT] = before;
    this.newest[key] = row;
    if (before !== 0) return;
    header[SIZE] = (header[SIZE] as number) + 1;
    if (key >= (header[KEY_END] as number)) header[KEY_END] = key + 1;
    this.#keys.retain(key);
  }

  /** Takes the session after `newer`, 0: the newest one, out of its key's list. A key without sessions is let go of. */
  unlink(key: number, row: number, newer: number): void {
    const { step, words } = this.#store;
    const older = words[row * step + ROW_NEXT] as number;
    if (newer !== 0) words[newer * step + ROW_NEXT] = older;
    else this.newest[key] = older;
    if (this.newest[key] !== 0) return;
    this.#header[SIZE] = (this.#header[SIZE] as number) - 1;
    this.#timers.set(key, Number.POSITIVE_INFINITY);
    this.#keys.release(key);
  }

  #grow(key: number): void {
    let length = this.newest.length;
    while (length <= key) length *= 2;
    this.newest = new Uint32Array(this.#memory.grow(1, length * 4));
  }

  /** A session of the key has to be looked at then. */
  arm(key: number, due: number): void {
    if (due < this.#timers.get(key)) this.#timers.set(key, due);
  }

  /** None of the key's sessions has to be looked at before. */
  rearm(key: number, due: number): void {
    this.#timers.set(key, due);
  }

  due(until: number): readonly number[] {
    return this.#timers.due(until);
  }

  *keys(): IterableIterator<number> {
    for (let key = 0; key < (this.#header[KEY_END] as number); key++) if (this.newest[key] !== 0) yield key;
  }

  /** At most `count` keys, those whose newest session ends first before others. */
  idlest(count: number): readonly number[] {
    const end = (key: number): number => this.endOf(this.newest[key] as number);
    return Array.from(this.keys())
      .sort((a, b) => end(a) - end(b) || a - b)
      .slice(0, count);
  }

  /** Remembers what a firing of a session says. */
  keepSaid(row: number, { end, pane, start, values }: ResultRow): void {
    const { arena, step, words } = this.#store;
    const bytes = packr.pack([start, end, pane, values]);
    const offset = arena.alloc(4 + bytes.length);
    arena.words[offset >>> 2] = bytes.length;
    arena.bytes.set(bytes, offset + 4);
    words[row * step + SAID] = offset;
  }

  /** What a session's last firing said, if that stands; it does not any more. */
  takeSaid(row: number): Said | null {
    const { arena, step, words } = this.#store;
    const offset = words[row * step + SAID] as number;
    if (offset === 0) return null;
    const length = arena.words[offset >>> 2] as number;
    const packed = packr.unpack(arena.bytes.slice(offset + 4, offset + 4 + length));
    const [start, end, pane, values] = packed as [number, number, number, unknown[]];
    arena.free(offset);
    words[row * step + SAID] = 0;
    return { start, end, pane, values };
  }

  /** Gives back what is remembered. */
  forgetSaid(row: number): void {
    const { arena, step, words } = this.#store;
    const offset = words[row * step + SAID] as number;
    if (offset !== 0) arena.free(offset);
  }
}
