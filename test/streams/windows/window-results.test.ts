/**
 * What results of windows carry and how they come: many keys, evidence, rankings, late and early panes, idle keys, gaps.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WindowPlan } from '../../../src/streams/plan.ts';
import { fastestMs } from '../../clients/processor-time.ts';
import { randomFrom } from '../../random.ts';
import { FLAT } from '../plan-parts.ts';
import { WindowOracle } from './window-oracle.ts';
import { aggregate, type Event, type Result, WindowRun } from './window-run.ts';

const NEVER = Number.NEGATIVE_INFINITY;

const textOf = ({ end, key, start, values }: Result): string => JSON.stringify([end, start, key, values]);

for (const window of [
  { type: 'tumbling', sizeMs: 1000 },
  { type: 'hopping', sizeMs: 4000, slideMs: 1000 },
  { type: 'hopping', sizeMs: 2500, slideMs: 1000, allowedLatenessMs: 700 },
] as const) {
  test(`thousands of keys in large batches: ${JSON.stringify(window)}`, () => {
    const random = randomFrom(11);
    const run = new WindowRun(window);
    const oracle = new WindowOracle(run.plan.operators[0] as WindowPlan, false);
    let watermark = NEVER;
    for (let batch = 0; batch < 12; batch++) {
      const events: Event[] = Array.from({ length: 4000 }, (_, i) => ({
        ts: batch * 800 + i / 5 - random() * (random() < 0.02 ? 8000 : 1500),
        key: `key-${Math.floor(random() ** 2 * 5000)}`,
        value: Math.floor(random() * 1000),
      }));
      const actual = run.events(events, watermark);
      watermark = batch * 800 - 300;
      actual.push(...run.advance(watermark));
      const expected = [...oracle.events(events, () => true, 0), ...oracle.advance(watermark)];
      assert.deepEqual(actual.map(textOf).sort(), expected.map(textOf).sort());
      run.sweep();
      if (batch % 3 === 0) run.attach();
      if (batch % 5 === 0) run.restore(run.copy());
    }
    assert.equal(run.stats.late, oracle.late);
    assert.ok(oracle.late > 0 && run.stats.rows > 1000);
  });
}

test('the same steps make the same memory and the same results', () => {
  const images = [0, 1].map((attach) => {
    const random = randomFrom(3);
    const run = new WindowRun({ type: 'hopping', sizeMs: 50, slideMs: 10, allowedLatenessMs: 20 });
    const results: Result[] = [];
    for (let i = 0; i < 200; i++) {
      const events = Array.from({ length: 20 }, () => ({
        ts: i * 5 - random() * 60,
        key: `${Math.floor(random() * 9)}`,
        value: 1,
      }));
      results.push(...run.events(events, i * 5 - 30), ...run.advance(i * 5 - 28));
      if (attach === 1) run.attach();
    }
    const { keys, windows } = run.copy();
    return { results, bytes: [...keys.buffers, ...windows.buffers].map((buffer) => Buffer.from(buffer.slice(0))) };
  });
  assert.deepEqual(images[0], images[1]);
});

test('a watermark that jumps by years fires what there is and nothing else', () => {
  const run = new WindowRun({ type: 'hopping', sizeMs: 60, slideMs: 1 });
  run.events([{ ts: 5, key: 'a', value: 1 }], NEVER);
  assert.equal(run.advance(1e12).length, 60);
  run.events([{ ts: 1e12 + 500, key: 'a', value: 2 }], 1e12);
  let results: ReturnType<WindowRun['advance']> = [];
  const ms = fastestMs(1, () => {
    results = run.advance(1e15);
  });
  assert.equal(results.length, 60);
  assert.ok(ms < 1000, `${ms} ms`);
  assert.deepEqual(results[0]?.values, [1, 2, 2, 2]);
});

test('a result names its last four events, of whichever slices, their traces and correlation ids, each once', () => {
  const run = new WindowRun({ type: 'hopping', sizeMs: 20, slideMs: 10 });
  const event = (ts: number): Event => ({ ts, key: 'a', value: 1 });
  const first = { traceparent: '00-11111111111111111111111111111111-2222222222222222-01', correlationId: 'order é 1' };
  run.events([event(1), event(2), event(3), event(4), event(5), event(6)], NEVER, first);
  run.attach();
  run.events([event(11), event(12)], NEVER, { correlationId: 'x'.repeat(200), traceparent: first.traceparent });
  run.contexts.length = 0;
  run.advance(19);
  assert.deepEqual(run.contexts, [
    { events: ['1:5', '1:4', '1:3', '1:2'], traces: [first.traceparent], correlationIds: ['order é 1'] },
    {
      events: ['2:1', '2:0', '1:5', '1:4'],
      traces: [first.traceparent],
      correlationIds: ['order é 1'],
    },
  ]);
});

test('traces of batches long ago are forgotten, event ids are not', () => {
  const run = new WindowRun({ sizeMs: 1000 });
  run.events([{ ts: 1, key: 'a', value: 1 }], NEVER, { traceparent: 'old' });
  for (let i = 0; i < 300; i++) run.events([{ ts: 1, key: 'b', value: 1 }], NEVER, { traceparent: `t${i}` });
  run.advance(5000);
  assert.deepEqual(run.contexts[0], { events: ['1:0'], traces: [], correlationIds: [] });
  assert.deepEqual(run.contexts[1]?.traces, ['t299', 't298', 't297', 't296']);
});

test('the best of a close, best first; equal ones go by their key', () => {
  const events = ['c', 'd', 'a', 'b'].map((key, i) => ({ ts: 1, key, value: [5, 7, 5, 7][i] as number }));
  const best = (limit: number, ties: boolean): unknown[] => {
    const run = new WindowRun({ top: { by: 'sum', limit, ties } });
    run.events(events, NEVER);
    return run.advance(9).map(({ key }) => key);
  };
  assert.deepEqual(best(1, false), ['b']);
  assert.deepEqual(best(3, false), ['b', 'd', 'a']);
  assert.deepEqual(best(1, true), ['b', 'd']);
  assert.deepEqual(best(3, true), ['b', 'd', 'a', 'c']);
  assert.deepEqual(best(9, false), ['b', 'd', 'a', 'c']);
});

test('a later ranking of a shard is whole: what it takes back is not for the shard to say', () => {
  const run = new WindowRun({
    top: { by: 'sum', limit: 1, ties: false },
    allowedLatenessMs: 50,
    accumulation: 'retracting',
  });
  run.events(
    [
      { ts: 1, key: 'a', value: 5 },
      { ts: 1, key: 'b', value: 4 },
    ],
    NEVER,
  );
  const brief = (rows: readonly Result[]): unknown[] =>
    rows.map(({ key, pane, retraction, timing, values }) => [key, pane, timing, retraction, values[1]]);
  assert.deepEqual(brief(run.advance(9)), [['a', 0, 'on-time', false, 5]]);
  assert.deepEqual(brief(run.events([{ ts: 2, key: 'b', value: 4 }], 9)), [['b', 0, 'late', false, 8]]);
});

test('panes of a window: early, on time, late, each numbered, with what it takes back', () => {
  const run = new WindowRun({ allowedLatenessMs: 20, earlyMs: 100, accumulation: 'retracting' });
  const brief = (rows: readonly Result[]): unknown[] =>
    rows.map(({ final, pane, retraction, timing, values }) => [pane, timing, retraction, final, values[0]]);
  const event = { ts: 3, key: 'a', value: 1 };
  run.tick(1000);
  run.events([event], NEVER);
  assert.deepEqual(brief(run.tick(1099)), []);
  assert.deepEqual(brief(run.tick(1100)), [[0, 'early', false, false, 1]]);
  assert.deepEqual(brief(run.tick(1200)), []);
  run.events([event, event], NEVER);
  assert.deepEqual(brief(run.advance(9)), [
    [0, 'on-time', true, false, 1],
    [1, 'on-time', false, false, 3],
  ]);
  assert.deepEqual(brief(run.events([event], 9)), [
    [1, 'late', true, false, 3],
    [2, 'late', false, false, 4],
  ]);
  assert.deepEqual(brief(run.advance(29)), []);
  assert.deepEqual(brief(run.events([event], 29)), []);
  assert.equal(run.stats.late, 1);
});

test('keys idle the longest are forgotten first', () => {
  const run = new WindowRun({
    type: 'hopping',
    sizeMs: 100,
    slideMs: 10,
    aggregates: [...FLAT, aggregate('d', 'distinct', 'value')],
  });
  for (let key = 0; key < 10; key++) {
    for (let at = 0; at <= key; at++) run.events([{ ts: at * 10, key: `${key}`, value: 1 }], NEVER);
  }
  run.advance(35);
  assert.equal(run.evictIdle(0.35), 3);
  run.sweep();
  assert.equal(run.keyCount, 7);
  run.attach();
  run.events([{ ts: 95, key: '0', value: 1 }], 35);
  const keys = run.advance(99).map(({ key }) => key);
  assert.deepEqual([...new Set(keys)].sort(), ['0', '3', '4', '5', '6', '7', '8', '9']);
  run.advance(1e9);
  run.sweep();
  assert.deepEqual([run.stats.rows, run.keyCount, ...run.liveArenaBytes], [0, 0, 0, 0, 0, 0]);
});

test('queries choose by key, range and value, and change nothing', () => {
  const run = new WindowRun({ type: 'hopping', sizeMs: 20, slideMs: 10 });
  run.events(
    [
      { ts: 5, key: 'b', value: 3 },
      { ts: 15, key: 'a', value: 9 },
      { ts: 15, key: 'b', value: 1 },
    ],
    NEVER,
  );
  const brief = (rows: readonly Result[]): unknown[] => rows.map(({ key, start, values }) => [key, start, values[1]]);
  assert.deepEqual(brief(run.query({ key: ['b'] })), [
    ['b', -10, 3],
    ['b', 0, 4],
    ['b', 10, 1],
  ]);
  assert.deepEqual(brief(run.query({ fromMs: 20, toMs: 25 })), [
    ['a', 10, 9],
    ['b', 10, 1],
  ]);
  assert.deepEqual(brief(run.query({ by: 'sum', limit: 3 })), [
    ['a', 0, 9],
    ['a', 10, 9],
    ['b', 0, 4],
  ]);
  assert.deepEqual(brief(run.query({ limit: 1 })), [['a', 0, 9]]);
  assert.deepEqual(run.query({ key: ['nobody'] }), []);
  assert.deepEqual(brief(run.advance(9)), [['b', -10, 3]]);
  assert.deepEqual(brief(run.query({ key: ['b'], by: 'n' })), [
    ['b', 0, 4],
    ['b', 10, 1],
  ]);
});

test('bytes in use are those of a key as well as those of its rows', () => {
  const run = new WindowRun({ type: 'hopping', sizeMs: 40, slideMs: 10, aggregates: FLAT });
  const keys = 4096;
  run.events(
    Array.from({ length: keys }, (_, i) => ({ ts: 5, key: `k${i}`, value: 1 })),
    NEVER,
  );
  // A row: head 2, links 2, five doubles of aggregates and as many of their suffix, evidence 4; a key: its word in the
  // list and ten more.
  assert.ok(run.stats.bytes >= keys * ((2 + 2 + 5 + 5 + 4) * 8 + 44), `${run.stats.bytes}`);
});
