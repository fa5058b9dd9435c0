// HOT PATH
/**
 * What a join keeps per key: the rows of both sides, when it is to be looked at next, and how long it has been idle.
 *
 * Role: between the join, which knows when events meet, and the shard's memory. Key ids are dense, so a key's entry is
 * found by index.
 * Buffers of the memory:
 *   0 header   Uint32: keys with rows, rows, end of the key ids in use, turn, open chunk of texts of either side; then
 *              Float64: late events, watermark
 *   1 entries  Uint32 × 4 per key id: block of the left rows, of the right rows, stamp, unused
 *   2 arena    the rows, see side-rows.ts
 *   3, 4       the timers, see state/key-timers.ts
 * A turn is a call of the join; a key's stamp is that of the last one it was settled in, 0 without state.
 * Invariant: a key is retained while it has rows: from its first `insert` to the `settle` after its last.
 */
import type { EventBatch } from '../decode/event-batch.ts';
import type { Keys } from '../operator.ts';
import { ARENA_BYTES_AT_START, Arena } from '../state/arena.ts';
import { KeyTimers, TIMER_HEAP_BYTES_AT_START, TIMER_PLACES_BYTES_AT_START } from '../state/key-timers.ts';
import { ShardMemory } from '../state/memory.ts';
import type { RowLayout } from './row-layout.ts';
import { SideRows } from './side-rows.ts';
import { TextChunks } from './text-chunks.ts';

const HEADER_WORDS = 6;
const HEADER_DOUBLES = 2;
const HEADER_BYTES = HEADER_WORDS * 4 + HEADER_DOUBLES * 8;
const KEYS = 0;
const ROWS = 1;
const KEY_END = 2;
const TURN = 3;
const OPEN = 4;
const LATE = 0;
const WATERMARK = 1;

const ENTRY_WORDS = 4;
const STAMP = 2;
const ENTRIES_AT_START = 16;
/** Of a key's entry and timer. */
const KEY_BYTES = ENTRY_WORDS * 4 + 20;

export type Side = 0 | 1;

export class JoinState {
  readonly sides: readonly [SideRows, SideRows];
  readonly #memory: ShardMemory;
  readonly #keys: Keys;
  readonly #header: Uint32Array;
  readonly #numbers: Float64Array;
  readonly #arena: Arena;
  readonly #timers: KeyTimers;
  #entries: Uint32Array;

  static create(): ShardMemory {
    const memory = ShardMemory.create(
      HEADER_BYTES,
      ENTRIES_AT_START * ENTRY_WORDS * 4,
      ARENA_BYTES_AT_START,
      TIMER_HEAP_BYTES_AT_START,
      TIMER_PLACES_BYTES_AT_START,
    );
    new Float64Array(memory.buffer(0), HEADER_WORDS * 4)[WATERMARK] = Number.NEGATIVE_INFINITY;
    return memory;
  }

  /** `expires`: right rows go by the watermark, as left ones do. */
  constructor(memory: ShardMemory, keys: Keys, layouts: readonly [RowLayout, RowLayout], expires: boolean) {
    this.#memory = memory;
    this.#keys = keys;
    this.#header = new Uint32Array(memory.buffer(0), 0, HEADER_WORDS);
    this.#numbers = new Float64Array(memory.buffer(0), HEADER_WORDS * 4, HEADER_DOUBLES);
    this.#entries = new Uint32Array(memory.buffer(1));
    this.#arena = new Arena(memory, 2);
    this.#timers = new KeyTimers(memory, 3, 4);
    // Versions that look-ups choose from go when newer ones are in force, which may be never.
    const lefts = new TextChunks(this.#arena, this.#header, OPEN, true);
    const rights = new TextChunks(this.#arena, this.#header, OPEN + 1, expires);
    this.sides = [new SideRows(this.#arena, layouts[0], lefts), new SideRows(this.#arena, layouts[1], rights)];
  }

  get keyCount(): number {
    return this.#header[KEYS] as number;
  }

  get rowCount(): number {
    return this.#header[ROWS] as number;
  }

  /** In use. */
  get byteLength(): number {
    return this.keyCount * KEY_BYTES + this.#arena.liveBytes;
  }

  get late(): number {
    return this.#numbers[LATE] as number;
  }

  countLate(): void {
    this.#numbers[LATE] = (this.#numbers[LATE] as number) + 1;
  }

  /** −Infinity at first. */
  get watermark(): number {
    return this.#numbers[WATERMARK] as number;
  }

  set watermark(value: number) {
    this.#numbers[WATERMARK] = value;
  }

  beginTurn(): void {
    const next = ((this.#header[TURN] as number) + 1) >>> 0;
    this.#header[TURN] = next === 0 ? 1 : next;
  }

  /** Block of a key's rows of a side; 0 for none. */
  block(keyId: number, side: Side): number {
    const at = keyId * ENTRY_WORDS;
    return at < this.#entries.length ? (this.#entries[at + side] as number) : 0;
  }

  insert(
    keyId: number,
    side: Side,
    index: number,
    batch: EventBatch,
    row: number,
    seq: number,
    context: Uint8Array,
  ): void {
    const at = keyId * ENTRY_WORDS;
    if (at >= this.#entries.length) this.#grow(keyId);
    const entries = this.#entries;
    const header = this.#header;
    if (entries[at + STAMP] === 0) {
      header[KEYS] = (header[KEYS] as number) + 1;
      if (keyId >= (header[KEY_END] as number)) header[KEY_END] = keyId + 1;
      entries[at + STAMP] = header[TURN] as number;
      this.#keys.retain(keyId);
    }
    header[ROWS] = (header[ROWS] as number) + 1;
    entries[at + side] = this.sides[side].insert(entries[at + side] as number, index, batch, row, seq, context);
  }

  drop(keyId: number, side: Side, count: number): void {
    if (count === 0) return;
    const at = keyId * ENTRY_WORDS + side;
    this.#header[ROWS] = (this.#header[ROWS] as number) - count;
    this.#entries[at] = this.sides[side].drop(this.#entries[at] as number, count);
  }

  /** After its rows have changed: when to look at the key again. One without rows is given up. */
  settle(keyId: number, timer: number): void {
    const at = keyId * ENTRY_WORDS;
    const entries = this.#entries;
    if (entries[at] !== 0 || entries[at + 1] !== 0) {
      entries[at + STAMP] = this.#header[TURN] as number;
      this.#timers.set(keyId, timer);
      return;
    }
    entries[at + STAMP] = 0;
    this.#timers.set(keyId, Number.POSITIVE_INFINITY);
    this.#header[KEYS] = (this.#header[KEYS] as number) - 1;
    this.#keys.release(keyId);
  }

  /** The key that is to be looked at first, if that is at or before `until`; −1 for none. */
  firstDue(until: number): number {
    return this.#timers.first(until);
  }

  /** Forgets this part (0…1) of the keys, those idle the longest; how many there were. */
  forgetIdle(share: number): number {
    const idle = this.#idlest(Math.ceil(this.keyCount * share));
    for (const keyId of idle) {
      this.drop(keyId, 0, this.sides[0].count(this.block(keyId, 0)));
      this.drop(keyId, 1, this.sides[1].count(this.block(keyId, 1)));
      this.settle(keyId, Number.POSITIVE_INFINITY);
    }
    return idle.length;
  }

  #idlest(count: number): readonly number[] {
    const entries = this.#entries;
    const turn = this.#header[TURN] as number;
    const held: number[] = [];
    for (let keyId = 0; keyId < (this.#header[KEY_END] as number); keyId++) {
      if (entries[keyId * ENTRY_WORDS + STAMP] !== 0) held.push(keyId);
    }
    // Turns are 32 bits and go round.
    const age = (keyId: number): number => (turn - (entries[keyId * ENTRY_WORDS + STAMP] as number)) >>> 0;
    return held.sort((a, b) => age(b) - age(a) || a - b).slice(0, count);
  }

  #grow(keyId: number): void {
    let length = this.#entries.length;
    while (length <= keyId * ENTRY_WORDS) length *= 2;
    this.#entries = new Uint32Array(this.#memory.grow(1, length * 4));
  }
}
