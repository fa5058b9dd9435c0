/**
 * Nexmark's events as DuckDB tables, and the expected answer of a query from them.
 *
 * Role: the oracle's side. DuckDB reads the very bytes that are fed to the streams, from files, with a reader of its own.
 * `n` is the order of arrival.
 */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NexmarkGenerator } from '../../../src/streams/sources/nexmark.ts';
import { NexmarkNdjson } from '../../../src/streams/sources/nexmark-ndjson.ts';
import { OracleDatabase } from '../oracle/database.ts';
import { literal } from '../oracle/expression-sql.ts';
import type { FeedOptions } from './feed.ts';
import { findMatches, PATTERN_QUERIES, type PatternBid } from './queries-patterns.ts';
import { AUCTION, BID, type Cell, type NexmarkQuery, PERSON, type Table } from './streams.ts';

const THREADS = 2;
const SCHEMAS = { person: PERSON, auction: AUCTION, bid: BID } as const;

export class NexmarkTables {
  readonly database: OracleDatabase;

  private constructor(database: OracleDatabase) {
    this.database = database;
  }

  static async load(options: FeedOptions): Promise<NexmarkTables> {
    const folder = mkdtempSync(join(tmpdir(), 'nexmark-'));
    try {
      writeEvents(folder, options);
      const database = await OracleDatabase.open(THREADS);
      for (const [table, { fields }] of Object.entries(SCHEMAS)) {
        const columns = Object.entries(fields).map(
          ([name, type]) => `${literal(name)}: ${type === 'string' ? "'VARCHAR'" : "'BIGINT'"}`,
        );
        await database.connection.run(`
          CREATE TABLE ${table} AS SELECT row_number() OVER () AS n, *
          FROM read_json(${literal(join(folder, table))}, format = 'newline_delimited', columns = {${columns.join(', ')}})`);
      }
      return new NexmarkTables(database);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  close(): void {
    this.database.close();
  }

  async expected(query: NexmarkQuery): Promise<Table> {
    if (query.sql === null) return await this.#matches(query);
    if (query.side !== undefined) await this.#loadSide(query.side.body());
    const list = query.columns.map((name) => `"${name}"`).join(', ');
    const reader = await this.database.connection.runAndReadAll(`SELECT ${list} FROM (${query.sql})`);
    return reader.getRowsJS().map((row) => row.map(asCell));
  }

  async #matches(query: NexmarkQuery): Promise<Table> {
    const pattern = PATTERN_QUERIES.find(({ name }) => name === query.name);
    if (pattern === undefined) throw new Error(`${query.name} has no SQL`);
    const rows = await this.database.rows(`
      SELECT auction::DOUBLE AS auction, bidder::DOUBLE AS bidder, price::DOUBLE AS price, dateTime::DOUBLE AS dateTime
      FROM bid ORDER BY n`);
    return findMatches(pattern, rows as unknown as readonly PatternBid[]);
  }

  async #loadSide(body: string): Promise<void> {
    const rows = body
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { key: number; value: string });
    await this.database.connection.run('CREATE OR REPLACE TABLE side (key BIGINT, value VARCHAR)');
    const appender = await this.database.connection.createAppender('side');
    for (const { key, value } of rows) {
      appender.appendBigInt(BigInt(key));
      appender.appendVarchar(value);
      appender.endRow();
    }
    appender.closeSync();
  }
}

function asCell(value: unknown): Cell {
  return typeof value === 'bigint' ? Number(value) : (value as Cell);
}

function writeEvents(folder: string, { events, eventsPerBatch, generator }: FeedOptions): void {
  const writer = new NexmarkNdjson(new NexmarkGenerator(generator));
  const files = { person: 0, auction: 0, bid: 0 };
  for (const kind of ['person', 'auction', 'bid'] as const) files[kind] = openSync(join(folder, kind), 'w');
  for (let from = 0; from < events; from += eventsPerBatch) {
    const bodies = writer.write(from, Math.min(events, from + eventsPerBatch));
    for (const kind of ['person', 'auction', 'bid'] as const) writeSync(files[kind], bodies[kind]);
  }
  for (const file of Object.values(files)) closeSync(file);
}
