/**
 * The session operator against sessions kept as lists of events: any definition, any order of events, watermarks and
 * ticks, and the operator taken up anew from its memory, or from a copy of it, between any two steps.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { WindowPlan } from '../../../src/streams/plan.ts';
import { OpenSessions } from '../../../src/streams/windows/open-sessions.ts';
import { FLAT } from '../plan-parts.ts';
import { SessionModel } from './session-model.ts';
import { aggregate, type Event, type Result, WindowRun } from './window-run.ts';

type Definition = Pick<
  WindowPlan,
  'accumulation' | 'allowedLatenessMs' | 'earlyCount' | 'earlyMs' | 'gapMs' | 'sideOutput' | 'time'
> & { readonly distinct: boolean; readonly where: boolean };

const KEYS = 5;

const definitions: fc.Arbitrary<Definition> = fc.record({
  gapMs: fc.integer({ min: 1, max: 20 }),
  allowedLatenessMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 60 })),
  sideOutput: fc.boolean(),
  earlyMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 25 })),
  earlyCount: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 4 })),
  accumulation: fc.constantFrom('accumulating', 'retracting', 'discarding'),
  time: fc.constantFrom('event', 'event', 'event', 'processing'),
  distinct: fc.boolean(),
  where: fc.boolean(),
});

type Step =
  | { readonly do: 'events'; readonly events: readonly { back: number; key: number; value: number }[] }
  | { readonly do: 'advance' | 'tick'; readonly by: number }
  | { readonly do: 'evict'; readonly by: number }
  | { readonly do: 'attach' | 'copy' | 'sweep' | 'query' };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('events' as const),
        events: fc.array(
          fc.record({
            back: fc.integer({ min: -30, max: 60 }),
            key: fc.integer({ min: 0, max: KEYS - 1 }),
            value: fc.integer({ min: 0, max: 9 }),
          }),
          { maxLength: 20 },
        ),
      }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constantFrom('advance' as const, 'advance' as const, 'tick' as const),
        by: fc.integer({ min: 0, max: 30 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('evict' as const), by: fc.integer({ min: 0, max: 10 }) }) },
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constantFrom('attach', 'copy', 'sweep', 'query') }) as fc.Arbitrary<Step>,
    },
  ),
  { maxLength: 40 },
);

/** Keys fire in an order that is the operator's own; what is said of one key is in order. */
function same(actual: readonly Result[], expected: readonly Result[], what: string): void {
  const byKey = (rows: readonly Result[]): Result[] => rows.toSorted((a, b) => (a.key < b.key ? -1 : +(a.key > b.key)));
  assert.deepEqual(byKey(actual), byKey(expected), what);
}

/** Lets keys go: never one whose newest session ends before that of one which stays. */
function evict(run: WindowRun, model: SessionModel, share: number): void {
  const before = model.keys();
  const count = run.evictIdle(share);
  assert.equal(count, Math.ceil(before.length * share));
  const left = new Set(run.query({}).map(({ key }) => key));
  const gone = before.filter((key) => !left.has(key));
  assert.equal(gone.length, count);
  const newestGone = Math.max(...gone.map((key) => model.endOf(key)));
  for (const key of left) assert.ok(model.endOf(key) >= newestGone, `${key} stays`);
  for (const key of gone) model.forget(key);
}

function compare({ distinct, where, ...window }: Definition, script: readonly Step[]): void {
  const aggregates = distinct ? [...FLAT, aggregate('d', 'distinct', 'value')] : FLAT;
  const run = new WindowRun({ type: 'session', ...window, where: where ? 'value > 3' : '', aggregates });
  const plan = run.plan.operators[0] as WindowPlan;
  const model = new SessionModel(plan, distinct);
  const passes = (event: Event): boolean => !where || event.value > 3;
  let now = 1000;
  let nowMs = 1000;
  let watermark = Number.NEGATIVE_INFINITY;
  for (const step of script) {
    if (step.do === 'events') {
      const events = step.events.map(({ back, key, value }) => ({ ts: now - back, key: `key-${key}`, value }));
      same(run.events(events, watermark, { arrivalMs: nowMs }), model.events(events, passes, nowMs), 'events');
    } else if (step.do === 'advance') {
      now += step.by;
      watermark = now - 20;
      if (plan.time === 'event') same(run.advance(watermark), model.advance(watermark), 'advance');
    } else if (step.do === 'tick') {
      nowMs += step.by;
      same(run.tick(nowMs), model.tick(nowMs), 'tick');
    } else if (step.do === 'attach') run.attach();
    else if (step.do === 'copy') {
      const image = run.copy();
      run.events([{ ts: now, key: 'elsewhere', value: 9 }], watermark, { arrivalMs: nowMs });
      run.advance(watermark + 1000);
      run.restore(image);
    } else if (step.do === 'sweep') run.sweep();
    else if (step.do === 'evict') evict(run, model, step.by / 10);
    else same(run.query({}), model.now(), 'query');
    assert.equal(run.stats.late, model.late);
    assert.equal(run.stats.rows, model.size);
  }
  // The end of time: everything closes and nothing is held.
  if (plan.time === 'event') same(run.advance(1e12), model.advance(1e12), 'end');
  else same(run.tick(1e12), model.tick(1e12), 'end');
  run.sweep();
  assert.equal(run.stats.rows, 0);
  assert.equal(run.keyCount, 0);
  assert.deepEqual(run.liveArenaBytes, [0, 0]);
}

describe('sessions', () => {
  test('of any definition are what lists of events give', { timeout: 120_000 }, () => {
    fc.assert(fc.property(definitions, steps, compare), { numRuns: 1500, includeErrorInReport: true });
  });

  const at = (ts: number, key = 'a'): Event => ({ ts, key, value: 1 });
  const told = (rows: readonly Result[]): unknown[] =>
    rows.map(({ end, pane, retraction, start, timing, values }) => [
      timing,
      start,
      end,
      pane,
      values[0],
      ...(retraction ? ['taken back'] : []),
    ]);

  test('one that fired and is joined to one that has not fires at its new end', () => {
    const run = new WindowRun({ type: 'session', gapMs: 10, allowedLatenessMs: 50 });
    run.events([at(0), at(15)], Number.NEGATIVE_INFINITY);
    assert.deepEqual(told(run.advance(12)), [['on-time', 0, 10, 0, 1]]);
    assert.deepEqual(run.events([at(8)], 12), []);
    assert.deepEqual(run.advance(23), []);
    assert.deepEqual(told(run.advance(24)), [['on-time', 0, 25, 1, 3]]);
    run.advance(100);
    assert.equal(run.stats.rows, 0);
  });

  test('two that fired and become one are both taken back', () => {
    const run = new WindowRun({ type: 'session', gapMs: 10, allowedLatenessMs: 50, accumulation: 'retracting' });
    run.events([at(0), at(15)], Number.NEGATIVE_INFINITY);
    assert.equal(run.advance(30).length, 2);
    assert.deepEqual(told(run.events([at(8)], 30)), [
      ['late', 15, 25, 0, 1, 'taken back'],
      ['late', 0, 10, 0, 1, 'taken back'],
      ['late', 0, 25, 1, 3],
    ]);
  });

  test('what is taken back has the timing of what takes its place', () => {
    const definition = { type: 'session', gapMs: 10, allowedLatenessMs: 50, accumulation: 'retracting' } as const;
    const run = new WindowRun({ ...definition, earlyCount: 1 });
    run.events([at(0)], Number.NEGATIVE_INFINITY);
    const taken = (rows: readonly Result[]): unknown[] => told(rows.filter(({ retraction }) => retraction));
    assert.deepEqual(taken(run.events([at(5)], Number.NEGATIVE_INFINITY)), [['early', 0, 10, 0, 1, 'taken back']]);
    run.events([at(20)], Number.NEGATIVE_INFINITY);
    // Before the watermark has come to the end of the session they become.
    assert.deepEqual(taken(run.events([at(12)], Number.NEGATIVE_INFINITY)), [
      ['early', 20, 30, 0, 1, 'taken back'],
      ['early', 0, 15, 1, 2, 'taken back'],
    ]);
    assert.deepEqual(taken(run.advance(29)), [['on-time', 0, 30, 2, 4, 'taken back']]);
    assert.deepEqual(taken(run.events([at(1)], 29)), [['late', 0, 30, 3, 4, 'taken back']]);
  });

  test('late events that are allowed make a batch look at the sessions they change, not at all of each event', (context) => {
    const kept = 1000;
    const batch = 1000;
    const run = new WindowRun({ type: 'session', gapMs: 10, allowedLatenessMs: 1_000_000 });
    run.events(
      Array.from({ length: kept }, (_, i) => at(i * 20)),
      Number.NEGATIVE_INFINITY,
    );
    const watermark = kept * 20 - 5;
    assert.equal(run.advance(watermark).length, kept);
    const looks = [
      context.mock.method(OpenSessions.prototype, 'older'),
      context.mock.method(OpenSessions.prototype, 'newsOf'),
    ];
    const looked = (): number => looks.reduce((sum, { mock }) => sum + mock.callCount(), 0);
    // All but one are on time, in one session that grows.
    const onTime = Array.from({ length: batch }, (_, i) => at(watermark + 1 + i));
    const late = told(run.events([...onTime, at((kept - 10) * 20 + 1)], watermark));
    assert.deepEqual(late, [['late', (kept - 10) * 20, (kept - 10) * 20 + 11, 1, 2]]);
    assert.ok(looked() < 5 * kept, `${looked()} looks at ${kept} sessions for ${batch} events`);
    // Many are late, each in a session of its own, none far back.
    const before = looked();
    const some = Array.from({ length: batch }, (_, i) => at((kept - 1 - (i % 20)) * 20 + 2));
    assert.equal(run.events(some, watermark).length, 20);
    assert.ok(looked() - before < 5 * kept + 30 * batch, `${looked() - before} looks`);
  });

  test('a session that is late, grows past the watermark or is taken in by another in the same batch is told as it is then', () => {
    const run = new WindowRun({ type: 'session', gapMs: 10, allowedLatenessMs: 500 });
    run.events([at(1000)], Number.NEGATIVE_INFINITY);
    assert.equal(run.advance(1100).length, 1);
    // Two that become one by the third, whose row another key's takes; one that grows past the watermark.
    const events = [at(900), at(915), at(908), at(700, 'b'), at(1085), at(1094), at(600, 'c'), at(601, 'c')];
    assert.deepEqual(told(run.events(events, 1100)), [
      ['late', 900, 925, 0, 3],
      ['late', 700, 710, 0, 1],
      ['late', 600, 611, 0, 2],
    ]);
    assert.deepEqual(told(run.advance(1103)), [['on-time', 1085, 1104, 0, 2]]);
  });

  test('more events than fit a chunk, of sessions that begin, grow and join in between, all count', () => {
    const run = new WindowRun({ type: 'session', gapMs: 10 });
    const events = Array.from({ length: 5000 }, (_, i) => at((i * 7919) % 20_011, `key-${i % 3}`));
    run.events(events, Number.NEGATIVE_INFINITY);
    const rows = run.advance(1e9);
    assert.equal(
      rows.reduce((sum, { values }) => sum + (values[0] as number), 0),
      events.length,
    );
    assert.equal(run.stats.rows, 0);
  });

  test('sessions that become one are told with the events of both that came last', () => {
    const run = new WindowRun({ type: 'session', gapMs: 10 });
    const newest = (): readonly string[] => run.contexts.at(-1)?.events ?? [];
    run.events([at(0), at(1), at(2), at(3), at(4)], Number.NEGATIVE_INFINITY);
    run.events([at(18), at(19), at(20), at(0, 'b')], Number.NEGATIVE_INFINITY);
    run.events([at(9), at(18, 'b')], Number.NEGATIVE_INFINITY);
    run.events([at(9, 'b')], Number.NEGATIVE_INFINITY);
    run.query({ key: ['a'] });
    assert.deepEqual(newest(), ['3:0', '2:2', '2:1', '2:0']);
    run.query({ key: ['b'] });
    assert.deepEqual(newest(), ['4:0', '3:1', '2:3']);
    run.events([at(21)], Number.NEGATIVE_INFINITY);
    run.query({ key: ['a'] });
    assert.deepEqual(newest(), ['5:0', '3:0', '2:2', '2:1']);
  });
});
