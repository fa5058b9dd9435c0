/**
 * Lines as texts, from the bytes they were written as.
 *
 * Role: splits lines for whoever wants results as texts, and only then. A few lines at a time become one text: V8 keeps
 * a long one outside of its heap, where it only adds to what makes the collector run.
 * Most lines are ASCII throughout, which needs no decoding.
 */
import { Buffer, isAscii } from 'node:buffer';

const PIECE_BYTES = 64 * 1024;
const LINE_FEED = 10;

/** Each line ends in a line feed; none is empty. */
export function linesOf(bytes: Uint8Array): string[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const encoding = isAscii(buffer) ? 'latin1' : 'utf8';
  const lines: string[] = [];
  for (let from = 0; from < buffer.length; ) {
    const end = from + PIECE_BYTES >= buffer.length ? buffer.length : buffer.indexOf(LINE_FEED, from + PIECE_BYTES) + 1;
    const piece = buffer.toString(encoding, from, end - 1).split('\n');
    for (let i = 0; i < piece.length; i++) lines.push(piece[i] as string);
    from = end;
  }
  return lines;
}

/** The other way round. */
export function bytesOfLines(lines: readonly string[]): Uint8Array {
  return Buffer.from(lines.length === 0 ? '' : `${lines.join('\n')}\n`);
}
