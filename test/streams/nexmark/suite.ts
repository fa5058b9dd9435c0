/**
 * Nexmark queries through the engine: each gives what DuckDB says, over the same bytes, which are made once per test run.
 *
 * Role: what the test files of this folder run. A file per group of queries, so that none takes long on a slow machine and
 * two run at once. `NEXMARK_EVENTS` chooses how many events; the title says how many there were.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { collectGarbage } from '../../../bench/streams/garbage.ts';
import { differenceOf } from './difference.ts';
import { type FeedOptions, feed, kindsOf, NEXMARK_KINDS } from './feed.ts';
import { type Prepared, prepared } from './prepared.ts';
import { runQuery } from './runner.ts';
import type { NexmarkQuery } from './streams.ts';

const SEED = 21;
const EVENTS_PER_BATCH = 5000;

export const RATES = {
  /** Several windows and sessions. */
  slow: 500,
  /** The generator's default: auctions take at most 400 ms. */
  fast: 10_000,
} as const;

const GIVEN = process.env['NEXMARK_EVENTS'];

export const EVENTS = {
  many: Number(GIVEN ?? 1_000_000),
  /** Patterns and Parquet files, an event of which costs ten times as much. */
  few: Number(GIVEN ?? 250_000),
} as const;

export function nexmarkSuite(
  title: string,
  queries: readonly NexmarkQuery[],
  ratePerS: number,
  events: number = EVENTS.many,
): void {
  const options: FeedOptions = {
    generator: { seed: SEED, ratePerS },
    events,
    eventsPerBatch: EVENTS_PER_BATCH,
  };
  const kinds = NEXMARK_KINDS.filter((kind) => queries.some((query) => kindsOf(query).includes(kind)));
  let made: Prepared;

  before(async () => {
    made = await prepared(options, kinds);
  });
  after(() => made.tables.close());

  async function check(query: NexmarkQuery): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), 'nexmark-'));
    try {
      const path = join(folder, 'answer');
      await runQuery(query, feed(query, options, made.batches), path);
      assert.equal(await differenceOf(made.tables, query, path), '');
    } finally {
      rmSync(folder, { recursive: true });
      collectGarbage();
    }
  }

  describe(`Nexmark, ${title}, over ${events} events`, () => {
    for (const query of queries) {
      test(`${query.name}${query.note === '' ? '' : `: ${query.note}`}`, () => check(query));
    }
  });
}
