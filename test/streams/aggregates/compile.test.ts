/** What is shared, what counts as absent, which results come where, what is refused. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { aggregateProblem } from '../../../src/streams/aggregates/check.ts';
import { compileAggregates } from '../../../src/streams/aggregates/compile.ts';
import type { RowReader } from '../../../src/streams/aggregates/source.ts';
import { compileRow } from '../../../src/streams/expressions/row.ts';
import type { AggregatePlan } from '../../../src/streams/plan.ts';
import { randomFrom } from '../../random.ts';
import { aggregatePlan } from '../plan-parts.ts';
import { batchOf, type Event, FIELDS, newSpace, program, Row, resultsOf } from './rows.ts';

const EVERY: readonly AggregatePlan[] = [
  aggregatePlan({ fn: 'count' }),
  aggregatePlan({ fn: 'count', of: 'n' }),
  aggregatePlan({ fn: 'rate' }),
  aggregatePlan({ fn: 'sum', of: 'n' }),
  aggregatePlan({ fn: 'mean', of: 'n' }),
  aggregatePlan({ fn: 'min', of: 'n' }),
  aggregatePlan({ fn: 'max', of: 'n' }),
  aggregatePlan({ fn: 'variance', of: 'n' }),
  aggregatePlan({ fn: 'stddev', of: 'n' }),
  aggregatePlan({ fn: 'ewma', of: 'n' }),
  aggregatePlan({ fn: 'first', of: 'n' }),
  aggregatePlan({ fn: 'last', of: 's' }),
  aggregatePlan({ fn: 'distinct', of: 's' }),
  aggregatePlan({ fn: 'quantile', of: 'n' }),
  aggregatePlan({ fn: 'top', of: 's' }),
  aggregatePlan({ fn: 'collect', of: 'n' }),
];
const OF_NOTHING = [0, 0, 0, null, null, null, null, null, null, null, null, null, 0, null, [], []];

describe('compiled aggregates', () => {
  it('of no events, and of absent values, are null, zero or empty', () => {
    assert.deepEqual(resultsOf(EVERY, []), OF_NOTHING);
    assert.deepEqual(resultsOf(EVERY, [{ ts: 1, n: null, s: null }]), [1, 0, 1, ...OF_NOTHING.slice(3)]);
  });

  it('merging with a row of no events changes nothing, either way', () => {
    const given = [5, null, -3, 8].map((n, ts) => ({ ts, n, s: n === null ? null : `${n}` }));
    const compiled = program(EVERY);
    const alone = new Row(compiled).add(given).results();
    assert.deepEqual(new Row(compiled).add(given).merge(new Row(compiled)).results(), alone);
    assert.deepEqual(new Row(compiled).merge(new Row(compiled).add(given)).results(), alone);
    assert.deepEqual(new Row(compiled).merge(new Row(compiled)).results(), OF_NOTHING);
  });

  it('have the code of another definition that says the same, unless it holds something of its own', () => {
    const adds = (plans: readonly AggregatePlan[]): unknown => compileAggregates([...plans], FIELDS).addRows;
    const flat = EVERY.slice(0, 9);
    assert.equal(adds(flat), adds(flat));
    assert.notEqual(adds(flat), adds(flat.slice(1)));
    assert.notEqual(adds(EVERY), adds(EVERY));
  });

  it('share columns: the same counts, sums and sketches are kept once', () => {
    const doubles = (...plans: AggregatePlan[]): number => program(plans).doubles;
    assert.equal(doubles(aggregatePlan({ fn: 'count' }), aggregatePlan({ fn: 'rate' })), 1);
    assert.equal(doubles(aggregatePlan({ fn: 'count' }), aggregatePlan({ fn: 'count', of: 'i' })), 1);
    assert.equal(
      doubles(
        aggregatePlan({ fn: 'count' }),
        aggregatePlan({ fn: 'sum', of: 'i' }),
        aggregatePlan({ fn: 'mean', of: 'i' }),
      ),
      3,
    );
    assert.equal(
      doubles(
        aggregatePlan({ fn: 'count' }),
        aggregatePlan({ fn: 'sum', of: 'n' }),
        aggregatePlan({ fn: 'mean', of: 'n' }),
      ),
      4,
    );
    assert.equal(doubles(aggregatePlan({ fn: 'variance', of: 'n' }), aggregatePlan({ fn: 'stddev', of: 'n' })), 3);
    assert.equal(doubles(aggregatePlan({ fn: 'sum', of: 'n * 2' }), aggregatePlan({ fn: 'mean', of: 'n * 2' })), 3);
    assert.equal(doubles(aggregatePlan({ fn: 'count', where: 'b' }), aggregatePlan({ fn: 'count', where: '!b' })), 2);
    assert.equal(
      doubles(aggregatePlan({ fn: 'top', of: 's' }), aggregatePlan({ fn: 'top', of: 's', name: 'again' })),
      1,
    );
  });

  it('conditions and expressions take part event by event', () => {
    const given: Event[] = [
      { ts: 1, n: 2, i: 3, b: true },
      { ts: 2, n: 10, i: 1, b: false },
      { ts: 3, n: null, i: 7, b: true },
      { ts: 4, n: 4, i: 5, b: null },
    ];
    const plans = [
      aggregatePlan({ fn: 'sum', of: 'n * i' }),
      aggregatePlan({ fn: 'sum', of: 'i', where: 'b' }),
      aggregatePlan({ fn: 'count', of: 'n', where: 'i > 2' }),
      aggregatePlan({ fn: 'sum', of: 'b' }),
      aggregatePlan({ fn: 'count', where: 'n > 3 && i < 5' }),
    ];
    assert.deepEqual(resultsOf(plans, given), [6 + 10 + 20, 3 + 7, 2, 2, 1]);
  });

  it('rate is per its unit of the span, and null without one', () => {
    const given = Array.from({ length: 30 }, (_, ts) => ({ ts }));
    const perMinute = [aggregatePlan({ fn: 'rate', perMs: 60_000 })];
    assert.deepEqual(resultsOf(perMinute, given, 10_000), [180]);
    assert.deepEqual(resultsOf(perMinute, given, Number.POSITIVE_INFINITY), [null]);
    assert.deepEqual(resultsOf(perMinute, given, 0), [null]);
  });

  it('ewma begins with the first value', () => {
    const given = [10, 20, 0].map((n, ts) => ({ ts, n }));
    assert.deepEqual(resultsOf([aggregatePlan({ fn: 'ewma', of: 'n', alpha: 0.5 })], given), [7.5]);
    assert.deepEqual(resultsOf([aggregatePlan({ fn: 'ewma', of: 'n', alpha: 1 })], given), [0]);
  });

  it('adds many events to many rows as it adds one by one', () => {
    const compiled = program(EVERY);
    const next = randomFrom(11);
    const given = Array.from({ length: 3000 }, (_, ts) => ({
      ts,
      n: next() < 0.1 ? null : next() * 100,
      s: next() < 0.1 ? null : `s${Math.floor(next() * 200)}`,
    }));
    const batch = batchOf(given);
    const rows = Uint32Array.from(given.keys()).filter((row) => row % 5 !== 0);
    const ats = rows.map((row) => (Math.imul(row, 31) % 7) * compiled.doubles);
    const [single, many] = [newSpace(compiled.doubles * 7), newSpace(compiled.doubles * 7)];
    for (let row = 0; row < 7; row++) {
      compiled.init(single, row * compiled.doubles);
      compiled.init(many, row * compiled.doubles);
    }
    for (const [i, row] of rows.entries()) compiled.add(single, ats[i] as number, batch, row);
    compiled.addRows(many, ats, batch, rows, rows.length);
    assert.deepEqual(many.rows, single.rows);
    assert.deepEqual(many.arena.bytes.slice(), single.arena.bytes.slice());
  });

  it('is flat when all is in the row', () => {
    assert.equal(program(EVERY.slice(0, 11)).flat, true);
    assert.equal(program(EVERY).flat, false);
    assert.deepEqual(
      program(EVERY).columns,
      EVERY.map(({ name }) => name),
    );
    assert.equal(program([]).doubles, 0);
  });

  it('values of no fixed type are kept as what they are', () => {
    const values: readonly unknown[] = [1, '1', true, [1, 'a', null], 1, null, [1, 'a', null], 'x', false];
    const reader: RowReader = {
      type: 'any',
      field: -1,
      number: () => Number.NaN,
      test: () => false,
      value: (_, row) => values[row],
    };
    const plans = [
      aggregatePlan({ fn: 'collect', of: '?', limit: 100 }),
      aggregatePlan({ fn: 'distinct', of: '?' }),
      aggregatePlan({ fn: 'last', of: '?' }),
      aggregatePlan({ fn: 'top', of: '?', limit: 2 }),
      aggregatePlan({ fn: 'count', of: '?' }),
    ];
    const row = new Row(compileAggregates(plans, FIELDS, undefined, () => reader));
    const present = values.filter((value) => value !== null);
    const top = [
      [1, 2],
      [[1, 'a', null], 2],
    ].map(([value, count]) => ({ value, count, error: 0 }));
    assert.deepEqual(row.add(values.map((_, ts) => ({ ts }))).results(), [present, 6, false, top, present.length]);
    assert.equal(row.leaked(), 0);
  });

  it('is kept with the plan it was compiled from', () => {
    const plans = [aggregatePlan({ fn: 'count' })];
    assert.equal(program(plans), program(plans));
    assert.notEqual(program(plans), program([...plans]));
  });

  it('refuses what makes no sense, and says what', () => {
    const problem = (plan: AggregatePlan): string | null => aggregateProblem(plan, FIELDS, compileRow);
    assert.equal(problem(aggregatePlan({ fn: 'sum' })), 'sum needs `of`: a field or an expression');
    assert.equal(problem(aggregatePlan({ fn: 'mean', of: 's' })), 'mean needs numbers, and `s` is a string');
    assert.equal(
      problem(aggregatePlan({ fn: 'max', of: 'lower(s)' })),
      'max needs numbers, and `lower(s)` is a string',
    );
    for (const plan of EVERY) assert.equal(problem(plan), null);
    assert.throws(() => program([aggregatePlan({ fn: 'sum', of: 's' })]), /aggregate sum: sum needs numbers/);
    const custom = aggregatePlan({ fn: 'custom', module: '/m.ts', exportName: 'r' });
    assert.throws(() => program([custom]), /reducer \/m\.ts#r is not loaded/);
  });
});
