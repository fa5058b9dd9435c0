/**
 * Predicates and projections per second over rows of a batch, against a loop written by hand over the same columns
 * (the limit) and a callback over row objects (what people write without columns).
 */
import { ABSENT, EventBatch } from '../../src/streams/decode/event-batch.ts';
import { compileRow } from '../../src/streams/expressions/row.ts';
import type { FieldPlan, Plan } from '../../src/streams/plan.ts';

const ROWS = 4096;
const ROUNDS = 2000;
const REPEATS = 5;
const CITIES = ['Oslo', 'Rome', 'Cairo', 'Lima'];

const fields: readonly FieldPlan[] = [
  { name: 'price', type: 'number', optional: false },
  { name: 'auction', type: 'integer', optional: false },
  { name: 'city', type: 'string', optional: false },
];
const plan = {
  epoch: 1,
  shards: 1,
  streams: [{ index: 0, name: 's', fields }],
  groups: [],
  operators: [],
} as unknown as Plan;

function filled(): EventBatch {
  const batch = EventBatch.allocate(plan, 0, ROWS, ROWS * 8);
  const [price, auction] = batch.values as [Float64Array, Float64Array, Float64Array];
  let used = 0;
  for (let row = 0; row < ROWS; row++) {
    batch.ts[row] = row;
    price[row] = (row * 7919) % 200;
    auction[row] = (row * 104_729) % 1000;
    const bytes = new TextEncoder().encode(CITIES[row % CITIES.length]);
    batch.bytes.set(bytes, used);
    (batch.at[2] as Uint32Array)[row] = used;
    (batch.length[2] as Uint32Array)[row] = row % 50 === 0 ? ABSENT : bytes.length;
    used += bytes.length;
  }
  batch.count = ROWS;
  return batch;
}

/** Million rows per second, the best of a few. */
function rate(pass: () => number): number {
  let best = 0;
  let sum = 0;
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    const started = performance.now();
    for (let round = 0; round < ROUNDS; round++) sum += pass();
    best = Math.max(best, (ROWS * ROUNDS) / (performance.now() - started) / 1000);
  }
  if (Number.isNaN(sum)) throw new RangeError('a pass gave no number');
  return best;
}

const batch = filled();
const rows = Array.from({ length: ROWS }, (_, row) => ({
  price: (batch.values[0] as Float64Array)[row] as number,
  auction: (batch.values[1] as Float64Array)[row] as number,
  city: batch.text(2, row) ?? '',
}));
const price = batch.values[0] as Float64Array;

const table: Record<string, number> = {
  'by hand, columns: price > 100': rate(() => {
    let hits = 0;
    for (let row = 0; row < ROWS; row++) if ((price[row] as number) > 100) hits++;
    return hits;
  }),
  'row objects: city === "Rome"': rate(() => {
    let hits = 0;
    for (let row = 0; row < ROWS; row++) if (rows[row]?.city === 'Rome') hits++;
    return hits;
  }),
};
const predicates = ['price > 100', 'auction % 123 == 0', 'price * 0.9 > 50 && auction < 500', 'city == "Rome"'];
predicates.push('city in ["Oslo", "Rome", "Lima"]', 'city.contains("om")', 'hour(ts) >= 8');
for (const text of predicates) {
  const expression = compileRow(text, fields, 'boolean');
  table[`test: ${text}`] = rate(() => {
    let hits = 0;
    for (let row = 0; row < ROWS; row++) if (expression.test(batch, row)) hits++;
    return hits;
  });
}
for (const text of ['price * 0.908', 'round(price / 3)', 'price > 100 ? 1 : 0']) {
  const expression = compileRow(text, fields, 'number');
  table[`number: ${text}`] = rate(() => {
    let sum = 0;
    for (let row = 0; row < ROWS; row++) sum += expression.number(batch, row);
    return sum;
  });
}
for (const [name, millions] of Object.entries(table)) console.log(`${name.padEnd(44)} ${millions.toFixed(0)} M/s`);
