/**
 * DuckDB: all events appended to a table, then one SQL query. A batch program, with two threads.
 *
 * Role: the analytical database next door. Appending is part of what is timed, from columns with keys already
 * numbered; results are summed up in SQL, so that none of them has to become a JavaScript object. A hop sums slices of a
 * second, as one would write it there.
 */
import { DOUBLE, DuckDBDataChunk, DuckDBInstance, INTEGER } from '@duckdb/node-api';
import { type EventColumns, eventColumns } from './data.ts';
import type { Job, Totals } from './job.ts';
import type { Peer } from './peer.ts';

const THREADS = 2;
/** DuckDB's vectors have this many rows. */
const VECTOR_ROWS = 2048;

const EXTRA: Readonly<Record<string, string>> = {
  p99: 'quantile_disc(value, 0.99)',
  distinct: 'count(DISTINCT value)',
};

function groupsSql({ gapMs, name, sizeMs, slideMs }: Job): string {
  const values = 'count(*) AS n, sum(value) AS s, min(value) AS lo, max(value) AS hi';
  if (name === 'session') {
    return `
      SELECT min(ts) AS start, ${values}, 0 AS p FROM (
        SELECT *, sum(opens::INTEGER) OVER (PARTITION BY key ORDER BY ts, rowid) AS session FROM (
          SELECT *, rowid, coalesce(ts - lag(ts) OVER (PARTITION BY key ORDER BY ts, rowid) >= ${gapMs}, TRUE) AS opens
          FROM events))
      GROUP BY key, session`;
  }
  if (name === 'hop') {
    return `
      SELECT (slice - hop) * ${slideMs} AS start, sum(n) AS n, sum(s) AS s, min(lo) AS lo, max(hi) AS hi, 0 AS p
      FROM (SELECT key, ts // ${slideMs} AS slice, ${values} FROM events GROUP BY key, slice) AS slices,
        range(${sizeMs / slideMs}) AS hops(hop)
      GROUP BY key, slice - hop`;
  }
  const extra = EXTRA[name] ?? '0';
  return `
    SELECT (ts // ${sizeMs}) * ${sizeMs} AS start, ${values}, ${extra} AS p FROM events GROUP BY key, ts // ${sizeMs}`;
}

const totalsSql = (job: Job): string => `
  SELECT count(*)::DOUBLE AS groups, sum(n)::DOUBLE AS count, sum(s)::DOUBLE AS sum, sum(lo)::DOUBLE AS min,
    sum(hi)::DOUBLE AS max, sum(p)::DOUBLE AS extra, sum(start * n)::DOUBLE AS weighted
  FROM (${groupsSql(job)})`;

function appendChunks(columns: EventColumns, take: (chunk: DuckDBDataChunk) => void): void {
  const { count, key, ts, value } = columns;
  for (let from = 0; from < count; from += VECTOR_ROWS) {
    const to = Math.min(count, from + VECTOR_ROWS);
    const chunk = DuckDBDataChunk.create([INTEGER, INTEGER, DOUBLE], to - from);
    chunk.setColumnValues(0, Array.from(ts.subarray(from, to)));
    chunk.setColumnValues(1, Array.from(key.subarray(from, to)));
    chunk.setColumnValues(2, Array.from(value.subarray(from, to)));
    take(chunk);
  }
}

export const duckdb: Peer = {
  name: 'DuckDB append + SQL',
  input: 'columns',
  refuses: () => '',
  eventsMax: ({ events }) => events,
  prepare(job) {
    const columns = eventColumns(job);
    return {
      async run(): Promise<Totals> {
        const instance = await DuckDBInstance.create(':memory:', { threads: String(THREADS) });
        const connection = await instance.connect();
        await connection.run('CREATE TABLE events (ts INTEGER, key INTEGER, value DOUBLE)');
        const appender = await connection.createAppender('events');
        appendChunks(columns, (chunk) => appender.appendDataChunk(chunk));
        appender.closeSync();
        const reader = await connection.runAndReadAll(totalsSql(job));
        const [row] = reader.getRowObjectsJS();
        connection.closeSync();
        instance.closeSync();
        return row as unknown as Totals;
      },
    };
  },
};
