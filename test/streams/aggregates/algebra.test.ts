/**
 * The algebra of every aggregate: rows that are merged, in whatever tree, have what one row of all events has. What is
 * kept in sketches is checked within its bounds elsewhere; here windows are small enough for everything to be exact.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Reducer } from '../../../src/streams/aggregates/reducer.ts';
import { aggregatePlan } from '../plan-parts.ts';
import { batchOf, type Event, newSpace, program, Row } from './rows.ts';

const spread: Reducer<{ values: number[]; seen: Map<string, number> }> = {
  init: () => ({ values: [], seen: new Map() }),
  add: (state, value) => {
    state.values.push(value as number);
    state.seen.set(`${value}`, (state.seen.get(`${value}`) ?? 0) + 1);
  },
  merge: (a, b) => {
    const seen = new Map(a.seen);
    for (const [value, count] of b.seen) seen.set(value, (seen.get(value) ?? 0) + count);
    return { values: [...a.values, ...b.values], seen };
  },
  result: ({ values, seen }) => [values.length, Math.max(0, ...seen.values())],
};
const reducers = new Map<string, Reducer>([['m#spread', spread as Reducer]]);

/** Exact whatever the order of merges. */
const COMMUTATIVE = [
  aggregatePlan({ fn: 'count' }),
  aggregatePlan({ fn: 'count', name: 'present', of: 's' }),
  aggregatePlan({ fn: 'sum', of: 'i' }),
  aggregatePlan({ fn: 'mean', of: 'i', where: 'b' }),
  aggregatePlan({ fn: 'min', of: 'n' }),
  aggregatePlan({ fn: 'max', of: 'n', where: 'i > 0' }),
  aggregatePlan({ fn: 'rate' }),
  aggregatePlan({ fn: 'distinct', of: 'i' }),
  aggregatePlan({ fn: 'distinct', of: 's' }),
  aggregatePlan({ fn: 'distinct', of: 'b' }),
  aggregatePlan({ fn: 'distinct', of: 'lower(s)' }),
  aggregatePlan({ fn: 'quantile', of: 'i', q: 0.5 }),
  aggregatePlan({ fn: 'quantile', of: 'i', q: 0.95 }),
  aggregatePlan({ fn: 'top', of: 'i', limit: 3 }),
  aggregatePlan({ fn: 'top', of: 's', limit: 3 }),
  aggregatePlan({ fn: 'top', of: 'b', limit: 3 }),
  aggregatePlan({ fn: 'top', of: 'lower(s)', limit: 3 }),
  aggregatePlan({ fn: 'custom', of: 'i', module: 'm', exportName: 'spread' }),
];

/** Go by event time; equal times by arrival. */
const BY_TIME = [
  aggregatePlan({ fn: 'first', of: 'n' }),
  aggregatePlan({ fn: 'last', of: 'n' }),
  aggregatePlan({ fn: 'first', of: 's' }),
  aggregatePlan({ fn: 'last', of: 's' }),
  aggregatePlan({ fn: 'first', of: 'b' }),
  aggregatePlan({ fn: 'last', of: 'lower(s)' }),
  aggregatePlan({ fn: 'collect', of: 'n', limit: 4 }),
  aggregatePlan({ fn: 'collect', of: 's', limit: 4 }),
  aggregatePlan({ fn: 'collect', of: 'lower(s)', limit: 3, where: 'b' }),
];

/** Within rounding. */
const ROUNDED = [
  aggregatePlan({ fn: 'sum', of: 'n' }),
  aggregatePlan({ fn: 'mean', of: 'n' }),
  aggregatePlan({ fn: 'variance', of: 'n' }),
  aggregatePlan({ fn: 'stddev', of: 'n', where: 'b' }),
  aggregatePlan({ fn: 'ewma', of: 'n' }),
];

const event: fc.Arbitrary<Event> = fc.record({
  ts: fc.integer({ min: 0, max: 20 }),
  // No −0: it equals 0, and which of them is the least goes by arrival.
  n: fc.option(fc.double({ noNaN: true, min: -1000, max: 1000 }).map((value) => value + 0)),
  i: fc.integer({ min: -5, max: 5 }),
  s: fc.option(fc.constantFrom('', 'a', 'A', 'b', 'Bb', 'longer than sixteen bytes', 'ærlig 🙂', 'x'.repeat(100))),
  b: fc.option(fc.boolean()),
});

/** Parts of at most 60 events together: below all bounds of exactness. */
const parts = fc.array(fc.array(event, { maxLength: 15 }), { minLength: 1, maxLength: 4 });

/** Merges neighbours in the order that `picks` say, each row in its own arena, until one is left. */
function mergedNeighbours(rows: Row[], picks: readonly number[]): Row {
  for (let step = 0; rows.length > 1; step++) {
    const at = (picks[step] ?? 0) % (rows.length - 1);
    const [left, right] = rows.slice(at, at + 2) as [Row, Row];
    left.merge(right);
    rows.splice(at + 1, 1);
  }
  return rows[0] as Row;
}

const picks = fc.array(fc.nat(), { minLength: 3, maxLength: 3 });

describe('the algebra of aggregates', () => {
  const commutative = program(COMMUTATIVE, reducers);
  const byTime = program(BY_TIME);
  const rounded = program(ROUNDED);

  it('merged rows have what one row of all events has, whatever is merged first', () => {
    for (const compiled of [commutative, byTime]) {
      fc.assert(
        fc.property(parts, picks, (given, order) => {
          const whole = new Row(compiled).add(given.flat()).results();
          const rows = given.map((events) => new Row(compiled).add(events));
          assert.deepEqual(mergedNeighbours(rows, order).results(), whole);
        }),
        { numRuns: 200 },
      );
    }
  });

  it('the order of rows does not matter to those that claim so', () => {
    fc.assert(
      fc.property(parts, fc.array(fc.nat(), { minLength: 4, maxLength: 4 }), (given, weights) => {
        const whole = new Row(commutative).add(given.flat()).results();
        const shuffled = given
          .map((events, i) => ({ events, weight: weights[i] ?? 0 }))
          .toSorted((a, b) => a.weight - b.weight);
        const rows = shuffled.map(({ events }) => new Row(commutative).add(events));
        assert.deepEqual(mergedNeighbours(rows, []).results(), whole);
      }),
      { numRuns: 200 },
    );
  });

  it('the order of rows does not matter to those that go by time when no times are equal', () => {
    fc.assert(
      fc.property(parts, fc.array(fc.nat(), { minLength: 4, maxLength: 4 }), (given, weights) => {
        // At most 60 events, 7 and 101 share no factor: all times differ.
        const distinct = given.map((events, part) =>
          events.map((each, i) => ({ ...each, ts: (7 * (15 * part + i)) % 101 })),
        );
        const whole = new Row(byTime).add(distinct.flat()).results();
        const rows = distinct
          .map((events, i) => ({ row: new Row(byTime).add(events), weight: weights[i] ?? 0 }))
          .toSorted((a, b) => a.weight - b.weight)
          .map(({ row }) => row);
        assert.deepEqual(mergedNeighbours(rows, []).results(), whole);
      }),
      { numRuns: 200 },
    );
  });

  it('sums, moments and averages over time agree within rounding, rows being neighbours in time', () => {
    fc.assert(
      fc.property(parts, picks, (given, order) => {
        let ts = 0;
        const rising = given.map((events) => events.map((each) => ({ ...each, ts: ts++ })));
        const whole = new Row(rounded).add(rising.flat()).results();
        const rows = rising.map((events) => new Row(rounded).add(events));
        const merged = mergedNeighbours(rows, order).results();
        for (const [i, value] of merged.entries()) near(value, whole[i]);
      }),
      { numRuns: 300 },
    );
  });

  it('averages over time join in the order of time, not in that of the calls', () => {
    const compiled = program([aggregatePlan({ fn: 'ewma', of: 'n', alpha: 0.25 })]);
    const early = [3, 1, 4].map((n, ts) => ({ ts, n }));
    const late = [1, 5, 9, 2].map((n, i) => ({ ts: 10 + i, n }));
    const whole = new Row(compiled).add([...early, ...late]).results();
    near(new Row(compiled).add(late).merge(new Row(compiled).add(early)).results()[0], whole[0]);
    near(new Row(compiled).add(early).merge(new Row(compiled).add(late)).results()[0], whole[0]);
  });

  it('what is merged in stays as it was', () => {
    for (const compiled of [commutative, byTime, rounded]) {
      fc.assert(
        fc.property(parts, (given) => {
          const from = new Row(compiled).add(given[0] as Event[]);
          compiled.flush(from.space);
          const rows = from.space.rows.slice();
          const bytes = from.space.arena.bytes.slice();
          new Row(compiled).add(given.slice(1).flat()).merge(from);
          assert.deepEqual(from.space.rows, rows);
          assert.deepEqual(from.space.arena.bytes.slice(), bytes);
        }),
        { numRuns: 30 },
      );
    }
  });

  it('rows of one space merge as those of two', () => {
    for (const compiled of [commutative, byTime]) {
      fc.assert(
        fc.property(parts, (given) => {
          const [left, right] = [given[0] as Event[], given.slice(1).flat()];
          const apart = new Row(compiled).add(left).merge(new Row(compiled).add(right)).results();
          const { space, at } = twoRows(compiled, left, right);
          compiled.merge(space, 0, space, at);
          const out: unknown[] = [];
          compiled.results(space, 0, 1000, out);
          assert.deepEqual(out, apart);
          compiled.free(space, at);
          compiled.free(space, 0);
          assert.equal(space.arena.liveBytes, 0);
        }),
        { numRuns: 50 },
      );
    }
  });

  it('gives everything back, and the same calls make the same memory', () => {
    for (const compiled of [commutative, byTime]) {
      fc.assert(
        fc.property(parts, (given) => {
          const [a, b] = [0, 1].map(() => {
            const rows = given.map((events) => new Row(compiled).add(events));
            return mergedNeighbours(rows, []);
          }) as [Row, Row];
          assert.deepEqual(a.space.arena.bytes.slice(), b.space.arena.bytes.slice());
          assert.deepEqual(a.space.rows, b.space.rows);
          assert.equal(a.leaked(), 0);
        }),
        { numRuns: 50 },
      );
    }
  });
});

/** `left` in row 0 and `right` in the row behind it, of one space. */
function twoRows(
  compiled: Row['program'],
  left: readonly Event[],
  right: readonly Event[],
): { space: Row['space']; at: number } {
  const space = newSpace(compiled.doubles * 2);
  const at = compiled.doubles;
  compiled.init(space, 0);
  compiled.init(space, at);
  const batch = batchOf([...left, ...right]);
  for (let row = 0; row < batch.count; row++) compiled.add(space, row < left.length ? 0 : at, batch, row);
  return { space, at };
}

function near(value: unknown, expected: unknown): void {
  if (typeof expected !== 'number') {
    assert.equal(value, expected);
    return;
  }
  const error = Math.abs((value as number) - expected);
  assert.ok(error <= 1e-9 * Math.max(1, Math.abs(expected)), `${value} for ${expected}`);
}
