// HOT PATH
/**
 * Texts with escapes, written out as UTF-8 behind the body.
 *
 * Role: the cursor has checked that the escapes are well formed; here they become bytes. A surrogate without its other
 * half has no UTF-8 form: the text is refused, and so is its event.
 * Invariant: writes at most as many bytes as it reads.
 */
import type { BatchWriter } from './batch-writer.ts';

const hexDigit = (byte: number): number => (byte <= 57 ? byte - 48 : (byte | 32) - 87);

function codeUnit(bytes: Uint8Array, at: number): number {
  return (
    (hexDigit(bytes[at] as number) << 12) |
    (hexDigit(bytes[at + 1] as number) << 8) |
    (hexDigit(bytes[at + 2] as number) << 4) |
    hexDigit(bytes[at + 3] as number)
  );
}

function control(letter: number): number {
  if (letter === 110) return 10;
  if (letter === 116) return 9;
  if (letter === 114) return 13;
  if (letter === 98) return 8;
  return letter === 102 ? 12 : letter;
}

function appendCodePoint(writer: BatchWriter, code: number): void {
  if (code < 0x80) {
    writer.append(code);
    return;
  }
  if (code < 0x800) writer.append(0xc0 | (code >> 6));
  else {
    if (code < 0x10000) writer.append(0xe0 | (code >> 12));
    else {
      writer.append(0xf0 | (code >> 18));
      writer.append(0x80 | ((code >> 12) & 0x3f));
    }
    writer.append(0x80 | ((code >> 6) & 0x3f));
  }
  writer.append(0x80 | (code & 0x3f));
}

/** Appends the text of a string's content [from, to) and says where it begins; −1 for a lone surrogate. */
export function appendUnescaped(writer: BatchWriter, from: number, to: number): number {
  writer.room(to - from);
  const bytes = writer.bytes;
  const start = writer.used;
  let at = from;
  while (at < to) {
    const byte = bytes[at] as number;
    if (byte !== 92) {
      writer.append(byte);
      at += 1;
      continue;
    }
    const letter = bytes[at + 1] as number;
    if (letter !== 117) {
      writer.append(control(letter));
      at += 2;
      continue;
    }
    let code = codeUnit(bytes, at + 2);
    at += 6;
    if (code >= 0xd800 && code < 0xe000) {
      const low = code < 0xdc00 && bytes[at] === 92 && bytes[at + 1] === 117 ? codeUnit(bytes, at + 2) : 0;
      if (low < 0xdc00 || low > 0xdfff) {
        writer.used = start;
        return -1;
      }
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
      at += 6;
    }
    appendCodePoint(writer, code);
  }
  return start;
}
