/**
 * A text that lines have in common, as the doubles that its bytes are.
 *
 * Role: what `LineBuffer.piece` writes eight bytes at a time. No eight bytes of UTF-8 are a NaN, whose bits would not
 * be guaranteed to survive: the last byte would have to be 127 or 255 after one of at least 240, which UTF-8 does not
 * have.
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
