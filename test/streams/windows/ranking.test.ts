/**
 * The best of a firing are those that sorting all of them would give.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Ranking } from '../../../src/streams/windows/ranking.ts';

const nameOf = (key: number): string => `k${key}`;

test('any values, keys and limit: the same as sorting them, with or without those that are level', () => {
  const rows = fc.array(
    fc.record({
      value: fc.oneof(
        fc.integer({ min: 0, max: 3 }),
        fc.constantFrom<unknown>(Number.NaN, Infinity, -Infinity, -0, null, undefined, '9'),
      ),
      key: fc.nat(40),
    }),
    { maxLength: 25 },
  );
  fc.assert(
    fc.property(rows, fc.integer({ min: 1, max: 6 }), fc.boolean(), (given, limit, ties) => {
      const ranking = new Ranking(limit, ties, nameOf);
      for (const [i, { key, value }] of given.entries()) ranking.add(value, i, key);
      const found: number[] = [];
      ranking.take((handle) => found.push(handle));
      const sorted = given
        .map(({ key, value }, i) => ({
          i,
          name: nameOf(key),
          value: Number.isFinite(value) ? (value as number) : -Infinity,
        }))
        .sort((a, b) =>
          a.value !== b.value ? b.value - a.value : a.name === b.name ? a.i - b.i : a.name < b.name ? -1 : 1,
        );
      const last = sorted[limit - 1]?.value;
      const best = sorted.filter(({ value }, i) => i < limit || (ties && value === last));
      assert.deepEqual(
        found,
        best.map(({ i }) => i),
      );
    }),
    { numRuns: 1000 },
  );
});
