/**
 * One event in JSON that the object scanner did not take: the reason, or the row after all.
 *
 * Role: behind every format that holds JSON. The range is checked by the cursor, so that what is wrong has a place; then
 * `JSON.parse` makes the value and `object-row.ts` judges it. `Buffer` views of shared memory cannot be decoded as text,
 * so the bytes are copied first.
 */
import { Buffer } from 'node:buffer';
import type { BatchWriter } from './batch-writer.ts';
import { DEPTH_MAX, type JsonCursor } from './json-cursor.ts';
import { readObject, shortened } from './object-row.ts';
import { isMark } from './utf8.ts';

const CONTEXT_BYTES = 20;

export const copyText = (bytes: Uint8Array, from: number, to: number): string =>
  Buffer.from(bytes.subarray(from, to)).toString();

/** What is wrong at `at`, within [from, to). */
export function syntaxReason(bytes: Uint8Array, at: number, from: number, to: number): string {
  if (isMark(bytes, from)) return 'begins with a byte order mark, which only a line or a body may, once';
  const place = Math.min(at, to);
  const found = place >= to ? 'ends too early' : 'is not valid';
  const near = JSON.stringify(
    copyText(bytes, Math.max(from, place - CONTEXT_BYTES), Math.min(to, place + CONTEXT_BYTES)),
  );
  return `expected JSON in UTF-8, which ${found} at byte ${place - from}, near ${shortened(near)}`;
}

export const DEPTH_REASON = `is nested deeper than ${DEPTH_MAX} levels`;

/** Fills the open row from the JSON text [from, to); `''`, or why it cannot. Leaves the cursor anywhere. */
export function readJsonEvent(writer: BatchWriter, cursor: JsonCursor, from: number, to: number): string {
  cursor.at = from;
  cursor.space();
  const valid = cursor.skip();
  if (!valid && cursor.tooDeep) return DEPTH_REASON;
  if (valid && cursor.at !== to) cursor.space();
  if (!valid || cursor.at !== to) return syntaxReason(cursor.bytes, cursor.at, from, to);
  const used = writer.used;
  const reason = readObject(writer, JSON.parse(copyText(cursor.bytes, from, to)));
  if (reason !== '') writer.used = used;
  return reason;
}
