/**
 * Batches aggregated ahead of their shards give what their events give one by one: same results, same late events, same
 * evidence, whatever the watermark is when a shard gets to them.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { WindowPlan } from '../../../src/streams/plan.ts';
import { FLAT } from '../plan-parts.ts';
import { aggregate, batchOf, kind, type Result, WindowRun } from './window-run.ts';

const SHARDS = 4;
const EDGES = [aggregate('first', 'first', 'value'), aggregate('last', 'last', 'value')];

const windows = fc.record({
  type: fc.constantFrom<WindowPlan['type']>('tumbling', 'hopping', 'cumulating'),
  slideMs: fc.integer({ min: 1, max: 10 }),
  slides: fc.integer({ min: 1, max: 5 }),
  allowedLatenessMs: fc.constantFrom(0, 0, 15),
  earlyMs: fc.constantFrom(0, 10),
  accumulation: fc.constantFrom<WindowPlan['accumulation']>('accumulating', 'retracting'),
  where: fc.constantFrom('', 'value > 3'),
});

const batches = fc.array(
  fc.record({
    events: fc.array(
      fc.record({
        back: fc.integer({ min: -10, max: 50 }),
        key: fc.integer({ min: 0, max: 20 }),
        value: fc.integer({ min: 0, max: 9 }),
      }),
      { maxLength: 40 },
    ),
    by: fc.integer({ min: 0, max: 20 }),
  }),
  { maxLength: 12 },
);

const textOf = ({ end, final, key, pane, retraction, start, timing, values }: Result): string =>
  JSON.stringify([end, start, key, pane, timing, final, retraction, values]);

test('batches aggregated ahead give the same results', () => {
  fc.assert(
    fc.property(windows, batches, ({ slides, ...rest }, steps) => {
      const sizeMs = rest.type === 'tumbling' ? rest.slideMs : rest.slideMs * slides;
      const window = { ...rest, sizeMs, aggregates: [...FLAT, ...EDGES] };
      const whole = new WindowRun(window);
      const shards = Array.from({ length: SHARDS }, () => new WindowRun(window));
      const combiner = kind.combiner(whole.plan.operators[0] as WindowPlan, whole.plan);
      assert.ok(combiner !== null);
      let now = 100;
      let watermark = Number.NEGATIVE_INFINITY;
      for (const [i, { by, events }] of steps.entries()) {
        const given = events.map(({ back, key, value }) => ({ ts: now - back, key: `key-${key}`, value }));
        const batch = batchOf(whole.plan, given);
        const rows = Uint32Array.from(given, (_, row) => row);
        const hashes = batch.hashes[0] as Uint32Array;
        const partial: SharedArrayBuffer | null = combiner.combine(batch, [0], hashes, rows, given.length, i + 1);
        const expected = whole.events(given, watermark);
        const actual: Result[] = shards.flatMap((run, shard): Result[] => {
          if (i % 2 === 0) run.attach();
          return partial === null ? [] : run.partial(partial, shard, SHARDS, watermark);
        });
        now += by;
        watermark = now - 15;
        expected.push(...whole.advance(watermark), ...whole.tick(now));
        for (const run of shards) actual.push(...run.advance(watermark), ...run.tick(now));
        assert.deepEqual(actual.map(textOf).sort(), expected.map(textOf).sort());
        for (const run of [whole, ...shards]) run.sweep();
      }
      assert.equal(
        shards.reduce((sum, run) => sum + run.stats.late, 0),
        whole.stats.late,
      );
    }),
    { numRuns: 500, includeErrorInReport: true },
  );
});

test('evidence of batches aggregated ahead is that of their last events', () => {
  const run = new WindowRun({ sizeMs: 100 });
  const combiner = kind.combiner(run.plan.operators[0] as WindowPlan, run.plan);
  for (const [seq, count] of [
    [1, 2],
    [2, 7],
    [3, 1],
  ] as const) {
    const events = Array.from({ length: count }, (_, i) => ({ ts: i, key: 'a', value: 1 }));
    const batch = batchOf(run.plan, events);
    const rows = Uint32Array.from(events, (_, i) => i);
    const partial = combiner?.combine(batch, [0], batch.hashes[0] as Uint32Array, rows, count, seq);
    run.partial(partial as SharedArrayBuffer, 0, 1, Number.NEGATIVE_INFINITY);
  }
  const [result] = run.advance(99);
  assert.deepEqual(result?.values, [10, 10, 1, 1]);
  assert.deepEqual(run.contexts[0]?.events, ['3:0', '2:6', '2:5', '2:4']);
});

test('only what does not depend on single events is aggregated ahead', () => {
  const can = (window: Partial<WindowPlan>): boolean => {
    const { plan } = new WindowRun(window);
    return kind.combiner(plan.operators[0] as WindowPlan, plan) !== null;
  };
  assert.ok(can({}));
  assert.ok(can({ type: 'hopping', sizeMs: 20, slideMs: 10, allowedLatenessMs: 5 }));
  assert.ok(!can({ aggregates: [...FLAT, aggregate('d', 'distinct', 'value')] }));
  // It takes values as they arrive: batches whose times overlap cannot be told apart when they are merged.
  assert.ok(!can({ aggregates: [...FLAT, aggregate('e', 'ewma', 'value')] }));
  assert.ok(!can({ earlyCount: 2 }));
  assert.ok(!can({ sideOutput: true }));
  assert.ok(!can({ time: 'processing' }));
  assert.ok(!can({ type: 'hopping', sizeMs: 20, slideMs: 10, accumulation: 'discarding' }));
});
