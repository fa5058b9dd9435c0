// HOT PATH
/**
 * The canonical form of a key: the same members always make the same bytes, whether they come from columns or from JS.
 *
 * Role: what the key table stores and compares. One string is kept as its bytes and one number as its 8 bytes, as these
 * are nearly all keys there are; anything else is a sequence of tagged members:
 *   0 null   1 string: Uint32 length, bytes   2 number: Float64   3 false   4 true          (little-endian, no padding)
 * Invariants: −0 is 0; NaN, which columns hold for absent numbers, is null; a key of one member is never in two forms.
 */
import { ABSENT, type EventBatch } from '../decode/event-batch.ts';

export const KEY_STRING = 1;
export const KEY_NUMBER = 2;
export const KEY_MEMBERS = 3;
export type KeyForm = typeof KEY_STRING | typeof KEY_NUMBER | typeof KEY_MEMBERS;

export type KeyMember = string | number | boolean | null;

const TAG_NULL = 0;
const TAG_STRING = 1;
const TAG_NUMBER = 2;
const TAG_FALSE = 3;
const TAG_TRUE = 4;

const encoder = new TextEncoder();
/** A first U+FEFF is a character like any other. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Text of UTF-8 bytes that may be shared memory, which TextDecoder refuses: short ASCII is built directly. */
export function textOfBytes(bytes: Uint8Array, at: number, length: number): string {
  if (length > 24) return decoder.decode(bytes.slice(at, at + length));
  let text = '';
  for (let i = at; i < at + length; i++) {
    const byte = bytes[i] as number;
    if (byte > 127) return decoder.decode(bytes.slice(at, at + length));
    text += String.fromCharCode(byte);
  }
  return text;
}

/** Encodes one key at a time into a buffer that is used again. */
export class KeyEncoder {
  bytes = new Uint8Array(256);
  length = 0;
  form: KeyForm = KEY_MEMBERS;
  #view = new DataView(this.bytes.buffer);

  fromRow(batch: EventBatch, row: number, fields: readonly number[]): void {
    this.length = 0;
    this.form = KEY_MEMBERS;
    const single = fields.length === 1;
    const columns = batch.plan.streams[batch.stream]?.fields;
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i] as number;
      const type = columns?.[field]?.type;
      if (type === 'string') {
        const length = (batch.length[field] as Uint32Array)[row] as number;
        if (length === ABSENT) this.#tag(TAG_NULL);
        else this.#string(batch.bytes, (batch.at[field] as Uint32Array)[row] as number, length, single);
      } else {
        const value = (batch.values[field] as Float64Array)[row] as number;
        if (type === 'boolean') this.#tag(value === 1 ? TAG_TRUE : value === 0 ? TAG_FALSE : TAG_NULL);
        else this.#number(value, single);
      }
    }
  }

  fromValues(values: readonly KeyMember[]): void {
    this.length = 0;
    this.form = KEY_MEMBERS;
    const single = values.length === 1;
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as KeyMember;
      if (typeof value === 'string') {
        const bytes = encoder.encode(value);
        this.#string(bytes, 0, bytes.length, single);
      } else if (typeof value === 'number') this.#number(value, single);
      else this.#tag(value === null ? TAG_NULL : value ? TAG_TRUE : TAG_FALSE);
    }
  }

  #tag(tag: number): void {
    this.#room(1);
    this.bytes[this.length++] = tag;
  }

  #string(bytes: Uint8Array, at: number, length: number, single: boolean): void {
    this.#room(5 + length);
    if (single) this.form = KEY_STRING;
    else {
      this.bytes[this.length++] = TAG_STRING;
      this.#view.setUint32(this.length, length, true);
      this.length += 4;
    }
    const to = this.bytes;
    const start = this.length;
    for (let i = 0; i < length; i++) to[start + i] = bytes[at + i] as number;
    this.length += length;
  }

  #number(value: number, single: boolean): void {
    this.#room(9);
    if (Number.isNaN(value)) {
      this.bytes[this.length++] = TAG_NULL;
      return;
    }
    if (single) this.form = KEY_NUMBER;
    else this.bytes[this.length++] = TAG_NUMBER;
    this.#view.setFloat64(this.length, value + 0, true);
    this.length += 8;
  }

  #room(more: number): void {
    const needed = this.length + more;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(2 ** Math.ceil(Math.log2(needed)));
    grown.set(this.bytes);
    this.bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/** The members of a key in its canonical form. */
export function decodeKey(form: number, bytes: Uint8Array, at: number, length: number): KeyMember[] {
  if (form === KEY_STRING) return [textOfBytes(bytes, at, length)];
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (form === KEY_NUMBER) return [view.getFloat64(at, true)];
  const members: KeyMember[] = [];
  const end = at + length;
  for (let i = at; i < end; ) {
    const tag = bytes[i] as number;
    i += 1;
    if (tag === TAG_STRING) {
      const size = view.getUint32(i, true);
      members.push(textOfBytes(bytes, i + 4, size));
      i += 4 + size;
    } else if (tag === TAG_NUMBER) {
      members.push(view.getFloat64(i, true));
      i += 8;
    } else members.push(tag === TAG_NULL ? null : tag === TAG_TRUE);
  }
  return members;
}
