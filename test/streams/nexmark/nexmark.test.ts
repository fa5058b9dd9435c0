/**
 * Nexmark through the engine: every query that its operators can express gives what DuckDB says, over the same bytes.
 *
 * `NEXMARK_EVENTS` chooses how many events (1,000,000 for the full comparison).
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type FeedOptions, feed } from './feed.ts';
import { judge } from './judge.ts';
import { NEXMARK_QUERIES } from './queries.ts';
import { runQuery } from './runner.ts';
import { NexmarkTables } from './tables.ts';

const events = Number(process.env['NEXMARK_EVENTS'] ?? 20_000);
/** Several windows and sessions; and auctions of at most 400 ms, which two queries rely on. */
const SLOW: FeedOptions = { generator: { seed: 21, ratePerS: 500 }, events, eventsPerBatch: 5000 };
const FAST: FeedOptions = { generator: { seed: 21, ratePerS: 10_000 }, events, eventsPerBatch: 5000 };
const ON_FAST: ReadonlySet<string> = new Set(['q4', 'q9']);

let slow: NexmarkTables;
let fast: NexmarkTables;
before(async () => {
  slow = await NexmarkTables.load(SLOW);
  fast = await NexmarkTables.load(FAST);
});
after(async () => {
  await slow.close();
  await fast.close();
});

describe(`Nexmark over ${events} events`, () => {
  for (const query of NEXMARK_QUERIES) {
    test(`${query.name}${query.note === '' ? '' : `: ${query.note}`}`, async () => {
      const [options, tables] = ON_FAST.has(query.name) ? [FAST, fast] : [SLOW, slow];
      const lines = await runQuery(query.streams, feed(query, options), query.answer);
      assert.equal(judge(query, await tables.expected(query), lines), '');
    });
  }
});
