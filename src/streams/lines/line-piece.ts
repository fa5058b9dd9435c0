/**
 * A text that lines have in common, as the doubles that its bytes are.
 *
 * Role: what `LineBuffer.piece` writes eight bytes at a time. Eight bytes of UTF-8 are never a double that is no number,
 * whose bits nobody warrants: its last byte would be 127 or 255 after one from 240 up, and that is no UTF-8.
 */
const encoder = new TextEncoder();

export interface LinePiece {
  /** Little-endian, the last one filled up with zeros. */
  readonly doubles: Float64Array;
  /** In bytes. */
  readonly length: number;
}

export function pieceOf(text: string): LinePiece {
  const bytes = encoder.encode(text);
  const padded = new Uint8Array(Math.ceil(bytes.length / 8) * 8);
  padded.set(bytes);
  const view = new DataView(padded.buffer);
  const doubles = Float64Array.from({ length: padded.length / 8 }, (_, i) => view.getFloat64(8 * i, true));
  return { doubles, length: bytes.length };
}
