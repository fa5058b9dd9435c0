/** Sums against exact arithmetic, moments against two passes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { randomFrom } from '../../random.ts';
import { aggregatePlan } from '../plan-parts.ts';
import { program, Row, resultsOf } from './rows.ts';

const sums = program([aggregatePlan({ fn: 'sum', of: 'n' })]);
const moments = program([aggregatePlan({ fn: 'variance', of: 'n' }), aggregatePlan({ fn: 'mean', of: 'n' })]);

/** m · 2^e with |e| ≤ 80: far apart, and exact as integers of 2^−80. */
const wide = fc
  .tuple(fc.integer({ min: -(2 ** 53), max: 2 ** 53 }), fc.integer({ min: -80, max: 80 }))
  .map(([mantissa, exponent]) => ({
    value: mantissa * 2 ** exponent,
    exact: BigInt(mantissa) << BigInt(exponent + 80),
  }));

const events = (values: readonly number[]): { ts: number; n: number }[] => values.map((n, ts) => ({ ts, n }));
const magnitude = (values: readonly number[]): number => values.reduce((sum, value) => sum + Math.abs(value), 0);

function assertNearlyExact(got: number, exact: bigint, values: readonly number[]): void {
  const expected = Number(exact) / 2 ** 80;
  // One rounding of the result, and what rounding loses of what rounding lost.
  const bound = Math.abs(expected) * 2 ** -52 + values.length ** 2 * 2 ** -104 * magnitude(values);
  assert.ok(Math.abs(got - expected) <= bound, `${got} for ${expected}, bound ${bound}`);
}

describe('compensated sums', () => {
  it('are exact to one rounding of the result, however the magnitudes differ', () => {
    fc.assert(
      fc.property(fc.array(wide, { minLength: 1, maxLength: 200 }), (terms) => {
        const values = terms.map(({ value }) => value);
        const exact = terms.reduce((sum, term) => sum + term.exact, 0n);
        assertNearlyExact(new Row(sums).add(events(values)).results()[0] as number, exact, values);
      }),
      { numRuns: 300 },
    );
  });

  it('stay so when rows are merged', () => {
    fc.assert(
      fc.property(fc.array(fc.array(wide, { maxLength: 40 }), { minLength: 1, maxLength: 5 }), (parts) => {
        const row = new Row(sums);
        for (const part of parts) row.merge(new Row(sums).add(events(part.map(({ value }) => value))));
        const all = parts.flat();
        const exact = all.reduce((sum, term) => sum + term.exact, 0n);
        const got = row.results()[0];
        if (all.length === 0) assert.equal(got, null);
        else
          assertNearlyExact(
            got as number,
            exact,
            all.map(({ value }) => value),
          );
      }),
      { numRuns: 300 },
    );
  });

  it('keep what plain addition loses', () => {
    assert.deepEqual(new Row(sums).add(events([1, 1e100, 1, -1e100])).results(), [2]);
    assert.equal(new Row(sums).add(events(Array.from({ length: 10 }, () => 0.1))).results()[0], 1);
    assert.equal(new Row(sums).add(events([2 ** 53, 1, 1, -(2 ** 53)])).results()[0], 2);
  });

  it('overflow to infinity, not to nothing', () => {
    const max = Number.MAX_VALUE;
    assert.equal(new Row(sums).add(events([max, max])).results()[0], Number.POSITIVE_INFINITY);
    assert.equal(new Row(sums).add(events([-max, -max, 1])).results()[0], Number.NEGATIVE_INFINITY);
  });
});

describe('variance', () => {
  it('is what two passes give, though the mean is large', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, min: -1, max: 1 }), { minLength: 2, maxLength: 200 }),
        fc.constantFrom(0, 1e3, 1e6, 1e9),
        fc.nat(199),
        (offsets, shift, cut) => {
          const values = offsets.map((offset) => shift + offset);
          const mean = values.reduce((sum, value) => sum + (value - shift), 0) / values.length + shift;
          const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
          const whole = new Row(moments).add(events(values)).results();
          const merged = new Row(moments)
            .add(events(values.slice(0, cut)))
            .merge(new Row(moments).add(events(values.slice(cut))))
            .results();
          // Values themselves are rounded to 2^−53 of the shift, and so is the mean.
          const bound = 1e-12 * variance + 1e-13 * (1 + shift) ** 1 * Math.sqrt(variance) + ((1 + shift) * 1e-15) ** 2;
          for (const results of [whole, merged]) {
            assert.ok(Math.abs((results[0] as number) - variance) <= bound, `${results[0]} for ${variance}`);
            assert.ok(Math.abs((results[1] as number) - mean) <= 1e-12 * (1 + shift));
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('is that of a sample, null for fewer than two values and never negative', () => {
    const both = [aggregatePlan({ fn: 'variance', of: 'n' }), aggregatePlan({ fn: 'stddev', of: 'n' })];
    assert.deepEqual(resultsOf(both, events([2, 4])), [2, Math.SQRT2]);
    assert.deepEqual(resultsOf(both, events([5])), [null, null]);
    assert.deepEqual(resultsOf(both, events([])), [null, null]);
    assert.deepEqual(resultsOf(both, events([1e15 + 0.1, 1e15 + 0.1, 1e15 + 0.1])), [0, 0]);
  });

  it('of values whose squares are beyond all numbers is the same when rows are merged', () => {
    const large = [1e200, 1e200];
    assert.deepEqual(new Row(moments).add(events(large)).results(), [0, 1e200]);
    assert.deepEqual(new Row(moments).merge(new Row(moments).add(events(large))).results(), [0, 1e200]);
    const halves = new Row(moments).add(events([-1e200])).merge(new Row(moments).add(events([1e200])));
    assert.deepEqual(halves.results(), new Row(moments).add(events([-1e200, 1e200])).results());
  });

  it('does not drift over 200,000 values far from zero', () => {
    const next = randomFrom(3);
    const row = new Row(moments);
    for (let i = 0; i < 10; i++) row.add(events(Array.from({ length: 20_000 }, () => 1e9 + next())));
    const [variance] = row.results() as [number];
    assert.ok(Math.abs(variance - 1 / 12) < 0.001, `${variance}`);
  });
});
