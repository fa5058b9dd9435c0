// HOT PATH
/**
 * Objects in a JSON array, or a single one: the walk over the elements, and elements that are plain events.
 *
 * Role: an element that is refused costs itself; where the array itself is not valid, nobody can say where the next
 * element begins, and the rest of the body is refused as one. Elements are read by an `ElementReader`, so that
 * CloudEvents can be walked the same way.
 */
import type { BatchWriter } from './batch-writer.ts';
import { DEPTH_MAX, JsonCursor } from './json-cursor.ts';
import { copyText, DEPTH_REASON, readJsonEvent, syntaxReason } from './json-event.ts';
import { shortened } from './object-row.ts';
import { ObjectScanner } from './object-scanner.ts';
import type { Shapes } from './shape-cache.ts';
import { isMark, MARK_BYTES } from './utf8.ts';

export interface ElementReader {
  readonly cursor: JsonCursor;
  /** Takes as many elements as it can, with the commas behind them; whether it took any. */
  takeMany(): boolean;
  /** The element at the cursor, which is passed. False when its end cannot be found: `framingReason` says why. */
  read(): boolean;
}

/** What the body as a whole may be. */
export type Whole = 'array' | 'object' | 'either';

export function readElements(writer: BatchWriter, elements: ElementReader, whole: Whole): void {
  const { cursor } = elements;
  const from = isMark(cursor.bytes, 0) ? MARK_BYTES : 0;
  cursor.at = from;
  const first = cursor.space();
  if (first === 123 && whole !== 'array') {
    if (elements.read()) endOfBody(writer, cursor);
    else refuseRest(writer, 0, framingReason(cursor, from, writer.bodyBytes));
    return;
  }
  if (first !== 91 || whole === 'object') {
    refuseRest(writer, 0, wholeReason(cursor, from, writer.bodyBytes, whole));
    return;
  }
  cursor.at += 1;
  if (cursor.space() === 93) {
    cursor.at += 1;
    endOfBody(writer, cursor);
  } else readMany(writer, elements);
}

/** What is wrong with a body that does not begin as it should. */
function wholeReason(cursor: JsonCursor, from: number, to: number, whole: Whole): string {
  const expected = whole === 'either' ? 'an array of objects, or one object' : `an ${whole}`;
  const { at } = cursor;
  const first = cursor.bytes[at];
  if (first === 91 || first === 123) return `expected ${expected}`;
  const valid = cursor.skip(DEPTH_MAX);
  const end = cursor.at;
  cursor.space();
  if (!valid || cursor.at < to) return syntaxReason(cursor.bytes, valid ? cursor.at : at, from, to);
  return `expected ${expected}, got ${shortened(copyText(cursor.bytes, at, end))}`;
}

function readMany(writer: BatchWriter, elements: ElementReader): void {
  const { cursor } = elements;
  for (;;) {
    writer.growRows();
    if (cursor.bytes !== writer.bytes) cursor.use(writer.bytes);
    if (elements.takeMany()) continue;
    const at = cursor.at;
    if (!elements.read()) {
      refuseRest(writer, at, framingReason(cursor, at, writer.bodyBytes));
      return;
    }
    const next = cursor.space();
    if (next !== 44 && next !== 93) {
      if (cursor.at >= writer.bodyBytes) writer.reject(at, 0, 'the array is not closed');
      else refuseRest(writer, cursor.at, syntaxReason(cursor.bytes, cursor.at, cursor.at, writer.bodyBytes));
      return;
    }
    cursor.at += 1;
    if (next === 93) break;
    cursor.space();
  }
  endOfBody(writer, cursor);
}

function endOfBody(writer: BatchWriter, cursor: JsonCursor): void {
  cursor.space();
  if (cursor.at >= writer.bodyBytes) return;
  refuseRest(writer, cursor.at, 'stands behind the end of the JSON value');
}

const refuseRest = (writer: BatchWriter, at: number, reason: string): void =>
  writer.reject(at, writer.bodyBytes - at, reason);

const framingReason = (cursor: JsonCursor, from: number, to: number): string =>
  cursor.tooDeep ? DEPTH_REASON : syntaxReason(cursor.bytes, cursor.at, from, to);

/** Passes the value at the cursor, however deep. `valid`: it is JSON of bounded depth. False: it has no end. */
export function passValue(cursor: JsonCursor, depthMax: number): 'valid' | 'deep' | 'broken' {
  if (cursor.skip(depthMax)) return 'valid';
  if (!cursor.tooDeep) return 'broken';
  return cursor.leave(depthMax) ? 'deep' : 'broken';
}

/** Elements that are events themselves. */
export class EventElements implements ElementReader {
  readonly cursor: JsonCursor;
  readonly #writer: BatchWriter;
  readonly #scanner: ObjectScanner;
  readonly #shapes: Shapes;

  constructor(writer: BatchWriter) {
    this.cursor = new JsonCursor(writer.bytes, 10);
    this.#writer = writer;
    this.#scanner = new ObjectScanner(writer, this.cursor);
    this.#shapes = writer.schema.shapes.array;
    this.#shapes.start();
  }

  takeMany(): boolean {
    return this.#shapes.take(this.#writer, this.cursor);
  }

  read(): boolean {
    const cursor = this.cursor;
    const writer = this.#writer;
    const at = cursor.at;
    const used = writer.used;
    if (this.#scanner.scan()) {
      writer.commit(at, cursor.at - at);
      this.#shapes.missed(writer, this.#scanner, at, cursor.at);
      return true;
    }
    writer.used = used;
    this.#shapes.passed();
    cursor.at = at;
    const passed = passValue(cursor, DEPTH_MAX);
    if (passed === 'broken') return false;
    const end = cursor.at;
    const reason = passed === 'deep' ? DEPTH_REASON : readJsonEvent(writer, cursor, at, end);
    if (reason === '') writer.commit(at, end - at);
    else writer.reject(at, end - at, reason);
    if (cursor.bytes !== writer.bytes) cursor.use(writer.bytes);
    cursor.at = end;
    return true;
  }
}
