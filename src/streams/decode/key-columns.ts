// HOT PATH
/**
 * What shards ask about the keys of a batch: which rows are theirs, and which of them have the same key.
 *
 * Role: done once per batch where it was decoded, when its keys are in the cache, instead of once in each shard. With
 * `order` a shard looks at its own rows only; with `numbers` it looks up a key once, however many rows have it. Numbers
 * are given only where keys repeat: there are none when nearly all of the first rows have a key of their own that
 * hardly any later row shares, or when there are very many keys.
 * Invariants: a function of the rows alone. Rows have the same number when their keys are the same in every byte, and
 * only then; numbers rise with the first row of each key.
 */
import { ABSENT, type EventBatch, groupInputs } from './event-batch.ts';
import { hashRows, hashTexts, sameNumber, sameText } from './key-hash.ts';

/** Marks the first row of a key. */
export const FIRST_OF_KEY = 0x80000000;
export const KEY_NUMBER = 0x7fffffff;

/** Fewer rows cost nothing worth saving. */
const NUMBERED_ROWS_MIN = 64;
/** So many of the first rows, and of the others, tell whether keys repeat: of more than some 8,000, few are in both. */
const SAMPLE_ROWS = 512;
const NEW_IN_SAMPLE_MAX = (SAMPLE_ROWS / 8) * 7;
const SEEN_IN_SAMPLE_MIN = SAMPLE_ROWS / 16;
export const NUMBERED_KEYS_MAX = 65_536;
const SLOTS_LOG2_AT_START = 12;
const SPREAD = 0x9e3779b1;

/** Of this thread: slots hold numbers + 1, at most half of them; by number + 1, the key's hash and its first row. */
let slots = new Uint32Array(2 ** SLOTS_LOG2_AT_START);
let shift = 32 - SLOTS_LOG2_AT_START;
let keyHashes = new Uint32Array(slots.length / 2 + 1);
let firstRows = new Uint32Array(slots.length / 2 + 1);
/** Keys of the batch before. */
let latestKeys = 0;
let shardRows = new Uint32Array(64);

/** Fills the key columns of all rows. Keys that are one text have hashes already in the rows [hashedFrom, hashedTo). */
export function fillKeys(batch: EventBatch, keyTexts: readonly number[], hashedFrom: number, hashedTo: number): void {
  const inputs = groupInputs(batch.plan, batch.stream);
  for (let k = 0; k < inputs.length; k++) {
    const { fields } = inputs[k] as { fields: readonly number[] };
    const hashes = batch.hashes[k] as Uint32Array;
    const { ends, numbers, order } = batch.keys[k] as EventBatch['keys'][number];
    if ((keyTexts[k] as number) >= 0) {
      hashTexts(batch, fields[0] as number, hashes, true, 0, hashedFrom);
      hashTexts(batch, fields[0] as number, hashes, true, hashedTo, batch.count);
    } else hashRows(batch, fields, hashes);
    orderRows(hashes, batch.count, batch.plan.shards, order, ends);
    ends[batch.plan.shards] = batch.count < NUMBERED_ROWS_MIN ? 0 : numberRows(batch, fields, hashes, numbers);
  }
}

function orderRows(hashes: Uint32Array, count: number, shards: number, order: Uint32Array, ends: Uint32Array): void {
  if (shardRows.length < shards) shardRows = new Uint32Array(shards);
  const at = shardRows;
  const mask = shards - 1;
  at.fill(0, 0, shards);
  for (let row = 0; row < count; row++) {
    const shard = (hashes[row] as number) & mask;
    at[shard] = (at[shard] as number) + 1;
  }
  let begin = 0;
  for (let shard = 0; shard < shards; shard++) {
    const rows = at[shard] as number;
    at[shard] = begin;
    begin += rows;
    ends[shard] = begin;
  }
  for (let row = 0; row < count; row++) {
    const shard = (hashes[row] as number) & mask;
    const place = at[shard] as number;
    order[place] = row;
    at[shard] = place + 1;
  }
}

/** How many keys there are, or 0 with no numbers given. */
function numberRows(batch: EventBatch, fields: readonly number[], hashes: Uint32Array, numbers: Uint32Array): number {
  const { count } = batch;
  const field = fields.length === 1 ? (fields[0] as number) : -1;
  const ofText = field >= 0 && (batch.at[field] as Uint32Array).length > 0;
  let keys = 0;
  emptySlots();
  for (let begin = 0; begin < count; begin += SAMPLE_ROWS) {
    const end = Math.min(count, begin + SAMPLE_ROWS);
    makeRoom(keys + SAMPLE_ROWS);
    keys = ofText
      ? numberTexts(batch, field, hashes, numbers, begin, end, keys)
      : numberAny(batch, fields, hashes, numbers, begin, end, keys);
    latestKeys = keys;
    if (keys > NUMBERED_KEYS_MAX) return 0;
    if (begin === 0 && keys > NEW_IN_SAMPLE_MAX && seenAgain(hashes, count) < SEEN_IN_SAMPLE_MIN) return 0;
  }
  return keys;
}

/** How many later rows of a sample, spread out since keys may come in turn, have a hash that has been numbered. */
function seenAgain(hashes: Uint32Array, count: number): number {
  const mask = slots.length - 1;
  const stride = Math.max(1, Math.floor((count - SAMPLE_ROWS) / SAMPLE_ROWS));
  let seen = 0;
  for (let row = SAMPLE_ROWS; row < count; row += stride) {
    const hash = hashes[row] as number;
    let slot = Math.imul(hash, SPREAD) >>> shift;
    while (slots[slot] !== 0 && keyHashes[slots[slot] as number] !== hash) slot = (slot + 1) & mask;
    if (slots[slot] !== 0) seen += 1;
  }
  return seen;
}

function emptySlots(): void {
  // Many keys were in some batch, and are not any more: a large table costs each batch its emptying.
  if (latestKeys * 16 < slots.length && 32 - shift > SLOTS_LOG2_AT_START) useSlots(SLOTS_LOG2_AT_START);
  else slots.fill(0);
}

function useSlots(log2: number): void {
  slots = new Uint32Array(2 ** log2);
  shift = 32 - log2;
  keyHashes = new Uint32Array(slots.length / 2 + 1);
  firstRows = new Uint32Array(slots.length / 2 + 1);
}

/** Numbers rows [begin, end), for whose keys there is room; keys so far. */
function numberTexts(
  batch: EventBatch,
  field: number,
  hashes: Uint32Array,
  numbers: Uint32Array,
  begin: number,
  end: number,
  before: number,
): number {
  const { view } = batch;
  const ats = batch.at[field] as Uint32Array;
  const lengths = batch.length[field] as Uint32Array;
  const table = slots;
  const known = keyHashes;
  const firsts = firstRows;
  const shiftBy = shift;
  const mask = table.length - 1;
  let keys = before;
  for (let row = begin; row < end; row++) {
    const hash = hashes[row] as number;
    const at = ats[row] as number;
    const length = lengths[row] as number;
    let slot = Math.imul(hash, SPREAD) >>> shiftBy;
    let next = table[slot] as number;
    while (next !== 0) {
      if (known[next] === hash) {
        const first = firsts[next] as number;
        if (lengths[first] === length && (length === ABSENT || sameText(view, ats[first] as number, view, at, length)))
          break;
      }
      slot = (slot + 1) & mask;
      next = table[slot] as number;
    }
    numbers[row] = next - 1;
    if (next !== 0) continue;
    numbers[row] = keys + FIRST_OF_KEY;
    keys += 1;
    table[slot] = keys;
    known[keys] = hash;
    firsts[keys] = row;
  }
  return keys;
}

/** The same for keys of any fields. */
function numberAny(
  batch: EventBatch,
  fields: readonly number[],
  hashes: Uint32Array,
  numbers: Uint32Array,
  begin: number,
  end: number,
  before: number,
): number {
  const mask = slots.length - 1;
  let keys = before;
  for (let row = begin; row < end; row++) {
    const hash = hashes[row] as number;
    let slot = Math.imul(hash, SPREAD) >>> shift;
    let next = slots[slot] as number;
    while (next !== 0 && !(keyHashes[next] === hash && sameKey(batch, fields, firstRows[next] as number, row))) {
      slot = (slot + 1) & mask;
      next = slots[slot] as number;
    }
    numbers[row] = next - 1;
    if (next !== 0) continue;
    numbers[row] = keys + FIRST_OF_KEY;
    keys += 1;
    slots[slot] = keys;
    keyHashes[keys] = hash;
    firstRows[keys] = row;
  }
  return keys;
}

function sameKey(batch: EventBatch, fields: readonly number[], a: number, b: number): boolean {
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i] as number;
    const lengths = batch.length[field] as Uint32Array;
    if (lengths.length > 0) {
      const ats = batch.at[field] as Uint32Array;
      const length = lengths[a] as number;
      if (lengths[b] !== length) return false;
      if (length !== ABSENT && !sameText(batch.view, ats[a] as number, batch.view, ats[b] as number, length))
        return false;
    } else {
      const values = batch.values[field] as Float64Array;
      if (!sameNumber(values[a] as number, values[b] as number)) return false;
    }
  }
  return true;
}

/** At least twice as many slots as keys. */
function makeRoom(keys: number): void {
  if (keys * 2 <= slots.length) return;
  const from = slots;
  const hashesBefore = keyHashes;
  const rowsBefore = firstRows;
  useSlots(32 - Math.clz32(keys * 2 - 1));
  keyHashes.set(hashesBefore);
  firstRows.set(rowsBefore);
  const mask = slots.length - 1;
  for (let i = 0; i < from.length; i++) {
    const next = from[i] as number;
    if (next === 0) continue;
    let slot = Math.imul(keyHashes[next] as number, SPREAD) >>> shift;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = next;
  }
}
