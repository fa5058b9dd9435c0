/** SpaceSaving's guarantees, for streams made to break them and after merges. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { COUNT, counterAt, countersUsed, ERROR, VALUE } from '../../../src/streams/aggregates/space-saving.ts';
import { Top, type TopEntry } from '../../../src/streams/aggregates/top.ts';
import { randomFrom } from '../../random.ts';
import { aggregatePlan } from '../plan-parts.ts';
import { program, Row } from './rows.ts';

const LIMIT = 8;
const K = new Top(LIMIT, 'number').countersMax;
const numbers = program([aggregatePlan({ fn: 'top', of: 'n', limit: LIMIT })]);
const events = (values: readonly number[]): { ts: number; n: number }[] => values.map((n, ts) => ({ ts, n }));
const entries = (row: Row): TopEntry[] => row.results()[0] as TopEntry[];

function countsOf(values: readonly number[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

/** All counters of a row, also those that are not among the best. */
function countersOf({ space }: Row): { value: number; count: number; error: number }[] {
  const { doubles } = space.arena;
  const block = space.rows[0] as number;
  return Array.from({ length: countersUsed(space.arena, block) }, (_, i) => {
    const at = counterAt(block, i);
    const [value, count, error] = [doubles[at + VALUE], doubles[at + COUNT], doubles[at + ERROR]] as number[];
    return { value, count, error } as { value: number; count: number; error: number };
  });
}

function assertGuarantees(row: Row, values: readonly number[]): void {
  const truth = countsOf(values);
  const counters = countersOf(row);
  const bound = values.length / K;
  for (const { value, count, error } of counters) {
    const actual = truth.get(value) ?? 0;
    assert.ok(count - error <= actual && actual <= count, `${value}: ${count} − ${error} for ${actual}`);
    assert.ok(error <= bound, `error ${error} past ${bound}`);
  }
  const counted = new Set(counters.map(({ value }) => value));
  assert.equal(counted.size, counters.length);
  for (const [value, count] of truth) {
    if (count > bound) assert.ok(counted.has(value), `${value}, seen ${count} times, has no counter`);
  }
  const best = counters.toSorted((a, b) => b.count - a.count).slice(0, LIMIT);
  assert.deepEqual(
    entries(row).map(({ count }) => count),
    best.map(({ count }) => count),
  );
}

const STREAMS: Readonly<Record<string, (next: () => number, i: number) => number>> = {
  skewed: (next) => Math.floor(1 / (next() + 0.0005)),
  'all different': (_, i) => i,
  'a heavy value hidden among different ones': (next, i) => (next() < 0.02 ? -1 : i),
  'blocks of the same': (_, i) => Math.floor(i / 7),
  'one more than there are counters, in turn': (_, i) => i % (K + 1),
  'evenly among a few thousand': (next) => Math.floor(next() * 3000),
};

describe('top', () => {
  for (const [name, draw] of Object.entries(STREAMS)) {
    it(`keeps its guarantees for every counter, in one row and merged from several: ${name}`, () => {
      for (let seed = 1; seed <= 4; seed++) {
        const next = randomFrom(seed);
        const values = Array.from({ length: 12_000 }, (_, i) => draw(next, i));
        assertGuarantees(new Row(numbers).add(events(values)), values);
        const cuts = [0, 100, 3000, 3001, 9000, values.length];
        const parts = cuts.slice(1).map((end, i) => values.slice(cuts[i], end));
        const rows = parts.map((part) => new Row(numbers).add(events(part)));
        const merged = rows.reduce((row, each) => row.merge(each), new Row(numbers));
        assertGuarantees(merged, values);
        assertGuarantees(merged.add(events(values)), [...values, ...values]);
        assert.equal(merged.leaked(), 0);
      }
    });
  }

  it('is exact while there are no more values than counters, merged in any order', () => {
    const value = fc.integer({ min: 0, max: K - 1 });
    fc.assert(
      fc.property(fc.array(fc.array(value, { maxLength: 200, size: 'max' }), { maxLength: 4 }), (parts) => {
        const truth = [...countsOf(parts.flat())]
          .map(([each, count]) => ({ value: each, count, error: 0 }))
          .sort((a, b) => b.count - a.count || a.value - b.value)
          .slice(0, LIMIT);
        const rows = (): Row[] => parts.map((part) => new Row(numbers).add(events(part)));
        assert.deepEqual(entries(new Row(numbers).add(events(parts.flat()))), truth);
        assert.deepEqual(entries(rows().reduce((row, each) => row.merge(each), new Row(numbers))), truth);
        assert.deepEqual(entries(rows().reduceRight((row, each) => row.merge(each), new Row(numbers))), truth);
      }),
      { numRuns: 60 },
    );
  });

  it('tells texts, as many as asked for, equal counts by value', () => {
    const texts = program([aggregatePlan({ fn: 'top', of: 's', limit: 3 })]);
    const words = ['b', 'ø', 'b', 'a', null, 'ø', 'c', 'a', 'a'].map((s, ts) => ({ ts, s }));
    assert.deepEqual(entries(new Row(texts).add(words)), [
      { value: 'a', count: 3, error: 0 },
      { value: 'b', count: 2, error: 0 },
      { value: 'ø', count: 2, error: 0 },
    ]);
  });

  it('texts whose counters are taken over, and dropped by merges, leave nothing behind', () => {
    const texts = program([aggregatePlan({ fn: 'top', of: 's', limit: 5 })]);
    const words = (from: number): { ts: number; s: string }[] =>
      Array.from({ length: 2000 }, (_, i) => ({
        ts: i,
        s: i % 3 === 0 ? 'often' : `${'-'.repeat(i % 60)}${from + i}`,
      }));
    const row = new Row(texts).add(words(0)).merge(new Row(texts).add(words(100_000)));
    const [first] = entries(row);
    assert.equal(first?.value, 'often');
    assert.ok((first?.count ?? 0) - (first?.error ?? 0) <= 1334 && (first?.count ?? 0) >= 1334);
    assert.equal(row.leaked(), 0);
  });

  it('tells booleans as booleans', () => {
    const flags = program([aggregatePlan({ fn: 'top', of: 'b' })]);
    assert.deepEqual(entries(new Row(flags).add([true, false, true, null].map((b, ts) => ({ ts, b })))), [
      { value: true, count: 2, error: 0 },
      { value: false, count: 1, error: 0 },
    ]);
  });
});
