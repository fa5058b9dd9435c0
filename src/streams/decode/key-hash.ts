// HOT PATH
/**
 * Hashes of keys: the low bits choose the shard, the others the place in a key table.
 *
 * Role: one hash for one value, in whatever format an event came in, on whatever thread, before and after a restart: it
 * decides where state lives, so its values are pinned in tests. Strings are hashed by their UTF-8 bytes, numbers by the
 * bits of the double (−0 as 0), booleans and absence by constants. The words of a value go through the rounds of MurmurHash3
 * (32 bit) and every hash through its finalizer, so that each bit depends on all of them. Several values are chained in
 * order. A key without fields is 0: one shard holds it.
 * Not against a sender that makes collisions on purpose: keys held are bounded by the key table.
 */
import { Buffer } from 'node:buffer';
import { ABSENT, type EventBatch } from './event-batch.ts';

export type KeyValue = string | number | boolean | null;

export const SEED_TEXT = 0x3c6ef372;
const SEED_NUMBER = 0x1b873593;
export const HASH_ABSENT = 0x6b79a38d;
const HASH_FALSE = 0x2f0b4c47;
const HASH_TRUE = 0x54f1a2b9;
const PARTITION_SEED = 0x7feb352d;

function finalize(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function round(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  const h = hash ^ k;
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

/** Of a text's bytes. Reads none outside of them: the last word overlaps the one before it. */
export function hashBytes(view: DataView, at: number, length: number): number {
  let hash = SEED_TEXT ^ length;
  if (length >= 4) {
    const last = at + length - 4;
    for (let i = at; i < last; i += 4) hash = round(hash, view.getInt32(i, true));
    return finalize(round(hash, view.getInt32(last, true)));
  }
  if (length === 0) return finalize(hash);
  const first = view.getUint8(at);
  const middle = view.getUint8(at + (length >> 1));
  return finalize(round(hash, first | (middle << 8) | (view.getUint8(at + length - 1) << 16)));
}

/** Of a double by its two words. */
function hashWords(low: number, high: number): number {
  return finalize(round(round(SEED_NUMBER, low), low === 0 && high === -0x80000000 ? 0 : high));
}

function hashBoolean(value: boolean): number {
  return value ? HASH_TRUE : HASH_FALSE;
}

/** Of several values: that of those before, and that of the next one. */
function chain(before: number, next: number): number {
  return finalize(Math.imul(before, 0x9e3779b1) + next);
}

const double = new Float64Array(1);
const doubleWords = new Int32Array(double.buffer);

function hashValue(value: KeyValue): number {
  if (typeof value === 'string') {
    const bytes = Buffer.from(value);
    return hashBytes(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length);
  }
  if (typeof value === 'boolean') return hashBoolean(value);
  if (value === null) return HASH_ABSENT;
  double[0] = value;
  return hashWords(doubleWords[0] as number, doubleWords[1] as number);
}

/** The hash that a row with these values in the key's fields has. */
export function hashKey(values: readonly KeyValue[]): number {
  let hash = 0;
  for (let i = 0; i < values.length; i++) {
    const next = hashValue(values[i] as KeyValue);
    hash = i === 0 ? next : chain(hash, next);
  }
  return hash;
}

/** Which of so many partitions has a key. The hash's own bits choose within the partition, so they are mixed anew. */
export function partitionOfHash(hash: number, partitions: number): number {
  return Math.floor((finalize(hash ^ PARTITION_SEED) / 2 ** 32) * partitions);
}

/**
 * Partition of a stream in `partitions` parts that has the events of a key: for producers that write each partition's own
 * source. `values`: those of the fields in `schema.key`, in its order; an absent one is null. Answers 0 to
 * `partitions` − 1, by the hash of this file (rounds and finalizer of MurmurHash3), the same in every version.
 */
export function partitionOf(values: readonly KeyValue[], partitions: number): number {
  return partitionOfHash(hashKey(values), partitions);
}

/** Hashes of all rows by these fields. */
export function hashRows(batch: EventBatch, fields: readonly number[], hashes: Uint32Array): void {
  if (fields.length === 0) hashes.fill(0, 0, batch.count);
  for (let i = 0; i < fields.length; i++) hashField(batch, fields[i] as number, hashes, i === 0);
}

function hashField(batch: EventBatch, field: number, hashes: Uint32Array, isFirst: boolean): void {
  const type = batch.plan.streams[batch.stream]?.fields[field]?.type;
  if (type === 'string') hashTexts(batch, field, hashes, isFirst, 0, batch.count);
  else if (type === 'boolean') hashBooleans(batch, field, hashes, isFirst);
  else hashNumbers(batch, field, hashes, isFirst);
}

/** Of the rows [begin, end): by a text, or by what is there and that. */
export function hashTexts(
  batch: EventBatch,
  field: number,
  hashes: Uint32Array,
  isFirst: boolean,
  begin: number,
  end: number,
): void {
  const { view } = batch;
  const at = batch.at[field] as Uint32Array;
  const lengths = batch.length[field] as Uint32Array;
  for (let row = begin; row < end; row++) {
    const length = lengths[row] as number;
    const hash = length === ABSENT ? HASH_ABSENT : hashBytes(view, at[row] as number, length);
    hashes[row] = isFirst ? hash : chain(hashes[row] as number, hash);
  }
}

function hashNumbers(batch: EventBatch, field: number, hashes: Uint32Array, isFirst: boolean): void {
  const column = batch.values[field] as Float64Array;
  const { count } = batch;
  const words = new Int32Array(column.buffer, column.byteOffset, count * 2);
  for (let row = 0; row < count; row++) {
    const value = column[row] as number;
    const isAbsent = Number.isNaN(value);
    const hash = isAbsent ? HASH_ABSENT : hashWords(words[row * 2] as number, words[row * 2 + 1] as number);
    hashes[row] = isFirst ? hash : chain(hashes[row] as number, hash);
  }
}

function hashBooleans(batch: EventBatch, field: number, hashes: Uint32Array, isFirst: boolean): void {
  const column = batch.values[field] as Float64Array;
  const { count } = batch;
  for (let row = 0; row < count; row++) {
    const value = column[row] as number;
    const hash = Number.isNaN(value) ? HASH_ABSENT : hashBoolean(value !== 0);
    hashes[row] = isFirst ? hash : chain(hashes[row] as number, hash);
  }
}

/** Compares texts of the same length four bytes at a time, the last four overlapping. */
export function sameText(a: DataView, aAt: number, b: DataView, bAt: number, length: number): boolean {
  if (length < 4) {
    for (let i = 0; i < length; i++) if (a.getUint8(aAt + i) !== b.getUint8(bAt + i)) return false;
    return true;
  }
  const last = length - 4;
  for (let i = 0; i < last; i += 4) if (a.getInt32(aAt + i, true) !== b.getInt32(bAt + i, true)) return false;
  return a.getInt32(aAt + last, true) === b.getInt32(bAt + last, true);
}

/** Whether two numbers of columns are the same key: absent is the same as absent, −0 as 0. */
export function sameNumber(a: number, b: number): boolean {
  return a === b || (Number.isNaN(a) && Number.isNaN(b));
}
