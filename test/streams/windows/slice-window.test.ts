/**
 * The slice operator against an oracle that keeps lists of events: any definition, any order of events, watermarks and
 * ticks, batches cut anywhere, and the operator taken up anew from its memory, or from a copy of it, between any two steps.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { WindowPlan } from '../../../src/streams/plan.ts';
import { FLAT } from '../plan-parts.ts';
import { WindowOracle } from './window-oracle.ts';
import { aggregate, type Event, type Result, WindowRun } from './window-run.ts';

interface Definition {
  readonly type: 'tumbling' | 'hopping' | 'cumulating';
  readonly slideMs: number;
  readonly slides: number;
  readonly uneven: number;
  readonly offsetMs: number;
  readonly allowedLatenessMs: number;
  readonly sideOutput: boolean;
  readonly earlyMs: number;
  readonly earlyCount: number;
  readonly accumulation: WindowPlan['accumulation'];
  readonly time: WindowPlan['time'];
  readonly distinct: boolean;
  readonly where: boolean;
  readonly top: number;
}

function planOf(definition: Definition): Partial<WindowPlan> {
  const { distinct, slideMs, slides, top, type, uneven, where } = definition;
  const sizeMs = type === 'tumbling' ? slideMs : slideMs * slides + (type === 'hopping' ? uneven % slideMs : 0);
  const processing = definition.time === 'processing';
  return {
    type,
    sizeMs,
    slideMs,
    offsetMs: definition.offsetMs,
    time: definition.time,
    allowedLatenessMs: processing ? 0 : definition.allowedLatenessMs,
    sideOutput: !processing && definition.sideOutput,
    earlyMs: definition.earlyMs,
    earlyCount: definition.earlyCount,
    accumulation: definition.accumulation,
    where: where ? 'value > 3' : '',
    aggregates: distinct ? [...FLAT, aggregate('d', 'distinct', 'value')] : FLAT,
    top: top === 0 ? null : { by: 'sum', limit: top, ties: true },
  };
}

const definitions: fc.Arbitrary<Definition> = fc.record({
  type: fc.constantFrom('tumbling', 'hopping', 'hopping', 'cumulating'),
  slideMs: fc.integer({ min: 1, max: 12 }),
  slides: fc.integer({ min: 1, max: 9 }),
  uneven: fc.integer({ min: 0, max: 11 }),
  offsetMs: fc.integer({ min: -30, max: 30 }),
  allowedLatenessMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 40 })),
  sideOutput: fc.boolean(),
  earlyMs: fc.oneof(fc.constant(0), fc.constant(0), fc.integer({ min: 1, max: 20 })),
  earlyCount: fc.oneof(fc.constant(0), fc.constant(0), fc.integer({ min: 1, max: 4 })),
  accumulation: fc.constantFrom('accumulating', 'retracting', 'discarding'),
  time: fc.constantFrom('event', 'event', 'event', 'processing'),
  distinct: fc.boolean(),
  where: fc.boolean(),
  top: fc.constantFrom(0, 0, 0, 1, 2),
});

type Step =
  | { readonly do: 'events'; readonly events: readonly { back: number; key: number; value: number }[] }
  | { readonly do: 'advance'; readonly by: number }
  | { readonly do: 'jump'; readonly by: number }
  | { readonly do: 'tick'; readonly by: number }
  | { readonly do: 'attach' | 'copy' | 'sweep' | 'query' | 'evict' };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('events' as const),
        events: fc.array(
          fc.record({
            back: fc.integer({ min: -25, max: 60 }),
            key: fc.integer({ min: 0, max: 6 }),
            value: fc.integer({ min: 0, max: 9 }),
          }),
          { maxLength: 25 },
        ),
      }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('advance' as const), by: fc.integer({ min: 0, max: 15 }) }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant('jump' as const), by: fc.integer({ min: 50, max: 5_000_000 }) }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('tick' as const), by: fc.integer({ min: 0, max: 30 }) }) },
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constantFrom('attach', 'copy', 'sweep', 'query', 'evict') }) as fc.Arbitrary<Step>,
    },
  ),
  { maxLength: 40 },
);

const orderOf = (row: Result): string =>
  JSON.stringify([row.end, row.start, row.key, row.output, row.pane, row.retraction]);

/** Keys of one window fire in an order that is the operator's own. */
function sorted(rows: readonly Result[]): Result[] {
  return rows.toSorted((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1));
}

function same(actual: readonly Result[], expected: readonly Result[], what: string): void {
  assert.deepEqual(sorted(actual), sorted(expected), what);
  const onTime = actual.filter((row) => row.timing === 'on-time');
  for (const [i, row] of onTime.entries())
    assert.ok(i === 0 || row.end >= (onTime[i - 1] as Result).end, 'order of ends');
}

/** Drives both and compares after each step. */
function compare(definition: Definition, script: readonly Step[]): void {
  const run = new WindowRun(planOf(definition));
  const plan = run.plan.operators[0] as WindowPlan;
  const oracle = new WindowOracle(plan, definition.distinct);
  const passes = (event: Event): boolean => !definition.where || event.value > 3;
  let now = 1000;
  let watermark = Number.NEGATIVE_INFINITY;
  let nowMs = 1000;
  for (const step of script) {
    if (step.do === 'events') {
      const events = step.events.map(({ back, key, value }) => ({ ts: now - back, key: `key-${key}`, value }));
      same(run.events(events, watermark, { arrivalMs: nowMs }), oracle.events(events, passes, nowMs), 'events');
    } else if (step.do === 'advance' || step.do === 'jump') {
      now += step.by;
      watermark = Math.max(watermark, now - 20);
      if (plan.time === 'event') same(run.advance(watermark), oracle.advance(watermark), 'advance');
    } else if (step.do === 'tick') {
      nowMs += step.by;
      same(run.tick(nowMs), oracle.tick(nowMs), 'tick');
    } else if (step.do === 'attach') run.attach();
    else if (step.do === 'copy') {
      const image = run.copy();
      run.events([{ ts: now, key: 'elsewhere', value: 9 }], watermark, { arrivalMs: nowMs });
      run.advance(watermark + 1000);
      run.restore(image);
    } else if (step.do === 'sweep') run.sweep();
    else if (step.do === 'query') {
      const rows = run.query({});
      assert.deepEqual(
        rows,
        rows.toSorted((a, b) => (a.key === b.key ? a.start - b.start || a.end - b.end : a.key < b.key ? -1 : 1)),
      );
      if (definition.top === 0) same(rows, oracle.open(), 'query');
    } else {
      const keys = new Set(run.query({}).map(({ key }) => key));
      run.evictIdle(1);
      oracle.forget(new Set([...keys, ...Array.from({ length: 7 }, (_, i) => `key-${i}`)]));
    }
    assert.equal(run.stats.late, oracle.late);
  }
  // The end of time: everything closes and nothing is held.
  if (plan.time === 'event') same(run.advance(1e12), oracle.advance(1e12), 'end');
  else same(run.tick(1e12), oracle.tick(1e12), 'end');
  run.sweep();
  assert.equal(run.stats.rows, 0);
  assert.equal(run.keyCount, 0);
  assert.deepEqual(run.liveArenaBytes, [0, 0, 0, 0]);
}

test('any definition gives what lists of events give', { timeout: 120_000 }, () => {
  fc.assert(fc.property(definitions, steps, compare), { numRuns: 1500, includeErrorInReport: true });
});
