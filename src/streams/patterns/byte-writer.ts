// HOT PATH
/**
 * Numbers and texts as bytes, written one after the other into a buffer that is used again, and read back.
 *
 * Role: what the codec of pattern state is written with. Counts take as few bytes as they need (7 bits each, lowest
 * first), doubles 8, a text its length in bytes and UTF-8.
 */

const encoder = new TextEncoder();
/** A first U+FEFF is a character like any other. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const BYTES_AT_START = 4096;

export class ByteWriter {
  #bytes = new Uint8Array(BYTES_AT_START);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;

  /** The bytes so far; valid until the next `reset`. */
  get written(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }

  reset(): void {
    this.#at = 0;
  }

  /** A whole number from 0 to 2^32 − 1. */
  count(value: number): void {
    this.#ensure(5);
    let rest = value >>> 0;
    while (rest > 127) {
      this.#bytes[this.#at++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    this.#bytes[this.#at++] = rest;
  }

  double(value: number): void {
    this.#ensure(8);
    this.#view.setFloat64(this.#at, value, true);
    this.#at += 8;
  }

  text(value: string): void {
    const length = value.length;
    if (length === 0) {
      this.count(0);
      return;
    }
    const encoded = encoder.encode(value);
    this.count(encoded.length);
    this.#ensure(encoded.length);
    this.#bytes.set(encoded, this.#at);
    this.#at += encoded.length;
  }

  #ensure(more: number): void {
    if (this.#at + more <= this.#bytes.length) return;
    let length = this.#bytes.length;
    while (length < this.#at + more) length *= 2;
    const grown = new Uint8Array(length);
    grown.set(this.#bytes);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/** Reads what a `ByteWriter` wrote, from shared memory, too. Used again for the next bytes. */
export class ByteReader {
  #bytes: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(this.#bytes.buffer);
  /** From the start of the buffer. */
  #at = 0;

  open(bytes: Uint8Array): void {
    this.#at = bytes.byteOffset;
    if (bytes.buffer === this.#view.buffer) return;
    this.#bytes = new Uint8Array(bytes.buffer);
    this.#view = new DataView(bytes.buffer);
  }

  count(): number {
    let value = 0;
    let shift = 0;
    for (;;) {
      const byte = this.#bytes[this.#at++] as number;
      value |= (byte & 127) << shift;
      if (byte < 128) return value >>> 0;
      shift += 7;
    }
  }

  double(): number {
    const value = this.#view.getFloat64(this.#at, true);
    this.#at += 8;
    return value;
  }

  text(): string {
    const length = this.count();
    if (length === 0) return '';
    // Decoders refuse shared memory.
    const text = decoder.decode(this.#bytes.slice(this.#at, this.#at + length));
    this.#at += length;
    return text;
  }
}
