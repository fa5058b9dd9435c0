// HOT PATH
/**
 * Random numbers for generators: a stream of draws that begins anew for every event, from (seed, number).
 *
 * Role: what makes an event a function of the seed and its number alone, so that a generator can go on after a restart
 * at any number without having made the events before it. Not for anything secret.
 * xoroshiro64** over two 32-bit words, which are murmur3-mixed from the seed and the number; identical on every machine.
 */

const GOLDEN = 0x9e3779b9;
const TWO_32 = 4294967296;

/** Murmur3's finaliser: every bit of the input changes about half of the output's. */
export function mix32(value: number): number {
  let mixed = value | 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

export class Draws {
  readonly #seed: number;
  #first = 0;
  #second = 0;

  constructor(seed: number) {
    this.#seed = mix32((seed % TWO_32) ^ Math.floor(seed / TWO_32) ^ GOLDEN);
    this.begin(0);
  }

  /** Starts the draws of event `number` (0 … 2^53). `purpose` tells apart what is drawn for the same number. */
  begin(number: number, purpose = 0): void {
    const low = number >>> 0;
    const high = (number / TWO_32) >>> 0;
    const stem = mix32(this.#seed ^ Math.imul(purpose, 0x27d4eb2f) ^ mix32(high ^ 0x165667b1));
    this.#first = mix32(low ^ stem);
    this.#second = mix32(Math.imul(low, GOLDEN) + stem) | 1;
  }

  /** 0 … 2^32 − 1. */
  word(): number {
    let first = this.#first;
    let second = this.#second;
    const scaled = Math.imul(first, 0x9e3779bb);
    const word = Math.imul((scaled << 5) | (scaled >>> 27), 5) >>> 0;
    second ^= first;
    first = ((first << 26) | (first >>> 6)) ^ second ^ (second << 9);
    this.#first = first;
    this.#second = (second << 13) | (second >>> 19);
    return word;
  }

  /** A whole number from 0 to below `bound`. */
  below(bound: number): number {
    return Math.floor((this.word() / TWO_32) * bound);
  }

  /** 0 to below 1, in steps of 2^−32. */
  unit(): number {
    return this.word() / TWO_32;
  }
}
