/** Quantiles: exact up to the bound, then within the relative error wherever values lie; one content whatever the order. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { BINS_MAX, rankOf } from '../../../src/streams/aggregates/dd-sketch.ts';
import type { RowAggregates } from '../../../src/streams/aggregates/port.ts';
import { QUANTILE_EXACT_MAX } from '../../../src/streams/aggregates/quantile.ts';
import { randomFrom } from '../../random.ts';
import { aggregatePlan } from '../plan-parts.ts';
import { program, Row } from './rows.ts';

const QS = [0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1] as const;
const atError = (relativeError: number): RowAggregates =>
  program(QS.map((q) => aggregatePlan({ fn: 'quantile', name: `q${q}`, of: 'n', q, relativeError })));
const one = atError(0.01);

const events = (values: readonly number[]): { ts: number; n: number }[] => values.map((n, ts) => ({ ts, n }));
/** What SQL's `quantile_disc` gives, with q as the decimal it is written as. */
const exact = (sorted: readonly number[], q: number): number => {
  const rank = Math.ceil((Number((q * 1000).toFixed(0)) * sorted.length) / 1000);
  return sorted[Math.max(1, rank) - 1] as number;
};
const sortedOf = (values: readonly number[]): number[] => values.toSorted((a, b) => a - b);

function assertWithin(results: readonly unknown[], values: readonly number[], relativeError: number): void {
  const sorted = sortedOf(values);
  for (const [i, q] of QS.entries()) {
    const expected = exact(sorted, q);
    const bound = Math.abs(expected) * relativeError * (1 + 1e-9);
    assert.ok(Math.abs((results[i] as number) - expected) <= bound, `q ${q}: ${results[i]} for ${expected}`);
  }
}

/** What the sketch of a row of one part holds: counts by bin, and its facts. */
function content(row: Row): unknown {
  const { doubles } = row.space.arena;
  const h = (row.space.rows[0] as number) >>> 3;
  const facts = [...doubles.subarray(h, h + 4)];
  const stores = [4, 7].map((store) => {
    const [first, bins, block] = doubles.subarray(h + store, h + store + 3) as unknown as [number, number, number];
    const counts: [number, number][] = [];
    for (let i = 0; i < bins; i++) {
      const count = doubles[(block >>> 3) + i] as number;
      if (count > 0) counts.push([first + i, count]);
    }
    return counts;
  });
  return { facts, stores };
}

const SHAPES: Readonly<Record<string, (next: () => number) => number>> = {
  'evenly spread': (next) => next() * 100,
  'over 18 decades': (next) => 10 ** (next() * 18 - 9),
  'over 18 decades, both signs': (next) => (next() < 0.5 ? -1 : 1) * 10 ** (next() * 18 - 9),
  negative: (next) => -(10 ** (next() * 6)),
  'with many zeros': (next) => (next() < 0.4 ? 0 : next() * 10 - 5),
  'two far apart': (next) => (next() < 0.5 ? 1e-9 : 1e9),
  'all the same': () => 42.5,
  'rising powers': (next) => 1.0203 ** Math.floor(next() * 1500),
};

describe('quantiles', () => {
  it('of few values are the value at rank ⌈q·n⌉', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
          {
            maxLength: QUANTILE_EXACT_MAX,
          },
        ),
        (values) => {
          const sorted = sortedOf(values);
          const expected = QS.map((q) => (values.length === 0 ? null : exact(sorted, q)));
          assert.deepEqual(new Row(one).add(events(values)).results(), expected);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('the rank takes q as the decimal it is written as', () => {
    assert.equal(0.55 * 100, 55.00000000000001);
    assert.equal(rankOf(0.55, 100), 55);
    for (let percent = 1; percent <= 100; percent++) {
      for (let n = 1; n <= 1000; n++) assert.equal(rankOf(percent / 100, n), Math.ceil((percent * n) / 100));
    }
  });

  for (const [name, draw] of Object.entries(SHAPES)) {
    it(`of many values are within the relative error: ${name}`, () => {
      for (const relativeError of [0.05, 0.01]) {
        const compiled = atError(relativeError);
        for (let seed = 1; seed <= 8; seed++) {
          const next = randomFrom(seed);
          const values = Array.from({ length: QUANTILE_EXACT_MAX + 1 + 700 * seed }, () => draw(next));
          const row = new Row(compiled).add(events(values));
          assertWithin(row.results(), values, relativeError);
          assert.equal(row.leaked(), 0);
        }
      }
    });
  }

  it('hold for the smallest and the largest doubles', () => {
    const count = QUANTILE_EXACT_MAX + 100;
    const values = Array.from({ length: count }, (_, i) => (i % 2 === 0 ? Number.MAX_VALUE : -Number.MAX_VALUE));
    assertWithin(new Row(one).add(events(values)).results(), values, 0.01);
    const tiny = Array.from({ length: count }, (_, i) => 2 ** -1022 * (1 + i));
    assertWithin(new Row(one).add(events(tiny)).results(), tiny, 0.01);
    const row = new Row(one).add(events(Array.from({ length: count }, () => Number.MIN_VALUE)));
    assert.deepEqual(
      row.results(),
      QS.map(() => Number.MIN_VALUE),
    );
  });

  it('with more bins than are kept: those of great magnitude stay within the error', () => {
    const relativeError = 0.001;
    const compiled = atError(relativeError);
    const factor = ((1 + relativeError) / (1 - relativeError)) ** (BINS_MAX - 1);
    const next = randomFrom(5);
    for (const sign of [1, -1]) {
      const values = Array.from({ length: 20_000 }, () => sign * 10 ** (next() * 18 - 9));
      const results = new Row(compiled).add(events(values)).results();
      const sorted = sortedOf(values);
      const greatest = Math.max(...values.map(Math.abs));
      let within = 0;
      for (const [i, q] of QS.entries()) {
        const expected = exact(sorted, q);
        if (Math.abs(expected) < greatest / factor) continue;
        within += 1;
        const error = Math.abs((results[i] as number) - expected) / Math.abs(expected);
        assert.ok(error <= relativeError * (1 + 1e-9), `q ${q}: ${results[i]} for ${expected}`);
      }
      assert.ok(within >= 3, `${within} quantiles were in reach`);
    }
  });

  it('hold one content whatever the order of values and merges, also past the bins kept', () => {
    const part = fc.array(fc.tuple(fc.double({ min: -9, max: 9, noNaN: true }), fc.constantFrom(-1, 0, 1, 1)), {
      maxLength: 400,
      size: 'max',
    });
    for (const relativeError of [0.01, 0.0005]) {
      const compiled = program([aggregatePlan({ fn: 'quantile', of: 'n', relativeError })]);
      fc.assert(
        fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), (parts) => {
          const values = parts.map((each) => each.map(([exponent, sign]) => sign * 10 ** exponent + 0));
          if (values.flat().length <= QUANTILE_EXACT_MAX) return;
          const whole = content(new Row(compiled).add(events(values.flat())));
          const rows = (): Row[] => values.map((each) => new Row(compiled).add(events(each)));
          const forth = rows().reduce((row, each) => row.merge(each), new Row(compiled));
          const back = rows().reduceRight((row, each) => row.merge(each), new Row(compiled));
          const right = rows().reduceRight((row, each) => each.merge(row));
          const reversed = new Row(compiled).add(events(values.flat().reverse()));
          for (const row of [forth, back, right, reversed]) {
            assert.deepEqual(content(row), whole);
            assert.equal(row.leaked(), 0);
          }
        }),
        { numRuns: 40 },
      );
    }
  });

  it('of the same values share one sketch, at the smallest error asked for', () => {
    const both = program([
      aggregatePlan({ fn: 'quantile', name: 'a', of: 'n', q: 0.5, relativeError: 0.05 }),
      aggregatePlan({ fn: 'quantile', name: 'b', of: 'n', q: 0.9, relativeError: 0.002 }),
      aggregatePlan({ fn: 'quantile', name: 'c', of: 'i', q: 0.9 }),
    ]);
    assert.equal(both.doubles, 4);
    const values = Array.from({ length: 1000 }, (_, i) => 1 + i);
    const [a, b] = new Row(both).add(events(values)).results() as [number, number];
    assert.ok(Math.abs(a - 500) <= 1 && Math.abs(b - 900) <= 1.8, `${a} ${b}`);
  });
});
