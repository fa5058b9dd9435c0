// HOT PATH
/**
 * Bytes of lines that are being written: a buffer that grows, and ways to put numbers and texts into it.
 *
 * Role: what results are written to, by `engine/shards/result-line.ts`, `engine/shards/event-lines.ts` and whoever knows bytes of them
 * (key tables, batches). What is written often is a `LinePiece` and goes eight bytes at a time, bytes of a batch go four
 * at a time and are looked at on the way; a loop over bytes costs five times as much, and so does the call of a built-in
 * copy for what a line is made of.
 * Invariants: `bytes[0, at)` is what was written; behind it are always SLACK bytes, so that whole words may be written
 * over the end. `bytes` and `view` are only good until the next write.
 */
import { FractionDigits } from './fraction-digits.ts';
import type { LinePiece } from './line-piece.ts';

const encoder = new TextEncoder();
const digits = new FractionDigits();

const BYTES_AT_START = 4096;
const SLACK = 16;
/** Of `integer`: sign and 16 digits. */
const INTEGER_BYTES_MAX = 17;
/** Of `copyAndDigits`: three words. */
export const COPIED_BYTES_MAX = 24;
const DIGITS_MAX = 8;
const EIGHT_DIGITS = 1e8;
/** Fractions are looked for among millionths: with whole parts of up to nine digits they have at most 15 digits. */
const WHOLE_MAX = 1e9;
const PARTS = 1e6;
const PARTS_DIGITS = 6;
/** Of `FractionDigits`, with a sign and the point. */
const LONG_DIGITS = 19;
const MINUS = 45;
const POINT = 46;
const ZERO = 48;
/** Two digits as the word that writes them, little-endian. */
const PAIRS = Uint16Array.from({ length: 100 }, (_, n) => 0x3030 + Math.floor(n / 10) + ((n % 10) << 8));
const QUOTE = 34;
const BACKSLASH = 92;
const HEX = '0123456789abcdef';
/** What follows the backslash of control characters that have a short form; 0: none. */
const SHORT = Uint8Array.from({ length: 32 }, (_, code) => JSON.stringify(String.fromCharCode(code)).charCodeAt(2));

/**
 * Not 0 when a byte of the word is a quote, a backslash or a control character. With its second bit turned over, a quote
 * is below 33 as the control characters are, and nothing else is.
 */
function needsEscape(word: number): number {
  return (((word ^ 0x02020202) - 0x21212121) | ((word ^ 0x5c5c5c5c) - 0x01010101)) & ~word & 0x80808080;
}

export class LineBuffer {
  bytes: Uint8Array;
  view: DataView;
  at = 0;

  constructor(bytesAtStart: number = BYTES_AT_START) {
    this.bytes = new Uint8Array(bytesAtStart + SLACK);
    this.view = new DataView(this.bytes.buffer);
  }

  /** In a buffer from here on, whose end counts as SLACK; what does not fit there goes to memory of its own. */
  static over(buffer: ArrayBufferLike, from: number): LineBuffer {
    const lines = new LineBuffer(0);
    lines.bytes = new Uint8Array(buffer, from);
    lines.view = new DataView(buffer, from);
    return lines;
  }

  /** Makes room for so many bytes behind `at`. */
  room(count: number): void {
    const needed = this.at + count + SLACK;
    if (needed > this.bytes.length) this.#grow(needed);
  }

  #grow(needed: number): void {
    const larger = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    larger.set(this.bytes.subarray(0, this.at));
    this.bytes = larger;
    this.view = new DataView(larger.buffer);
  }

  byte(value: number): void {
    this.room(1);
    this.bytes[this.at] = value;
    this.at += 1;
  }

  piece({ doubles, length }: LinePiece): void {
    this.room(length);
    const view = this.view;
    const at = this.at;
    for (let i = 0; i < doubles.length; i++) view.setFloat64(at + 8 * i, doubles[i] as number, true);
    this.at = at + length;
  }

  /** What another one holds: text, as pieces are, so that no eight bytes of it are a double that is no number. */
  append(from: LineBuffer): void {
    const length = from.at;
    this.room(length);
    const view = this.view;
    const other = from.view;
    const at = this.at;
    for (let i = 0; i < length; i += 8) view.setFloat64(at + i, other.getFloat64(i, true), true);
    this.at = at + length;
  }

  /**
   * Up to COPIED_BYTES_MAX bytes of ASCII from another one, which has as many there, and a whole number below 10^8. What
   * is written behind those bytes first is ASCII, too, or zeros: no double that is no number.
   */
  copyAndDigits(from: LineBuffer, fromAt: number, length: number, value: number): void {
    this.room(COPIED_BYTES_MAX + DIGITS_MAX);
    const view = this.view;
    const other = from.view;
    const at = this.at;
    view.setFloat64(at, other.getFloat64(fromAt, true), true);
    view.setFloat64(at + 8, other.getFloat64(fromAt + 8, true), true);
    view.setFloat64(at + 16, other.getFloat64(fromAt + 16, true), true);
    this.at = at + length;
    this.#digits(value);
  }

  text(text: string): void {
    const { length } = text;
    this.room(3 * length);
    const bytes = this.bytes;
    let at = this.at;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 127) {
        this.at = at + encoder.encodeInto(text.slice(i), bytes.subarray(at)).written;
        return;
      }
      bytes[at] = code;
      at += 1;
    }
    this.at = at;
  }

  /** A text as a JSON string. */
  json(text: string): void {
    const { length } = text;
    this.room(length + 2);
    const bytes = this.bytes;
    let at = this.at;
    bytes[at] = QUOTE;
    at += 1;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code === QUOTE || code === BACKSLASH || code < 32 || code > 126) {
        this.text(JSON.stringify(text));
        return;
      }
      bytes[at] = code;
      at += 1;
    }
    bytes[at] = QUOTE;
    this.at = at + 1;
  }

  /** JSON text as the content of a JSON string. */
  quoted(json: string): void {
    const { length } = json;
    this.room(6 * length);
    const bytes = this.bytes;
    const begin = this.at;
    let at = begin;
    for (let i = 0; i < length; i++) {
      const code = json.charCodeAt(i);
      if (code > 127) {
        this.text(JSON.stringify(json).slice(1, -1));
        return;
      }
      if (code === QUOTE || code === BACKSLASH) {
        bytes[at] = BACKSLASH;
        at += 1;
      }
      bytes[at] = code;
      at += 1;
    }
    this.at = at;
  }

  /** Bytes of UTF-8 as they are, where a JSON string has them so; false, with nothing written, where one has not. */
  plain(from: DataView, fromAt: number, length: number): boolean {
    this.room(length);
    const view = this.view;
    const at = this.at;
    let i = 0;
    let marks = 0;
    for (; i + 4 <= length; i += 4) {
      const word = from.getInt32(fromAt + i, true);
      marks |= needsEscape(word);
      view.setInt32(at + i, word, true);
    }
    if (marks !== 0) return false;
    for (; i < length; i++) {
      const byte = from.getUint8(fromAt + i);
      if (byte < 32 || byte === QUOTE || byte === BACKSLASH) return false;
      view.setUint8(at + i, byte);
    }
    this.at = at + length;
    return true;
  }

  /** Bytes of UTF-8 as a JSON string. */
  string(from: DataView, at: number, length: number): void {
    this.byte(QUOTE);
    if (!this.plain(from, at, length)) this.#escaped(from, at, length);
    this.byte(QUOTE);
  }

  #escaped(from: DataView, fromAt: number, length: number): void {
    this.room(6 * length);
    const bytes = this.bytes;
    let at = this.at;
    for (let i = fromAt; i < fromAt + length; i++) {
      const byte = from.getUint8(i);
      if (byte === QUOTE || byte === BACKSLASH) {
        bytes[at] = BACKSLASH;
        bytes[at + 1] = byte;
        at += 2;
      } else if (byte >= 32) {
        bytes[at] = byte;
        at += 1;
      } else {
        bytes[at] = BACKSLASH;
        const short = SHORT[byte] as number;
        bytes[at + 1] = short;
        at += 2;
        if (short !== 117) continue;
        bytes[at] = 48;
        bytes[at + 1] = 48;
        bytes[at + 2] = HEX.charCodeAt(byte >> 4);
        bytes[at + 3] = HEX.charCodeAt(byte & 15);
        at += 4;
      }
    }
    this.at = at;
  }

  /** Any JSON value. */
  value(value: unknown): void {
    if (typeof value === 'number') this.number(value);
    else if (typeof value === 'string') this.json(value);
    else this.text(JSON.stringify(value ?? null));
  }

  /** As JSON has it: null for what is no finite number. */
  number(value: number): void {
    if (Number.isSafeInteger(value)) this.integer(value);
    else this.#fraction(value);
  }

  /** A safe integer. */
  integer(value: number): void {
    this.room(INTEGER_BYTES_MAX);
    let rest = value;
    if (rest < 0) {
      this.view.setUint8(this.at, 45);
      this.at += 1;
      rest = -rest;
    }
    if (rest < EIGHT_DIGITS) {
      this.#digits(rest | 0);
      return;
    }
    // Of 16 digits at the most: no more than eight are in front of the last eight.
    const high = Math.floor(rest / EIGHT_DIGITS);
    this.#digits(high | 0);
    this.#eight((rest - high * EIGHT_DIGITS) | 0);
  }

  /** Digits of a whole number below 10^8. */
  #digits(value: number): void {
    if (value < 10_000) {
      this.#upToFour(value);
      return;
    }
    const high = (value / 10_000) | 0;
    this.#upToFour(high);
    this.#four(value - high * 10_000);
  }

  #upToFour(value: number): void {
    if (value < 100) this.#upToTwo(value);
    else {
      const high = (value / 100) | 0;
      this.#upToTwo(high);
      this.view.setUint16(this.at, PAIRS[value - high * 100] as number, true);
      this.at += 2;
    }
  }

  #upToTwo(value: number): void {
    if (value < 10) {
      this.view.setUint8(this.at, 48 + value);
      this.at += 1;
    } else {
      this.view.setUint16(this.at, PAIRS[value] as number, true);
      this.at += 2;
    }
  }

  /** Four digits, zeros in front. */
  #four(value: number): void {
    const high = (value / 100) | 0;
    this.view.setUint16(this.at, PAIRS[high] as number, true);
    this.view.setUint16(this.at + 2, PAIRS[value - high * 100] as number, true);
    this.at += 4;
  }

  #eight(value: number): void {
    const high = (value / 10_000) | 0;
    this.#four(high);
    this.#four(value - high * 10_000);
  }

  /**
   * Of a fraction with few digits, a whole number of millionths, the digits are known without a search: division of
   * whole numbers rounds rightly, and of all decimals with up to 15 digits only one is this double.
   */
  #fraction(value: number): void {
    const size = Math.abs(value);
    const parts = Math.round(size * PARTS);
    const isFew = size < WHOLE_MAX && parts / PARTS === size;
    if (!isFew && !digits.find(size)) {
      this.text(Number.isFinite(value) ? `${value}` : 'null');
      return;
    }
    this.room(INTEGER_BYTES_MAX + LONG_DIGITS);
    if (value < 0) this.byte(MINUS);
    if (isFew) this.#millionths(parts);
    else this.#long();
  }

  #millionths(parts: number): void {
    const whole = Math.floor(parts / PARTS);
    this.integer(whole);
    let count = PARTS_DIGITS;
    let rest = (parts - whole * PARTS) | 0;
    for (let next = (rest / 10) | 0; next * 10 === rest && count > 1; next = (rest / 10) | 0) {
      rest = next;
      count -= 1;
    }
    const view = this.view;
    const point = this.at;
    view.setUint8(point, POINT);
    for (let i = point + count; i > point; i--) {
      const next = (rest / 10) | 0;
      view.setUint8(i, ZERO + rest - next * 10);
      rest = next;
    }
    this.at = point + count + 1;
  }

  /** The digits that were found: 16 for the fraction, then the whole part and the point over the zeros before them. */
  #long(): void {
    const begin = this.at;
    this.at = begin + 2;
    this.#eight(digits.high | 0);
    this.#eight(digits.low | 0);
    let end = this.at;
    this.at = begin;
    this.integer(digits.whole);
    this.view.setUint8(this.at, POINT);
    while (this.bytes[end - 1] === ZERO) end -= 1;
    this.at = end;
  }

  /** What was written, as bytes of its own; the buffer begins anew. */
  take(): Uint8Array {
    const taken = this.bytes.slice(0, this.at);
    this.at = 0;
    return taken;
  }
}
