// HOT PATH
/**
 * `KeyedStates` over shared memory: an encoded blob per key id, and a timer beside it.
 *
 * Role: what patterns and anomalies keep their state in. Key ids are dense, so a key's entry is found by index.
 * Buffers of the memory:
 *   0 header   Uint32: version, keys with state, end of the key ids in use, 0; then Float64: tallies of the operator
 *   1 entries  Uint32 × 3 per key id: offset of the blob (0: not written yet), its bytes, stamp (0: no state)
 *   2 arena    the blobs
 *   3, 4       the timers, see key-timers.ts
 * The stamp is the version that the last `put` led to: the smallest stamps are the keys idle the longest.
 * Invariants: decoded states are kept on the heap from call to call only while the version is the one this object left
 * behind, so whoever else wrote makes it forget them; a key is retained from the first `put` on and released by the
 * `flush` after `delete`, not before, since the rest of a batch may name its id. Codecs may reuse the bytes they
 * return: they are copied at once. A state given to `put` is written at some time up to the next `flush`; who changes
 * it later puts it again.
 */
import type { Keys } from '../operator.ts';
import { ARENA_BYTES_AT_START, Arena } from './arena.ts';
import { KeyTimers, TIMER_HEAP_BYTES_AT_START, TIMER_PLACES_BYTES_AT_START } from './key-timers.ts';
import type { KeyedStates, StateCodec } from './keyed-states-port.ts';
import { ShardMemory } from './memory.ts';

const HEADER_WORDS = 4;
/** Numbers an operator may keep beside the states: events that were late, say. */
export const TALLIES = 6;
const HEADER_BYTES = HEADER_WORDS * 4 + TALLIES * 8;
const VERSION = 0;
const SIZE = 1;
const KEY_END = 2;

const ENTRY_WORDS = 3;
/** Of a key's timer: time and key in the heap, place. */
const TIMER_BYTES = 20;
const BLOB_AT = 0;
const BLOB_BYTES = 1;
const STAMP = 2;
const ENTRIES_AT_START = 16;

/**
 * Decoded states on the heap: so many that wait to be written, and as many others. Bytes are those of the encoded form,
 * reckoned with the mean over all keys.
 */
export const HELD_STATES_MAX = 8192;
export const HELD_BYTES_MAX = 2 * 1024 * 1024;

/** A codec that reads shared memory, and keeps nothing of the bytes it is given: it is spared a copy. */
export interface SharedCodec<S> extends StateCodec<S> {
  readonly readsShared: true;
}

export class SharedKeyedStates<S> implements KeyedStates<S> {
  readonly #memory: ShardMemory;
  readonly #keys: Keys;
  readonly #codec: StateCodec<S>;
  readonly #readsShared: boolean;
  readonly #header: Uint32Array;
  readonly #tallies: Float64Array;
  readonly #arena: Arena;
  readonly #timers: KeyTimers;
  #entries: Uint32Array;
  /** Version the cached states belong to. */
  #seen: number;
  readonly #cached = new Map<number, S>();
  /** Keys put since they were last written, in the order of their first `put`. */
  readonly #dirty = new Set<number>();
  /** Keys deleted since the last flush; they are retained until the next. */
  readonly #deleted = new Set<number>();

  static create(): ShardMemory {
    return ShardMemory.create(
      HEADER_BYTES,
      ENTRIES_AT_START * ENTRY_WORDS * 4,
      ARENA_BYTES_AT_START,
      TIMER_HEAP_BYTES_AT_START,
      TIMER_PLACES_BYTES_AT_START,
    );
  }

  constructor(memory: ShardMemory, keys: Keys, codec: StateCodec<S> | SharedCodec<S>) {
    this.#memory = memory;
    this.#keys = keys;
    this.#codec = codec;
    this.#readsShared = 'readsShared' in codec && codec.readsShared === true;
    this.#header = new Uint32Array(memory.buffer(0), 0, HEADER_WORDS);
    this.#tallies = new Float64Array(memory.buffer(0), HEADER_WORDS * 4, TALLIES);
    this.#entries = new Uint32Array(memory.buffer(1));
    this.#arena = new Arena(memory, 2);
    this.#timers = new KeyTimers(memory, 3, 4);
    this.#seen = this.#header[VERSION] as number;
  }

  get size(): number {
    return this.#header[SIZE] as number;
  }

  /** In use: blobs as far as they are written, entries and timers. */
  get byteLength(): number {
    return this.size * (ENTRY_WORDS * 4 + TIMER_BYTES) + this.#arena.liveBytes;
  }

  get(keyId: number): S | undefined {
    this.#recognise();
    const cached = this.#cached.get(keyId);
    if (cached !== undefined) return cached;
    const entries = this.#entries;
    const at = keyId * ENTRY_WORDS;
    if (at >= entries.length || entries[at + STAMP] === 0) return undefined;
    const blobAt = entries[at + BLOB_AT] as number;
    const end = blobAt + (entries[at + BLOB_BYTES] as number);
    // A copy, unless the codec says otherwise: decoders refuse shared memory, and states may keep parts of the bytes.
    const { bytes } = this.#arena;
    const state = this.#codec.decode(this.#readsShared ? bytes.subarray(blobAt, end) : bytes.slice(blobAt, end));
    this.#keep(keyId, state);
    return state;
  }

  put(keyId: number, state: S, timer: number): void {
    if (Number.isNaN(timer)) throw new RangeError(`timer of key ${keyId} is not a number`);
    this.#recognise();
    const at = keyId * ENTRY_WORDS;
    if (at >= this.#entries.length) this.#grow(keyId);
    const entries = this.#entries;
    const header = this.#header;
    if (entries[at + STAMP] === 0) {
      header[SIZE] = (header[SIZE] as number) + 1;
      if (keyId >= (header[KEY_END] as number)) header[KEY_END] = keyId + 1;
      if (!this.#deleted.delete(keyId)) this.#keys.retain(keyId);
    }
    entries[at + STAMP] = nextVersion(this.#seen);
    this.#timers.set(keyId, timer);
    if (this.#dirty.has(keyId)) {
      if (this.#cached.get(keyId) !== state) this.#cached.set(keyId, state);
      return;
    }
    // When to write early depends on the calls alone, so that the arena looks the same whatever was cached.
    if (this.#dirty.size >= this.#heldMax()) this.#write();
    this.#keep(keyId, state);
    this.#dirty.add(keyId);
  }

  delete(keyId: number): void {
    this.#recognise();
    const entries = this.#entries;
    const at = keyId * ENTRY_WORDS;
    if (at >= entries.length || entries[at + STAMP] === 0) return;
    if (entries[at + BLOB_AT] !== 0) this.#arena.free(entries[at + BLOB_AT] as number);
    entries.fill(0, at, at + ENTRY_WORDS);
    this.#timers.set(keyId, Infinity);
    this.#header[SIZE] = (this.#header[SIZE] as number) - 1;
    this.#cached.delete(keyId);
    this.#dirty.delete(keyId);
    this.#deleted.add(keyId);
  }

  /** A number of the operator's own; 0 at first. Written at once. */
  tally(index: number): number {
    return this.#tallies[index] as number;
  }

  addTally(index: number, by: number): void {
    this.#tallies[index] = (this.#tallies[index] as number) + by;
  }

  /** Time of a key's timer; Infinity for none. */
  timer(keyId: number): number {
    return this.#timers.get(keyId);
  }

  due(until: number): readonly number[] {
    return this.#timers.due(until);
  }

  *keys(): IterableIterator<number> {
    for (let keyId = 0; keyId < (this.#header[KEY_END] as number); keyId++) {
      if (this.#entries[keyId * ENTRY_WORDS + STAMP] !== 0) yield keyId;
    }
  }

  /** At most `count` keys, those whose last `put` is the longest ago first. */
  idlest(count: number): readonly number[] {
    const entries = this.#entries;
    const version = this.#header[VERSION] as number;
    const age = (keyId: number): number => (version - (entries[keyId * ENTRY_WORDS + STAMP] as number)) | 0;
    return Array.from(this.keys())
      .sort((a, b) => age(b) - age(a) || a - b)
      .slice(0, count);
  }

  flush(): void {
    if (this.#dirty.size === 0 && this.#deleted.size === 0) return;
    this.#recognise();
    this.#write();
    for (const keyId of this.#deleted) this.#keys.release(keyId);
    this.#deleted.clear();
    this.#seen = nextVersion(this.#seen);
    this.#header[VERSION] = this.#seen;
  }

  /** Forgets the cached states when somebody else wrote since. */
  #recognise(): void {
    const version = this.#header[VERSION] as number;
    if (version === this.#seen) return;
    if (this.#dirty.size + this.#deleted.size > 0) throw new Error('two tasks wrote the same keyed states at once');
    this.#cached.clear();
    this.#seen = version;
  }

  #keep(keyId: number, state: S): void {
    if (this.#cached.size >= 2 * this.#heldMax() && !this.#cached.has(keyId)) {
      for (const each of this.#cached.keys()) if (!this.#dirty.has(each)) this.#cached.delete(each);
    }
    this.#cached.set(keyId, state);
  }

  /** How many states may wait to be written, and how many beside them may be cached. */
  #heldMax(): number {
    const bytesEach = this.#arena.liveBytes / Math.max(1, this.size);
    return Math.max(1, Math.min(HELD_STATES_MAX, Math.floor(HELD_BYTES_MAX / Math.max(1, bytesEach))));
  }

  #write(): void {
    for (const keyId of this.#dirty) {
      const encoded = this.#codec.encode(this.#cached.get(keyId) as S);
      const at = keyId * ENTRY_WORDS;
      const entries = this.#entries;
      let blobAt = entries[at + BLOB_AT] as number;
      if (blobAt !== 0 && !fits(encoded.length, this.#arena.capacity(blobAt))) {
        this.#arena.free(blobAt);
        blobAt = 0;
      }
      if (blobAt === 0) blobAt = this.#arena.alloc(encoded.length);
      this.#arena.bytes.set(encoded, blobAt);
      entries[at + BLOB_AT] = blobAt;
      entries[at + BLOB_BYTES] = encoded.length;
    }
    this.#dirty.clear();
  }

  #grow(keyId: number): void {
    let length = this.#entries.length;
    while (length <= keyId * ENTRY_WORDS) length *= 2;
    this.#entries = new Uint32Array(this.#memory.grow(1, length * 4));
  }
}

/** Versions are 32 bits and never 0, which as a stamp means no state. */
function nextVersion(version: number): number {
  const next = (version + 1) >>> 0;
  return next === 0 ? 1 : next;
}

/** A block is kept while the state fills it to more than an eighth: less is given back. */
function fits(bytes: number, capacity: number): boolean {
  return bytes <= capacity && (capacity <= 64 || bytes * 8 > capacity);
}
