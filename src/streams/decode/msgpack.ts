// HOT PATH
/**
 * Events in MessagePack: an array of maps, or maps one after another.
 *
 * Role: fields go from the bytes into the columns; the order of members is expected to be that of the event before. What
 * is not plain is read once more as a value and judged by `object-row.ts`. Where a value has no end, the rest of the body
 * is refused as one; so is JSON, each of whose characters would be a number, and a refusal.
 */
import type { BatchWriter } from './batch-writer.ts';
import { BOOLEAN, NUMBER, STRING } from './field-types.ts';
import { copyText, DEPTH_REASON } from './json-event.ts';
import { MsgpackCursor } from './msgpack-cursor.ts';
import { readValue } from './msgpack-value.ts';
import { UNKNOWN } from './name-table.ts';
import { readObject, shortened } from './object-row.ts';
import { isMark, isUtf8, MARK_BYTES } from './utf8.ts';

const MEMBERS_MAX = 64;
const EVENT_BYTES_LEAST = 16;
/** Of text, as much as is shown of it at most. */
const EXCERPT_BYTES = 256;
const WHITE_SPACE: ReadonlySet<number> = new Set([9, 10, 13, 32]);

/** Rows that suffice for most bodies. The head of an array is a claim, so that the body's size has a say. */
export function estimateMaps(body: Uint8Array): number {
  const elements = new MsgpackCursor(body, body.length).arrayHead();
  const most = Math.ceil(body.length / EVENT_BYTES_LEAST);
  return (elements < 0 ? most : Math.min(elements, most)) + 1;
}

/** `orArray`: an array of maps is one, too; without it there is one map at least. */
export function readMaps(writer: BatchWriter, orArray: boolean): void {
  const maps = new MapReader(writer);
  const { cursor } = maps;
  const elements = orArray ? cursor.arrayHead() : -1;
  const jsonAt = jsonIn(cursor.bytes, cursor.end);
  if (jsonAt >= 0) {
    const shown = shortened(copyText(cursor.bytes, jsonAt, Math.min(cursor.end, jsonAt + EXCERPT_BYTES)));
    writer.reject(0, cursor.end, `expected maps in MessagePack, got JSON: ${shown}`);
    return;
  }
  if (!orArray && cursor.end === 0) writer.reject(0, 0, brokenReason(cursor, 0));
  let read = 0;
  while (elements < 0 ? cursor.at < cursor.end : read < elements) {
    writer.growRows();
    if (cursor.bytes !== writer.bytes) cursor.use(writer.bytes);
    const at = cursor.at;
    if (!maps.read()) {
      writer.reject(at, cursor.end - at, brokenReason(cursor, at));
      return;
    }
    read += 1;
  }
  if (cursor.at < cursor.end) {
    writer.reject(cursor.at, cursor.end - cursor.at, `stands behind the ${elements} elements of the array`);
  }
}

/** Where an object or an array of JSON begins the body, behind white space and a byte order mark; -1 when none does. */
function jsonIn(bytes: Uint8Array, end: number): number {
  let at = isMark(bytes, 0) ? MARK_BYTES : 0;
  while (at < end && WHITE_SPACE.has(bytes[at] as number)) at++;
  return at < end && (bytes[at] === 123 || bytes[at] === 91) ? at : -1;
}

function brokenReason(cursor: MsgpackCursor, at: number): string {
  if (cursor.tooDeep) return DEPTH_REASON;
  const found = cursor.at >= cursor.end ? 'ends too early' : `is not valid at byte ${cursor.at - at}`;
  return `expected a map in MessagePack, which ${found}`;
}

class MapReader {
  readonly cursor: MsgpackCursor;
  readonly #writer: BatchWriter;
  /** Of the last event, by member. */
  readonly #fields = new Int16Array(MEMBERS_MAX).fill(UNKNOWN);
  /** By field: number of the event that had it. */
  readonly #seen: Float64Array;
  #events = 0;

  constructor(writer: BatchWriter) {
    this.cursor = new MsgpackCursor(writer.bytes, writer.bodyBytes);
    this.#writer = writer;
    this.#seen = new Float64Array(writer.schema.types.length);
  }

  /** The value at the cursor, which is passed. False when it has no end. */
  read(): boolean {
    const cursor = this.cursor;
    const writer = this.#writer;
    const at = cursor.at;
    if (this.#map()) {
      writer.commit(at, cursor.at - at);
      return true;
    }
    cursor.at = at;
    if (!cursor.skip()) return false;
    const end = cursor.at;
    cursor.at = at;
    const used = writer.used;
    const reason = readObject(writer, readValue(cursor));
    if (reason === '') writer.commit(at, end - at);
    else {
      writer.used = used;
      writer.reject(at, end - at, reason);
    }
    cursor.at = end;
    return true;
  }

  /** A map of plain members into the open row. */
  #map(): boolean {
    const cursor = this.cursor;
    const members = cursor.mapHead();
    if (members < 0) return false;
    this.#events += 1;
    for (let member = 0; member < members; member++) {
      if (!cursor.text()) return false;
      const field = this.#field(member);
      if (!(field === UNKNOWN ? cursor.skip() : this.#value(field))) return false;
    }
    const seen = this.#seen;
    for (let field = 0; field < seen.length; field++) {
      if (seen[field] !== this.#events && !this.#writer.setAbsent(field)) return false;
    }
    return this.#writer.stampTime();
  }

  /** Field of the name just passed. */
  #field(member: number): number {
    const { bytes, from, to } = this.cursor;
    const { names } = this.#writer.schema;
    if (member >= MEMBERS_MAX) return names.find(bytes, from, to - from);
    const expected = this.#fields[member] as number;
    if (expected !== UNKNOWN && names.is(expected, bytes, from, to - from)) return expected;
    const field = names.find(bytes, from, to - from);
    this.#fields[member] = field;
    return field;
  }

  #value(field: number): boolean {
    const cursor = this.cursor;
    const writer = this.#writer;
    const { types, timestampField, wideField, isIso } = writer.schema;
    const type = types[field] as number;
    const head = cursor.bytes[cursor.at] as number;
    if (head === 0xc0) {
      this.#seen[field] = 0;
      cursor.at += 1;
      return cursor.at <= cursor.end;
    }
    this.#seen[field] = this.#events;
    if (type === STRING) {
      if (!cursor.text() || !isUtf8(cursor.bytes, cursor.from, cursor.to)) return false;
      writer.setText(field, cursor.from, cursor.to - cursor.from);
      return true;
    }
    if (type === BOOLEAN) {
      writer.setNumber(field, head & 1);
      cursor.at += 1;
      return (head === 0xc2 || head === 0xc3) && cursor.at <= cursor.end;
    }
    if (field === timestampField && !isIso && (head === 0xc7 || head === 0xd6 || head === 0xd7)) {
      const ms = cursor.time();
      writer.setTime(ms);
      return !Number.isNaN(ms);
    }
    const value = cursor.number();
    writer.setNumber(field, value);
    if (type === NUMBER) return value - value === 0;
    return Number.isSafeInteger(value) || (field === wideField && Number.isInteger(value));
  }
}
