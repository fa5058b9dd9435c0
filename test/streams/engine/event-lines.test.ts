/**
 * What is written from the bytes of events is what the same results are written as when they are rows.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Gathering } from '../../../src/streams/engine/shards/outputs.ts';
import type { Keys, OperatorInput } from '../../../src/streams/operator.ts';
import type { Plan, ViewPlan } from '../../../src/streams/plan.ts';
import { ShardMemory } from '../../../src/streams/state/memory.ts';
import { viewKind } from '../../../src/streams/views/view.ts';
import { batchOf, type Event, fieldsOf, planOf } from '../expressions/rows.ts';

const FIELDS = fieldsOf({ price: 'number', n: 'integer', 'the-city': 'string', flag: 'boolean', own: 'string' });
const OWN = FIELDS.length - 1;
const PLAN: Plan = planOf(FIELDS);
const SELECT: ViewPlan['select'] = [
  { name: 'price', expression: 'price' },
  { name: 'net', expression: '0.908 * price' },
  { name: 'n"', expression: 'n' },
  { name: 'city', expression: '`the-city`' },
  { name: 'larger', expression: '`the-city` + "\\"x"' },
  { name: 'flag', expression: 'flag' },
  { name: 'high', expression: 'price > 2' },
  { name: 'ms', expression: 'ts' },
];

function viewOf(select: ViewPlan['select'], where: string): ViewPlan {
  return { kind: 'view', index: 0, name: 'v', stream: 0, group: 0, feeds: [], stateShape: '', where, select };
}

const keysAre = (texts: readonly string[]): Keys => ({
  size: texts.length,
  byteLength: 0,
  json: (keyId) => texts[keyId] as string,
  values: () => [],
  find: () => -1,
  retain: () => undefined,
  release: () => undefined,
});
const KEYS = keysAre(['{}', '{"k":"a\\"b"}', '{"ü":"é\\\\"}']);

interface Case {
  readonly events: readonly Event[];
  readonly seq: number;
  readonly traceparent: string;
  readonly where: string;
  readonly all: boolean;
}

function inputOf({ events, seq, traceparent }: Case): OperatorInput {
  const batch = batchOf(FIELDS, events, PLAN);
  for (let row = 0; row < events.length; row++) {
    if (typeof events[row]?.['own'] !== 'string') continue;
    const at = (batch.at[OWN] as Uint32Array)[row] as number;
    batch.setContext(row, at, (batch.length[OWN] as Uint32Array)[row] as number);
  }
  const rows = Uint32Array.from(events, (_, row) => row);
  const provenance = { seq, source: 's', partition: 'p', arrivalMs: 0, traceparent, correlationId: 'c"1' };
  return {
    batch,
    side: 0,
    count: rows.length,
    rows,
    keys: rows.map((row) => (row >> 1) % 3),
    watermark: 0,
    provenance,
  };
}

/** Lines of two batches of the same events, so that what is kept from one to the next is seen. */
function linesOf(given: Case, asRows: boolean): { lines: string; facts: unknown[] } {
  const view = viewOf(given.all ? [] : SELECT, given.where);
  const operator = viewKind.attach(view, ShardMemory.create(8), { plan: PLAN, keys: KEYS });
  const gathering = new Gathering();
  const output = gathering.output(view, PLAN, operator.columns, KEYS);
  for (const seq of [given.seq, given.seq + 1]) {
    gathering.begin(seq);
    const input = inputOf({ ...given, seq });
    operator.events?.(input, asRows ? { emit: (row) => output.emit(row) } : output);
  }
  const chunks = gathering.take(0);
  const lines = chunks.map((chunk) => Buffer.from(chunk.lines).toString()).join('');
  return { lines, facts: chunks.map(({ lines: _, ...rest }) => rest) };
}

const text = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: 'binary-ascii' }),
  fc.constant('plain enough'),
);
const event: fc.Arbitrary<Event> = fc.record({
  ts: fc.oneof(fc.nat(3), fc.constantFrom(-5, 1_700_000_000_000, 1_700_000_000_000.5)),
  price: fc.option(fc.oneof(fc.nat(1000), fc.double({ noNaN: true, noDefaultInfinity: true }))),
  n: fc.option(fc.maxSafeInteger()),
  'the-city': fc.option(text),
  flag: fc.option(fc.boolean()),
  own: fc.option(fc.constantFrom('{"traceparent":"00-own"}', '{"correlationId":"mine"}'), { freq: 5 }),
});

test('lines of events are the lines of the same results as rows', () => {
  const given: fc.Arbitrary<Case> = fc.record({
    events: fc.array(event, { maxLength: 8 }),
    seq: fc.constantFrom(1, 4711, 5 + 3 / 4096),
    traceparent: fc.constantFrom('', '00-batch'),
    where: fc.constantFrom('', 'price > 2', 'flag'),
    all: fc.boolean(),
  });
  fc.assert(
    fc.property(given, (each) => {
      assert.deepEqual(linesOf(each, false), linesOf(each, true));
    }),
    { numRuns: 400 },
  );
});

test('long results are cut into chunks that say what is in them', () => {
  const city = 'x'.repeat(1000);
  const events = Array.from({ length: 9000 }, (_, i) => ({ ts: 100 + i, price: i, 'the-city': city }));
  const { facts, lines } = linesOf({ events, seq: 3, traceparent: '', where: '', all: true }, false);
  const chunks = facts as { seq: number; count: number; start: number; end: number }[];
  assert.ok(chunks.length > 2);
  assert.equal(
    chunks.reduce((sum, { count }) => sum + count, 0),
    2 * events.length,
  );
  const rows = lines.trimEnd().split('\n');
  assert.equal(rows.length, 2 * events.length);
  let at = 0;
  for (const { seq, count, start, end } of chunks) {
    const times = rows.slice(at, at + count).map((line) => JSON.parse(line) as { id: string; start: number });
    at += count;
    assert.ok(times.every(({ id }) => id.includes(`/${seq}:`)));
    assert.deepEqual([times[0]?.start, times.at(-1)?.start], [start, end]);
  }
});
