/**
 * Windows and slices in time, against counting by hand and Flink's published examples.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { WindowPlan } from '../../../src/streams/plan.ts';
import { WindowGeometry } from '../../../src/streams/windows/geometry.ts';
import { windowsOf } from './window-oracle.ts';
import { WindowRun } from './window-run.ts';

const plans = fc
  .record({
    type: fc.constantFrom('tumbling', 'hopping', 'cumulating'),
    slideMs: fc.integer({ min: 1, max: 40 }),
    slides: fc.integer({ min: 1, max: 12 }),
    uneven: fc.integer({ min: 0, max: 39 }),
    offsetMs: fc.integer({ min: -100, max: 100 }),
  })
  .map(({ offsetMs, slideMs, slides, type, uneven }) => {
    const more = type === 'hopping' ? uneven % slideMs : 0;
    const sizeMs = type === 'tumbling' ? slideMs : slideMs * slides + more;
    return { type, sizeMs: type === 'hopping' && uneven > 30 ? more + 1 : sizeMs, slideMs, offsetMs };
  });

const times = fc.oneof(
  fc.integer({ min: -2000, max: 2000 }),
  fc.integer({ min: -2_000_000, max: 2_000_000 }).map((n) => n / 1024),
);

test('an event is in the windows that contain it, before and after 1970, whatever the offset', () => {
  fc.assert(
    fc.property(plans, times, (plan, ts) => {
      const byStart = (a: { start: number; end: number }, b: { start: number; end: number }): number =>
        a.start - b.start || a.end - b.end;
      const geometry = new WindowGeometry(plan);
      const slice = geometry.sliceOf(ts);
      const found: { start: number; end: number }[] = [];
      for (let window = geometry.firstWindow(slice); window <= geometry.lastWindow(slice); window++) {
        found.push({ start: geometry.windowStart(window), end: geometry.windowEnd(window) });
      }
      assert.deepEqual(found.sort(byStart), windowsOf(plan as unknown as WindowPlan, ts).sort(byStart));
    }),
    { numRuns: 3000 },
  );
});

test('slices lie side by side, contain their times, and make up their windows exactly', () => {
  fc.assert(
    fc.property(plans, times, (plan, ts) => {
      const geometry = new WindowGeometry(plan);
      const slice = geometry.sliceOf(ts);
      assert.ok(geometry.sliceStart(slice) <= ts && ts < geometry.sliceEnd(slice));
      assert.ok(geometry.sliceEnd(slice) === geometry.sliceStart(slice + 1));
      for (let window = geometry.firstWindow(slice); window <= geometry.lastWindow(slice); window++) {
        assert.equal(geometry.sliceStart(geometry.windowSlice(window)), geometry.windowStart(window));
        assert.equal(geometry.sliceStart(geometry.windowSlicesEnd(window)), geometry.windowEnd(window));
        assert.ok(geometry.windowSlice(window) <= slice && slice < geometry.windowSlicesEnd(window));
        assert.ok(geometry.windowSlicesEnd(window) - geometry.windowSlice(window) <= geometry.slicesMax);
      }
    }),
    { numRuns: 3000 },
  );
});

test('a window fires at end − 1 and expires the allowed lateness later', () => {
  fc.assert(
    fc.property(plans, times, fc.integer({ min: 0, max: 100 }), (plan, watermark, lateness) => {
      const geometry = new WindowGeometry(plan);
      const fired = geometry.lastFired(watermark);
      assert.ok(watermark >= geometry.windowEnd(fired) - 1);
      assert.ok(watermark < geometry.windowEnd(fired + 1) - 1);
      const expired = geometry.lastExpired(watermark, lateness);
      assert.ok(watermark >= geometry.windowEnd(expired) - 1 + lateness);
      assert.ok(watermark < geometry.windowEnd(expired + 1) - 1 + lateness);
    }),
    { numRuns: 3000 },
  );
  const geometry = new WindowGeometry({ type: 'tumbling', sizeMs: 10, slideMs: 10, offsetMs: 0 });
  assert.equal(geometry.lastFired(Number.NEGATIVE_INFINITY), Number.NEGATIVE_INFINITY);
  assert.equal(geometry.lastFired(8), -1);
  assert.equal(geometry.lastFired(9), 0);
});

test('times of today at fine slides keep to their slices', () => {
  const geometry = new WindowGeometry({ type: 'hopping', sizeMs: 7000, slideMs: 7, offsetMs: 3 });
  for (let i = 0; i < 10_000; i++) {
    const ts = 1_763_000_000_000 + i * 7 - 0.000_25;
    const slice = geometry.sliceOf(ts);
    assert.ok(geometry.sliceStart(slice) <= ts && ts < geometry.sliceEnd(slice));
  }
});

const minute = (text: string): number => Date.parse(`2020-04-15T${text}:00Z`);
const BIDS = [
  ['08:05', 4],
  ['08:07', 2],
  ['08:09', 5],
  ['08:11', 3],
  ['08:13', 1],
  ['08:17', 6],
] as const;

function sumsOf(window: Partial<WindowPlan>): Record<string, number> {
  const run = new WindowRun(window);
  const bids = BIDS.map(([time, value]) => ({ ts: minute(time), key: 'all', value }));
  const results = [...run.events(bids, Number.NEGATIVE_INFINITY), ...run.advance(minute('09:00'))];
  return Object.fromEntries(
    results.map(({ end, start, values }) => {
      const text = (ms: number): string => new Date(ms).toISOString().slice(11, 16);
      return [`${text(start)}-${text(end)}`, values[1] as number];
    }),
  );
}

test("Flink's examples of window functions: bids by price", () => {
  assert.deepEqual(sumsOf({ type: 'tumbling', sizeMs: 600_000 }), { '08:00-08:10': 11, '08:10-08:20': 10 });
  assert.deepEqual(sumsOf({ type: 'hopping', sizeMs: 600_000, slideMs: 300_000 }), {
    '08:00-08:10': 11,
    '08:05-08:15': 15,
    '08:10-08:20': 10,
    '08:15-08:25': 6,
  });
  assert.deepEqual(sumsOf({ type: 'cumulating', sizeMs: 600_000, slideMs: 120_000 }), {
    '08:00-08:06': 4,
    '08:00-08:08': 6,
    '08:00-08:10': 11,
    '08:10-08:12': 3,
    '08:10-08:14': 4,
    '08:10-08:16': 4,
    '08:10-08:18': 10,
    '08:10-08:20': 10,
  });
});
