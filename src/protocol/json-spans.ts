// HOT PATH
/**
 * Finds where JSON values begin and end in raw bytes, without decoding them.
 *
 * Role: the steps of the envelope scanner. Every function takes a position and returns one, or -1 when what stands
 * there is not for it. None looks at a byte twice more than a constant number of times, none throws, none recurses.
 * They find the ends of valid values; of invalid text they say something, and the parse that follows refuses it.
 */
import { JSON_DEPTH_MAX } from './json.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN = 0x7b;
const CLOSE = 0x7d;

/** Bytes of a string looked at one by one before the engine's own search is asked for its end. */
const NEAR_BYTES = 48;

/** The first position at or behind `at` that is not white space. */
export function nextToken(bytes: Uint8Array, at: number): number {
  let i = at;
  for (; i < bytes.length; i++) {
    const byte = bytes[i];
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break;
  }
  return i;
}

/** Whether `text` stands at `at`. */
export function atText(bytes: Uint8Array, at: number, text: Uint8Array): boolean {
  for (let i = 0; i < text.length; i++) {
    if (bytes[at + i] !== text[i]) return false;
  }
  return true;
}

/** Behind a string of plain ASCII: no escapes, nothing to decode. -1 for any other string or value. */
export function plainStringEnd(bytes: Uint8Array, at: number): number {
  if (bytes[at] !== QUOTE) return -1;
  for (let i = at + 1; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    if (byte === QUOTE) return i + 1;
    if (byte === BACKSLASH || byte < 0x20 || byte >= 0x80) return -1;
  }
  return -1;
}

/** Behind any string. */
function stringEnd(bytes: Uint8Array, at: number): number {
  let i = at + 1;
  for (;;) {
    const near = Math.min(i + NEAR_BYTES, bytes.length);
    while (i < near) {
      const byte = bytes[i];
      if (byte === QUOTE) return i + 1;
      i += byte === BACKSLASH ? 2 : 1;
    }
    if (i >= bytes.length) return -1;
    const quote = bytes.indexOf(QUOTE, i);
    if (quote < 0) return -1;
    // A quote behind an odd number of backslashes belongs to the string. A run is counted once: it ends at its quote.
    let before = quote - 1;
    while (before >= i && bytes[before] === BACKSLASH) before--;
    if (((quote - before) & 1) === 1) return quote + 1;
    i = quote + 1;
  }
}

/** Behind any value. Brackets are counted, not matched by kind. */
export function valueEnd(bytes: Uint8Array, at: number): number {
  const first = bytes[at];
  if (first === undefined) return -1;
  if (first === QUOTE) return stringEnd(bytes, at);
  if ((first | 0x20) !== OPEN) return scalarEnd(bytes, at);
  let depth = 1;
  let i = at + 1;
  while (i < bytes.length) {
    const byte = bytes[i] as number;
    if (byte === QUOTE) {
      i = stringEnd(bytes, i);
      if (i < 0) return -1;
      continue;
    }
    i += 1;
    // `[` and `{`, like `]` and `}`, differ in this one bit.
    const bracket = byte | 0x20;
    if (bracket === OPEN) {
      depth += 1;
      if (depth > JSON_DEPTH_MAX) return -1;
    } else if (bracket === CLOSE) {
      depth -= 1;
      if (depth === 0) return i;
    }
  }
  return -1;
}

/** Behind a number or a literal: up to what can follow one. */
function scalarEnd(bytes: Uint8Array, at: number): number {
  let i = at;
  for (; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    if (byte <= 0x20 || byte === 0x2c || (byte | 0x20) === CLOSE) break;
  }
  return i === at ? -1 : i;
}
