/** Reducers of modules: loaded once, their states kept in memory that any thread could take over. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadReducers } from '../../../src/streams/aggregates/load-reducers.ts';
import type { Reducer } from '../../../src/streams/aggregates/reducer.ts';
import type { AggregatePlan, OperatorPlan } from '../../../src/streams/plan.ts';
import { Arena } from '../../../src/streams/state/arena.ts';
import { ShardMemory } from '../../../src/streams/state/memory.ts';
import { aggregatePlan } from '../plan-parts.ts';
import { program, Row } from './rows.ts';

const MODULE = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? 'range-reducer.ts' : 'range-reducer.js', import.meta.url),
);
const range = aggregatePlan({ fn: 'custom', of: 'n', module: MODULE, exportName: 'range' });
const planOf = (...aggregates: AggregatePlan[]): { operators: OperatorPlan[] } => ({
  operators: [{ kind: 'window', aggregates } as unknown as OperatorPlan],
});

describe('custom reducers', () => {
  it('are loaded from their module and used like any aggregate', async () => {
    const reducers = await loadReducers(planOf(range), new Map());
    const compiled = program([range], reducers);
    const row = new Row(compiled).add([4, null, 9, 2].map((n, ts) => ({ ts, n })));
    assert.deepEqual(row.results(500), [{ range: 7, perSecond: 14, newest: 3 }]);
    row.merge(new Row(compiled).add([{ ts: 10, n: 30 }]));
    assert.deepEqual(row.results(), [{ range: 28, perSecond: 28, newest: 10 }]);
    assert.deepEqual(new Row(compiled).results(), [{ range: 0, perSecond: 0, newest: null }]);
    assert.equal(row.leaked(), 0);
  });

  it('get the fields of the event when they are of nothing', async () => {
    const events = aggregatePlan({ fn: 'custom', module: MODULE, exportName: 'events' });
    const compiled = program([events], await loadReducers(planOf(events), new Map()));
    const row = new Row(compiled).add([{ ts: 7, n: 1.5, i: 2, s: 'ø', b: false }, { ts: 8 }]);
    assert.deepEqual(row.results(), [
      [
        { ts: 7, n: 1.5, i: 2, s: 'ø', b: false },
        { ts: 8, n: null, i: 0, s: null, b: null },
      ],
    ]);
  });

  it('get texts and booleans as such', () => {
    const kinds: Reducer<unknown[]> = {
      init: () => [],
      add: (state, value) => [...state, value],
      merge: (a, b) => [...a, ...b],
      result: (state) => state,
    };
    const plans = ['s', 'b', 'lower(s)', 'i > 1'].map((of) =>
      aggregatePlan({ fn: 'custom', name: of, of, module: 'm', exportName: 'k' }),
    );
    const compiled = program(plans, new Map([['m#k', kinds as Reducer]]));
    const row = new Row(compiled).add([
      { ts: 1, s: 'Aa', b: true, i: 1 },
      { ts: 2, s: null, b: false, i: 2 },
    ]);
    assert.deepEqual(row.results(), [['Aa'], [true, false], ['aa'], [false, true]]);
  });

  it('may have null as a state', () => {
    const highestSinceZero: Reducer<number | null> = {
      init: () => null,
      add: (state, value) => (value === 0 ? null : Math.max(state ?? 0, value as number)),
      merge: (a, b) => (b === null ? null : Math.max(a ?? 0, b)),
      result: (state) => state,
    };
    const plan = aggregatePlan({ fn: 'custom', of: 'n', module: 'm', exportName: 'k' });
    const compiled = program([plan], new Map([['m#k', highestSinceZero as Reducer]]));
    const row = new Row(compiled).add([5, 0].map((n, ts) => ({ ts, n })));
    assert.deepEqual(row.results(), [null]);
    row.add([{ ts: 2, n: 3 }]);
    assert.deepEqual(row.results(), [3]);
    row.merge(new Row(compiled).add([7, 0].map((n, ts) => ({ ts, n }))));
    assert.deepEqual(row.results(), [null]);
  });

  it('are given the same state for all events of a batch, and none that they gave away', () => {
    const states: object[] = [];
    const kinds: Reducer<number[]> = {
      init: () => [],
      add(state, value) {
        if (states.at(-1) !== state) states.push(state);
        state.push(value as number);
      },
      merge(a, b) {
        a.push(...b);
      },
      result: (state) => state,
    };
    const plans = [aggregatePlan({ fn: 'custom', of: 'n', module: 'm', exportName: 'k' })];
    const compiled = program(plans, new Map([['m#k', kinds as Reducer]]));
    const events = Array.from({ length: 100 }, (_, ts) => ({ ts, n: ts }));
    const row = new Row(compiled).add(events);
    assert.equal(states.length, 1, 'decoded once');
    const [before] = row.results();
    const other = new Row(compiled).add([{ ts: 1, n: 7 }]);
    row.merge(other);
    row.add([{ ts: 101, n: 101 }]);
    assert.deepEqual(
      before,
      events.map(({ n }) => n),
    );
    assert.deepEqual(other.results(), [[7]]);
    row.program.flush(row.space);
    assert.deepEqual(row.results(), [[...events.map(({ n }) => n), 7, 101]]);
    assert.equal(row.leaked(), 0);
  });

  it('go on from the bytes of the state alone', () => {
    const seen: Reducer<{ values: Set<string>; counts: Map<string, number> }> = {
      init: () => ({ values: new Set(), counts: new Map() }),
      add: ({ values, counts }, value) => {
        values.add(String(value));
        counts.set(String(value), (counts.get(String(value)) ?? 0) + 1);
      },
      merge: (a) => a,
      result: ({ values, counts }) => [[...values], [...counts]],
    };
    const plans = [aggregatePlan({ fn: 'custom', of: 's', module: 'm', exportName: 'seen' })];
    const reducers = new Map([['m#seen', seen as Reducer]]);
    const first = new Row(program(plans, reducers)).add([
      { ts: 1, s: 'a' },
      { ts: 2, s: 'b' },
    ]);
    first.program.flush(first.space);
    const memory = new ShardMemory(first.space.memory.image());
    const second = new Row(program([...plans], reducers));
    Object.assign(second.space, { memory, rows: first.space.rows, arena: new Arena(memory, 1) });
    assert.deepEqual(second.add([{ ts: 3, s: 'a' }]).results(), [
      [
        ['a', 'b'],
        [
          ['a', 2],
          ['b', 1],
        ],
      ],
    ]);
  });

  it('that cannot be loaded are refused with the name of their module', async () => {
    const load = (module: string, exportName: string): Promise<unknown> =>
      loadReducers(planOf(aggregatePlan({ fn: 'custom', module, exportName })), new Map());
    await assert.rejects(load('/nowhere/at-all.ts', 'r'), {
      name: 'ReducerProblem',
      message: /at-all\.ts cannot be loaded/,
    });
    await assert.rejects(load(MODULE, 'nothing'), {
      name: 'ReducerProblem',
      message: /export nothing of .* is no object/,
    });
    await assert.rejects(load(MODULE, 'half'), { name: 'ReducerProblem', message: /has no function merge/ });
  });

  it('without a map of its own, a plan is served by what this thread loaded for all plans', async () => {
    const before = await loadReducers(planOf());
    const after = await loadReducers(planOf(range));
    assert.equal(after, before);
    assert.ok(before.has(`${MODULE}#range`));
  });
});
