/**
 * The windows a case must lead to, computed in one go by DuckDB over all its events.
 *
 * Role: the oracle proper. Every event is put into each window it belongs to; the late ones are taken out: those whose
 * stream's watermark before their batch had reached the window's end − 1 + allowed lateness. What is left is grouped.
 * A window is expected once the last watermark has reached its end − 1; it is final when no event can change it.
 * With `top`, the best rows of each window are chosen from all of them, here.
 * Left to the definition's other readers: early results, and which panes led to the final values.
 */
import type { StreamDefinition, WindowDefinition } from '../../../src/streams/define/definition.ts';
import { admit } from './admission.ts';
import { type AggregateSql, aggregateSql, type Expected, SKETCH_LIMITS, type SketchLimits } from './aggregates-sql.ts';
import { type OracleCase, type Scalar, windowOf } from './case.ts';
import { type OracleDatabase, oracleDatabase } from './database.ts';
import { expressionSql, quoted } from './expression-sql.ts';
import { sessionsOf } from './session-model.ts';

export interface ExpectedWindow {
  readonly key: Readonly<Record<string, Scalar>>;
  readonly start: number;
  readonly end: number;
  /** No event could change it any more. */
  readonly final: boolean;
  /** Events in it. */
  readonly events: number;
  readonly values: Readonly<Record<string, Expected>>;
}

/** Expected results of a window of the case, by key and start. `name` may be left out where there is only one. */
export async function expectedWindows(
  given: OracleCase,
  name = '',
  limits: SketchLimits = SKETCH_LIMITS,
): Promise<ExpectedWindow[]> {
  const { stream, window } = windowOf(given, name);
  const admitted = admit(given, stream);
  const database = await oracleDatabase();
  const events = await database.load(stream.schema, admitted.events);
  const assigned = await assign(database, events, stream, window);
  const keys = window.key ?? stream.schema.key ?? [];
  const aggregates = Object.entries(window.aggregates).map(
    ([each, definition]) => [each, aggregateSql(each, definition, limits)] as const,
  );
  const rows = await database.rows(windowsSql(assigned.sql, keys, aggregates, admitted.watermark));
  await database.drop(events, ...assigned.tables);
  const finalMs = admitted.watermark - (window.allowedLatenessMs ?? 0);
  const expected = rows.map((row) => ({
    key: Object.fromEntries(keys.map((key) => [key, (row[`key:${key}`] ?? null) as Scalar])),
    start: row['_start'] as number,
    end: row['_end'] as number,
    final: (row['_end'] as number) - 1 <= finalMs,
    events: row['_events'] as number,
    values: Object.fromEntries(aggregates.map(([each, sql]) => [each, sql.expected(row)])),
  }));
  return window.top === undefined ? expected : ranked(expected, window.top);
}

/** The best of each window; equal ones by the text of their key. */
function ranked(
  rows: readonly ExpectedWindow[],
  { by, limit, ties = false }: NonNullable<WindowDefinition['top']>,
): ExpectedWindow[] {
  const windows = new Map<string, { row: ExpectedWindow; value: number; key: string }[]>();
  for (const row of rows) {
    const name = `${row.start}/${row.end}`;
    const { value } = row.values[by] as Expected;
    const each = {
      row,
      value: typeof value === 'number' ? value : Number.NEGATIVE_INFINITY,
      key: JSON.stringify(row.key),
    };
    windows.set(name, [...(windows.get(name) ?? []), each]);
  }
  return [...windows.values()].flatMap((all) => {
    const sorted = all.toSorted((a, b) => (a.value === b.value ? (a.key < b.key ? -1 : 1) : b.value - a.value));
    const last = sorted[limit - 1]?.value;
    return sorted.filter(({ value }, i) => i < limit || (ties && value === last)).map(({ row }) => row);
  });
}

/** Events that count in no window: what an engine drops or puts aside as late. */
export async function expectedLate(given: OracleCase, name = ''): Promise<number> {
  const { stream, window } = windowOf(given, name);
  const database = await oracleDatabase();
  const events = await database.load(stream.schema, admit(given, stream).events);
  const assigned = await assign(database, events, stream, window);
  const [row] = await database.rows(`
    SELECT count(*)::DOUBLE AS late FROM (${inputSql(events, window)})
    WHERE (_step, _row) NOT IN (SELECT (_step, _row) FROM (${assigned.sql}))`);
  await database.drop(events, ...assigned.tables);
  return row?.['late'] as number;
}

const inputSql = (events: string, window: WindowDefinition): string =>
  `SELECT * FROM ${events} ${window.where === undefined ? '' : `WHERE ${expressionSql(window.where)}`}`;

/** SQL for the events with `_start` and `_end` of each window they count in, and tables it needs. */
async function assign(
  database: OracleDatabase,
  events: string,
  stream: StreamDefinition,
  window: WindowDefinition,
): Promise<{ sql: string; tables: readonly string[] }> {
  const input = inputSql(events, window);
  if (window.type === 'session') return await assignSessions(database, input, stream, window);
  const sql = `
    SELECT * FROM (${input}) AS input, LATERAL (${timesSql(window)}) AS times
    WHERE _wm < _end - 1 + ${window.allowedLatenessMs ?? 0}`;
  return { sql, tables: [] };
}

/** The windows of one event, from its `_ts`. */
function timesSql(window: WindowDefinition): string {
  const { offsetMs = 0, sizeMs = 0, slideMs = sizeMs } = window;
  // The greatest multiple not above, for negative times as well.
  const floored = (step: number): string => `(_ts - ((((_ts - ${offsetMs}) % ${step}) + ${step}) % ${step}))`;
  switch (window.type) {
    case 'tumbling':
      return `SELECT ${floored(sizeMs)} AS _start, ${floored(sizeMs)} + ${sizeMs} AS _end`;
    case 'hopping':
      return `
        SELECT ${floored(slideMs)} - hop * ${slideMs} AS _start, ${floored(slideMs)} - hop * ${slideMs} + ${sizeMs} AS _end
        FROM range(${Math.ceil(sizeMs / slideMs)}) AS hops(hop)
        WHERE ${floored(slideMs)} - hop * ${slideMs} + ${sizeMs} > _ts`;
    case 'cumulating':
      return `
        SELECT ${floored(sizeMs)} AS _start, ${floored(sizeMs)} + step * ${slideMs} AS _end
        FROM range(1, ${sizeMs / slideMs + 1}) AS steps(step)
        WHERE ${floored(sizeMs)} + step * ${slideMs} > _ts`;
    default:
      throw new Error(`the oracle knows no ${window.type} windows`);
  }
}

async function assignSessions(
  database: OracleDatabase,
  input: string,
  stream: StreamDefinition,
  window: WindowDefinition,
): Promise<{ sql: string; tables: readonly string[] }> {
  const keys = window.key ?? stream.schema.key ?? [];
  const gapMs = window.gapMs ?? 0;
  const rows = await database.rows(`
    SELECT _step, _row, _ts::DOUBLE AS ts, _wm AS wm, to_json([${keys.map((key) => `${quoted(key)}::VARCHAR`).join(', ')}])::VARCHAR AS key
    FROM (${input}) ORDER BY _step, _row`);
  const sessions = sessionsOf(
    rows.map((row) => ({ key: row['key'] as string, ts: row['ts'] as number, watermark: row['wm'] as number })),
    gapMs,
    window.allowedLatenessMs ?? 0,
  );
  const table = await database.loadNumbers(
    ['_step', '_row', '_session'],
    rows.map((row, i) => [row['_step'] as number, row['_row'] as number, sessions[i] as number]),
  );
  const sql = `
    SELECT *, min(_ts) OVER part AS _start, max(_ts) OVER part + ${gapMs} AS _end
    FROM (${input}) JOIN ${table} USING (_step, _row) WHERE _session >= 0 WINDOW part AS (PARTITION BY _session)`;
  return { sql, tables: [table] };
}

function windowsSql(
  assigned: string,
  keys: readonly string[],
  aggregates: readonly (readonly [string, AggregateSql])[],
  watermark: number,
): string {
  const keyItems = keys.map((key) => `${quoted(key)} AS ${quoted(`key:${key}`)}`);
  const items = [
    ...['_start::DOUBLE AS _start', '_end::DOUBLE AS _end', 'count(*)::DOUBLE AS _events'],
    ...keyItems,
    ...aggregates.flatMap(([, { select }]) => select),
  ];
  const grouped = `
    SELECT ${items.join(', ')} FROM (${assigned}) AS assigned
    WHERE _end - 1 <= ${Number.isFinite(watermark) ? watermark : "'-infinity'::DOUBLE"}
    GROUP BY ${['assigned._start', 'assigned._end', ...keys.map((key) => `assigned.${quoted(key)}`)].join(', ')}`;
  return `SELECT * FROM (${grouped}) ORDER BY ALL`;
}
