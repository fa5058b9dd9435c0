/** `collect`, `first`, `last`: by event time, whatever order events come in; equal times by arrival. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { aggregatePlan } from '../plan-parts.ts';
import { type Event, program, Row, resultsOf } from './rows.ts';

const LIMIT = 5;
const newest = program([
  aggregatePlan({ fn: 'collect', of: 'n', limit: LIMIT }),
  aggregatePlan({ fn: 'collect', of: 's', limit: LIMIT }),
  aggregatePlan({ fn: 'collect', of: 'b', limit: LIMIT }),
]);
const edges = program([
  aggregatePlan({ fn: 'first', of: 'n' }),
  aggregatePlan({ fn: 'last', of: 'n' }),
  aggregatePlan({ fn: 'first', of: 's' }),
  aggregatePlan({ fn: 'last', of: 's' }),
]);

const event: fc.Arbitrary<Event> = fc.record({
  ts: fc.integer({ min: -30, max: 30 }),
  n: fc.option(fc.integer()),
  s: fc.option(fc.string({ maxLength: 40, unit: 'grapheme' })),
  b: fc.option(fc.boolean()),
});
const events = fc.array(event, { maxLength: 80, size: 'max' });

/** Present values of a field in the order of time, equal times as they came. */
function inTime(given: readonly Event[], field: 'n' | 's' | 'b'): unknown[] {
  return given
    .filter((each) => each[field] !== null && each[field] !== undefined)
    .toSorted((a, b) => a.ts - b.ts)
    .map((each) => each[field]);
}

describe('values by event time', () => {
  it('collect keeps the newest, oldest first', () => {
    fc.assert(
      fc.property(events, (given) => {
        const row = new Row(newest).add(given);
        const expected = (['n', 's', 'b'] as const).map((field) => inTime(given, field).slice(-LIMIT));
        assert.deepEqual(row.results(), expected);
        assert.equal(row.leaked(), 0);
      }),
      { numRuns: 200 },
    );
  });

  it('collect keeps them through merges that drop others', () => {
    fc.assert(
      fc.property(fc.array(events, { minLength: 2, maxLength: 4 }), (parts) => {
        const rows = parts.map((part) => new Row(newest).add(part));
        const merged = rows.reduce((row, each) => row.merge(each), new Row(newest));
        const expected = (['n', 's', 'b'] as const).map((field) => inTime(parts.flat(), field).slice(-LIMIT));
        assert.deepEqual(merged.results(), expected);
        assert.equal(merged.leaked(), 0);
      }),
      { numRuns: 100 },
    );
  });

  it('collect holds twice its limit of values and no more', () => {
    const row = new Row(newest);
    const rounds = (count: number): number => {
      for (let i = 0; i < count; i++) row.add([{ ts: i % 17, n: i, s: `text ${i}`, b: true }]);
      return row.space.arena.liveBytes;
    };
    const [few, many] = [rounds(100), rounds(5000)];
    assert.ok(many <= few + 3 * LIMIT * 40, `${few} bytes, then ${many}`);
  });

  it('first and last are the edges of time; equal times go by arrival', () => {
    fc.assert(
      fc.property(events, (given) => {
        const expected = (['n', 's'] as const).flatMap((field) => {
          const values = inTime(given, field);
          return [values[0] ?? null, values.at(-1) ?? null];
        });
        const row = new Row(edges).add(given);
        assert.deepEqual(row.results(), expected);
        assert.equal(row.leaked(), 0);
      }),
      { numRuns: 200 },
    );
    const tie = [1, 2, 3].map((n) => ({ ts: 5, n, s: `${n}` }));
    assert.deepEqual(new Row(edges).add(tie).results(), [1, 3, '1', '3']);
  });

  it('texts come back as they were, of any length', () => {
    const texts = ['', 'a', '\0', 'ærlig', '🙂'.repeat(10), 'x'.repeat(100_000), 'short again', 'ü'.repeat(24)];
    const all = program([
      aggregatePlan({ fn: 'collect', of: 's', limit: 100 }),
      aggregatePlan({ fn: 'last', of: 's' }),
    ]);
    const row = new Row(all);
    for (const [ts, s] of texts.entries()) {
      row.add([{ ts, s }]);
      assert.equal(row.results()[1], s);
    }
    assert.deepEqual(row.results()[0], texts);
  });

  it('booleans are told as booleans', () => {
    const flags = [
      aggregatePlan({ fn: 'first', of: 'b' }),
      aggregatePlan({ fn: 'last', of: 'b' }),
      aggregatePlan({ fn: 'last', of: 'i > 2' }),
    ];
    const given = [false, null, true].map((b, ts) => ({ ts, b, i: ts }));
    assert.deepEqual(resultsOf(flags, given), [false, true, false]);
  });
});
