/**
 * Values with a checksum: LMDB has none of its own, so what a disk or a stray write changed would be taken as it is.
 *
 * Layout, little-endian; `seal` writes the first eight bytes over room the caller left for them:
 *
 *   0          4          8
 *   │ tag      │ crc-32   │ payload …
 *
 * The tag holds the layout's version. The checksum starts from a seed made of the key, so that a value found under
 * another key is as wrong as one with a flipped bit. CRC-32 finds every change of up to 32 neighbouring bits and every
 * truncation but one in 2³².
 */
import { crc32 } from 'node:zlib';

/** Room at the start of a value. */
export const SEAL_BYTES = 8;

/** "MLR" and the version. */
const TAG = 0x4d4c5201;

/** A seed for keys that are texts or lists. */
export const seedOf = (key: string): number => crc32(key);

/** Seals a value whose payload begins at `SEAL_BYTES`. */
export function seal(value: Buffer, seed: number): void {
  value.writeUInt32LE(TAG, 0);
  value.writeUInt32LE(crc32(value.subarray(SEAL_BYTES), seed), 4);
}

/** A sealed copy of a payload. */
export function sealed(payload: Uint8Array, seed: number): Buffer {
  const value = Buffer.allocUnsafe(SEAL_BYTES + payload.byteLength);
  value.set(payload, SEAL_BYTES);
  seal(value, seed);
  return value;
}

/** The payload (a view), or a text that says what is wrong. */
export function unsealed(value: Buffer | undefined, seed: number): Buffer | string {
  if (value === undefined) return 'missing';
  if (value.byteLength < SEAL_BYTES) return `only ${value.byteLength} bytes`;
  const tag = value.readUInt32LE(0);
  if (tag !== TAG) return `tag ${tag.toString(16)} instead of ${TAG.toString(16)}`;
  const payload = value.subarray(SEAL_BYTES);
  const found = crc32(payload, seed);
  const expected = value.readUInt32LE(4);
  return found === expected ? payload : `checksum ${found.toString(16)} instead of ${expected.toString(16)}`;
}
