// HOT PATH
/**
 * One JSON object into the open row: members in any order, any white space, whatever lies between the known ones.
 *
 * Role: takes every object whose fields have plain values of their types, and says no to all else, without a reason:
 * `json-event.ts` then finds out what is wrong, or takes what is merely written oddly. Members of the last object are
 * remembered, since the next one most likely has the same ones in the same order, and since a program for objects of
 * that very shape can be made of them (`shape-program.ts`).
 * Invariants: what it takes, `JSON.parse` takes, with the same values; the last one of members of the same name wins.
 */
import type { BatchWriter } from './batch-writer.ts';
import { BOOLEAN, NUMBER, STRING } from './field-types.ts';
import { DEPTH_MAX, type JsonCursor } from './json-cursor.ts';
import { UNKNOWN } from './name-table.ts';
import { appendUnescaped } from './unescape.ts';

/** Members that are remembered. */
export const MEMBERS_MAX = 48;
const NOT_SEEN = -2;

export class ObjectScanner {
  /** Of the last object: its members' fields, and where their values begin and end. */
  members = 0;
  readonly fields = new Int16Array(MEMBERS_MAX).fill(NOT_SEEN);
  readonly valueAt = new Int32Array(MEMBERS_MAX);
  readonly valueEnd = new Int32Array(MEMBERS_MAX);
  readonly #writer: BatchWriter;
  readonly #cursor: JsonCursor;
  /** By field: number of the object that had it. */
  readonly #seen: Float64Array;
  #objects = 0;

  constructor(writer: BatchWriter, cursor: JsonCursor) {
    this.#writer = writer;
    this.#cursor = cursor;
    this.#seen = new Float64Array(writer.schema.types.length);
  }

  /** The object at the cursor; leaves the cursor behind it and the open row complete, with its time. */
  scan(): boolean {
    const cursor = this.#cursor;
    if (cursor.bytes[cursor.at] !== 123) return false;
    cursor.at += 1;
    this.#objects += 1;
    let members = 0;
    if (cursor.space() === 125) cursor.at += 1;
    else {
      for (;;) {
        if (!this.#member(members)) return false;
        members += 1;
        const next = cursor.space();
        cursor.at += 1;
        if (next === 125) break;
        if (next !== 44) return false;
        cursor.space();
      }
    }
    this.members = members;
    return this.#absentFields() && this.#writer.stampTime();
  }

  #member(member: number): boolean {
    const cursor = this.#cursor;
    const field = this.#name(member);
    if (field === NOT_SEEN || cursor.space() !== 58) return false;
    cursor.at += 1;
    cursor.space();
    if (member < MEMBERS_MAX) this.valueAt[member] = cursor.at;
    if (!(field === UNKNOWN ? cursor.skip(DEPTH_MAX - 1) : this.#value(field))) return false;
    if (member < MEMBERS_MAX) this.valueEnd[member] = cursor.at;
    return true;
  }

  /** Field of the member name at the cursor, which is passed; NOT_SEEN when it is no plain name. */
  #name(member: number): number {
    const cursor = this.#cursor;
    const bytes = cursor.bytes;
    const { names } = this.#writer.schema;
    if (bytes[cursor.at] !== 34) return NOT_SEEN;
    if (member < MEMBERS_MAX) {
      const expected = this.fields[member] as number;
      if (expected >= 0) {
        const length = (names.names[expected] as Uint8Array).length;
        const end = cursor.at + 1 + length;
        if (bytes[end] === 34 && names.is(expected, bytes, cursor.at + 1, length)) {
          cursor.at = end + 1;
          return expected;
        }
      }
    }
    if (!cursor.string() || cursor.escaped) return NOT_SEEN;
    const field = names.find(bytes, cursor.from, cursor.to - cursor.from);
    if (member < MEMBERS_MAX) this.fields[member] = field;
    return field;
  }

  #value(field: number): boolean {
    const cursor = this.#cursor;
    const writer = this.#writer;
    const first = cursor.bytes[cursor.at] as number;
    this.#seen[field] = this.#objects;
    if (first === 110) {
      this.#seen[field] = 0;
      return cursor.word() !== 0;
    }
    const type = writer.schema.types[field] as number;
    if (type === STRING) return first === 34 && this.#text(field);
    if (type === BOOLEAN) {
      const word = cursor.word();
      writer.setNumber(field, word === 116 ? 1 : 0);
      return word !== 0;
    }
    const value = cursor.number();
    writer.setNumber(field, value);
    if (type === NUMBER) return value - value === 0;
    return Number.isSafeInteger(value) || (field === writer.schema.wideField && Number.isInteger(value));
  }

  #text(field: number): boolean {
    const cursor = this.#cursor;
    const writer = this.#writer;
    if (!cursor.string()) return false;
    if (!cursor.escaped) {
      writer.setText(field, cursor.from, cursor.to - cursor.from);
      return true;
    }
    const at = appendUnescaped(writer, cursor.from, cursor.to);
    // Room for it may have been made elsewhere.
    if (cursor.bytes !== writer.bytes) cursor.use(writer.bytes);
    if (at < 0) return false;
    writer.setText(field, at, writer.used - at);
    return true;
  }

  #absentFields(): boolean {
    const seen = this.#seen;
    for (let field = 0; field < seen.length; field++) {
      if (seen[field] !== this.#objects && !this.#writer.setAbsent(field)) return false;
    }
    return true;
  }

  /** Whether the last object's members can be told by their places alone. */
  hasPlainShape(): boolean {
    if (this.members === 0 || this.members > MEMBERS_MAX) return false;
    for (let i = 0; i < this.members; i++) {
      const field = this.fields[i] as number;
      if (field === UNKNOWN) continue;
      for (let j = i + 1; j < this.members; j++) if (this.fields[j] === field) return false;
    }
    return true;
  }
}
