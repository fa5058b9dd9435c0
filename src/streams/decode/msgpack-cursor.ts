// HOT PATH
/**
 * Reads MessagePack values from bytes in place.
 *
 * Role: what JSON's cursor is to JSON: heads of maps and arrays, numbers, ranges of texts, and passing over anything.
 * Invariants: nothing is read past `end` and taken for a value: each reader says no (−1, NaN, false) instead, also when a
 * length is larger than what is left. `skip` needs no recursion and no more memory than `DEPTH_MAX` counters.
 */
import { DEPTH_MAX } from './json-cursor.ts';

const TIMESTAMP = 0xff;
const NANOSECONDS_MAX = 999_999_999;
const TWO_32 = 4_294_967_296;

export class MsgpackCursor {
  bytes: Uint8Array;
  view: DataView;
  at = 0;
  readonly end: number;
  /** The last text or binary value. */
  from = 0;
  to = 0;
  /** `skip` failed because of this. */
  tooDeep = false;
  readonly #left = new Float64Array(DEPTH_MAX + 1);

  constructor(bytes: Uint8Array, end: number) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.end = end;
  }

  use(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Unsigned big-endian of `size` bytes at `at`; NaN past the end. */
  #unsigned(at: number, size: number): number {
    if (at + size > this.end) return Number.NaN;
    if (size === 1) return this.view.getUint8(at);
    if (size === 2) return this.view.getUint16(at);
    const high = this.view.getUint32(at);
    return size === 4 ? high : high * TWO_32 + this.view.getUint32(at + 4);
  }

  /** Passes a head whose length field has `size` bytes. */
  #length(size: number): number {
    const length = this.#unsigned(this.at + 1, size);
    if (Number.isNaN(length)) return -1;
    this.at += 1 + size;
    return length;
  }

  /** Passes the head of a map; its members, or −1. */
  mapHead(): number {
    if (this.at >= this.end) return -1;
    const head = this.bytes[this.at] as number;
    if ((head & 0xf0) === 0x80) {
      this.at += 1;
      return head & 15;
    }
    return head === 0xde || head === 0xdf ? this.#length(head === 0xde ? 2 : 4) : -1;
  }

  /** Passes the head of an array; its elements, or −1. */
  arrayHead(): number {
    if (this.at >= this.end) return -1;
    const head = this.bytes[this.at] as number;
    if ((head & 0xf0) === 0x90) {
      this.at += 1;
      return head & 15;
    }
    return head === 0xdc || head === 0xdd ? this.#length(head === 0xdc ? 2 : 4) : -1;
  }

  /** Passes a text; its range is in `from`, `to`. Whether it is UTF-8 is not looked at. */
  text(): boolean {
    if (this.at >= this.end) return false;
    const head = this.bytes[this.at] as number;
    if ((head & 0xe0) === 0xa0) {
      this.at += 1;
      return this.#range(head & 31);
    }
    if (head < 0xd9 || head > 0xdb) return false;
    return this.#range(this.#length(1 << (head - 0xd9)));
  }

  /** Passes a binary value. */
  binary(): boolean {
    if (this.at >= this.end) return false;
    const head = this.bytes[this.at] as number;
    return head >= 0xc4 && head <= 0xc6 && this.#range(this.#length(1 << (head - 0xc4)));
  }

  #range(length: number): boolean {
    if (length < 0 || this.at + length > this.end) return false;
    this.from = this.at;
    this.at += length;
    this.to = this.at;
    return true;
  }

  /** Passes a number; NaN when it is none, or NaN. Integers of 64 bits become the nearest double. */
  number(): number {
    const at = this.at;
    if (at >= this.end) return Number.NaN;
    const head = this.bytes[at] as number;
    if (head < 0x80 || head >= 0xe0) {
      this.at = at + 1;
      return head < 0x80 ? head : head - 256;
    }
    if (head < 0xca || head > 0xd3) return Number.NaN;
    const size = head === 0xca ? 4 : head === 0xcb ? 8 : 1 << ((head - 0xcc) & 3);
    if (at + 1 + size > this.end) return Number.NaN;
    this.at = at + 1 + size;
    const view = this.view;
    if (head === 0xca) return view.getFloat32(at + 1);
    if (head === 0xcb) return view.getFloat64(at + 1);
    if (head < 0xd0) return this.#unsigned(at + 1, size);
    if (size === 1) return view.getInt8(at + 1);
    if (size === 2) return view.getInt16(at + 1);
    const high = view.getInt32(at + 1);
    return size === 4 ? high : high * TWO_32 + view.getUint32(at + 5);
  }

  /** Passes a timestamp; its milliseconds, or NaN. */
  time(): number {
    const at = this.at;
    const head = this.bytes[at] as number;
    const view = this.view;
    let seconds = 0;
    let nanoseconds = 0;
    if (head === 0xd6 && at + 6 <= this.end && this.bytes[at + 1] === TIMESTAMP) {
      seconds = view.getUint32(at + 2);
      this.at = at + 6;
    } else if (head === 0xd7 && at + 10 <= this.end && this.bytes[at + 1] === TIMESTAMP) {
      const high = view.getUint32(at + 2);
      nanoseconds = high >>> 2;
      seconds = (high & 3) * TWO_32 + view.getUint32(at + 6);
      this.at = at + 10;
    } else if (head === 0xc7 && at + 15 <= this.end && view.getUint16(at + 1) === ((12 << 8) | TIMESTAMP)) {
      nanoseconds = view.getUint32(at + 3);
      seconds = view.getInt32(at + 7) * TWO_32 + view.getUint32(at + 11);
      this.at = at + 15;
    } else return Number.NaN;
    return nanoseconds > NANOSECONDS_MAX ? Number.NaN : seconds * 1000 + Math.floor(nanoseconds / 1e6);
  }

  /** Passes one value of any kind. On failure `at` is where it went wrong. */
  skip(): boolean {
    const left = this.#left;
    let depth = 0;
    this.tooDeep = false;
    left[0] = 1;
    for (;;) {
      while (left[depth] === 0) {
        if (depth === 0) return true;
        depth -= 1;
      }
      left[depth] = (left[depth] as number) - 1;
      const at = this.at;
      const members = this.mapHead();
      const inside = members >= 0 ? members * 2 : this.arrayHead();
      if (inside >= 0) {
        if (depth === DEPTH_MAX) {
          this.tooDeep = true;
          this.at = at;
          return false;
        }
        depth += 1;
        left[depth] = inside;
      } else if (!this.#scalar()) return false;
    }
  }

  #scalar(): boolean {
    const at = this.at;
    if (at >= this.end) return false;
    const head = this.bytes[at] as number;
    if (head === 0xc0 || head === 0xc2 || head === 0xc3) {
      this.at = at + 1;
      return true;
    }
    if (head < 0x80 || head >= 0xe0 || (head >= 0xca && head <= 0xd3)) {
      this.number();
      return this.at > at;
    }
    if (head >= 0xc7 && head <= 0xc9) {
      const length = this.#length(1 << (head - 0xc7));
      return length >= 0 && this.#range(length + 1);
    }
    if (head >= 0xd4 && head <= 0xd8) {
      this.at = at + 1;
      return this.#range(1 + (1 << (head - 0xd4)));
    }
    return this.text() || this.binary();
  }
}
