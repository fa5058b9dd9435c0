// HOT PATH
/**
 * Reads JSON values from bytes in place, one at a time, and is as strict as `JSON.parse`.
 *
 * Role: the one reader of JSON in the decoder; who uses it decides what the values mean. It makes no strings: a text is
 * a range of the bytes. `lf` is what a line feed is: white space, or (in lines) the end that no value may cross.
 * Invariants: what `skip` takes is exactly what `JSON.parse` takes of the same bytes, for well-formed UTF-8 and at most
 * `DEPTH_MAX` levels; `number` gives the very double that `JSON.parse` gives. The bytes are followed by at least
 * `PADDING_BYTES` that are there to be read, the first of them zero: no value goes on over a zero, so that nothing needs
 * to look for the end.
 */
import { longDecimal } from './long-decimal.ts';
import { sequenceBytes } from './utf8.ts';

export const DEPTH_MAX = 64;
export const PADDING_BYTES = 16;

/** 10^0 … 10^22: the powers of ten that are doubles. */
export const POWERS_OF_TEN = Float64Array.from({ length: 23 }, (_, i) => Number(`1e${i}`));

const MANTISSA_MAX = 9_007_199_254_740_991;
const OBJECT = 1;
const ARRAY = 0;

const isHex = (byte: number): boolean => (byte >= 48 && byte <= 57) || ((byte | 32) >= 97 && (byte | 32) <= 102);

/**
 * First place from `at` on with a quote, backslash, control character, or byte above 127: four bytes at a time. With
 * its second bit flipped, a quote is below 33 as control characters are, and nothing else is. A borrow may mark bytes
 * above wrongly, but never the lowest marked one, and only that is used.
 */
function plainEnd(view: DataView, at: number): number {
  let next = at;
  for (;;) {
    const word = view.getInt32(next, true);
    const marks = (((word ^ 0x02020202) - 0x21212121) | ((word ^ 0x5c5c5c5c) - 0x01010101) | word) & 0x80808080;
    if (marks !== 0) return next + ((31 - Math.clz32(marks & -marks)) >> 3);
    next += 4;
  }
}

/** Place of the closing quote of a text without escapes, from anywhere in it; −1 when there is none. */
export function plainStringEnd(bytes: Uint8Array, view: DataView, at: number): number {
  let next = plainEnd(view, at);
  for (;;) {
    const byte = bytes[next] as number;
    if (byte === 34) return next;
    if (byte < 128) return -1;
    const length = sequenceBytes(bytes, next);
    if (length === 0) return -1;
    next = plainEnd(view, next + length);
  }
}

export class JsonCursor {
  bytes: Uint8Array;
  view: DataView;
  at = 0;
  /** White space besides space, tab and carriage return: 10, or 32 for none. */
  lf: 10 | 32;
  /** The last string: its content, and whether that has escapes. */
  from = 0;
  to = 0;
  escaped = false;
  /** `skip` failed because of this, not because of a wrong byte. */
  tooDeep = false;
  readonly #kinds = new Uint8Array(DEPTH_MAX + 1);

  constructor(bytes: Uint8Array, lf: 10 | 32) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.lf = lf;
  }

  use(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Passes white space; the byte after it. */
  space(): number {
    const bytes = this.bytes;
    let byte = bytes[this.at] as number;
    while (byte === 32 || byte === this.lf || byte === 13 || byte === 9) {
      this.at += 1;
      byte = bytes[this.at] as number;
    }
    return byte;
  }

  /** A string whose opening quote is at `at`. Leaves its content in `from`, `to`, `escaped`. */
  string(): boolean {
    const bytes = this.bytes;
    const view = this.view;
    let next = plainEnd(view, this.at + 1);
    this.from = this.at + 1;
    this.escaped = false;
    for (;;) {
      const byte = bytes[next] as number;
      if (byte === 34) break;
      let length = 0;
      if (byte === 92) {
        length = this.#escapeBytes(next);
        this.escaped = true;
      } else if (byte > 127) length = sequenceBytes(bytes, next);
      if (length === 0) {
        this.at = next;
        return false;
      }
      next = plainEnd(view, next + length);
    }
    this.to = next;
    this.at = next + 1;
    return true;
  }

  #escapeBytes(at: number): number {
    const bytes = this.bytes;
    switch (bytes[at + 1]) {
      case 34:
      case 47:
      case 92:
      case 98:
      case 102:
      case 110:
      case 114:
      case 116:
        return 2;
      case 117:
        for (let i = at + 2; i < at + 6; i++) if (!isHex(bytes[i] as number)) return 0;
        return 6;
      default:
        return 0;
    }
  }

  /** The number at `at`; NaN when there is none. May be infinite, as `JSON.parse('1e999')` is. */
  number(): number {
    const bytes = this.bytes;
    const start = this.at;
    const negative = bytes[start] === 45;
    const first = negative ? start + 1 : start;
    let mantissa = 0;
    let next = first;
    let digit = (bytes[next] as number) - 48;
    while (digit >= 0 && digit <= 9) {
      mantissa = mantissa * 10 + digit;
      next += 1;
      digit = (bytes[next] as number) - 48;
    }
    let digits = next - first;
    if (digits === 0 || (digits > 1 && bytes[first] === 48)) return this.#noNumber(next);
    let exponent = 0;
    if (bytes[next] === 46) {
      const point = next;
      next += 1;
      digit = (bytes[next] as number) - 48;
      while (digit >= 0 && digit <= 9) {
        mantissa = mantissa * 10 + digit;
        next += 1;
        digit = (bytes[next] as number) - 48;
      }
      exponent = point + 1 - next;
      if (exponent === 0) return this.#noNumber(next);
      digits -= exponent;
    }
    this.at = next;
    if (((bytes[next] as number) | 32) === 101) {
      const written = this.#exponent();
      if (Number.isNaN(written)) return Number.NaN;
      exponent += written;
    }
    // Both operands are exact doubles, so that the one rounding is the right one (Clinger 1990).
    if (digits <= 16 && mantissa <= MANTISSA_MAX && exponent >= -22 && exponent <= 22) {
      const power = POWERS_OF_TEN[exponent < 0 ? -exponent : exponent] as number;
      const value = exponent < 0 ? mantissa / power : mantissa * power;
      return negative ? -value : value;
    }
    if (this.at === next) {
      const value = longDecimal(bytes, first, next);
      if (!Number.isNaN(value)) return negative ? -value : value;
    }
    return Number(latin1(bytes, start, this.at));
  }

  #noNumber(at: number): number {
    this.at = at;
    return Number.NaN;
  }

  #exponent(): number {
    const bytes = this.bytes;
    let next = this.at + 1;
    const sign = bytes[next];
    if (sign === 43 || sign === 45) next += 1;
    const first = next;
    let value = 0;
    let digit = (bytes[next] as number) - 48;
    while (digit >= 0 && digit <= 9) {
      // Far past all doubles; not so far that it is no integer any more.
      if (value < 100_000_000) value = value * 10 + digit;
      next += 1;
      digit = (bytes[next] as number) - 48;
    }
    this.at = next;
    if (next === first) return Number.NaN;
    return sign === 45 ? -value : value;
  }

  /** Passes `true`, `false` or `null`; the first letter, or 0. */
  word(): number {
    const at = this.at;
    const view = this.view;
    const word = view.getInt32(at, true);
    if (word === 0x65757274 || word === 0x6c6c756e) {
      this.at = at + 4;
      return word === 0x65757274 ? 116 : 110;
    }
    if (word === 0x736c6166 && this.bytes[at + 4] === 101) {
      this.at = at + 5;
      return 102;
    }
    return 0;
  }

  #scalar(first: number): boolean {
    if (first === 34) return this.string();
    if (first === 45 || (first >= 48 && first <= 57)) {
      const value = this.number();
      return !Number.isNaN(value);
    }
    return this.word() !== 0;
  }

  /** Passes one value of any kind at `at`, at most `depthMax` levels deep. On failure `at` is where it went wrong. */
  skip(depthMax: number = DEPTH_MAX): boolean {
    const bytes = this.bytes;
    const kinds = this.#kinds;
    let depth = 0;
    let byte = bytes[this.at] as number;
    this.tooDeep = false;
    for (;;) {
      // A value begins here.
      if (byte === 123 || byte === 91) {
        if (depth === depthMax) {
          this.tooDeep = true;
          return false;
        }
        depth += 1;
        kinds[depth] = byte === 123 ? OBJECT : ARRAY;
        this.at += 1;
        byte = this.space();
        if (byte !== (kinds[depth] === OBJECT ? 125 : 93)) {
          if (kinds[depth] === OBJECT && !this.#memberName()) return false;
          byte = bytes[this.at] as number;
          continue;
        }
        this.at += 1;
        depth -= 1;
      } else if (!this.#scalar(byte)) return false;
      // A value has ended here.
      while (depth > 0) {
        byte = this.space();
        if (byte === 44) break;
        if (byte !== (kinds[depth] === OBJECT ? 125 : 93)) return false;
        this.at += 1;
        depth -= 1;
      }
      if (depth === 0) return true;
      this.at += 1;
      byte = this.space();
      if (kinds[depth] === OBJECT && !this.#memberName()) return false;
      byte = bytes[this.at] as number;
    }
  }

  /** A member's name, its colon, and the space after it. */
  #memberName(): boolean {
    if (this.bytes[this.at] !== 34 || !this.string() || this.space() !== 58) return false;
    this.at += 1;
    this.space();
    return true;
  }

  /** From a place within `depth` open brackets past all of them, looking at nothing but brackets and strings. */
  leave(depth: number): boolean {
    const bytes = this.bytes;
    let open = depth;
    while (open > 0) {
      const byte = bytes[this.at] as number;
      if (byte === 0 || byte === undefined) return false;
      if (byte === 34) {
        if (!this.string()) return false;
        continue;
      }
      if (byte === 123 || byte === 91) open += 1;
      else if (byte === 125 || byte === 93) open -= 1;
      this.at += 1;
    }
    return true;
  }
}

function latin1(bytes: Uint8Array, from: number, to: number): string {
  let text = '';
  for (let i = from; i < to; i++) text += String.fromCharCode(bytes[i] as number);
  return text;
}
