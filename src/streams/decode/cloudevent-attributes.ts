// HOT PATH
/**
 * The envelope of a CloudEvent in JSON: where the values of its attributes stand.
 *
 * Role: finds them, and checks only that the envelope is valid JSON; what the attributes must be is checked by
 * `cloudevents.ts`. Attributes that nobody asks for are skipped. A member name with escapes is unusual, but is the same
 * name all the same. Of members with the same name the last one counts.
 */
import { Buffer } from 'node:buffer';
import { DEPTH_MAX, type JsonCursor } from './json-cursor.ts';
import { copyText } from './json-event.ts';
import { NameTable, UNKNOWN } from './name-table.ts';

/** In the order in which a context shows them; those from `CONTEXT_ATTRIBUTES` on are not part of it. */
const NAMES = [
  'id',
  'source',
  'type',
  'time',
  'subject',
  'traceparent',
  'correlationid',
  'partitionkey',
  'specversion',
  'data',
  'data_base64',
  'data_bytes',
] as const;
export const CONTEXT_ATTRIBUTES = 8;
export const ID = 0;
export const SOURCE = 1;
export const TYPE = 2;
export const TIME = 3;
export const SPECVERSION = 8;
export const DATA = 9;
export const DATA_BASE64 = 10;
/** No attribute of CloudEvents can have that name: how long the body of an event in binary mode was. */
export const DATA_BYTES = 11;

/** Members whose order is remembered. */
const MEMBERS_MAX = 32;
const NO_NAME = -2;

const names = new NameTable(NAMES);
export const attributeName = (attribute: number): string => NAMES[attribute] as string;
/** `"id":` and so on, as a context has them. */
export const CONTEXT_NAMES = NAMES.slice(0, CONTEXT_ATTRIBUTES).map((name) => Buffer.from(`"${name}":`));

export class EnvelopeScanner {
  /** By attribute: where the value begins and ends, quotes included; 0 and 0 when there is none, or null. */
  readonly at = new Int32Array(NAMES.length);
  readonly end = new Int32Array(NAMES.length);
  /** The value is a string with escapes. */
  readonly escaped = new Uint8Array(NAMES.length);
  readonly #cursor: JsonCursor;
  /** Attributes of the last envelope, by member. */
  readonly #order = new Int16Array(MEMBERS_MAX).fill(UNKNOWN);

  constructor(cursor: JsonCursor) {
    this.#cursor = cursor;
  }

  /** The object at the cursor, which is passed. False when it is not valid, or too deep. */
  scan(): boolean {
    const cursor = this.#cursor;
    this.at.fill(0);
    this.end.fill(0);
    cursor.at += 1;
    if (cursor.space() === 125) {
      cursor.at += 1;
      return true;
    }
    for (let member = 0; ; member++) {
      const attribute = this.#name(member);
      if (attribute === NO_NAME || cursor.space() !== 58) return false;
      cursor.at += 1;
      const isNull = cursor.space() === 110;
      const at = cursor.at;
      cursor.escaped = false;
      if (!cursor.skip(DEPTH_MAX)) return false;
      if (attribute !== UNKNOWN) {
        this.at[attribute] = isNull ? 0 : at;
        this.end[attribute] = isNull ? 0 : cursor.at;
        this.escaped[attribute] = cursor.escaped ? 1 : 0;
      }
      const next = cursor.space();
      cursor.at += 1;
      if (next === 125) return true;
      if (next !== 44) return false;
      cursor.space();
    }
  }

  /** Attribute named at the cursor, which is passed. */
  #name(member: number): number {
    const cursor = this.#cursor;
    const bytes = cursor.bytes;
    if (bytes[cursor.at] !== 34) return NO_NAME;
    const expected = member < MEMBERS_MAX ? (this.#order[member] as number) : UNKNOWN;
    if (expected >= 0) {
      const length = (names.names[expected] as Uint8Array).length;
      const end = cursor.at + 1 + length;
      if (bytes[end] === 34 && names.is(expected, bytes, cursor.at + 1, length)) {
        cursor.at = end + 1;
        return expected;
      }
    }
    if (!cursor.string()) return NO_NAME;
    const length = cursor.to - cursor.from;
    if (cursor.escaped) {
      const name = Buffer.from(JSON.parse(copyText(bytes, cursor.from - 1, cursor.to + 1)) as string);
      return names.find(name, 0, name.length);
    }
    const attribute = names.find(bytes, cursor.from, length);
    if (member < MEMBERS_MAX) this.#order[member] = attribute;
    return attribute;
  }
}
