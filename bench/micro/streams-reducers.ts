/**
 * What an event costs a custom reducer: state decoded and written once per batch, against once per event, which is what
 * `flush` after every event makes of the same code.
 *
 * Run: node dist/bench/micro/streams-reducers.js [rounds]
 * Each variant runs in turn in every round; the median of the rounds is shown, in CPU time.
 */
import { Custom } from '../../src/streams/aggregates/custom.ts';
import type { Reducer } from '../../src/streams/aggregates/reducer.ts';
import { ARENA_BYTES_AT_START, Arena } from '../../src/streams/state/arena.ts';
import { ShardMemory } from '../../src/streams/state/memory.ts';

interface Range {
  min: number;
  max: number;
  last: number | null;
}

const range: Reducer<Range> = {
  init: () => ({ min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY, last: null }),
  add(state, value, ts) {
    state.min = Math.min(state.min, value as number);
    state.max = Math.max(state.max, value as number);
    state.last = ts;
  },
  merge: (a) => a,
  result: ({ max, min }) => max - min,
};

const EVENTS = 200_000;
const BATCH = 1000;

/** CPU ns per event. */
function run(keys: number, flushEvery: number): number {
  const memory = ShardMemory.create(keys * 8, ARENA_BYTES_AT_START);
  const rows = new Float64Array(memory.buffer(0));
  const arena = new Arena(memory, 1);
  const part = new Custom(range as Reducer, []);
  const before = process.cpuUsage();
  for (let i = 0; i < EVENTS; i++) {
    part.addValue(arena, rows, (i * 7919) % keys, i % 1000, i);
    if (i % flushEvery === flushEvery - 1) part.flush(arena, rows);
  }
  const { system, user } = process.cpuUsage(before);
  return ((user + system) * 1000) / EVENTS;
}

const rounds = Number(process.argv[2] ?? 5);
const variants = [1, 10, 100, 1000].flatMap((keys) => [1, BATCH].map((flushEvery) => ({ keys, flushEvery })));
const found = variants.map((): number[] => []);
for (let round = 0; round <= rounds; round++) {
  for (const [i, { flushEvery, keys }] of variants.entries()) {
    const ns = run(keys, flushEvery);
    if (round > 0) (found[i] as number[]).push(ns);
  }
}
for (const [i, { flushEvery, keys }] of variants.entries()) {
  const sorted = (found[i] as number[]).toSorted((a, b) => a - b);
  const median = sorted[sorted.length >> 1] as number;
  const how = flushEvery === 1 ? 'written per event' : `written per batch of ${BATCH}`;
  console.log(`${`${keys}`.padStart(5)} keys  ${how.padEnd(26)} ${median.toFixed(0).padStart(6)} ns per event`);
}
