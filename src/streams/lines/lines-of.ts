/**
 * Lines as texts, from the bytes they were written as.
 *
 * Role: whoever wants results as texts splits them here, when it wants them and not before. Most lines are ASCII
 * throughout, which needs no decoding.
 */
import { Buffer, isAscii } from 'node:buffer';

/** Each line ends in a line feed; none is empty. */
export function linesOf(bytes: Uint8Array): string[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const lines = buffer.toString(isAscii(buffer) ? 'latin1' : 'utf8').split('\n');
  // What follows the last line feed.
  lines.pop();
  return lines;
}

/** The other way round. */
export function bytesOfLines(lines: readonly string[]): Uint8Array {
  return Buffer.from(lines.length === 0 ? '' : `${lines.join('\n')}\n`);
}
