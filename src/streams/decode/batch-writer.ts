// HOT PATH
/**
 * The batch that is being decoded: its columns, one open row after the last one, and what was refused.
 *
 * Role: every format's reader writes the fields of an event into row `row` and then calls `stampTime` and `commit`; a
 * row that is not committed is written over by the next event. Columns and bytes are replaced when they become too
 * small (`growRows`, `room`), so that a reader takes them from here anew after each call that may append.
 * Layout of `bytes`: the body, `PADDING_BYTES` zeros, then appended texts (`used` is their end), and at the end as much
 * padding again. An optional field that is absent is NaN, or ABSENT for a string.
 */

import type { Rejected } from '../engine/task.ts';
import type { Provenance } from '../operator.ts';
import { ABSENT, BODY_AT, EventBatch } from './event-batch.ts';
import { INTEGER, STRING } from './field-types.ts';
import { PADDING_BYTES } from './json-cursor.ts';
import type { StreamSchema } from './stream-schema.ts';
import { isoToMs, msToNumber, numberToMs, TIME_MS_MAX } from './timestamps.ts';

/** Refused events that are listed; the others are counted. */
export const REJECTED_LISTED_MAX = 1000;
/** First room for appended texts, as a share of the body: few escapes; or a context beside each event. */
export const FEW_TEXTS = 1 / 16;
export const MANY_TEXTS = 1 / 2;
const APPENDED_BYTES_MIN = 256;
/** The call of a built-in copy costs as much as this many bytes one by one. */
const COPIED_BY_HAND_MAX = 64;

/** Where events stand that were refused, in the order of the body. */
export interface Places {
  readonly at: number[];
  readonly bytes: number[];
}

export class BatchWriter {
  readonly schema: StreamSchema;
  readonly bodyBytes: number;
  readonly arrivalMs: number;
  /** Latest time an event may have. */
  readonly timeMsMax: number;
  batch: EventBatch;
  bytes: Uint8Array;
  ts: Float64Array;
  values: readonly Float64Array[];
  textAt: readonly Uint32Array[];
  textBytes: readonly Uint32Array[];
  eventAt: Uint32Array;
  eventBytes: Uint32Array;
  capacity: number;
  /** The open row. */
  row = 0;
  /** Where appended texts end. */
  used: number;
  tsMax = Number.NEGATIVE_INFINITY;
  /** Rows whose texts that are keys have been hashed where they were read. */
  hashedFrom = 0;
  hashedTo = 0;
  duplicates = 0;
  /** How many records before this one the nearest batch stands that has ids of it. */
  repeatsBack = Number.POSITIVE_INFINITY;
  /** An id was a later batch's before: what that one was read to is no longer right. */
  tookAway = false;
  readonly rejected: Rejected[] = [];
  rejectedMore = 0;
  /** Takes the places of all that are refused, which are not listed then. */
  places: Places | null = null;
  /** Time of the open row when its field is absent; NaN for none. With it, the text it was read from. */
  otherMs = Number.NaN;
  otherAt = 0;
  otherBytes = 0;
  /** What reads into it; held with it (`StreamSchema.idle`). */
  reader: unknown = null;

  constructor(
    schema: StreamSchema,
    provenance: Provenance,
    body: Uint8Array,
    rows: number,
    texts: number,
    spare: SharedArrayBuffer | null,
  ) {
    const room = Math.max(APPENDED_BYTES_MIN, Math.ceil(body.length * texts));
    const capacity = Math.max(1, rows);
    this.schema = schema;
    this.bodyBytes = body.length;
    this.arrivalMs = provenance.arrivalMs;
    const { maxFutureMs } = schema.stream;
    this.timeMsMax = maxFutureMs > 0 ? Math.min(TIME_MS_MAX, this.arrivalMs + maxFutureMs) : TIME_MS_MAX;
    this.used = body.length + PADDING_BYTES;
    this.capacity = capacity;
    const byteLength = this.used + room + PADDING_BYTES;
    const batch = EventBatch.allocate(schema.plan, schema.stream.index, capacity, byteLength, spare);
    const isInPlace = batch.buffer === body.buffer && body.byteOffset === BODY_AT;
    if (!isInPlace) batch.bytes.set(body);
    batch.bytes.fill(0, body.length, this.used);
    this.batch = batch;
    this.bytes = batch.bytes;
    this.ts = batch.ts;
    this.values = batch.values;
    this.textAt = batch.at;
    this.textBytes = batch.length;
    this.eventAt = batch.eventAt;
    this.eventBytes = batch.eventBytes;
  }

  /** Makes the open row writable. */
  growRows(): void {
    if (this.row === this.capacity) this.#replace(this.capacity * 2, this.bytes.length);
  }

  /** Makes room for `length` appended bytes. */
  room(length: number): void {
    const needed = this.used + length + PADDING_BYTES;
    if (needed > this.bytes.length) this.#replace(this.capacity, Math.max(needed, this.bytes.length * 1.5));
  }

  #replace(capacity: number, byteLength: number): void {
    const from = this.batch;
    const to = EventBatch.allocate(this.schema.plan, this.schema.stream.index, capacity, Math.ceil(byteLength));
    to.bytes.set(from.bytes.subarray(0, this.used));
    to.ts.set(from.ts);
    for (let field = 0; field < from.values.length; field++) {
      (to.values[field] as Float64Array).set(from.values[field] as Float64Array);
      (to.at[field] as Uint32Array).set(from.at[field] as Uint32Array);
      (to.length[field] as Uint32Array).set(from.length[field] as Uint32Array);
    }
    to.eventAt.set(from.eventAt);
    to.eventBytes.set(from.eventBytes);
    for (let k = 0; k < from.hashes.length; k++) (to.hashes[k] as Uint32Array).set(from.hashes[k] as Uint32Array);
    to.takeContexts(from);
    this.batch = to;
    this.bytes = to.bytes;
    this.ts = to.ts;
    this.values = to.values;
    this.textAt = to.at;
    this.textBytes = to.length;
    this.eventAt = to.eventAt;
    this.eventBytes = to.eventBytes;
    this.capacity = capacity;
  }

  append(byte: number): void {
    this.bytes[this.used] = byte;
    this.used += 1;
  }

  /** Appends bytes from elsewhere; where they begin now. */
  appendBytes(bytes: Uint8Array): number {
    this.room(bytes.length);
    const at = this.used;
    if (bytes.length > COPIED_BY_HAND_MAX) this.bytes.set(bytes, at);
    else for (let i = 0; i < bytes.length; i++) this.bytes[at + i] = bytes[i] as number;
    this.used = at + bytes.length;
    return at;
  }

  /** Appends bytes of the batch itself; where they begin now. */
  appendRange(from: number, to: number): number {
    this.room(to - from);
    const at = this.used;
    const { bytes } = this;
    const length = to - from;
    if (length > COPIED_BY_HAND_MAX) bytes.copyWithin(at, from, to);
    else for (let i = 0; i < length; i++) bytes[at + i] = bytes[from + i] as number;
    this.used = at + length;
    return at;
  }

  setText(field: number, at: number, length: number): void {
    (this.textAt[field] as Uint32Array)[this.row] = at;
    (this.textBytes[field] as Uint32Array)[this.row] = length;
  }

  setNumber(field: number, value: number): void {
    (this.values[field] as Float64Array)[this.row] = value;
  }

  /** Whether the open row may be without the field: it is optional, or a time from elsewhere takes its place. */
  setAbsent(field: number): boolean {
    if (this.schema.types[field] === STRING) this.setText(field, 0, ABSENT);
    else this.setNumber(field, Number.NaN);
    if (this.schema.optional[field] === 1) return true;
    return field === this.schema.timestampField && !Number.isNaN(this.otherMs);
  }

  /** Event time of the open row, from its columns. False when it is no time or too far ahead. */
  stampTime(): boolean {
    const time = this.#time();
    this.ts[this.row] = time;
    return time >= -TIME_MS_MAX && time <= this.timeMsMax;
  }

  #time(): number {
    const { timestampField: field, unit, isIso } = this.schema;
    const row = this.row;
    if (field < 0) return this.arrivalMs;
    if (isIso) {
      const length = (this.textBytes[field] as Uint32Array)[row] as number;
      if (length !== ABSENT) return isoToMs(this.bytes, (this.textAt[field] as Uint32Array)[row] as number, length);
    } else {
      const value = (this.values[field] as Float64Array)[row] as number;
      if (!Number.isNaN(value)) return numberToMs(value, unit);
    }
    if (Number.isNaN(this.otherMs)) return this.arrivalMs;
    if (isIso) this.setText(field, this.otherAt, this.otherBytes);
    else this.setTime(this.otherMs);
    return this.otherMs;
  }

  /** Sets the timestamp's field, a number, from a time given otherwise. */
  setTime(ms: number): void {
    const { timestampField: field, unit, types } = this.schema;
    const value = msToNumber(ms, unit);
    this.setNumber(field, types[field] === INTEGER ? Math.floor(value) : value);
  }

  /** The open row is an event; its original bytes are there. */
  commit(at: number, bytes: number): void {
    const row = this.row;
    const time = this.ts[row] as number;
    if (time > this.tsMax) this.tsMax = time;
    this.eventAt[row] = at;
    this.eventBytes[row] = bytes;
    this.row = row + 1;
  }

  /** Rows [row, row + rows) have been hashed. Of several pieces the longest is remembered. */
  hashed(row: number, rows: number): void {
    if (row === this.hashedTo) this.hashedTo += rows;
    else if (rows > this.hashedTo - this.hashedFrom) {
      this.hashedFrom = row;
      this.hashedTo = row + rows;
    }
  }

  /** Context of the open row, JSON text. */
  setContext(at: number, bytes: number): void {
    this.batch.setContext(this.row, at, bytes);
  }

  reject(at: number, bytes: number, reason: string): void {
    if (this.places !== null) {
      this.places.at.push(at);
      this.places.bytes.push(bytes);
    } else if (this.rejected.length < REJECTED_LISTED_MAX) this.rejected.push({ at, bytes, reason });
    else this.rejectedMore += 1;
  }

  finish(): EventBatch {
    this.batch.count = this.row;
    this.batch.bytesUsed = this.used;
    return this.batch;
  }
}
