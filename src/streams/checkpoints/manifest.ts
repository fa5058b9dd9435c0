/**
 * What a stored checkpoint consists of: contents cut into pieces, and the manifest that names and checks them all.
 *
 * A content (a shard's buffer, or a text) is cut every `PIECE_BYTES`; a piece is stored without the zeros at its end,
 * which is most of a buffer that has room to grow, and not at all when nothing is left. The manifest holds each piece's
 * stored length and checksum, so a piece that is missing, cut, altered or another checkpoint's is recognised, and zeros
 * come back in full length. The manifest is a sealed value itself.
 *
 *   manifest = [version, seq, [[name, byteLength, [[storedBytes, crc-32], …]], …]]      (MessagePack)
 */
import { crc32 } from 'node:zlib';
import { Packr } from 'msgpackr';
import { SEAL_BYTES, seal, seedOf, unsealed } from '../lmdb/sealed-value.ts';

export const PIECE_BYTES = 2 ** 20;
const VERSION = 2;

export interface Piece {
  readonly storedBytes: number;
  readonly checksum: number;
}

export interface Content {
  readonly name: string;
  readonly byteLength: number;
  readonly pieces: readonly Piece[];
}

export interface Manifest {
  readonly seq: number;
  readonly contents: readonly Content[];
}

type PackedContent = [name: string, byteLength: number, pieces: [storedBytes: number, checksum: number][]];

const packr = new Packr({ useRecords: false });
const seedOfId = (id: number): number => seedOf(`checkpoint ${id}`);

/** The piece that begins at `at`, copied and trimmed: what is checked is what is stored, whoever writes meanwhile. */
export function cutPiece(bytes: Uint8Array, at: number): Buffer {
  const view = bytes.subarray(at, Math.min(bytes.byteLength, at + PIECE_BYTES));
  const piece = Buffer.allocUnsafe(view.byteLength);
  piece.set(view);
  return piece.subarray(0, trimmedBytes(piece));
}

export const pieceOf = (stored: Uint8Array): Piece => ({ storedBytes: stored.byteLength, checksum: crc32(stored) });

/** What is wrong with a stored piece; null when it is what was written. */
export function pieceProblem(stored: Uint8Array | undefined, piece: Piece): string | null {
  const byteLength = stored?.byteLength ?? 0;
  if (byteLength !== piece.storedBytes) return `${byteLength} bytes instead of ${piece.storedBytes}`;
  return stored === undefined || crc32(stored) === piece.checksum ? null : 'checksum does not match';
}

export function encodeManifest(id: number, manifest: Manifest): Buffer {
  const contents = manifest.contents.map(({ name, byteLength, pieces }): PackedContent => {
    return [name, byteLength, pieces.map(({ storedBytes, checksum }) => [storedBytes, checksum])];
  });
  const packed = packr.pack([VERSION, manifest.seq, contents]);
  const value = Buffer.allocUnsafe(SEAL_BYTES + packed.byteLength);
  value.set(packed, SEAL_BYTES);
  seal(value, seedOfId(id));
  return value;
}

/** The manifest, or a text that says what is wrong. */
export function decodeManifest(id: number, value: Buffer | undefined): Manifest | string {
  const packed = unsealed(value, seedOfId(id));
  if (typeof packed === 'string') return `manifest: ${packed}`;
  const [version, seq, contents] = packr.unpack(packed) as [number, number, PackedContent[]];
  if (version !== VERSION) return `manifest: version ${version}`;
  return {
    seq,
    contents: contents.map(([name, byteLength, pieces]) => ({
      name,
      byteLength,
      pieces: pieces.map(([storedBytes, checksum]) => ({ storedBytes, checksum })),
    })),
  };
}

/** Length without the zeros at the end; word by word where the buffer allows it. */
export function trimmedBytes(piece: Uint8Array): number {
  let end = piece.byteLength;
  while (end % 8 !== 0 && piece[end - 1] === 0) end--;
  if (end % 8 !== 0 || piece.byteOffset % 8 !== 0) return trimmedSlowly(piece, end);
  const words = new Float64Array(piece.buffer, piece.byteOffset, end / 8);
  const bits = new Uint32Array(piece.buffer, piece.byteOffset, end / 4);
  let word = words.length;
  // −0 equals 0 and has a bit set: its upper half is looked at.
  while (word > 0 && words[word - 1] === 0 && bits[word * 2 - 1] === 0) word--;
  return trimmedSlowly(piece, word * 8);
}

function trimmedSlowly(piece: Uint8Array, from: number): number {
  let end = from;
  while (end > 0 && piece[end - 1] === 0) end--;
  return end;
}
