// HOT PATH
/**
 * Questions about a string of an event, answered on its bytes in the batch, without making a JavaScript string.
 *
 * Role: called by programs of `row.ts`. UTF-8 has one encoding per text and no character inside another, so equal
 * bytes are equal texts and a part's bytes are found exactly where the part is. Search is Knuth, Morris and Pratt's:
 * linear whatever the text.
 */
import { ABSENT, type EventBatch } from '../decode/event-batch.ts';

/** A literal as bytes. `back[i]`: length of the longest proper prefix that ends with byte i. */
export class Needle {
  readonly bytes: Uint8Array;
  readonly back: Uint16Array;

  constructor(text: string) {
    this.bytes = new TextEncoder().encode(text);
    this.back = new Uint16Array(this.bytes.length);
    let matched = 0;
    for (let i = 1; i < this.bytes.length; i++) {
      while (matched > 0 && this.bytes[i] !== this.bytes[matched]) matched = this.back[matched - 1] as number;
      if (this.bytes[i] === this.bytes[matched]) matched++;
      this.back[i] = matched;
    }
  }
}

const lengthOf = (batch: EventBatch, field: number, row: number): number =>
  (batch.length[field] as Uint32Array)[row] as number;
const startOf = (batch: EventBatch, field: number, row: number): number =>
  (batch.at[field] as Uint32Array)[row] as number;

function same(bytes: Uint8Array, at: number, wanted: Uint8Array): boolean {
  for (let i = 0; i < wanted.length; i++) if (bytes[at + i] !== wanted[i]) return false;
  return true;
}

/** How often the needle stands in the bytes, without overlap; stops at `limit`. */
function found(bytes: Uint8Array, from: number, length: number, needle: Needle, limit: number): number {
  const { bytes: wanted, back } = needle;
  let matched = 0;
  let count = 0;
  for (let at = from; at < from + length; at++) {
    const byte = bytes[at];
    while (matched > 0 && byte !== wanted[matched]) matched = back[matched - 1] as number;
    if (byte === wanted[matched]) matched++;
    if (matched === wanted.length) {
      count++;
      if (count === limit) return count;
      matched = 0;
    }
  }
  return count;
}

/** By the names under which programs call them. */
export const BYTES = {
  bytesPresent: (batch: EventBatch, field: number, row: number): boolean => lengthOf(batch, field, row) !== ABSENT,

  bytesEqual(batch: EventBatch, field: number, row: number, needle: Needle): boolean {
    const wanted = needle.bytes;
    if (lengthOf(batch, field, row) !== wanted.length) return false;
    return same(batch.bytes, startOf(batch, field, row), wanted);
  },

  bytesDiffer: (batch: EventBatch, field: number, row: number, needle: Needle): boolean =>
    lengthOf(batch, field, row) !== ABSENT && !BYTES.bytesEqual(batch, field, row, needle),

  bytesIn(batch: EventBatch, field: number, row: number, needles: readonly Needle[]): boolean {
    const length = lengthOf(batch, field, row);
    const at = startOf(batch, field, row);
    for (let i = 0; i < needles.length; i++) {
      const wanted = (needles[i] as Needle).bytes;
      if (wanted.length === length && same(batch.bytes, at, wanted)) return true;
    }
    return false;
  },

  bytesStart(batch: EventBatch, field: number, row: number, needle: Needle): boolean {
    const length = lengthOf(batch, field, row);
    if (length === ABSENT || length < needle.bytes.length) return false;
    return same(batch.bytes, startOf(batch, field, row), needle.bytes);
  },

  bytesEnd(batch: EventBatch, field: number, row: number, needle: Needle): boolean {
    const length = lengthOf(batch, field, row);
    if (length === ABSENT || length < needle.bytes.length) return false;
    return same(batch.bytes, startOf(batch, field, row) + length - needle.bytes.length, needle.bytes);
  },

  bytesContain(batch: EventBatch, field: number, row: number, needle: Needle): boolean {
    const length = lengthOf(batch, field, row);
    if (length === ABSENT || length < needle.bytes.length) return false;
    if (needle.bytes.length === 0) return true;
    return found(batch.bytes, startOf(batch, field, row), length, needle, 1) === 1;
  },

  bytesCount(batch: EventBatch, field: number, row: number, needle: Needle): number {
    const length = lengthOf(batch, field, row);
    if (length === ABSENT) return Number.NaN;
    if (needle.bytes.length === 0) return 0;
    return found(batch.bytes, startOf(batch, field, row), length, needle, -1);
  },

  /** Characters: bytes that do not continue one. */
  bytesSize(batch: EventBatch, field: number, row: number): number {
    const length = lengthOf(batch, field, row);
    if (length === ABSENT) return Number.NaN;
    const at = startOf(batch, field, row);
    let count = 0;
    for (let i = at; i < at + length; i++) if (((batch.bytes[i] as number) & 0xc0) !== 0x80) count++;
    return count;
  },
} as const;
