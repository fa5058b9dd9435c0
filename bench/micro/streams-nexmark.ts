/**
 * How fast Nexmark's events are made, as bytes and as columns: it must not be what a measurement of streams waits for.
 *
 * Run: node dist/bench/micro/streams-nexmark.js
 */
import { NexmarkGenerator } from '../../src/streams/sources/nexmark.ts';
import { createBidColumns, fillBidColumns } from '../../src/streams/sources/nexmark-columns.ts';
import { NexmarkNdjson } from '../../src/streams/sources/nexmark-ndjson.ts';

const EVENTS = 1_000_000;
const CHUNK_EVENTS = 10_000;
const ROUNDS = 5;

function asBytes(): number {
  const writer = new NexmarkNdjson(new NexmarkGenerator());
  let bids = 0;
  for (let from = 0; from < EVENTS; from += CHUNK_EVENTS) bids += writer.write(from, from + CHUNK_EVENTS).bidCount;
  return bids;
}

function asColumns(): number {
  const generator = new NexmarkGenerator();
  const columns = createBidColumns(CHUNK_EVENTS);
  let bids = 0;
  for (let next = 0; next < EVENTS; ) {
    next = fillBidColumns(generator, next, EVENTS, columns);
    bids += columns.count;
  }
  return bids;
}

for (const [name, way] of [
  ['NDJSON', asBytes],
  ['columns', asColumns],
] as const) {
  const rates: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const began = process.cpuUsage();
    const bids = way();
    const { system, user } = process.cpuUsage(began);
    rates.push(bids / (system + user));
  }
  const best = Math.max(...rates).toFixed(2);
  process.stdout.write(`${name.padEnd(8)} ${best} M bids per CPU second, people and auctions included\n`);
}
