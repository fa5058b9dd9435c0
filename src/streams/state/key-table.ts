// HOT PATH
/**
 * The keys of one group in one shard, numbered: from bytes in columns to small integers and back.
 *
 * Role: operators speak of keys by id, so a row of state needs no text and a key's state is found by index. Ids are given
 * in order of arrival and used again after a key was forgotten. What operators tell may go by them: whoever has the table
 * sweeps it where the log alone says (`engine/shards/shard.ts`).
 * Layout, all in shared memory:
 *   buffer 0  words: keys held · ids given so far · first free id + 1 · first id + 1 of those to look at in `sweep`
 *   buffer 1  slots (`key-slots.ts`), at most half full
 *   buffer 2  entries of 64 bytes by id, one cache line each:
 *               0 hash   1 holders   2 generation   3 form, ON_LIST   4 length   5 next on the list (id + 1)
 *               6…15 the key's bytes, or in word 6 their offset in the arena when they are more than 40
 *   buffer 3  arena of long keys
 * Invariants: a key is in exactly one live entry; a live entry nobody holds is on the list; the generation grows each
 * time an id is given back, so caches on the heap know when theirs is of another key.
 */
import { ABSENT, type EventBatch } from '../decode/event-batch.ts';
import { sameText } from '../decode/key-hash.ts';
import type { LineBuffer } from '../lines/line-buffer.ts';
import type { Keys } from '../operator.ts';
import type { Plan } from '../plan.ts';
import { ARENA_BYTES_AT_START, Arena } from './arena.ts';
import { decodeKey, KEY_NUMBER, KEY_STRING, KeyEncoder, type KeyForm, type KeyMember } from './key-bytes.ts';
import { guessIds, KEY_SPREAD, placeAll, removeSlot, shiftOf } from './key-slots.ts';
import { KeyTexts } from './key-texts.ts';
import { ShardMemory } from './memory.ts';

const SLOTS_AT_START = 64;
const ENTRIES_AT_START = 32;
const CHUNK = 256;
const ENTRY_WORDS = 16;
const ENTRY_BYTES = ENTRY_WORDS * 4;
/** An entry, and slots of eight bytes at most half full. */
const KEY_BYTES = ENTRY_BYTES + 16;
const INLINE_BYTES_MAX = 40;
const INLINE_AT = 24;

const SIZE = 0;
const IDS = 1;
const FREE = 2;
const LIST = 3;

const HASH = 0;
const HOLDERS = 1;
const GENERATION = 2;
const FORM = 3;
const LENGTH = 4;
const NEXT = 5;
const AT = 6;
const FORM_MASK = 0xff;
const ON_LIST = 0x100;

export type HashKey = (values: readonly KeyMember[]) => number;

export class KeyTable implements Keys {
  readonly #memory: ShardMemory;
  readonly #hashKey: HashKey;
  readonly #arena: Arena;
  readonly #encoder = new KeyEncoder();
  readonly #header: Uint32Array;
  #slots!: Uint32Array;
  #shift = 0;
  #words!: Uint32Array;
  #bytes!: Uint8Array;
  #doubles!: Float64Array;
  #view!: DataView;
  readonly #candidates = new Uint32Array(CHUNK);
  readonly #texts: KeyTexts;

  static create(_plan: Plan, _group: number): ShardMemory {
    return ShardMemory.create(16, SLOTS_AT_START * 8, ENTRIES_AT_START * ENTRY_WORDS * 4, ARENA_BYTES_AT_START);
  }

  /** `hashKey`: the hash that decoding gave the same members. */
  constructor(memory: ShardMemory, plan: Plan, group: number, hashKey: HashKey) {
    this.#memory = memory;
    this.#hashKey = hashKey;
    this.#texts = new KeyTexts(plan.groups[group]?.keyNames ?? []);
    this.#header = new Uint32Array(memory.buffer(0));
    this.#arena = new Arena(memory, 3);
    this.#viewSlots();
    this.#viewEntries();
  }

  #viewSlots(): void {
    this.#slots = new Uint32Array(this.#memory.buffer(1));
    this.#shift = shiftOf(this.#slots);
  }

  #viewEntries(): void {
    const buffer = this.#memory.buffer(2);
    this.#words = new Uint32Array(buffer);
    this.#bytes = new Uint8Array(buffer);
    this.#doubles = new Float64Array(buffer);
    this.#view = new DataView(buffer);
  }

  get size(): number {
    return this.#header[SIZE] as number;
  }

  get byteLength(): number {
    return this.size * KEY_BYTES + this.#arena.liveBytes;
  }

  intern(batch: EventBatch, row: number, hash: number, fields: readonly number[]): number {
    this.#encoder.fromRow(batch, row, fields);
    const { form, bytes, length } = this.#encoder;
    return this.internBytes(hash, form, bytes, 0, length);
  }

  /** Id of a key in its canonical form. */
  internBytes(hash: number, form: KeyForm, bytes: Uint8Array, at: number, length: number): number {
    const found = this.#locate(hash, form, bytes, at, length);
    return found >= 0 ? found : this.#insert(~found, hash, form, bytes, at, length);
  }

  /** Id of a key that is there, or the complement of the slot where it would be. */
  #locate(hash: number, form: KeyForm, bytes: Uint8Array, at: number, length: number): number {
    const slots = this.#slots;
    const mask = slots.length / 2 - 1;
    let slot = Math.imul(hash, KEY_SPREAD) >>> this.#shift;
    for (;;) {
      const next = slots[2 * slot + 1] as number;
      if (next === 0) return ~slot;
      if (slots[2 * slot] === hash && this.#same(next - 1, form, bytes, at, length)) return next - 1;
      slot = (slot + 1) & mask;
    }
  }

  /** Ids of the keys of `count` rows, into `out`. */
  internRows(
    batch: EventBatch,
    fields: readonly number[],
    hashes: Uint32Array,
    rows: Uint32Array,
    count: number,
    out: Uint32Array,
  ): void {
    if (count === 0) return;
    if (fields.length === 0) {
      out.fill(this.intern(batch, rows[0] as number, hashes[rows[0] as number] as number, fields), 0, count);
      return;
    }
    const field = fields[0] as number;
    const type = batch.plan.streams[batch.stream]?.fields[field]?.type;
    if (fields.length === 1 && type === 'string') this.#internStrings(batch, field, hashes, rows, count, out);
    else if (fields.length === 1 && type !== 'boolean') this.#internNumbers(batch, field, hashes, rows, count, out);
    else {
      for (let i = 0; i < count; i++) {
        const row = rows[i] as number;
        out[i] = this.intern(batch, row, hashes[row] as number, fields);
      }
    }
  }

  /**
   * Chunk by chunk in short loops whose loads do not wait for each other: a table that is not in the cache costs about one
   * miss per key instead of three. A candidate is only a guess: what its entry says decides.
   */
  #internStrings(
    batch: EventBatch,
    field: number,
    hashes: Uint32Array,
    rows: Uint32Array,
    count: number,
    out: Uint32Array,
  ): void {
    const ats = batch.at[field] as Uint32Array;
    const lengths = batch.length[field] as Uint32Array;
    const view = batch.view;
    for (let begin = 0; begin < count; begin += CHUNK) {
      const end = Math.min(count, begin + CHUNK);
      guessIds(this.#slots, hashes, rows, begin, end, this.#candidates);
      this.#checkLengths(lengths, rows, begin, end);
      for (let i = begin; i < end; i++) {
        const row = rows[i] as number;
        const candidate = this.#candidates[i - begin] as number;
        const at = ats[row] as number;
        const length = lengths[row] as number;
        const ownAt = (candidate - 1) * ENTRY_BYTES + INLINE_AT;
        if (candidate !== 0 && sameText(this.#view, ownAt, view, at, length)) out[i] = candidate - 1;
        else if (length === ABSENT) out[i] = this.intern(batch, row, hashes[row] as number, [field]);
        else out[i] = this.internBytes(hashes[row] as number, KEY_STRING, batch.bytes, at, length);
      }
    }
  }

  /** Drops candidates that are not short strings of the same length. */
  #checkLengths(lengths: Uint32Array, rows: Uint32Array, begin: number, end: number): void {
    const words = this.#words;
    const candidates = this.#candidates;
    for (let i = begin; i < end; i++) {
      const candidate = candidates[i - begin] as number;
      if (candidate === 0) continue;
      const entry = (candidate - 1) * ENTRY_WORDS;
      const length = words[entry + LENGTH] as number;
      const string = ((words[entry + FORM] as number) & FORM_MASK) === KEY_STRING;
      if (!string || length !== lengths[rows[i] as number] || length > INLINE_BYTES_MAX) candidates[i - begin] = 0;
    }
  }

  #internNumbers(
    batch: EventBatch,
    field: number,
    hashes: Uint32Array,
    rows: Uint32Array,
    count: number,
    out: Uint32Array,
  ): void {
    const values = batch.values[field] as Float64Array;
    for (let begin = 0; begin < count; begin += CHUNK) {
      const end = Math.min(count, begin + CHUNK);
      guessIds(this.#slots, hashes, rows, begin, end, this.#candidates);
      for (let i = begin; i < end; i++) {
        const row = rows[i] as number;
        const candidate = this.#candidates[i - begin] as number;
        // A canonical number is compared as one: −0 is 0, and NaN (absent) never matches and takes the general way.
        if (candidate !== 0 && this.#sameNumber(candidate - 1, values[row] as number)) out[i] = candidate - 1;
        else out[i] = this.intern(batch, row, hashes[row] as number, [field]);
      }
    }
  }

  #sameNumber(id: number, value: number): boolean {
    const form = (this.#words[id * ENTRY_WORDS + FORM] as number) & FORM_MASK;
    return form === KEY_NUMBER && this.#doubles[id * (ENTRY_WORDS / 2) + AT / 2] === value;
  }

  #same(id: number, form: number, bytes: Uint8Array, at: number, length: number): boolean {
    const words = this.#words;
    const entry = id * ENTRY_WORDS;
    if (words[entry + LENGTH] !== length || ((words[entry + FORM] as number) & FORM_MASK) !== form) return false;
    const own = length <= INLINE_BYTES_MAX ? this.#bytes : this.#arena.bytes;
    const ownAt = length <= INLINE_BYTES_MAX ? entry * 4 + INLINE_AT : (words[entry + AT] as number);
    for (let i = 0; i < length; i++) if (own[ownAt + i] !== bytes[at + i]) return false;
    return true;
  }

  #insert(slot: number, hash: number, form: number, bytes: Uint8Array, at: number, length: number): number {
    const header = this.#header;
    const id = this.#takeId();
    const words = this.#words;
    const entry = id * ENTRY_WORDS;
    words[entry + HASH] = hash;
    words[entry + HOLDERS] = 0;
    words[entry + FORM] = form | ON_LIST;
    words[entry + LENGTH] = length;
    words[entry + NEXT] = header[LIST] as number;
    header[LIST] = id + 1;
    let own = this.#bytes;
    let ownAt = entry * 4 + INLINE_AT;
    if (length > INLINE_BYTES_MAX) {
      ownAt = this.#arena.alloc(length);
      words[entry + AT] = ownAt;
      own = this.#arena.bytes;
    }
    for (let i = 0; i < length; i++) own[ownAt + i] = bytes[at + i] as number;
    this.#slots[2 * slot] = hash;
    this.#slots[2 * slot + 1] = id + 1;
    header[SIZE] = (header[SIZE] as number) + 1;
    if ((header[SIZE] as number) * 4 > this.#slots.length) this.#growSlots();
    return id;
  }

  #takeId(): number {
    const header = this.#header;
    const free = header[FREE] as number;
    if (free !== 0) {
      header[FREE] = this.#words[(free - 1) * ENTRY_WORDS + NEXT] as number;
      return free - 1;
    }
    const id = header[IDS] as number;
    if ((id + 1) * ENTRY_WORDS > this.#words.length) {
      this.#memory.grow(2, this.#words.length * 8);
      this.#viewEntries();
    }
    header[IDS] = id + 1;
    return id;
  }

  #growSlots(): void {
    const old = this.#slots;
    this.#memory.replace(1, new SharedArrayBuffer(old.length * 8));
    this.#viewSlots();
    placeAll(old, this.#slots);
  }

  retain(keyId: number): void {
    const at = keyId * ENTRY_WORDS + HOLDERS;
    this.#words[at] = (this.#words[at] as number) + 1;
  }

  release(keyId: number): void {
    const words = this.#words;
    const entry = keyId * ENTRY_WORDS;
    const holders = (words[entry + HOLDERS] as number) - 1;
    if (holders < 0) throw new Error(`key ${keyId} is released more often than retained`);
    words[entry + HOLDERS] = holders;
    if (holders > 0 || ((words[entry + FORM] as number) & ON_LIST) !== 0) return;
    words[entry + FORM] = (words[entry + FORM] as number) | ON_LIST;
    words[entry + NEXT] = this.#header[LIST] as number;
    this.#header[LIST] = keyId + 1;
  }

  /** Forgets keys nobody holds. Ids given before it are valid after it only when they were retained. */
  sweep(): void {
    const words = this.#words;
    const header = this.#header;
    let next = header[LIST] as number;
    header[LIST] = 0;
    while (next !== 0) {
      const id = next - 1;
      const entry = id * ENTRY_WORDS;
      next = words[entry + NEXT] as number;
      if ((words[entry + HOLDERS] as number) === 0) this.#forget(id);
      else words[entry + FORM] = (words[entry + FORM] as number) & FORM_MASK;
    }
  }

  #forget(id: number): void {
    const words = this.#words;
    const header = this.#header;
    const entry = id * ENTRY_WORDS;
    removeSlot(this.#slots, id, words[entry + HASH] as number);
    if ((words[entry + LENGTH] as number) > INLINE_BYTES_MAX) this.#arena.free(words[entry + AT] as number);
    words[entry + GENERATION] = (words[entry + GENERATION] as number) + 1;
    words[entry + FORM] = 0;
    words[entry + NEXT] = header[FREE] as number;
    header[FREE] = id + 1;
    header[SIZE] = (header[SIZE] as number) - 1;
  }

  hashOf(keyId: number): number {
    return this.#words[keyId * ENTRY_WORDS + HASH] as number;
  }

  formOf(keyId: number): KeyForm {
    return ((this.#words[keyId * ENTRY_WORDS + FORM] as number) & FORM_MASK) as KeyForm;
  }

  /** Bytes of the canonical form. */
  lengthOf(keyId: number): number {
    return this.#words[keyId * ENTRY_WORDS + LENGTH] as number;
  }

  /** Writes the canonical form to where there is room for it. */
  copyTo(keyId: number, bytes: Uint8Array, at: number): void {
    const entry = keyId * ENTRY_WORDS;
    const length = this.#words[entry + LENGTH] as number;
    const own = length <= INLINE_BYTES_MAX ? this.#bytes : this.#arena.bytes;
    const ownAt = length <= INLINE_BYTES_MAX ? entry * 4 + INLINE_AT : (this.#words[entry + AT] as number);
    bytes.set(own.subarray(ownAt, ownAt + length), at);
  }

  values(keyId: number): KeyMember[] {
    const words = this.#words;
    const entry = keyId * ENTRY_WORDS;
    const length = words[entry + LENGTH] as number;
    const form = (words[entry + FORM] as number) & FORM_MASK;
    if (length <= INLINE_BYTES_MAX) return decodeKey(form, this.#bytes, entry * 4 + INLINE_AT, length);
    return decodeKey(form, this.#arena.bytes, words[entry + AT] as number, length);
  }

  find(values: readonly KeyMember[]): number {
    this.#encoder.fromValues(values);
    const { form, bytes, length } = this.#encoder;
    return Math.max(-1, this.#locate(this.#hashKey(values) >>> 0, form, bytes, 0, length));
  }

  write(keyId: number, quoted: boolean, out: LineBuffer): void {
    const words = this.#words;
    const entry = keyId * ENTRY_WORDS;
    const form = (words[entry + FORM] as number) & FORM_MASK;
    const length = words[entry + LENGTH] as number;
    if (form === KEY_NUMBER) this.#texts.writeNumber(this.#doubles[(entry + AT) / 2] as number, quoted, out);
    else {
      const short = form === KEY_STRING && length <= INLINE_BYTES_MAX;
      if (short && this.#texts.writeString(this.#view, entry * 4 + INLINE_AT, length, quoted, out)) return;
      if (quoted) out.quoted(this.json(keyId));
      else out.text(this.json(keyId));
    }
  }

  json(keyId: number): string {
    const generation = this.#words[keyId * ENTRY_WORDS + GENERATION] as number;
    return this.#texts.kept(keyId, generation) ?? this.#texts.keep(keyId, generation, this.values(keyId));
  }
}
