// HOT PATH
/**
 * Turns short runs of ASCII bytes into strings without making a new string each time.
 *
 * Role: method and tool names repeat on every request. A table of the last ones seen, found by a hash of the bytes,
 * hands back the same string, whose own hash the engine has already computed for the look-ups that follow.
 * Bounded: `SLOTS` strings of at most `LENGTH_MAX` characters; a newcomer replaces whoever sits in its slot, so hostile
 * names cost the others a miss and nothing else.
 */
import { Buffer } from 'node:buffer';

/** One-character strings by byte. */
const SINGLES: readonly string[] = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte));

const SLOTS = 512;
const LENGTH_MAX = 128;

export class StringTable {
  readonly #slots: string[] = new Array<string>(SLOTS).fill('');

  /** The string of `bytes[start, end)`, which must be ASCII. */
  read(bytes: Uint8Array, start: number, end: number): string {
    const length = end - start;
    if (length === 0) return '';
    if (length > LENGTH_MAX) return asciiText(bytes, start, end);
    let hash = length;
    for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + (bytes[i] as number)) | 0;
    const slot = (hash ^ (hash >>> 9)) & (SLOTS - 1);
    const known = this.#slots[slot] as string;
    if (known.length === length && isTextOf(known, bytes, start)) return known;
    const text = asciiText(bytes, start, end);
    this.#slots[slot] = text;
    return text;
  }
}

function isTextOf(text: string, bytes: Uint8Array, start: number): boolean {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) !== bytes[start + i]) return false;
  }
  return true;
}

/** Runs up to this long are put together here: cheaper than the call into the engine's decoder. */
const SHORT = 12;

/** A fresh string of ASCII bytes. */
export function asciiText(bytes: Uint8Array, start: number, end: number): string {
  if (end - start <= SHORT) {
    let text = '';
    for (let i = start; i < end; i++) text += SINGLES[bytes[i] as number];
    return text;
  }
  if (Buffer.isBuffer(bytes)) return bytes.toString('latin1', start, end);
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
}
