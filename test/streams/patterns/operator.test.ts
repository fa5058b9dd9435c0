/** The pattern operator against brute force: order, lateness, keys, and memory that is taken up anew. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { EVIDENCE_MAX } from '../../../src/streams/operator.ts';
import { MATCH_EVENTS_MAX, PARTIAL_MATCHES_MAX, PENDING_EVENTS_MAX } from '../../../src/streams/patterns/key-state.ts';
import type { PatternPlan, PatternStepPlan } from '../../../src/streams/plan.ts';
import { fieldsOf } from '../expressions/rows.ts';
import { allMatches, keptMatches } from './brute-force.ts';
import { type Chain, type Letter, type LetterPattern, type LetterStep, planned, run } from './letters.ts';
import { type KeyedEvent, patternPlan, ShardRun } from './shard-run.ts';

const fields = fieldsOf({ name: 'string', kind: 'string', price: 'number', hot: 'boolean' });

const order = (letter: Letter): number => (letter.name[0] as string).charCodeAt(0);
const above = (letter: Letter, chain: Chain): boolean =>
  chain.length === 0 || order(letter) >= order((chain.at(-1) as Chain[number]).letter);
const few = (_: Letter, chain: Chain): boolean => chain.filter(({ step }) => step === 's0').length < 2;

/** The same condition as an expression over `kind`. */
function expression(where: LetterStep['where']): string {
  if (where === above) return 'prev.kind == null || kind >= prev.kind';
  if (where === few) return 'count(s0) < 2';
  if (where === '.') return '';
  return `kind in ${JSON.stringify([...(where as string)])}`;
}

const steps = (all: readonly LetterStep[]): PatternStepPlan[] =>
  all.map((step) => ({
    ...planned(step),
    where: expression(step.where),
    until: step.until === undefined ? '' : expression(step.until),
  }));

function planFor({ steps: all, withinMs = 0, skip }: LetterPattern, time: PatternPlan['time'] = 'event'): PatternPlan {
  return patternPlan({ steps: steps(all), withinMs, skip: skip ?? { mode: 'noSkip', step: '' }, time });
}

const contiguity = fc.constantFrom('next', 'followedBy', 'followedByAny');
const taking = fc
  .record({
    where: fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom('a', 'b', 'c', 'ab', 'bc', '.') },
      { weight: 2, arbitrary: fc.constantFrom(above, few) },
    ),
    contiguity,
    inner: contiguity,
    times: fc.constantFrom([1, 1], [1, 1], [1, 2], [1, Infinity], [0, 1]),
    greedy: fc.boolean(),
  })
  .map(({ times: [min = 1, max = 1], ...rest }) => ({ ...rest, min, max }));
const forbidding = fc.record({
  where: fc.constantFrom('a', 'b', 'c'),
  contiguity: fc.constantFrom('notNext', 'notFollowedBy'),
});
const pattern: fc.Arbitrary<LetterPattern> = fc
  .tuple(
    taking,
    fc.array(fc.oneof({ weight: 4, arbitrary: taking }, { weight: 1, arbitrary: forbidding }), { maxLength: 2 }),
    fc.constantFrom(3, 6, 1000),
    fc.constantFrom<PatternPlan['skip']['mode']>('noSkip', 'skipToNext', 'skipPastLast', 'toFirst', 'toLast'),
  )
  .map(([first, rest, withinMs, mode]) => ({
    steps: [first, ...rest].map((step, i) => ({ name: `s${i}`, ...step })) as LetterStep[],
    withinMs,
    skip: { mode, step: 's0' },
  }));

interface Batch {
  readonly events: readonly { readonly kind: string; readonly key: number; readonly ts: number }[];
  /** How far the watermark rises after it. */
  readonly rise: number;
}
const batches: fc.Arbitrary<Batch[]> = fc.array(
  fc.record({
    events: fc.array(
      fc.record({ kind: fc.constantFrom('a', 'b', 'c'), key: fc.nat(2), ts: fc.integer({ min: 0, max: 14 }) }),
      { maxLength: 5, size: 'max' },
    ),
    rise: fc.nat(5),
  }),
  { maxLength: 5, size: 'max' },
);

const named = (batches: readonly Batch[]): { events: KeyedEvent[]; rise: number }[] => {
  let count = 0;
  return batches.map(({ events, rise }) => ({
    events: events.map((event) => ({ ...event, name: `${event.kind}${count++}`, price: event.ts, hot: false })),
    rise,
  }));
};

/** Runs all batches; per key the events that were not late, in order. */
function drive(shard: ShardRun, batches: readonly Batch[]): { letters: Map<number, Letter[]>; late: number } {
  const letters = new Map<number, Letter[]>();
  let late = 0;
  let watermark = -1;
  for (const { events, rise } of named(batches)) {
    for (const { key, name, ts } of events) {
      if (ts <= shard.watermark) late += 1;
      else letters.set(key, [...(letters.get(key) ?? []), { name, ts }]);
    }
    shard.events(events);
    watermark += rise;
    shard.advance(watermark);
  }
  for (const all of letters.values()) all.sort((a, b) => a.ts - b.ts);
  return { letters, late };
}

/** Brute force has no bound: a case in which the operator had to give up partial matches is passed over. */
function passOverGivenUp(shard: ShardRun, letters: readonly (readonly Letter[])[]): void {
  const dropped = shard.operator.dropped?.() ?? 0;
  if (letters.every(({ length }) => 2 ** length < PARTIAL_MATCHES_MAX)) assert.equal(dropped, 0);
  else fc.pre(dropped === 0);
}

describe('the pattern operator', () => {
  it('finds per key what brute force finds in the events in order, wherever its memory is taken up', () => {
    fc.assert(
      fc.property(pattern, batches, fc.boolean(), (pattern, batches, anew) => {
        const shard = new ShardRun(planFor(pattern), fields, anew);
        const { letters, late } = drive(shard, batches);
        shard.advance(Infinity);
        passOverGivenUp(shard, [...letters.values()]);
        assert.equal(shard.operator.stats().late, late);
        const expected: string[] = [];
        for (const [key, all] of letters) {
          const skip = pattern.skip as PatternPlan['skip'];
          const kept =
            skip.mode === 'noSkip'
              ? allMatches(pattern, all).map(({ names }) => names)
              : keptMatches(pattern, all, skip).map((text) => text.split(' / ')[0] as string);
          expected.push(...kept.map((names) => `${key}: ${newest(names)}`));
          expected.push(...run(pattern, all).timeouts.map((names) => `${key} timeout: ${newest(names)}`));
        }
        const given = shard.given.map(({ key, output, names }) => `${key}${output && ' timeout'}: ${names}`);
        assert.deepEqual(given.sort(), expected.sort());
        assert.equal(shard.operator.stats().rows, 0);
        assert.equal(shard.keys.size, 0, 'no key is retained without state');
        assert.equal(new Set(shard.given.map(({ key, start, pane }) => `${key} ${start} ${pane}`)).size, given.length);
      }),
      { numRuns: 600 },
    );
  });

  it('leads to the same bytes and results whether or not states are cached', () => {
    fc.assert(
      fc.property(pattern, batches, fc.constantFrom('event', 'arrival'), (pattern, batches, time) => {
        const plan = planFor(pattern, time);
        const kept = new ShardRun(plan, fields);
        const anew = new ShardRun(plan, fields, true);
        drive(kept, batches);
        drive(anew, batches);
        assert.deepEqual(kept.given, anew.given);
        assert.deepEqual(kept.query(), anew.query());
        assert.deepEqual(kept.bytes(), anew.bytes());
      }),
      { numRuns: 250 },
    );
  });

  it('by arrival, matches events as they come and takes late ones, too', () => {
    fc.assert(
      fc.property(pattern, batches, fc.boolean(), (pattern, batches, anew) => {
        const limited = { ...pattern, withinMs: 1000, skip: { mode: 'noSkip', step: '' } as const };
        const plan = planFor(limited, 'arrival');
        const shard = new ShardRun(plan, fields, anew);
        drive(shard, batches);
        shard.advance(Infinity);
        const byKey = new Map<number, Letter[]>();
        for (const { key, name, ts } of named(batches).flatMap(({ events }) => events)) {
          byKey.set(key, [...(byKey.get(key) ?? []), { name, ts }]);
        }
        passOverGivenUp(shard, [...byKey.values()]);
        const expected = [...byKey].flatMap(([key, all]) =>
          allMatches(limited, all).map(({ names }) => `${key}: ${newest(names)}`),
        );
        const given = shard.given.filter(({ output }) => output === '').map(({ key, names }) => `${key}: ${names}`);
        assert.deepEqual(given.sort(), expected.sort());
        assert.equal(new Set(shard.given.map(({ start, pane }) => `${start} ${pane}`)).size, shard.given.length);
      }),
      { numRuns: 250 },
    );
  });
});

/** Evidence is bounded: what is told of longer matches is their newest events. */
function newest(names: string): string {
  return names.split(' ').slice(-EVIDENCE_MAX).join(' ');
}

const event = (name: string, ts: number, more: Partial<KeyedEvent> = {}): KeyedEvent => ({
  key: 1,
  name,
  kind: name[0] as string,
  price: null,
  hot: null,
  ts,
  ...more,
});
const step = (name: string, where: string, more: Partial<PatternStepPlan> = {}): PatternStepPlan => ({
  ...planned({ name, where: '.' }),
  where,
  ...more,
});
const isA = step('a', 'kind == "a"');
const isB = step('b', 'kind == "b"');
const many = { min: 1, max: Infinity } as const;

describe('results of a pattern', () => {
  it('end with their own time by arrival, whatever began before them', () => {
    const plan = patternPlan({ steps: [isA, isB], withinMs: 50, timeouts: true, time: 'arrival' });
    const by = (last: (shard: ShardRun) => void): unknown[] => {
      const shard = new ShardRun(plan, fields);
      shard.events([event('a1', 100)]);
      shard.events([event('a2', 10)]);
      last(shard);
      return shard.given.map(({ names, output, end }) => [names, output, end]);
    };
    // The second one began 70 before the event.
    const byEvent = by((shard) => shard.events([event('b1', 80)]));
    assert.deepEqual(byEvent, [
      ['a2', 'timeout', 60],
      ['a1 b1', '', 80],
    ]);
    assert.deepEqual(
      by((shard) => shard.advance(70)),
      [['a2', 'timeout', 60]],
    );
  });

  it('say when the match began and ended, and how far it got', () => {
    const shard = new ShardRun(patternPlan({ steps: [isA, isB], withinMs: 10 }), fields);
    shard.events([event('a1', 5), event('b1', 9), event('a2', 12)]);
    shard.advance(30);
    const results = shard.given.map(({ output, start, end, values, names }) => ({ output, start, end, values, names }));
    assert.deepEqual(shard.operator.columns, ['firstTs', 'lastTs', 'count', 'step']);
    assert.deepEqual(results, [
      { output: '', start: 5, end: 9, values: [5, 9, 2, 'b'], names: 'a1 b1' },
      { output: 'timeout', start: 12, end: 22, values: [12, 12, 1, 'a'], names: 'a2' },
    ]);
    assert.deepEqual(shard.rows[0]?.final, true);
  });

  it('leave timeouts out unless they are asked for', () => {
    const shard = new ShardRun(patternPlan({ steps: [isA, isB], withinMs: 10, timeouts: false }), fields);
    shard.events([event('a1', 5)]);
    shard.advance(30);
    assert.deepEqual(shard.given, []);
    assert.equal(shard.operator.stats().rows, 0);
  });

  it('hold the values that are selected', () => {
    const select = Object.entries({
      first: 'first(a).price',
      last: 'last(b).price',
      sum: 'sum(b.price)',
      avg: 'avg(b.price)',
      low: 'min(b.price)',
      high: 'max(b.price)',
      count: 'count(b)',
      before: 'prev.name',
      at: 'ts',
      hot: 'hot',
      ended: 'last(c).ts',
    }).map(([name, expression]) => ({ name, expression }));
    const c = step('c', 'kind == "c"', { optional: true });
    const until = step('d', 'kind == "d"');
    const plan = patternPlan({ steps: [isA, { ...isB, ...many, greedy: true }, c, until], select });
    for (const anew of [false, true]) {
      const shard = new ShardRun(plan, fields, anew);
      shard.events([event('a', 1, { price: 7 }), event('b1', 2, { price: 4 })]);
      shard.advance(2);
      shard.events([event('b2', 3), event('b3', 4, { price: 1 }), event('d', 6, { hot: true })]);
      shard.advance(7);
      assert.deepEqual(
        shard.given.map(({ values }) => values),
        [[7, 1, 5, 2.5, 1, 4, 3, 'b3', 6, true, null, 'd']],
      );
    }
  });

  it('tell the newest events, trace contexts and correlation ids behind them', () => {
    const shard = new ShardRun(patternPlan({ steps: [{ ...isA, ...many, inner: 'next', greedy: true }, isB] }), fields);
    for (let i = 0; i < 12; i++) {
      shard.events([event(`a${i}`, i)], { traceparent: `trace${i % 3}`, correlationId: i % 2 === 0 ? 'even' : '' });
    }
    shard.events([event('b', 20)]);
    shard.advance(20);
    const [longest] = shard.given;
    assert.equal(longest?.values[2], 13);
    assert.equal(longest?.names, 'a5 a6 a7 a8 a9 a10 a11 b');
    assert.deepEqual(longest?.evidence?.traces, ['trace0', 'trace1', 'trace2']);
    assert.deepEqual(longest?.evidence?.correlationIds, ['even']);
  });

  it('list the partial matches of a key, and the best of all', () => {
    const shard = new ShardRun(patternPlan({ steps: [isA, { ...isB, ...many }, step('c', 'kind == "c"')] }), fields);
    shard.events([event('a1', 1), event('b1', 2), event('a2', 3, { key: 4 })]);
    shard.advance(5);
    const rows = shard.query({ key: [1] });
    assert.deepEqual(
      rows.map(({ keyId, start, end, pane, values, timing, final }) => [
        keyId,
        start,
        end,
        pane,
        values,
        timing,
        final,
      ]),
      [[1, 1, Infinity, 0, [1, 2, 2, 'b'], 'early', false]],
    );
    assert.deepEqual(
      shard.query({ by: 'firstTs', limit: 1 }).map(({ keyId }) => keyId),
      [4],
    );
    assert.equal(shard.query({ toMs: 3 }).length, 1);
    assert.equal(shard.query({ key: [99] }).length, 0);
    assert.equal(shard.operator.stats().rows, 2);
  });

  it('forget idle keys when told to', () => {
    const shard = new ShardRun(patternPlan({ steps: [isA, isB] }), fields);
    for (const key of [3, 1, 2]) shard.events([event('a', key, { key })]);
    assert.equal(shard.operator.evictIdle(0.5), 2);
    assert.equal(shard.keys.retained(2), 1);
    assert.equal(shard.keys.size, 1);
    assert.equal(shard.operator.stats().rows, 1);
  });
});

describe('limits of a pattern', () => {
  it('drop the oldest partial matches of a key and count them', () => {
    const shard = new ShardRun(patternPlan({ steps: [isA, isB] }), fields);
    const count = PARTIAL_MATCHES_MAX + 10;
    shard.events(Array.from({ length: count }, (_, i) => event(`a${i}`, i)));
    shard.advance(count);
    assert.equal(shard.operator.stats().dropped, 10);
    assert.equal(shard.operator.stats().rows, PARTIAL_MATCHES_MAX);
    shard.events([event('b', count + 1)]);
    shard.advance(count + 1);
    assert.equal(shard.given.length, PARTIAL_MATCHES_MAX);
    assert.equal(shard.given[0]?.start, 10);
  });

  it('drop partial matches that would take too many events', () => {
    const steps = [isA, { ...isB, ...many, inner: 'next', greedy: true } as const, step('c', 'kind == "c"')];
    const shard = new ShardRun(patternPlan({ steps }), fields);
    shard.events([event('a', 0), ...Array.from({ length: MATCH_EVENTS_MAX }, (_, i) => event(`b${i}`, i + 1))]);
    shard.advance(MATCH_EVENTS_MAX + 1);
    assert.equal(shard.operator.stats().dropped, 1);
    assert.equal(shard.operator.stats().rows, 0);
  });

  it('match the oldest event at once when too many wait, and call older ones late', () => {
    const shard = new ShardRun(patternPlan({ steps: [isA], select: [{ name: 'n', expression: 'name' }] }), fields);
    for (let i = 0; i < 4; i++) {
      const part = PENDING_EVENTS_MAX / 4;
      shard.events(Array.from({ length: part }, (_, k) => event('a', 10 + i * part + k)));
    }
    assert.equal(shard.given.length, 0);
    shard.events([event('a', 10 + PENDING_EVENTS_MAX), event('a', 5)]);
    assert.deepEqual(
      shard.given.map(({ start }) => start),
      [10],
    );
    assert.equal(shard.operator.stats().late, 1);
    assert.equal(shard.operator.stats().rows, PENDING_EVENTS_MAX);
  });
});
