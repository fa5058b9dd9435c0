// HOT PATH
/**
 * What is valid UTF-8, byte by byte, over shared memory, where `TextDecoder` may not be used.
 *
 * Role: texts of events stay bytes from the socket to the key table; this is the one place that says which bytes are
 * text. Overlong forms, surrogates and code points past U+10FFFF are no UTF-8 (RFC 3629).
 * Invariant: `sequenceBytes` is 0 or the length of one well-formed sequence. It may read up to 3 bytes past the end of
 * a text that is cut short: past the end of the array nothing matches.
 */

/** Length of the sequence that begins at `at` with a byte above 127; 0 when it is not well formed. */
export function sequenceBytes(bytes: Uint8Array, at: number): number {
  const first = bytes[at] as number;
  const second = bytes[at + 1] as number;
  if (first < 0xc2 || (second & 0xc0) !== 0x80) return 0;
  if (first < 0xe0) return 2;
  if (((bytes[at + 2] as number) & 0xc0) !== 0x80) return 0;
  if (first < 0xf0) {
    if (first === 0xe0) return second < 0xa0 ? 0 : 3;
    return first === 0xed && second > 0x9f ? 0 : 3;
  }
  if (first > 0xf4 || ((bytes[at + 3] as number) & 0xc0) !== 0x80) return 0;
  if (first === 0xf0) return second < 0x90 ? 0 : 4;
  return first === 0xf4 && second > 0x8f ? 0 : 4;
}

export const MARK_BYTES = 3;

/** Whether a byte order mark stands at `at`. In front of JSON it is no part of it, and may be passed over (RFC 8259, 8.1). */
export function isMark(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 0xef && bytes[at + 1] === 0xbb && bytes[at + 2] === 0xbf;
}

/** Whether [from, to) is UTF-8 from its first sequence to its last. */
export function isUtf8(bytes: Uint8Array, from: number, to: number): boolean {
  let at = from;
  while (at < to) {
    if ((bytes[at] as number) < 128) {
      at += 1;
      continue;
    }
    const length = sequenceBytes(bytes, at);
    if (length === 0) return false;
    at += length;
  }
  return at === to;
}
