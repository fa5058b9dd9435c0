/**
 * Nexmark's events as DuckDB tables, and the expected answer of a query from them.
 *
 * Role: the oracle's side. DuckDB reads the very bytes that are fed to the streams, from files, with a reader of its own.
 * `n` is the order of arrival.
 */
import { appendFileSync, closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NexmarkKind } from '../../../src/streams/sources/nexmark-skeleton.ts';
import { OracleDatabase } from '../oracle/database.ts';
import { literal, quoted } from '../oracle/expression-sql.ts';
import { type FeedBatch, NEXMARK_KINDS } from './feed.ts';
import { type BidsByKey, groupBids, matchesOf, PATTERN_QUERIES, type PatternBid } from './queries-patterns.ts';
import { AUCTION, BID, type Cell, type NexmarkQuery, PERSON, type Table } from './streams.ts';

const THREADS = 2;
const SCHEMAS = { person: PERSON, auction: AUCTION, bid: BID } as const;

export class NexmarkTables {
  readonly database: OracleDatabase;
  #bidsByKey: BidsByKey | null = null;

  private constructor(database: OracleDatabase) {
    this.database = database;
  }

  /** Of the kinds of events that there are. */
  static async load(events: Iterable<FeedBatch>): Promise<NexmarkTables> {
    const folder = mkdtempSync(join(tmpdir(), 'nexmark-'));
    try {
      const database = await OracleDatabase.open(THREADS);
      for (const table of writeEvents(folder, events)) {
        const columns = Object.entries(SCHEMAS[table].fields).map(
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
    const reader = await this.database.connection.runAndReadAll(await this.expectedSql(query, query.sql));
    return reader.getRowsJS().map((row) => row.map(asCell));
  }

  /** A query with the columns of the answer, for which all tables are there. */
  async expectedSql({ columns, side }: NexmarkQuery, sql: string): Promise<string> {
    if (side !== undefined) await this.#loadSide(side.body());
    return `SELECT ${columns.map(quoted).join(', ')} FROM (${sql})`;
  }

  async #matches(query: NexmarkQuery): Promise<Table> {
    const pattern = PATTERN_QUERIES.find(({ name }) => name === query.name);
    if (pattern === undefined) throw new Error(`${query.name} has no SQL`);
    this.#bidsByKey ??= groupBids(
      (await this.database.rows(`
        SELECT auction::DOUBLE AS auction, bidder::DOUBLE AS bidder, price::DOUBLE AS price, dateTime::DOUBLE AS dateTime
        FROM bid ORDER BY n`)) as unknown as readonly PatternBid[],
    );
    return matchesOf(pattern, this.#bidsByKey);
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

/** The kinds there are, each in a file of its name. */
function writeEvents(folder: string, events: Iterable<FeedBatch>): readonly NexmarkKind[] {
  const files = new Map<string, number>();
  for (const { body, stream } of events) {
    const file = files.get(stream) ?? openSync(join(folder, stream), 'w');
    files.set(stream, file);
    appendFileSync(file, body);
  }
  for (const file of files.values()) closeSync(file);
  return NEXMARK_KINDS.filter((kind) => files.has(kind));
}
