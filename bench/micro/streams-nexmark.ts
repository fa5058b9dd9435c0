/**
 * How fast Nexmark's events are made as bytes: it must not be what a measurement of streams waits for.
 *
 * Run: node dist/bench/micro/streams-nexmark.js
 */
import { NexmarkGenerator } from '../../src/streams/sources/nexmark.ts';
import { NexmarkNdjson } from '../../src/streams/sources/nexmark-ndjson.ts';

const EVENTS = 1_000_000;
/** 46 of each 50 events. */
const BIDS = (EVENTS / 50) * 46;
const CHUNK_EVENTS = 10_000;
const ROUNDS = 5;

const rates: number[] = [];
for (let round = 0; round < ROUNDS; round++) {
  const began = process.cpuUsage();
  const writer = new NexmarkNdjson(new NexmarkGenerator());
  for (let from = 0; from < EVENTS; from += CHUNK_EVENTS) writer.write(from, from + CHUNK_EVENTS);
  const { system, user } = process.cpuUsage(began);
  rates.push(BIDS / (system + user));
}
const best = Math.max(...rates).toFixed(2);
process.stdout.write(`${best} M bids per CPU second, people and auctions included\n`);
