// HOT PATH
/**
 * 64-bit hashes of values, as two 32-bit words: what `distinct` and `top` tell values apart by.
 *
 * Role: JavaScript has no fast 64-bit integers, so two lanes of 32 bits are mixed by multiplication, rotation and
 * addition, each taking from the other, in the way of MurmurHash3's 128-bit form for 32-bit machines.
 * The result stands in `hash` (low word, high word) until the next call: nothing is allocated.
 * Invariants: every step is invertible, so two different numbers never have the same hash (−0 counts as 0), and a
 * count of numbers by hash is a count of the numbers; texts collide as random 64-bit words do. Text, number and
 * boolean of the same look differ by their seed. No hash is 0, 0: that marks free places in tables; one number, and
 * one text in 2^64, share theirs with a neighbour because of it.
 */
export const hash = new Uint32Array(2);

export const SEED_NUMBER = 0x2545f491;
export const SEED_BOOLEAN = 0x6c8e9cf5;
export const SEED_TEXT = 0x7f4a7c15;
export const SEED_JSON = 0x1b873593;

const C1 = 0x239b961b;
const C2 = 0x38b34ae5;

const double = new Float64Array(1);
const halves = new Uint32Array(double.buffer);
let lane1 = 0;
let lane2 = 0;

export function hashNumber(value: number, seed: number): void {
  double[0] = value + 0;
  lane1 = seed;
  lane2 = ~seed;
  mix(halves[0] as number, halves[1] as number);
  finish(8);
}

export function hashBytes(bytes: Uint8Array, at: number, length: number, seed: number): void {
  lane1 = seed;
  lane2 = ~seed;
  const end = at + length;
  let i = at;
  for (; i + 8 <= end; i += 8) mix(word(bytes, i), word(bytes, i + 4));
  if (i + 4 <= end) mix(word(bytes, i), tail(bytes, i + 4, end));
  else if (i < end) mix(tail(bytes, i, end), 0);
  finish(length);
}

function word(bytes: Uint8Array, i: number): number {
  return (
    (bytes[i] as number) |
    ((bytes[i + 1] as number) << 8) |
    ((bytes[i + 2] as number) << 16) |
    ((bytes[i + 3] as number) << 24)
  );
}

function tail(bytes: Uint8Array, from: number, end: number): number {
  let value = 0;
  for (let i = end - 1; i >= from; i--) value = (value << 8) | (bytes[i] as number);
  return value;
}

function mix(low: number, high: number): void {
  let k = Math.imul(low, C1);
  k = Math.imul((k << 15) | (k >>> 17), C2);
  let a = lane1 ^ k;
  a = ((a << 19) | (a >>> 13)) + lane2;
  a = (Math.imul(a, 5) + 0x561ccd1b) | 0;
  k = Math.imul(high, C2);
  k = Math.imul((k << 16) | (k >>> 16), C1);
  let b = lane2 ^ k;
  b = ((b << 17) | (b >>> 15)) + a;
  lane1 = a;
  lane2 = (Math.imul(b, 5) + 0x0bcaa747) | 0;
}

function finish(length: number): void {
  let a = lane1 ^ length;
  let b = lane2 ^ length;
  a = (a + b) | 0;
  b = (b + a) | 0;
  a = avalanche(a);
  b = avalanche(b);
  a = (a + b) | 0;
  b = (b + a) | 0;
  hash[0] = a | b ? a : 1;
  hash[1] = b;
}

function avalanche(value: number): number {
  let k = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  k = Math.imul(k ^ (k >>> 13), 0xc2b2ae35);
  return k ^ (k >>> 16);
}
