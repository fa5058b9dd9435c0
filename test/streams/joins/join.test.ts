/** Joins against a program that holds lists: what is told, what is kept, and memory that is taken up anew. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LineWriter } from '../../../src/streams/engine/shards/result-line.ts';
import { HELD_MAX } from '../../../src/streams/joins/join.ts';
import type { JoinPlan } from '../../../src/streams/plan.ts';
import { type JoinEvent, JoinRun, joinPlan, type Told } from './join-run.ts';
import { NaiveJoin } from './naive-join.ts';

const RUNS = 300;
const END = 1e9;

const notes = fc.constantFrom(null, '', 'a', 'plain text', 'grüße', '🙂 and more', 'x'.repeat(300), 'y'.repeat(700));
const draft = fc.record({
  key: fc.nat(2),
  ts: fc.integer({ min: -40, max: 120 }),
  note: notes,
  n: fc.option(fc.integer({ min: -9, max: 9 })),
  hot: fc.option(fc.boolean()),
});
const steps = fc.array(
  fc.record({
    side: fc.nat(1),
    drafts: fc.array(draft, { maxLength: 12, size: 'max' }),
    trace: fc.constantFrom('', '', '00-one', '00-two'),
    rise: fc.integer({ min: 0, max: 25 }),
  }),
  { maxLength: 14, size: 'max' },
);
const joins: fc.Arbitrary<JoinPlan> = fc
  .record({
    type: fc.constantFrom('interval' as const, 'window' as const, 'lookup' as const),
    outer: fc.boolean(),
    where: fc.constantFrom('', 'left.n != null && right.n != null'),
    lowerMs: fc.constantFrom(-30, 0, 4),
    spanMs: fc.constantFrom(0, 8, 60),
    sizeMs: fc.constantFrom(10, 32),
    ttlMs: fc.constantFrom(0, 15),
  })
  .map(({ lowerMs, outer, sizeMs, spanMs, ttlMs, type, where }) => {
    if (type === 'interval') return joinPlan({ type, outer, where, lowerMs, upperMs: lowerMs + spanMs });
    return joinPlan({ type, outer, where, ...(type === 'window' ? { sizeMs } : { ttlMs }) });
  });

const sorted = (told: readonly Told[]): string[] => told.map((each) => JSON.stringify(each)).sort();

describe('a join', () => {
  test(`tells and keeps what a program over lists does, over the same memory or a copy, ${RUNS} cases`, () => {
    fc.assert(
      fc.property(joins, steps, (join, given) => {
        const runs = [new JoinRun(join), new JoinRun(join, true)] as const;
        const naive = new NaiveJoin(join);
        let watermark = -50;
        let count = 0;
        for (const { drafts, rise, side, trace } of given) {
          const events = drafts.map((each): JoinEvent => ({ ...each, name: `e${count++}` }));
          watermark += rise;
          for (const run of runs) {
            run.events(side, events, { traceparent: trace });
            run.advance(watermark);
          }
          naive.events(side, events, trace);
          naive.advance(watermark);
          assert.equal(runs[0].operator.stats().rows, naive.held);
          assert.equal(runs[0].operator.stats().late, naive.late);
        }
        for (const each of [...runs, naive]) each.advance(END);
        assert.deepEqual(sorted(runs[0].told), sorted(naive.told));
        assert.deepEqual(runs[1].told, runs[0].told);
        assert.deepEqual(runs[1].bytes(), runs[0].bytes());
        if (join.type === 'lookup' && join.ttlMs === 0) return;
        assert.deepEqual({ ...runs[0].operator.stats(), late: 0 }, { rows: 0, bytes: 0, late: 0 });
        assert.equal(runs[0].keys.size, 0);
      }),
      { numRuns: RUNS },
    );
  });

  test('a key and side holds a bounded number of events; the oldest goes and counts as late', () => {
    const run = new JoinRun(joinPlan({ type: 'interval', lowerMs: 0, upperMs: 10 * HELD_MAX }));
    const event = (i: number): JoinEvent => ({ key: 0, name: `e${i}`, ts: i, n: i });
    const size = HELD_MAX / 10;
    for (let from = 0; from < HELD_MAX + size; from += size) {
      run.events(
        0,
        Array.from({ length: size }, (_, i) => event(from + i)),
      );
    }
    assert.deepEqual(
      { rows: run.operator.stats().rows, late: run.operator.stats().late },
      { rows: HELD_MAX, late: size },
    );
    run.events(1, [{ key: 0, name: 'right', ts: size + 1, n: 0 }]);
    assert.deepEqual(
      run.told.map(({ names }) => names[0]),
      [`e${size}`, `e${size + 1}`],
    );
  });

  test('an event on time is not late, and told alone, though all its partners are before the watermark', () => {
    const run = new JoinRun(joinPlan({ type: 'interval', lowerMs: -20, upperMs: -10, outer: true }));
    run.events(1, [{ key: 0, name: 'right', ts: 85 }]);
    run.advance(95);
    run.events(0, [
      { key: 0, name: 'met', ts: 100 },
      { key: 0, name: 'alone', ts: 110 },
      { key: 1, name: 'other', ts: 100 },
      { key: 0, name: 'late', ts: 90 },
    ]);
    assert.deepEqual(
      run.told.map(({ names }) => names),
      [
        ['met', 'right'],
        ['other', ''],
      ],
    );
    assert.equal(run.operator.stats().late, 1);
    run.advance(100);
    assert.deepEqual(run.told.at(-1)?.names, ['alone', '']);
  });

  test('memory of events that have gone is given back while others of the key stay', () => {
    const run = new JoinRun(joinPlan({ type: 'interval', lowerMs: 0, upperMs: 10 }));
    const events = Array.from({ length: 4000 }, (_, i): JoinEvent => ({ key: 0, name: `e${i}`, ts: i, note: 'text' }));
    run.events(0, events);
    const full = run.operator.stats().bytes;
    run.advance(3990);
    assert.equal(run.operator.stats().rows, 19);
    assert.ok(run.operator.stats().bytes < full / 10, `${run.operator.stats().bytes} of ${full} bytes are left`);
    run.events(1, [{ key: 0, name: 'right', ts: 3999, n: 0 }]);
    assert.equal(run.told.length, 11);
  });

  test('keys idle the longest are forgotten first, with all they hold', () => {
    const run = new JoinRun(joinPlan({ type: 'interval', lowerMs: -1000, upperMs: 1000 }));
    for (let key = 0; key < 10; key++) run.events(key % 2, [{ key, name: `k${key}`, ts: key, note: 'text' }]);
    run.events(1, [{ key: 0, name: 'again', ts: 0 }]);
    assert.equal(run.operator.evictIdle?.(0.3), 3);
    assert.deepEqual(
      Array.from({ length: 10 }, (_, key) => run.keys.retained(key)),
      [1, 0, 0, 0, 1, 1, 1, 1, 1, 1],
    );
    assert.equal(run.operator.evictIdle?.(1), 7);
    assert.deepEqual(run.operator.stats(), { rows: 0, bytes: 0, late: 0 });
    assert.equal(run.keys.size, 0);
  });

  test('lines are the same whether ids are written as bytes or as texts, of derived events, too', () => {
    const run = new JoinRun(joinPlan({ type: 'interval', lowerMs: -5, upperMs: 5, outer: true }));
    const writer = new LineWriter('s', 'j', ['left', 'right', 'sum', 'hot', 'apart'], true);
    const lines: [string, string][] = [];
    run.onRow = (row) => {
      const { correlationIds = [], events = [], traces = [] } = row.evidence ?? {};
      const texts = { ...row, evidence: { events, traces, correlationIds } };
      lines.push([writer.line(row, run.keys), writer.line(texts, run.keys)]);
    };
    run.events(0, [{ key: 1, name: 'a', ts: 3, note: 'x' }], { seq: 12_345_678_901, traceparent: '00-one' });
    run.events(1, [{ key: 1, name: 'b', ts: 4, note: 'y' }], { seq: 7 + 3 / 4096 });
    run.events(0, [{ key: 2, name: 'c', ts: 5 }]);
    run.advance(100);
    assert.deepEqual(
      lines.map(([bytes]) => bytes),
      lines.map(([, texts]) => texts),
    );
    assert.deepEqual(
      lines.map(([bytes]) => (JSON.parse(bytes) as { id: string }).id),
      ['s/j/{"k":1}/3/4/12345678901:0+7.000732421875:0', 's/j/{"k":2}/5/5/3:0'],
    );
  });
});
