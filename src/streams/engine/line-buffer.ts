// HOT PATH
/**
 * Bytes of lines that are being written: a buffer that grows, and ways to put numbers and texts into it.
 *
 * Role: what `result-line.ts` writes to. Texts are written character by character while they are ASCII, which for the
 * short pieces of a line is several times cheaper than joining strings and encoding them.
 * Invariant: `bytes[0, at)` is what was written; views of `bytes` are only good until the next write.
 */
const encoder = new TextEncoder();

const BYTES_AT_START = 4096;
/** Of `integer`: sign and 16 digits. */
const INTEGER_BYTES_MAX = 17;
const HALF = 1e9;
/** The call of a built-in copy costs as much as this many bytes one by one. */
const COPIED_BY_HAND_MAX = 48;

export class LineBuffer {
  bytes = new Uint8Array(BYTES_AT_START);
  at = 0;

  /** Makes room for so many bytes behind `at`. */
  room(count: number): void {
    const needed = this.at + count;
    if (needed <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    larger.set(this.bytes.subarray(0, this.at));
    this.bytes = larger;
  }

  byte(value: number): void {
    this.room(1);
    this.bytes[this.at] = value;
    this.at += 1;
  }

  copy(from: Uint8Array): void {
    const { length } = from;
    this.room(length);
    const bytes = this.bytes;
    const at = this.at;
    if (length > COPIED_BY_HAND_MAX) bytes.set(from, at);
    else for (let i = 0; i < length; i++) bytes[at + i] = from[i] as number;
    this.at = at + length;
  }

  /** What another one holds. */
  append(from: LineBuffer): void {
    const length = from.at;
    this.room(length);
    this.bytes.set(from.bytes.subarray(0, length), this.at);
    this.at += length;
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
    bytes[at] = 34;
    at += 1;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code === 34 || code === 92 || code < 32 || code > 126) {
        this.text(JSON.stringify(text));
        return;
      }
      bytes[at] = code;
      at += 1;
    }
    bytes[at] = 34;
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
      if (code === 34 || code === 92) {
        bytes[at] = 92;
        at += 1;
      }
      bytes[at] = code;
      at += 1;
    }
    this.at = at;
  }

  /** As JSON has it: null for what is no finite number. */
  number(value: number): void {
    if (Number.isSafeInteger(value)) this.integer(value);
    else this.text(Number.isFinite(value) ? `${value}` : 'null');
  }

  /** A safe integer. */
  integer(value: number): void {
    this.room(INTEGER_BYTES_MAX);
    let rest = value;
    if (rest < 0) {
      this.bytes[this.at] = 45;
      this.at += 1;
      rest = -rest;
    }
    if (rest < HALF) {
      this.#digits(rest, 0);
      return;
    }
    const high = Math.floor(rest / HALF);
    this.#digits(high, 0);
    this.#digits(rest - high * HALF, 9);
  }

  /** Digits of a number below 2^31, at least so many. */
  #digits(value: number, least: number): void {
    const bytes = this.bytes;
    let count = 1;
    for (let bound = 10; bound <= value && count < 10; bound *= 10) count += 1;
    if (count < least) count = least;
    let rest = value | 0;
    for (let i = this.at + count - 1; i >= this.at; i--) {
      const next = (rest / 10) | 0;
      bytes[i] = 48 + (rest - next * 10);
      rest = next;
    }
    this.at += count;
  }

  /** What was written since `begin()`, as bytes of its own; the buffer begins anew. */
  take(): Uint8Array {
    const taken = this.bytes.slice(0, this.at);
    this.at = 0;
    return taken;
  }
}
