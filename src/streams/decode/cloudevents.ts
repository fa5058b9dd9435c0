// HOT PATH
/**
 * CloudEvents 1.0 in JSON, one or an array: `data` is the event, the attributes are its context.
 *
 * Role: checks the attributes, finds the event in `data` or `data_base64`, leaves out repetitions (same `source` and
 * `id`), and writes the context down beside the row. `time` is the event's time when the schema's field is absent.
 * An event that is refused is not remembered: it may come again, corrected.
 */
import { Buffer } from 'node:buffer';
import type { BatchWriter } from './batch-writer.ts';
import {
  attributeName,
  CONTEXT_ATTRIBUTES,
  CONTEXT_NAMES,
  DATA,
  DATA_BASE64,
  DATA_BYTES,
  EnvelopeScanner,
  ID,
  SOURCE,
  SPECVERSION,
  TIME,
  TYPE,
} from './cloudevent-attributes.ts';
import { BatchIds, type DedupSet, DUPLICATE, TAKEN_AWAY } from './dedup-set.ts';
import { type ElementReader, passValue } from './json-array.ts';
import { DEPTH_MAX, JsonCursor, PADDING_BYTES } from './json-cursor.ts';
import { copyText, DEPTH_REASON, readJsonEvent } from './json-event.ts';
import { shortened } from './object-row.ts';
import { ObjectScanner } from './object-scanner.ts';
import { isoToMs } from './timestamps.ts';
import { appendUnescaped } from './unescape.ts';

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;
const QUOTE = 34;
const COMMA = 44;

export class CloudEventElements implements ElementReader {
  readonly cursor: JsonCursor;
  /** Rows name the whole CloudEvent as their original bytes, not its data. */
  wholeEvents = false;
  /** Their ids are looked up and not remembered. */
  looksOnly = false;
  readonly #writer: BatchWriter;
  readonly #scanner: ObjectScanner;
  readonly #envelope: EnvelopeScanner;
  readonly #dedup: DedupSet | null;
  readonly #seq: number;
  readonly #ids = new BatchIds();
  /** 64 bits of the last `source` and `id`. */
  readonly #hash = new Int32Array(2);
  /** Text of the last attribute that was asked for. */
  #textAt = 0;
  #textBytes = 0;
  /** Where the event stands. */
  #dataAt = 0;
  #dataEnd = 0;

  constructor(writer: BatchWriter, dedup: DedupSet | null, seq: number) {
    this.cursor = new JsonCursor(writer.bytes, 10);
    this.#writer = writer;
    this.#scanner = new ObjectScanner(writer, this.cursor);
    this.#envelope = new EnvelopeScanner(this.cursor);
    this.#dedup = dedup;
    this.#seq = seq;
  }

  takeMany(): boolean {
    return false;
  }

  read(): boolean {
    const cursor = this.cursor;
    const writer = this.#writer;
    const at = cursor.at;
    const used = writer.used;
    let reason = '';
    let end = at;
    if (cursor.bytes[at] === 123 && this.#envelope.scan()) {
      end = cursor.at;
      reason = this.#readEvent();
    } else {
      cursor.at = at;
      // One level more than events have: they are inside of it.
      const passed = passValue(cursor, DEPTH_MAX + 1);
      if (passed === 'broken') return false;
      end = cursor.at;
      const shown = shortened(copyText(cursor.bytes, at, end));
      reason = passed === 'deep' ? DEPTH_REASON : `expected a CloudEvent, got ${shown}`;
    }
    if (reason !== '') {
      writer.used = used;
      writer.reject(at, end - at, reason);
    } else if (this.#isRepetition()) {
      writer.used = used;
      writer.duplicates += 1;
    } else {
      this.#writeContext();
      if (this.wholeEvents) writer.commit(at, end - at);
      else writer.commit(this.#dataAt, this.#dataEnd - this.#dataAt);
    }
    this.#sync();
    cursor.at = end;
    return true;
  }

  /** Appending may have replaced the bytes. */
  #sync(): void {
    if (this.cursor.bytes !== this.#writer.bytes) this.cursor.use(this.#writer.bytes);
  }

  /** The open row, complete but for its context; `''`, or the reason. */
  #readEvent(): string {
    for (let attribute = 0; attribute <= SPECVERSION; attribute++) {
      const reason = this.#attributeReason(attribute);
      if (reason !== '') return reason;
    }
    const reason = this.#findData();
    if (reason !== '') return reason;
    const cursor = this.cursor;
    const used = this.#writer.used;
    cursor.at = this.#dataAt;
    cursor.space();
    if (this.#scanner.scan()) {
      // Of data in the envelope the end is known: white space behind it is not its own.
      if (cursor.at !== this.#dataEnd) cursor.space();
      if (cursor.at === this.#dataEnd) return '';
    }
    this.#writer.used = used;
    this.#sync();
    const inData = readJsonEvent(this.#writer, cursor, this.#dataAt, this.#dataEnd);
    return inData === '' ? '' : `data: ${inData}`;
  }

  #attributeReason(attribute: number): string {
    const { at, end } = this.#envelope;
    const name = attributeName(attribute);
    const isRequired = attribute === ID || attribute === SOURCE || attribute === TYPE || attribute === SPECVERSION;
    if (attribute === TIME) this.#writer.otherMs = Number.NaN;
    if (at[attribute] === 0) return isRequired ? `attribute "${name}": is absent, expected a string` : '';
    if (!this.#findText(attribute) || (isRequired && this.#textBytes === 0)) {
      return `attribute "${name}": ${this.#shown(attribute)} is not a${isRequired ? ' non-empty' : ''} string`;
    }
    const bytes = this.cursor.bytes;
    if (attribute === SPECVERSION) {
      const text = (at[attribute] as number) + 1;
      const isOne = bytes[text] === 49 && bytes[text + 1] === 46 && bytes[text + 2] === 48;
      if (isOne && (end[attribute] as number) - text === 4) return '';
      return `attribute "specversion": ${this.#shown(attribute)} is not "1.0"`;
    }
    if (attribute !== TIME) return '';
    const ms = isoToMs(bytes, this.#textAt, this.#textBytes);
    this.#writer.otherMs = ms;
    this.#writer.otherAt = this.#textAt;
    this.#writer.otherBytes = this.#textBytes;
    return Number.isNaN(ms) ? `attribute "time": ${this.#shown(attribute)} is not a time (RFC 3339 text)` : '';
  }

  #shown(attribute: number): string {
    const { at, end } = this.#envelope;
    return shortened(copyText(this.cursor.bytes, at[attribute] as number, end[attribute] as number));
  }

  /** Text of an attribute into `#textAt`, `#textBytes`. False when it is no string, or not Unicode. */
  #findText(attribute: number): boolean {
    const { at, end, escaped } = this.#envelope;
    const from = (at[attribute] as number) + 1;
    const to = (end[attribute] as number) - 1;
    if (this.cursor.bytes[from - 1] !== QUOTE) return false;
    this.#textAt = from;
    this.#textBytes = to - from;
    if (escaped[attribute] === 0) return true;
    this.#textAt = appendUnescaped(this.#writer, from, to);
    this.#sync();
    this.#textBytes = this.#writer.used - this.#textAt;
    return this.#textAt >= 0;
  }

  #findData(): string {
    const { at, end } = this.#envelope;
    const hasData = at[DATA] !== 0;
    if (at[DATA_BASE64] === 0) {
      this.#dataAt = at[DATA] as number;
      this.#dataEnd = end[DATA] as number;
      if (!hasData) return 'data: is absent, expected an object';
      return this.#isWholeData() ? '' : 'data: the body goes on behind it, expected one JSON value';
    }
    if (hasData) return 'has both data and data_base64, expected one of them';
    if (!this.#findText(DATA_BASE64)) return `data_base64: ${this.#shown(DATA_BASE64)} is not a string`;
    const text = copyText(this.cursor.bytes, this.#textAt, this.#textAt + this.#textBytes);
    if (!BASE64.test(text)) return `data_base64: ${this.#shown(DATA_BASE64)} is not base64`;
    const writer = this.#writer;
    const bytes = Buffer.from(text, 'base64');
    writer.room(bytes.length + PADDING_BYTES);
    this.#dataAt = writer.appendBytes(bytes);
    this.#dataEnd = writer.used;
    // The scanner stops at a zero.
    writer.bytes.fill(0, writer.used, writer.used + PADDING_BYTES);
    writer.used += PADDING_BYTES;
    this.#sync();
    return '';
  }

  /** False when what was sent as data was more than that. */
  #isWholeData(): boolean {
    const { at, end } = this.#envelope;
    if (at[DATA_BYTES] === 0) return true;
    const sent = copyText(this.cursor.bytes, at[DATA_BYTES] as number, end[DATA_BYTES] as number);
    return Number(sent) === this.#dataEnd - this.#dataAt;
  }

  #isRepetition(): boolean {
    const dedup = this.#dedup;
    if (dedup === null) return false;
    const hash = this.#hash;
    hash.fill(0x2545f491);
    this.#mixText(SOURCE);
    this.#mixText(ID);
    const low = (hash[0] as number) ^ ((hash[1] as number) >>> 15);
    const high = Math.imul((hash[1] as number) ^ (low >>> 13), 0x9e3779b1) ^ low;
    if (!this.#ids.add(low, high)) return true;
    const writer = this.#writer;
    const ttlMs = writer.schema.stream.dedupTtlMs;
    const found = this.looksOnly
      ? dedup.look(low, high, this.#seq, writer.arrivalMs, ttlMs)
      : dedup.add(low, high, this.#seq, writer.arrivalMs, ttlMs);
    if (found === TAKEN_AWAY) writer.tookAway = true;
    if (found === DUPLICATE && dedup.back < writer.repeatsBack) writer.repeatsBack = dedup.back;
    return found === DUPLICATE;
  }

  /** Two lanes with different factors over an attribute's text and its length. */
  #mixText(attribute: number): void {
    this.#findText(attribute);
    const bytes = this.#writer.bytes;
    const to = this.#textAt + this.#textBytes;
    let low = (this.#hash[0] as number) ^ this.#textBytes;
    let high = (this.#hash[1] as number) + this.#textBytes;
    for (let i = this.#textAt; i < to; i++) {
      const byte = bytes[i] as number;
      low = Math.imul(low ^ byte, 0x85ebca6b);
      low ^= low >>> 15;
      high = Math.imul(high ^ byte, 0xc2b2ae35);
      high = (high << 13) | (high >>> 19);
    }
    this.#hash[0] = low;
    this.#hash[1] = high;
  }

  /** `{"id":…,…}` behind the body, of the values as they were written. */
  #writeContext(): void {
    const writer = this.#writer;
    const { at, end } = this.#envelope;
    const start = writer.used;
    for (let attribute = 0; attribute < CONTEXT_ATTRIBUTES; attribute++) {
      if (at[attribute] === 0) continue;
      writer.room(1);
      writer.append(writer.used === start ? 123 : COMMA);
      writer.appendBytes(CONTEXT_NAMES[attribute] as Uint8Array);
      writer.appendRange(at[attribute] as number, end[attribute] as number);
    }
    writer.room(1);
    writer.append(125);
    writer.setContext(start, writer.used - start);
  }
}
