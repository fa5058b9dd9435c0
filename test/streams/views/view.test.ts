import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Emitter, Keys, OperatorInput, ResultRow } from '../../../src/streams/operator.ts';
import type { Plan, ViewPlan } from '../../../src/streams/plan.ts';
import { ShardMemory } from '../../../src/streams/state/memory.ts';
import { viewKind } from '../../../src/streams/views/view.ts';
import { batchOf, type Event, fieldsOf, planOf } from '../expressions/rows.ts';

const FIELDS = fieldsOf({ price: 'number', 'the-city': 'string', flag: 'boolean' });
const PLAN: Plan = planOf(FIELDS);

function viewOf(where: string, select: ViewPlan['select']): ViewPlan {
  return { kind: 'view', index: 0, name: 'v', stream: 0, group: 0, feeds: [], stateShape: '', where, select };
}

const KEYS: Keys = {
  size: 0,
  byteLength: 0,
  json: () => '{}',
  values: () => [],
  find: () => -1,
  retain: () => undefined,
  release: () => undefined,
};

/** Rows as they were when they were emitted. */
class Copies implements Emitter {
  readonly rows: ResultRow[] = [];
  emit(row: ResultRow): void {
    this.rows.push(structuredClone(row));
  }
}

function inputOf(events: readonly Event[], seq = 7): OperatorInput {
  const batch = batchOf(FIELDS, events, PLAN);
  const rows = Uint32Array.from(events, (_, row) => row);
  const provenance = { seq, source: 's', partition: 'p', arrivalMs: 0, traceparent: '00-t', correlationId: '' };
  return { batch, side: 0, count: events.length, rows, keys: rows.map((row) => row % 2), watermark: 0, provenance };
}

function run(view: ViewPlan, memory: ShardMemory, input: OperatorInput): ResultRow[] {
  const out = new Copies();
  viewKind.attach(view, memory, { plan: PLAN, keys: KEYS }).events?.(input, out);
  return out.rows;
}

test('gives one final result for each event that passes, projected', () => {
  const view = viewOf('price > 1', [
    { name: 'euro', expression: 'price * 2' },
    { name: 'where', expression: 'coalesce(`the-city`, "?")' },
  ]);
  const events = [{ ts: 5, price: 1 }, { ts: 6, price: 2 }, { ts: 7 }, { ts: 6, price: 3, 'the-city': 'Oslo' }];
  const operator = viewKind.attach(view, viewKind.create(view, PLAN), { plan: PLAN, keys: KEYS });
  assert.deepEqual(operator.columns, ['euro', 'where']);
  const evidence = (row: number) => ({ events: [`7:${row}`], traces: ['00-t'], correlationIds: [] });
  const common = {
    start: 6,
    end: 6,
    origin: '',
    timing: 'on-time',
    final: true,
    retraction: false,
    output: '',
    failed: null,
  };
  assert.deepEqual(run(view, viewKind.create(view, PLAN), inputOf(events)), [
    { ...common, keyId: 1, pane: 0, values: [4, '?'], evidence: evidence(1) },
    { ...common, keyId: 1, pane: 1, values: [6, 'Oslo'], evidence: evidence(3) },
  ]);
});

test('gives all fields when it selects none, whatever their names are', () => {
  const view = viewOf('', []);
  const [row] = run(view, viewKind.create(view, PLAN), inputOf([{ ts: 1, price: 2.5, 'the-city': 'Å', flag: true }]));
  assert.deepEqual(row?.values, [2.5, 'Å', true]);
  const operator = viewKind.attach(view, viewKind.create(view, PLAN), { plan: PLAN, keys: KEYS });
  assert.deepEqual(operator.columns, ['price', 'the-city', 'flag']);
});

test('results do not depend on how events were cut into batches, nor on who goes on with the memory', () => {
  const view = viewOf('flag', [{ name: 'p', expression: 'price' }]);
  const event = fc.record({ ts: fc.nat(3), price: fc.option(fc.nat(9)), flag: fc.option(fc.boolean()) });
  const seen = (rows: readonly ResultRow[]): unknown[] =>
    rows.map(({ end, pane, start, values }) => [start, end, pane, values]);
  fc.assert(
    fc.property(fc.array(fc.array(event, { maxLength: 6 }), { maxLength: 5 }), (batches) => {
      const whole = run(view, viewKind.create(view, PLAN), inputOf(batches.flat()));
      let memory = viewKind.create(view, PLAN);
      const pieces = batches.flatMap((events) => {
        const rows = run(view, memory, inputOf(events));
        memory = new ShardMemory(memory.image());
        return rows;
      });
      assert.deepEqual(seen(pieces), seen(whole));
      assert.equal(new Set(whole.map(({ pane, start }) => `${start}/${pane}`)).size, whole.length);
    }),
  );
});
