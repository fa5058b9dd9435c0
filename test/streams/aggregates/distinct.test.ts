/** `distinct`: exact up to its bound, then within HyperLogLog's error; one content whatever the order. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { DISTINCT_EXACT_MAX, Distinct } from '../../../src/streams/aggregates/distinct.ts';
import {
  HLL_REGISTERS,
  HLL_RELATIVE_ERROR,
  hllAdd,
  hllEstimate,
} from '../../../src/streams/aggregates/hyper-log-log.ts';
import { randomFrom } from '../../random.ts';
import { aggregatePlan } from '../plan-parts.ts';
import { newSpace, program, Row } from './rows.ts';

const numbers = program([aggregatePlan({ fn: 'distinct', of: 'n' })]);
const texts = program([aggregatePlan({ fn: 'distinct', of: 's' })]);
const events = (values: readonly number[]): { ts: number; n: number }[] => values.map((n, ts) => ({ ts, n }));
const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);
const count = (row: Row): number => row.results()[0] as number;

/** All that a row of `distinct` consists of: the set's hashes in order, or the registers. */
function content(row: Row): { dense: boolean; words: number[] } {
  const [block, held] = row.space.rows as unknown as [number, number];
  if (block === 0) return { dense: false, words: [] };
  const { arena } = row.space;
  if (held === -1) return { dense: true, words: [...arena.bytes.subarray(block, block + HLL_REGISTERS)] };
  const words: number[] = [];
  for (let i = block >>> 2; i < (block + arena.capacity(block)) >>> 2; i += 2) {
    const [low, high] = arena.words.subarray(i, i + 2) as unknown as [number, number];
    if (low !== 0 || high !== 0) words.push(high * 2 ** 21 + (low & 0x1fffff));
  }
  return { dense: false, words: words.sort((a, b) => a - b) };
}

/** What the part counts of n numbers from `from` on. */
function countOfRange(from: number, n: number): number {
  const { arena, rows } = newSpace(2);
  const part = new Distinct();
  for (let i = 0; i < n; i++) part.addNumber(arena, rows, 0, from + i);
  return part.result(arena, rows, 0);
}

describe('distinct', () => {
  it('is exact up to the bound, with repetitions', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: DISTINCT_EXACT_MAX }),
        fc.integer({ min: 1, max: 3 }),
        fc.nat(),
        (n, times, seed) => {
          const next = randomFrom(seed);
          const values = range(0, n).map((i) => i * (1 + next()));
          const all = Array.from({ length: times }, () => values).flat();
          assert.equal(count(new Row(numbers).add(events(all))), new Set(values).size);
        },
      ),
      { numRuns: 60 },
    );
    const words = range(0, DISTINCT_EXACT_MAX).map((i) => ({ ts: i, s: `word ${i}` }));
    assert.equal(count(new Row(texts).add([...words, ...words])), DISTINCT_EXACT_MAX);
  });

  it('the error past the bound is the stated one, over many seeds', () => {
    for (const [n, seeds] of [
      [1500, 120],
      [5000, 80],
      [40_000, 60],
      [150_000, 25],
    ] as const) {
      let squares = 0;
      let bias = 0;
      for (let seed = 1; seed <= seeds; seed++) {
        // Different numbers, unlike those of other seeds.
        const error = countOfRange(seed * 1_000_003, n) / n - 1;
        assert.ok(Math.abs(error) < 5 * HLL_RELATIVE_ERROR, `${n} values, seed ${seed}: ${error}`);
        squares += error ** 2;
        bias += error;
      }
      const deviation = Math.sqrt(squares / seeds);
      // A deviation estimated from so few errors is itself uncertain by 1 / sqrt(2 · seeds).
      assert.ok(deviation < HLL_RELATIVE_ERROR * (1 + 3 / Math.sqrt(2 * seeds)), `${n} values: deviation ${deviation}`);
      assert.ok(
        Math.abs(bias / seeds) < (3.5 * HLL_RELATIVE_ERROR) / Math.sqrt(seeds),
        `${n} values: bias ${bias / seeds}`,
      );
    }
  });

  it('a register holds the rank of the 50 bits that are not its index', () => {
    const ranks = [
      [0, 0x80000000, 1],
      [0, 1, 32],
      [0x80000000, 0, 33],
      [1 << 14, 0, 50],
      [(1 << 14) - 1, 0, 51],
    ] as const;
    for (const [low, high, rank] of ranks) {
      const registers = new Uint8Array(HLL_REGISTERS);
      hllAdd(registers, 0, low, high);
      hllAdd(registers, 0, low, 0xffffffff);
      assert.equal(registers[low & (HLL_REGISTERS - 1)], rank);
    }
  });

  it('estimates grow with the ranks up to where all are at their highest', () => {
    const registers = new Uint8Array(HLL_REGISTERS);
    assert.equal(hllEstimate(registers, 0), 0);
    let before = hllEstimate(registers.fill(1), 0);
    for (let rank = 2; rank <= 50; rank++) {
      const estimate = hllEstimate(registers.fill(rank), 0);
      assert.ok(Math.abs(estimate / before - 2) < 1e-9, `rank ${rank}: ${estimate} after ${before}`);
      before = estimate;
    }
    assert.equal(hllEstimate(registers.fill(51), 0), Number.POSITIVE_INFINITY);
  });

  it('merged rows hold exactly what one row of all values holds, in any order', () => {
    const part = fc.record({ from: fc.integer({ min: 0, max: 3000 }), size: fc.integer({ min: 0, max: 1800 }) });
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), (parts) => {
        const values = parts.map(({ from, size }) => range(from, size));
        const whole = new Row(numbers).add(events(values.flat()));
        const rows = (): Row[] => values.map((each) => new Row(numbers).add(events(each)));
        const forth = rows().reduce((row, each) => row.merge(each), new Row(numbers));
        const back = rows().reduceRight((row, each) => row.merge(each), new Row(numbers));
        const right = rows().reduceRight((row, each) => each.merge(row));
        for (const merged of [forth, back, right]) {
          assert.deepEqual(content(merged), content(whole));
          assert.equal(count(merged), count(whole));
          assert.equal(merged.leaked(), 0);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('tells texts apart that differ in one byte, and skips absent ones', () => {
    const words = ['', 'a', 'A', 'á', 'aa', 'a\0', null, 'a', '', null].map((s, ts) => ({ ts, s }));
    assert.equal(count(new Row(texts).add(words)), 6);
  });
});
