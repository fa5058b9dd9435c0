/**
 * What is written from the rows of a join is what the same results are written as when their values are made.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Gathering } from '../../../src/streams/engine/shards/outputs.ts';
import { joinKind } from '../../../src/streams/joins/join.ts';
import type { Emitter } from '../../../src/streams/operator.ts';
import type { JoinPlan, Plan, StreamPlan } from '../../../src/streams/plan.ts';
import { batchOf, type Event, fieldsOf, planOf } from '../expressions/rows.ts';
import { joinPlan } from '../joins/join-run.ts';
import { KeyRegistry } from '../keyed-states/key-registry.ts';

const FIELDS = fieldsOf({ price: 'number', n: 'integer', city: 'string', flag: 'boolean' });
const LEFT = planOf(FIELDS);
const PLAN: Plan = { ...LEFT, streams: [...LEFT.streams, { ...(LEFT.streams[0] as StreamPlan), index: 1, name: 'r' }] };
const SELECT: JoinPlan['select'] = [
  'left.price',
  'left.n',
  'left.city',
  'left.flag',
  'left.ts',
  'right.price',
  'right.n',
  'right.city',
  'right.flag',
  'right.ts',
  'right.price / left.price',
  'left.n - left.n % 1000',
  'left.city + "\\"x"',
  'left.flag && right.flag',
  'left.price > 2',
  'right.city == null',
  'coalesce(right.n, left.n)',
].map((expression, i) => ({ name: `v"${i}`, expression }));

interface Case {
  readonly join: Partial<JoinPlan> & Pick<JoinPlan, 'type'>;
  readonly where: string;
  readonly left: readonly Event[];
  readonly right: readonly Event[];
  readonly seq: number;
  readonly traceparent: string;
}

function linesOf({ join, where, left, right, seq, traceparent }: Case, asRows: boolean): unknown[] {
  const plan = joinPlan({ select: SELECT, where, outer: true, ...join });
  const keys = new KeyRegistry();
  const operator = joinKind.attach(plan, joinKind.create(plan, PLAN), { plan: PLAN, keys });
  const gathering = new Gathering();
  const output = gathering.output(plan, PLAN, operator.columns, keys);
  const out: Emitter = asRows ? { emit: (row) => output.emit(row) } : output;
  const take = (side: number, events: readonly Event[], record: number): void => {
    gathering.begin(record);
    const input = {
      batch: batchOf(FIELDS, events, PLAN),
      side,
      count: events.length,
      rows: Uint32Array.from(events, (_, row) => row),
      keys: Uint32Array.from(events, (_, row) => row % 2),
      watermark: 0,
      provenance: { seq: record, source: 's', partition: 'p', arrivalMs: 0, traceparent, correlationId: '' },
    };
    operator.events?.(input, out);
  };
  take(0, left, seq);
  take(1, right, seq + 1);
  operator.advance?.(10_000, out);
  return gathering.take(0).map(({ lines, ...facts }) => ({ ...facts, lines: Buffer.from(lines).toString() }));
}

const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary-ascii' }), fc.constant('plain'));
const event: fc.Arbitrary<Event> = fc.record({
  ts: fc.nat(20),
  price: fc.option(fc.oneof(fc.nat(1000), fc.double({ noNaN: true, noDefaultInfinity: true }))),
  n: fc.option(fc.maxSafeInteger()),
  city: fc.option(text),
  flag: fc.option(fc.boolean()),
});

test('lines of pairs are the lines of the same results as rows', () => {
  let told = 0;
  const given: fc.Arbitrary<Case> = fc.record({
    join: fc.constantFrom<Case['join']>(
      { type: 'interval', lowerMs: -5, upperMs: 5 },
      { type: 'window', sizeMs: 10 },
      { type: 'lookup' },
    ),
    where: fc.constantFrom('', 'left.n > right.n', 'right.flag'),
    left: fc.array(event, { maxLength: 6 }),
    right: fc.array(event, { maxLength: 6 }),
    seq: fc.constantFrom(1, 4711, 5 + 3 / 4096),
    traceparent: fc.constantFrom('', '00-batch'),
  });
  fc.assert(
    fc.property(given, (each) => {
      const lines = linesOf(each, false);
      told += lines.length;
      assert.deepEqual(lines, linesOf(each, true));
    }),
    { numRuns: 500 },
  );
  assert.ok(told > 200, `only ${told} chunks of results`);
});
