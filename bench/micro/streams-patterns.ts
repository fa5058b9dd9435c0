/**
 * Events per second and thread of the pattern operator alone: batches are decoded already, keys are numbered already.
 *
 * Run: node dist/bench/micro/streams-patterns.js [name of one pattern]
 * Each line is a fresh operator over the same batches; flushes of the state and the watermark are inside the timing.
 * `map` is the same three steps by hand: a Map of small objects, no order by time, no skipping, nothing that outlives it.
 */
import { EventBatch } from '../../src/streams/decode/event-batch.ts';
import type { Keys } from '../../src/streams/operator.ts';
import { patternKind } from '../../src/streams/patterns/operator.ts';
import type { FieldPlan, PatternPlan, PatternStepPlan, Plan } from '../../src/streams/plan.ts';

const EVENTS = 1_000_000;
const BATCH_ROWS = 8192;
const fields: readonly FieldPlan[] = [
  { name: 'price', type: 'number', optional: false },
  { name: 'size', type: 'number', optional: false },
];
const plan = { epoch: 1, shards: 1, streams: [{ fields }], groups: [], operators: [] } as unknown as Plan;

const none = (): void => undefined;
const keys: Keys = {
  size: 0,
  byteLength: 0,
  json: () => '{}',
  values: () => [],
  find: () => -1,
  retain: none,
  release: none,
};

function step(name: string, where: string, more: Partial<PatternStepPlan> = {}): PatternStepPlan {
  const once = { min: 1, max: 1, optional: false, greedy: false, inner: 'followedBy', until: '' } as const;
  return { name, where, contiguity: 'followedBy', ...once, ...more };
}

function pattern(steps: readonly PatternStepPlan[], more: Partial<PatternPlan> = {}): PatternPlan {
  const skip = { mode: 'skipPastLast', step: '' } as const;
  const rest = { stream: 0, group: 0, feeds: [], stateShape: '', withinMs: 10_000, skip, select: [], timeouts: false };
  return { kind: 'pattern', index: 0, name: 'p', steps, time: 'event', ...rest, ...more };
}

const many = { min: 1, max: Number.POSITIVE_INFINITY } as const;
const strict = { contiguity: 'next', inner: 'next' } as const;
const rises = [step('low', 'price < 10'), step('mid', 'price > 50 && price < 60'), step('high', 'price > 90')];
const patterns: Readonly<Record<string, PatternPlan>> = {
  'three steps': pattern(rises),
  'three steps, by arrival': pattern(rises, { time: 'arrival' }),
  'three strict steps': pattern(rises.map((each) => ({ ...each, ...strict }))),
  'three steps over earlier ones': pattern([
    step('a', 'price < 10'),
    step('b', 'price > last(a).price + 50'),
    step('c', 'price < last(b).price'),
  ]),
  'V shape': pattern(
    [
      step('start', ''),
      step('down', 'price < prev.price', { ...strict, ...many, greedy: true }),
      step('up', 'price > prev.price', strict),
    ],
    { withinMs: 0, skip: { mode: 'toLast', step: 'up' } },
  ),
};

interface Batch {
  readonly batch: EventBatch;
  readonly keys: Uint32Array;
  readonly tsMax: number;
}

function batches(keyCount: number): Batch[] {
  let random = 42;
  const draw = (below: number): number => {
    random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
    return Math.floor((random / 2 ** 32) * below);
  };
  const all: Batch[] = [];
  for (let from = 0; from < EVENTS; from += BATCH_ROWS) {
    const rows = Math.min(BATCH_ROWS, EVENTS - from);
    const batch = EventBatch.allocate(plan, 0, rows, 0);
    const ids = new Uint32Array(rows);
    let tsMax = 0;
    for (let row = 0; row < rows; row++) {
      const ts = Math.floor((from + row) / 100) - draw(20);
      batch.ts[row] = ts;
      tsMax = Math.max(tsMax, ts);
      (batch.values[0] as Float64Array)[row] = draw(100);
      (batch.values[1] as Float64Array)[row] = draw(10);
      ids[row] = draw(keyCount);
    }
    batch.count = rows;
    all.push({ batch, keys: ids, tsMax });
  }
  return all;
}

/** CPU time, so that who else uses the machine counts less. */
function cpuUs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return user + system;
}

const rowNumbers = Uint32Array.from({ length: BATCH_ROWS }, (_, row) => row);

function measure(of: PatternPlan, all: readonly Batch[]): { rate: number; matches: number } {
  const operator = patternKind.attach(of, patternKind.create(of, plan), { plan, keys });
  let matches = 0;
  const out = { emit: () => void matches++ };
  let watermark = Number.NEGATIVE_INFINITY;
  const began = process.cpuUsage();
  for (const [seq, { batch, keys: ids, tsMax }] of all.entries()) {
    const texts = { source: 's', partition: '0', arrivalMs: 0, traceparent: '', correlationId: '' };
    const provenance = { seq, ...texts };
    operator.events?.({ batch, side: 0, count: batch.count, rows: rowNumbers, keys: ids, watermark, provenance }, out);
    watermark = Math.max(watermark, tsMax - 21);
    operator.advance?.(watermark, out);
  }
  return { rate: EVENTS / cpuUs(began), matches };
}

interface Progress {
  step: number;
  since: number;
}

function byHand(all: readonly Batch[]): { rate: number; matches: number } {
  const states = new Map<number, Progress>();
  let matches = 0;
  const began = process.cpuUsage();
  for (const { batch, keys: ids } of all) {
    const prices = batch.values[0] as Float64Array;
    for (let row = 0; row < batch.count; row++) {
      const price = prices[row] as number;
      const ts = batch.ts[row] as number;
      const key = ids[row] as number;
      let state = states.get(key);
      if (state === undefined) {
        state = { step: 0, since: 0 };
        states.set(key, state);
      }
      if (state.step > 0 && ts - state.since >= 10_000) state.step = 0;
      if (state.step === 0 && price < 10) {
        state.step = 1;
        state.since = ts;
      } else if (state.step === 1 && price > 50 && price < 60) state.step = 2;
      else if (state.step === 2 && price > 90) {
        matches++;
        state.step = 0;
      }
    }
  }
  return { rate: EVENTS / cpuUs(began), matches };
}

for (const keyCount of [1000, 100_000]) {
  const all = batches(keyCount);
  console.log(
    `${keyCount} keys, ${EVENTS} events in batches of ${BATCH_ROWS}: best of 3, million events per CPU second`,
  );
  for (const [name, of] of Object.entries(patterns)) {
    if (process.argv[2] !== undefined && process.argv[2] !== name) continue;
    const runs = [measure(of, all), measure(of, all), measure(of, all)];
    const best = Math.max(...runs.map(({ rate }) => rate));
    console.log(`  ${name.padEnd(32)} ${best.toFixed(2).padStart(6)}  (${runs[0]?.matches} matches)`);
  }
  const hand = [byHand(all), byHand(all), byHand(all)];
  console.log(
    `  ${'map'.padEnd(32)} ${Math.max(...hand.map(({ rate }) => rate))
      .toFixed(2)
      .padStart(6)}`,
  );
}
