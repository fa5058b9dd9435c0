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
      for (const kind of writeEvents(folder, events)) await createTable(database, kind, join(folder, kind));
      return new NexmarkTables(database);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  /** Makes the file at `path` from a file of NDJSON per kind in `folder`. */
  static async make(path: string, folder: string): Promise<void> {
    const database = await OracleDatabase.open(THREADS);
    try {
      await database.connection.run(`ATTACH ${literal(path)} AS made`);
      // To make them small would cost more than it saves.
      await database.connection.run(`PRAGMA force_compression = 'uncompressed'`);
      for (const kind of NEXMARK_KINDS) await createTable(database, kind, join(folder, kind), 'made.');
      await database.connection.run('DETACH made');
    } finally {
      database.close();
    }
  }

  /** What `make` made; nobody writes there, so many may have it open. */
  static async open(path: string): Promise<NexmarkTables> {
    const database = await OracleDatabase.open(THREADS);
    await database.connection.run(`ATTACH ${literal(path)} AS made (READ_ONLY)`);
    for (const kind of NEXMARK_KINDS) {
      await database.connection.run(`CREATE VIEW ${kind} AS SELECT * FROM made.${kind}`);
    }
    return new NexmarkTables(database);
  }

  close(): void {
    this.database.close();
  }

  async expected(query: NexmarkQuery): Promise<Table> {
    if (query.sql === null) return await this.#matches(query);
    const reader = await this.database.connection.runAndReadAll(await this.expectedSql(query));
    return reader.getRowsJS().map((row) => row.map(asCell));
  }

  /** A query with the columns of the answer, for which all tables are there. */
  async expectedSql({ columns, name, side, sql }: NexmarkQuery): Promise<string> {
    if (side !== undefined) await this.#loadSide(side.body());
    const from = sql ?? `SELECT * FROM ${await this.#loadMatches({ columns, name })}`;
    return `SELECT ${columns.map(quoted).join(', ')} FROM (${from})`;
  }

  async #matches(query: Pick<NexmarkQuery, 'name'>): Promise<Table> {
    const pattern = PATTERN_QUERIES.find(({ name }) => name === query.name);
    if (pattern === undefined) throw new Error(`${query.name} has no SQL`);
    this.#bidsByKey ??= groupBids(await this.#bids());
    return matchesOf(pattern, this.#bidsByKey);
  }

  /** In order of arrival. */
  async #bids(): Promise<readonly PatternBid[]> {
    const reader = await this.database.connection.runAndReadAll(
      'SELECT auction::DOUBLE, bidder::DOUBLE, price::DOUBLE, dateTime::DOUBLE FROM bid ORDER BY n',
    );
    const [auctions = [], bidders = [], prices = [], times = []] = reader.getColumnsJS() as number[][];
    return auctions.map((auction, i) => ({
      auction,
      bidder: bidders[i] as number,
      price: prices[i] as number,
      dateTime: times[i] as number,
    }));
  }

  /** Into a table, whose name is returned: columns of whole numbers as such. */
  async #loadMatches(query: Pick<NexmarkQuery, 'columns' | 'name'>): Promise<string> {
    const rows = (await this.#matches(query)) as readonly (readonly number[])[];
    const raw = await this.database.loadNumbers(query.columns.map(quoted), rows);
    const columns = query.columns.map((name, i) => {
      const type = rows.every((row) => Number.isInteger(row[i])) ? 'BIGINT' : 'DOUBLE';
      return `${quoted(name)}::${type} AS ${quoted(name)}`;
    });
    await this.database.connection.run(
      `CREATE OR REPLACE TEMP TABLE matches AS SELECT ${columns.join(', ')} FROM ${raw}`,
    );
    await this.database.drop(raw);
    return 'matches';
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

/** Of the NDJSON at `path`. */
async function createTable(database: OracleDatabase, kind: NexmarkKind, path: string, place = ''): Promise<void> {
  const columns = Object.entries(SCHEMAS[kind].fields).map(
    ([name, type]) => `${literal(name)}: ${type === 'string' ? "'VARCHAR'" : "'BIGINT'"}`,
  );
  await database.connection.run(`
    CREATE TABLE ${place}${kind} AS SELECT row_number() OVER () AS n, *
    FROM read_json(${literal(path)}, format = 'newline_delimited', columns = {${columns.join(', ')}})`);
}

function asCell(value: unknown): Cell {
  return typeof value === 'bigint' ? Number(value) : (value as Cell);
}

/** The kinds there are, each in a file of its name. */
export function writeEvents(folder: string, events: Iterable<FeedBatch>): readonly NexmarkKind[] {
  const files = new Map<string, number>();
  for (const { body, stream } of events) {
    const file = files.get(stream) ?? openSync(join(folder, stream), 'w');
    files.set(stream, file);
    appendFileSync(file, body);
  }
  for (const file of files.values()) closeSync(file);
  return NEXMARK_KINDS.filter((kind) => files.has(kind));
}
