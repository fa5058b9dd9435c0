/**
 * A MessagePack value as a JavaScript value: for people, and for events that need a closer look.
 *
 * Role: what shows a binary event as text, and what `object-row.ts` judges when the fast reader did not take one.
 * Timestamps are `Date`s; binary values, other extensions, and texts that are not UTF-8 are `Uint8Array`s, so that they
 * are never taken for texts. Integers past the safe ones are `bigint`s. Members whose names are not texts are left out.
 */
import { Buffer } from 'node:buffer';
import { MsgpackCursor } from './msgpack-cursor.ts';
import { isUtf8 } from './utf8.ts';

const copy = (cursor: MsgpackCursor, from: number, to: number): Buffer => Buffer.from(cursor.bytes.subarray(from, to));

/** The value at the cursor, which is passed. The value must be one that `skip` passes. */
export function readValue(cursor: MsgpackCursor): unknown {
  const { at } = cursor;
  const members = cursor.mapHead();
  if (members >= 0) return readMap(cursor, members);
  const elements = cursor.arrayHead();
  if (elements >= 0) return Array.from({ length: elements }, () => readValue(cursor));
  const head = cursor.bytes[at] as number;
  if (cursor.text()) {
    const bytes = copy(cursor, cursor.from, cursor.to);
    return isUtf8(bytes, 0, bytes.length) ? bytes.toString() : bytes;
  }
  if (cursor.binary()) return copy(cursor, cursor.from, cursor.to);
  if (head === 0xcf || head === 0xd3) return readWide(cursor, head);
  const ms = cursor.time();
  if (cursor.at > at) return new Date(ms);
  const value = cursor.number();
  if (cursor.at > at) return value;
  cursor.skip();
  if (head === 0xc0) return null;
  return head === 0xc2 || head === 0xc3 ? head === 0xc3 : copy(cursor, at, cursor.at);
}

function readMap(cursor: MsgpackCursor, members: number): object {
  // No prototype: a member may have any name.
  const map = Object.create(null) as Record<string, unknown>;
  for (let i = 0; i < members; i++) {
    const name = readValue(cursor);
    const value = readValue(cursor);
    if (typeof name === 'string') map[name] = value;
  }
  return map;
}

function readWide(cursor: MsgpackCursor, head: number): number | bigint {
  const at = cursor.at + 1;
  const wide = head === 0xcf ? cursor.view.getBigUint64(at) : cursor.view.getBigInt64(at);
  const value = cursor.number();
  return Number.isSafeInteger(value) ? value : wide;
}

/** The value's JSON: binary as base64, timestamps as ISO text, wide integers as the nearest double. */
export function msgpackJson(bytes: Uint8Array, at: number, length: number): string {
  const cursor = new MsgpackCursor(bytes, at + length);
  cursor.at = at;
  return JSON.stringify(shown(readValue(cursor)));
}

function shown(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(shown);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([name, member]) => [name, shown(member)]);
  return Object.fromEntries(members);
}
