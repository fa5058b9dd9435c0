// HOT PATH
/**
 * Newline-delimited JSON: one event per line. Blank lines are passed over, a carriage return before the line feed is
 * allowed, and so is a byte order mark at the beginning of any line, since concatenated files have them within.
 *
 * Role: three ways to read a line, each for what the one before it left: a program of its shape, the object scanner,
 * and `JSON.parse`. A line that is refused costs itself and no other.
 */
import type { BatchWriter } from './batch-writer.ts';
import { JsonCursor } from './json-cursor.ts';
import { readJsonEvent } from './json-event.ts';
import { ObjectScanner } from './object-scanner.ts';
import { isMark, MARK_BYTES } from './utf8.ts';

const SAMPLE_BYTES = 16_384;
const SPARE_ROWS = 16;
const EVENT_BYTES_LEAST = 16;

/** Rows that suffice for most bodies: the first events taken as the measure of all. More rows are made when needed. */
export function estimateRows(body: Uint8Array, separator: number): number {
  const sample = Math.min(body.length, SAMPLE_BYTES);
  let found = 0;
  for (let at = 0; at < sample; at++) if (body[at] === separator) found += 1;
  const rows = sample === body.length ? found : Math.ceil(found * (body.length / sample) * 1.03) + SPARE_ROWS;
  // A body of nothing but separators may not ask for columns of a hundred times its size.
  return Math.min(rows, Math.ceil(body.length / EVENT_BYTES_LEAST)) + 1;
}

export function readLines(writer: BatchWriter): void {
  const cursor = new JsonCursor(writer.bytes, 32);
  const scanner = new ObjectScanner(writer, cursor);
  writer.reader = scanner;
  const shapes = writer.schema.shapes.lines;
  const end = writer.bodyBytes;
  shapes.start();
  while (cursor.at < end) {
    writer.growRows();
    if (cursor.bytes !== writer.bytes) cursor.use(writer.bytes);
    if (shapes.take(writer, cursor)) continue;
    const at = cursor.at;
    const used = writer.used;
    if (isMark(cursor.bytes, at)) cursor.at += MARK_BYTES;
    cursor.space();
    if (endsLine(cursor, end)) {
      shapes.passed();
      continue;
    }
    const eventAt = cursor.at;
    const scanned = scanner.scan();
    const eventEnd = cursor.at;
    cursor.space();
    if (scanned && endsLine(cursor, end)) {
      writer.commit(eventAt, eventEnd - eventAt);
      shapes.missed(writer, scanner, eventAt, eventEnd);
      continue;
    }
    writer.used = used;
    readOddLine(writer, cursor, at, end);
    shapes.passed();
  }
}

/** Passes the line feed, if that or the end of the body is next. */
function endsLine(cursor: JsonCursor, end: number): boolean {
  if (cursor.at >= end) return true;
  if (cursor.bytes[cursor.at] !== 10) return false;
  cursor.at += 1;
  return true;
}

function readOddLine(writer: BatchWriter, cursor: JsonCursor, at: number, end: number): void {
  const lineFeed = writer.bytes.indexOf(10, at);
  const to = lineFeed < 0 || lineFeed > end ? end : lineFeed;
  const from = isMark(cursor.bytes, at) ? at + MARK_BYTES : at;
  const reason = readJsonEvent(writer, cursor, from, to);
  if (reason === '') writer.commit(from, to - from);
  else writer.reject(at, to - at, reason);
  cursor.at = to + 1;
}
