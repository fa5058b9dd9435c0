// HOT PATH
/**
 * Copies of bytes into shared memory.
 *
 * V8 copies shared memory eight bytes at a time where both sides begin at the same place of a word, and one byte at a time
 * everywhere else, which takes eight times as long (`bench/FINDINGS.md`). Bytes that stand elsewhere in a word are moved in
 * memory that is not shared.
 */

const PIECE_BYTES = 16_384;
/** Moving fewer costs more than it saves. */
const MOVED_BYTES_MIN = 512;
const scratch = new Uint8Array(PIECE_BYTES + 8);

/** As `to.set(from, at)`. */
export function copyToShared(from: Uint8Array, to: Uint8Array, at: number): void {
  const place = (to.byteOffset + at) & 7;
  const before = from.byteOffset & 7;
  const { length } = from;
  if (before === place || length < MOVED_BYTES_MIN) {
    to.set(from, at);
    return;
  }
  for (let done = 0; done < length; done += PIECE_BYTES) {
    const bytes = Math.min(PIECE_BYTES, length - done);
    scratch.set(from.subarray(done, done + bytes), before);
    scratch.copyWithin(place, before, before + bytes);
    to.set(scratch.subarray(place, place + bytes), at + done);
  }
}
