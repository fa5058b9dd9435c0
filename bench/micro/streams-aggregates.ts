/**
 * What an event costs in the aggregates of a window, without windows, keys and decoding; beside it the same in plain
 * JavaScript objects (one per key, properties updated, sums uncompensated).
 *
 * Run: node dist/bench/micro/streams-aggregates.js
 */

import { compileAggregates } from '../../src/streams/aggregates/compile.ts';
import type { AggregateSpace, RowAggregates } from '../../src/streams/aggregates/port.ts';
import { EventBatch } from '../../src/streams/decode/event-batch.ts';
import type { AggregatePlan, FieldPlan, Plan, StreamPlan } from '../../src/streams/plan.ts';
import { ARENA_BYTES_AT_START, Arena } from '../../src/streams/state/arena.ts';
import { ShardMemory } from '../../src/streams/state/memory.ts';
import { aggregatePlan } from '../../test/streams/plan-parts.ts';

const EVENTS = 65_536;
const KEYS = 1000;
const MEASURE_MS = 400;
const ROUNDS = 5;

const FIELDS: readonly FieldPlan[] = [
  { name: 'value', type: 'number', optional: false },
  { name: 'host', type: 'string', optional: false },
];
const plan = { epoch: 1, shards: 1, streams: [{ fields: FIELDS } as StreamPlan], groups: [], operators: [] } as Plan;

const aggregate = (fn: AggregatePlan['fn'], of = 'value', q = 0.99): AggregatePlan =>
  aggregatePlan({ fn, of: fn === 'count' ? '' : of, q });

function makeBatch(): EventBatch {
  const batch = EventBatch.allocate(plan, 0, EVENTS, KEYS * 8);
  const encoder = new TextEncoder();
  for (let key = 0; key < KEYS; key++) batch.bytes.set(encoder.encode(`host${key}`.padEnd(8)), key * 8);
  let state = 12345;
  for (let row = 0; row < EVENTS; row++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    batch.ts[row] = row;
    (batch.values[0] as Float64Array)[row] = ((state >>> 8) / 2 ** 24) ** 4 * 1000;
    (batch.at[1] as Uint32Array)[row] = ((state >>> 4) % KEYS) * 8;
    (batch.length[1] as Uint32Array)[row] = 8;
  }
  batch.count = EVENTS;
  return batch;
}

function makeSpace(aggregates: RowAggregates): AggregateSpace {
  const memory = ShardMemory.create(Math.max(8, aggregates.doubles * 8) * KEYS, ARENA_BYTES_AT_START);
  const space = { rows: new Float64Array(memory.buffer(0)), arena: new Arena(memory, 1) };
  for (let key = 0; key < KEYS; key++) aggregates.init(space, key * aggregates.doubles);
  return space;
}

const batch = makeBatch();
const everyRow = Uint32Array.from({ length: EVENTS }, (_, i) => i);
const keys = Uint32Array.from({ length: EVENTS }, (_, i) => (Math.imul(i, 2654435761) >>> 8) % KEYS);

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/** Million events per second of processor time, the best of a few rounds. */
function rate(pass: () => void): number {
  let best = 0;
  for (let round = 0; round < ROUNDS; round++) {
    let events = 0;
    const start = cpuMs();
    let ms = 0;
    do {
      pass();
      events += EVENTS;
      ms = cpuMs() - start;
    } while (ms < MEASURE_MS / ROUNDS);
    best = Math.max(best, events / ms / 1000);
  }
  return best;
}

function oneRow(plans: readonly AggregatePlan[]): number {
  const aggregates = compileAggregates(plans, FIELDS);
  const space = makeSpace(aggregates);
  return rate(() => {
    for (let row = 0; row < EVENTS; row++) aggregates.add(space, 0, batch, row);
  });
}

function oneByOne(plans: readonly AggregatePlan[]): number {
  const aggregates = compileAggregates(plans, FIELDS);
  const space = makeSpace(aggregates);
  const { doubles } = aggregates;
  return rate(() => {
    for (let row = 0; row < EVENTS; row++) aggregates.add(space, (keys[row] as number) * doubles, batch, row);
  });
}

function manyAtOnce(plans: readonly AggregatePlan[], timePasses = false): number {
  const aggregates = compileAggregates(plans, FIELDS);
  const space = makeSpace(aggregates);
  const ats = keys.map((key) => key * aggregates.doubles);
  return rate(() => {
    aggregates.addRows(space, ats, batch, everyRow, EVENTS);
    if (timePasses) for (let row = 0; row < EVENTS; row++) batch.ts[row] = (batch.ts[row] as number) + EVENTS;
  });
}

/** Rows merged, or told, per second: each has had `events / KEYS` events of its own. */
function rows(plans: readonly AggregatePlan[], events: number, what: 'merge' | 'results'): number {
  const aggregates = compileAggregates(plans, FIELDS);
  const { doubles } = aggregates;
  const [space, target] = [makeSpace(aggregates), makeSpace(aggregates)];
  aggregates.addRows(
    space,
    keys.map((key) => key * doubles),
    batch,
    everyRow,
    events,
  );
  const out: unknown[] = [];
  const passes = Math.ceil(EVENTS / KEYS);
  const perPass = (passes * KEYS) / EVENTS;
  const pass = (): void => {
    for (let i = 0; i < passes; i++) {
      for (let at = 0; at < KEYS * doubles; at += doubles) {
        if (what === 'merge') aggregates.merge(target, at, space, at);
        else aggregates.results(space, at, 1000, out);
      }
    }
  };
  return rate(pass) * perPass;
}

interface PlainRow {
  count: number;
  sum: number;
  min: number;
  max: number;
  values: Set<number>;
  texts: Map<string, number>;
  all: number[];
}

const plainRow = (): PlainRow => ({
  count: 0,
  sum: 0,
  min: Number.POSITIVE_INFINITY,
  max: Number.NEGATIVE_INFINITY,
  values: new Set(),
  texts: new Map(),
  all: [],
});

function plain(add: (row: PlainRow, value: number, text: string) => void, text = false): number {
  const values = Float64Array.from(batch.values[0] as Float64Array);
  const texts = Array.from({ length: EVENTS }, (_, row) => (text ? (batch.text(1, row) as string) : ''));
  let rows = Array.from({ length: KEYS }, plainRow);
  return rate(() => {
    rows = Array.from({ length: KEYS }, plainRow);
    for (let i = 0; i < EVENTS; i++) add(rows[keys[i] as number] as PlainRow, values[i] as number, texts[i] as string);
  });
}

const print = (name: string, figure: number): void => console.log(`${name.padEnd(62)} ${figure.toFixed(1)} M/s`);
const fns = (...names: AggregatePlan['fn'][]): AggregatePlan[] => names.map((fn) => aggregate(fn));
const basic = fns('count', 'sum', 'min', 'max');
print('count sum min max, one row', oneRow(basic));
print(`count sum min max, ${KEYS} rows, add`, oneByOne(basic));
print(`count sum min max, ${KEYS} rows, addRows`, manyAtOnce(basic));
print(
  `  plain objects, ${KEYS}`,
  plain((row, value) => {
    row.count += 1;
    row.sum += value;
    if (value < row.min) row.min = value;
    if (value > row.max) row.max = value;
  }),
);
print('mean stddev first last ewma rate, addRows', manyAtOnce(fns('mean', 'stddev', 'first', 'last', 'ewma', 'rate')));
print('quantile, sketches', manyAtOnce(fns('quantile')));
print(
  '  plain arrays of all values',
  plain((row, value) => void row.all.push(value)),
);
print('distinct numbers', manyAtOnce(fns('distinct')));
print(
  '  plain sets',
  plain((row, value) => void row.values.add(value)),
);
print('distinct texts', manyAtOnce([aggregate('distinct', 'host')]));
print('top texts', manyAtOnce([aggregate('top', 'host')]));
print(
  '  plain maps of counts, texts made before',
  plain((row, _, text) => void row.texts.set(text, (row.texts.get(text) ?? 0) + 1), true),
);
print('last text', manyAtOnce([aggregate('last', 'host')]));
print('collect', manyAtOnce(fns('collect'), true));
print('count sum min max: rows merged', rows(basic, EVENTS, 'merge'));
print('count sum min max: results of rows', rows(basic, EVENTS, 'results'));
print('count sum p99, 10 values a row: results of rows', rows(fns('count', 'sum', 'quantile'), 10 * KEYS, 'results'));
print('count sum p99, 65 values a row: results of rows', rows(fns('count', 'sum', 'quantile'), EVENTS, 'results'));
