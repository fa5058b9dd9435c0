// HOT PATH
/**
 * Random text of Nexmark: phrases of varying length, and filler of an exact length.
 *
 * Role: six letters come out of one 32-bit draw (26^6 < 2^32), here and in the writer of bytes, so that both write the
 * same text.
 */
import type { Draws } from './generator-random.ts';

export const LETTERS_PER_WORD = 6;
export const LETTERS = 26;
const FIRST_LETTER = 97;
const SHORTEST = 3;
/** One in so many characters of a phrase is not a letter. */
const SPECIAL_ONE_IN = 13;

/** 3 … `lengthMax` − 1 letters with a few of `special` between, trimmed. */
export function drawPhrase(draws: Draws, lengthMax: number, special = ' '): string {
  const length = SHORTEST + draws.below(lengthMax - SHORTEST);
  let text = '';
  for (let i = 0; i < length; i++) {
    text += draws.below(SPECIAL_ONE_IN) === 0 ? special : String.fromCharCode(FIRST_LETTER + draws.below(LETTERS));
  }
  return text.trim();
}

export function drawExact(draws: Draws, length: number): string {
  let text = '';
  let word = 0;
  for (let i = 0; i < length; i++) {
    if (i % LETTERS_PER_WORD === 0) word = draws.word();
    text += String.fromCharCode(FIRST_LETTER + (word % LETTERS));
    word = Math.floor(word / LETTERS);
  }
  return text;
}

/** `drawExact` as bytes. Returns where it ends. */
export function writeExact(draws: Draws, length: number, bytes: Uint8Array, at: number): number {
  const end = at + length;
  let next = at;
  while (next < end) {
    let word = draws.word();
    const stop = Math.min(end, next + LETTERS_PER_WORD);
    while (next < stop) {
      const quotient = (word / LETTERS) >>> 0;
      bytes[next++] = FIRST_LETTER + word - quotient * LETTERS;
      word = quotient;
    }
  }
  return end;
}
