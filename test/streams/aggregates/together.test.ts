/**
 * Aggregates beside each other in one program: each gives what it gives alone, whatever columns, conditions and sources
 * they share, over events that are added one by one or many at a time, and through merges.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { compileAggregates } from '../../../src/streams/aggregates/compile.ts';
import type { RowAggregates } from '../../../src/streams/aggregates/port.ts';
import type { AggregatePlan } from '../../../src/streams/plan.ts';
import { ARENA_BYTES_AT_START, Arena } from '../../../src/streams/state/arena.ts';
import { ShardMemory } from '../../../src/streams/state/memory.ts';
import { batchOf, type Event, fieldsOf, planOf } from '../expressions/rows.ts';
import { aggregatePlan } from '../plan-parts.ts';

const FIELDS = fieldsOf({ n: 'number', i: 'integer', s: 'string', t: 'string', b: 'boolean' });
const PLAN = planOf(FIELDS);
const NUMBERS = ['n', 'i', 'b', 'ts', 'n + i', 'size(t)'];
const ANY = [...NUMBERS, 's', 't', 's + t', 'n > 0', 'coalesce(s, t)', 'lower(t)'];
const OF_NUMBERS = ['sum', 'mean', 'min', 'max', 'variance', 'stddev', 'ewma', 'quantile'] as const;
const OF_ANY = ['count', 'distinct', 'first', 'last', 'top', 'collect'] as const;

const where = fc.constantFrom('', '', '', 'n > 0', 's == "a"', 't != s', 'b');
const aggregate: fc.Arbitrary<AggregatePlan> = fc
  .oneof(
    fc.record({ fn: fc.constantFrom(...OF_NUMBERS), of: fc.constantFrom(...NUMBERS), where }),
    fc.record({ fn: fc.constantFrom(...OF_ANY), of: fc.constantFrom(...ANY), where }),
    fc.record({ fn: fc.constant('count' as const), of: fc.constant(''), where }),
  )
  .chain((parts) =>
    fc
      .record({ q: fc.constantFrom(0.5, 0.99), limit: fc.constantFrom(1, 3), alpha: fc.constantFrom(0.1, 0.5) })
      .map((more) => aggregatePlan({ ...parts, ...more, relativeError: 0.01 })),
  );
const event: fc.Arbitrary<Event> = fc.record({
  ts: fc.nat(20),
  n: fc.option(fc.integer({ min: -3, max: 3 })),
  i: fc.option(fc.integer({ min: 0, max: 3 })),
  s: fc.option(fc.constantFrom('', 'a', 'ä')),
  t: fc.option(fc.constantFrom('a', 'bb')),
  b: fc.option(fc.boolean()),
});
const events = fc.array(event, { maxLength: 12 });

interface Row {
  readonly program: RowAggregates;
  readonly space: { readonly rows: Float64Array; readonly arena: Arena };
}

function rowOf(program: RowAggregates, given: readonly Event[], atOnce: boolean): Row {
  const memory = ShardMemory.create(Math.max(8, program.doubles * 8), ARENA_BYTES_AT_START);
  const space = { memory, rows: new Float64Array(memory.buffer(0)), arena: new Arena(memory, 1) };
  program.init(space, 0);
  const batch = batchOf(FIELDS, given, PLAN);
  const rows = Uint32Array.from(given, (_, row) => row);
  if (atOnce) program.addRows(space, new Uint32Array(given.length), batch, rows, given.length);
  else for (const row of rows) program.add(space, 0, batch, row);
  program.flush(space);
  return { program, space };
}

function resultsOf(plans: readonly AggregatePlan[], parts: readonly (readonly Event[])[], atOnce: boolean): unknown[] {
  const program = compileAggregates(plans, FIELDS);
  const [first, ...others] = parts.map((part) => rowOf(program, part, atOnce)) as [Row, ...Row[]];
  for (const other of others) program.merge(first.space, 0, other.space, 0);
  const out: unknown[] = [];
  program.results(first.space, 0, 1000, out);
  return out;
}

describe('aggregates beside each other', () => {
  it('of several texts', () => {
    const given: Event[] = [
      { ts: 1, s: 'a', t: 'x' },
      { ts: 2, s: 'b', t: 'x' },
    ];
    const plans = [
      aggregatePlan({ fn: 'distinct', of: 's' }),
      aggregatePlan({ fn: 'distinct', of: 't' }),
      aggregatePlan({ fn: 'last', of: 's' }),
      aggregatePlan({ fn: 'first', of: 't' }),
    ];
    for (const atOnce of [false, true]) assert.deepEqual(resultsOf(plans, [given], atOnce), [2, 1, 'b', 'x']);
  });

  it('give what each gives alone', () => {
    const sets = fc.array(aggregate, { minLength: 1, maxLength: 8 });
    const parts = fc.array(events, { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(sets, parts, fc.boolean(), (plans, given, atOnce) => {
        const together = resultsOf(plans, given, atOnce);
        const alone = plans.map((plan) => resultsOf([plan], given, false)[0]);
        assert.deepEqual(together, alone, JSON.stringify(plans));
      }),
      { numRuns: 300 },
    );
  });
});
