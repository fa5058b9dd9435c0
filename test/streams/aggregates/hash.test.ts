/** Hashes spread as random words would, tell kinds of values apart, and never change: they are part of the state. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  hash,
  hashBytes,
  hashNumber,
  SEED_BOOLEAN,
  SEED_NUMBER,
  SEED_TEXT,
} from '../../../src/streams/aggregates/hash.ts';
import { randomFrom } from '../../random.ts';

const PINNED: readonly [number, number][] = [
  [2281853658, 805540434],
  [3984099004, 1595082243],
  [1312898711, 1199084546],
  [1963532193, 1746980873],
  [2154454743, 269409358],
  [787658934, 3529888206],
];

const encoder = new TextEncoder();
const words = (): [number, number] => [hash[0] as number, hash[1] as number];

function ofNumber(value: number): [number, number] {
  hashNumber(value, SEED_NUMBER);
  return words();
}

function ofText(text: string): [number, number] {
  const bytes = encoder.encode(`xx${text}`);
  hashBytes(bytes, 2, bytes.length - 2, SEED_TEXT);
  return words();
}

const SETS: Readonly<Record<string, (i: number) => [number, number]>> = {
  'rising integers': (i) => ofNumber(i),
  'multiples of 1024': (i) => ofNumber(i * 1024),
  'rising fractions': (i) => ofNumber(i / 1000),
  'numbered texts': (i) => ofText(`host-${i}`),
  'texts of one changing byte at the end of 16': (i) => ofText(`0123456789ab${String.fromCharCode(32 + (i % 90))}${i}`),
};

describe('64-bit hashes of values', () => {
  for (const [name, hashed] of Object.entries(SETS)) {
    it(`spread evenly over buckets of any 12 bits: ${name}`, () => {
      const n = 1 << 16;
      const buckets = [0, 1, 2, 3].map(() => new Float64Array(4096));
      for (let i = 0; i < n; i++) {
        const [low, high] = hashed(i);
        const chosen = [low & 4095, low >>> 20, high & 4095, high >>> 20];
        for (const [j, bucket] of chosen.entries()) {
          const counts = buckets[j] as Float64Array;
          counts[bucket] = (counts[bucket] as number) + 1;
        }
      }
      for (const counts of buckets) {
        const expected = n / counts.length;
        const chi2 = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
        // 4,095 degrees of freedom: mean 4,095, deviation 90.5; six deviations either way.
        assert.ok(Math.abs(chi2 - 4095) < 6 * 90.5, `chi² ${chi2}`);
      }
    });
  }

  it('every bit of the input changes each bit of the hash half of the time', () => {
    const next = randomFrom(7);
    const trials = 2000;
    const double = new Float64Array(1);
    const halves = new Uint32Array(double.buffer);
    for (let bit = 0; bit < 64; bit++) {
      const flips = new Uint32Array(64);
      for (let trial = 0; trial < trials; trial++) {
        halves[0] = next() * 2 ** 32;
        // Exponents in the middle: NaN has many encodings that are one value.
        halves[1] = (next() * 2 ** 32) & 0xbfffffff & ~(1 << 29);
        hashNumber(double[0] as number, SEED_NUMBER);
        const [low, high] = words();
        const half = bit >> 5;
        halves[half] = (halves[half] as number) ^ (1 << (bit & 31));
        if (Number.isNaN(double[0] as number)) continue;
        hashNumber(double[0] as number, SEED_NUMBER);
        for (let out = 0; out < 32; out++) {
          flips[out] = (flips[out] as number) + (((low ^ (hash[0] as number)) >>> out) & 1);
          flips[32 + out] = (flips[32 + out] as number) + (((high ^ (hash[1] as number)) >>> out) & 1);
        }
      }
      for (const count of flips) assert.ok(Math.abs(count / trials - 0.5) < 0.08, `bit ${bit}: ${count} of ${trials}`);
    }
  });

  it('different numbers and texts have different hashes', () => {
    const seen = new Set<number>();
    const note = ([low, high]: [number, number]): void => void seen.add(high * 2 ** 21 + (low & 0x1fffff));
    for (let i = 0; i < 200_000; i++) {
      note(ofNumber(i));
      note(ofText(`${i}`));
    }
    assert.equal(seen.size, 400_000);
  });

  it('a text depends on all its bytes and its length', () => {
    const seen = new Set<string>();
    for (let length = 0; length <= 40; length++) {
      seen.add(ofText('\0'.repeat(length)).join());
      for (let at = 0; at < length; at++) {
        seen.add(ofText(`${'\0'.repeat(at)}\x01${'\0'.repeat(length - at - 1)}`).join());
      }
    }
    assert.equal(seen.size, 41 + (40 * 41) / 2);
  });

  it('−0 counts as 0; a boolean is not a number', () => {
    assert.deepEqual(ofNumber(-0), ofNumber(0));
    hashNumber(1, SEED_BOOLEAN);
    assert.notDeepEqual(words(), ofNumber(1));
  });

  it('are the same for ever', () => {
    const pinned = [ofNumber(0), ofNumber(1), ofNumber(-1.5), ofText(''), ofText('a'), ofText('hello wörld')];
    assert.deepEqual(pinned, PINNED);
  });
});
