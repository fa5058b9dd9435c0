/** Rows of aggregates for tests: plans from a few options, events as plain objects, each row in a space of its own. */
import { compileAggregates } from '../../../src/streams/aggregates/compile.ts';
import type { AggregateSpace, RowAggregates } from '../../../src/streams/aggregates/port.ts';
import type { Reducer } from '../../../src/streams/aggregates/reducer.ts';
import { ABSENT, EventBatch } from '../../../src/streams/decode/event-batch.ts';
import type { AggregatePlan, FieldPlan, Plan, StreamPlan } from '../../../src/streams/plan.ts';
import { ARENA_BYTES_AT_START, Arena } from '../../../src/streams/state/arena.ts';
import { ShardMemory } from '../../../src/streams/state/memory.ts';

export const FIELDS: readonly FieldPlan[] = [
  { name: 'n', type: 'number', optional: true },
  { name: 'i', type: 'integer', optional: false },
  { name: 's', type: 'string', optional: true },
  { name: 'b', type: 'boolean', optional: true },
];

export interface Event {
  readonly ts: number;
  readonly n?: number | null;
  readonly i?: number;
  readonly s?: string | null;
  readonly b?: boolean | null;
}

const plan = { epoch: 1, shards: 1, streams: [{ fields: FIELDS } as StreamPlan], groups: [], operators: [] } as Plan;
const encoder = new TextEncoder();

export function batchOf(events: readonly Event[]): EventBatch {
  const texts = events.map(({ s }) => (s === undefined || s === null ? null : encoder.encode(s)));
  const bytes = texts.reduce((sum, text) => sum + (text?.length ?? 0), 0);
  const batch = EventBatch.allocate(plan, 0, Math.max(1, events.length), bytes);
  const [n, i, , b] = batch.values as readonly [Float64Array, Float64Array, Float64Array, Float64Array];
  let at = 0;
  for (const [row, event] of events.entries()) {
    batch.ts[row] = event.ts;
    n[row] = event.n ?? Number.NaN;
    i[row] = event.i ?? 0;
    b[row] = event.b === undefined || event.b === null ? Number.NaN : Number(event.b);
    const text = texts[row] ?? null;
    (batch.at[2] as Uint32Array)[row] = at;
    (batch.length[2] as Uint32Array)[row] = text === null ? ABSENT : text.length;
    if (text !== null) {
      batch.bytes.set(text, at);
      at += text.length;
    }
  }
  batch.count = events.length;
  return batch;
}

export interface TestSpace extends AggregateSpace {
  readonly memory: ShardMemory;
}

export function newSpace(doubles: number): TestSpace {
  const memory = ShardMemory.create(Math.max(8, doubles * 8), ARENA_BYTES_AT_START);
  return { memory, rows: new Float64Array(memory.buffer(0)), arena: new Arena(memory, 1) };
}

/** One row, alone in its space, with what it takes to use it. */
export class Row {
  readonly program: RowAggregates;
  readonly space: TestSpace;

  constructor(program: RowAggregates) {
    this.program = program;
    this.space = newSpace(program.doubles);
    program.init(this.space, 0);
  }

  add(events: readonly Event[]): this {
    const batch = batchOf(events);
    for (let row = 0; row < events.length; row++) this.program.add(this.space, 0, batch, row);
    return this;
  }

  merge(other: Row): this {
    this.program.merge(this.space, 0, other.space, 0);
    return this;
  }

  results(spanMs = 1000): unknown[] {
    const out: unknown[] = [];
    this.program.results(this.space, 0, spanMs, out);
    return out;
  }

  /** Bytes in the arena after the row was given back. */
  leaked(): number {
    this.program.free(this.space, 0);
    return this.space.arena.liveBytes;
  }
}

const NO_REDUCERS: ReadonlyMap<string, Reducer> = new Map();

export function program(
  aggregates: readonly AggregatePlan[],
  reducers: ReadonlyMap<string, Reducer> = NO_REDUCERS,
): RowAggregates {
  return compileAggregates(aggregates, FIELDS, reducers);
}

/** Results of aggregates over events, in one row. */
export function resultsOf(aggregates: readonly AggregatePlan[], events: readonly Event[], spanMs = 1000): unknown[] {
  return new Row(program(aggregates)).add(events).results(spanMs);
}
