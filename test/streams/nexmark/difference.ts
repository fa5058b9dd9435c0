/**
 * What the engine wrote against what DuckDB says, compared where the million rows are: in DuckDB.
 *
 * Role: `''` for agreement, or a text with a few rows that differ. Every cell is the text of its JSON, on both sides. First
 * both sides are added up, as the number of rows and the sum of their hashes, whatever their order. Only when the sums are
 * different are rows compared one by one, and those that differ go to `judge.ts`, which is less strict about the last
 * digits of fractions. Answers that need a program (`rows`) or are estimates go there whole: they are short.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { literal, quoted } from '../oracle/expression-sql.ts';
import { closingColumns, differences, hasEstimates, judge } from './judge.ts';
import type { Cell, NexmarkQuery, Table } from './streams.ts';
import type { NexmarkTables } from './tables.ts';

/** Rows that differ beyond these are counted, not looked at. */
const DIFFERENT_ROWS_MAX = 200_000;

/** One side: a name and a type per column, and where they are selected from. */
interface Side {
  readonly cells: readonly string[];
  readonly from: string;
}

/** `path`: where the answer was written to. */
export async function differenceOf(tables: NexmarkTables, query: NexmarkQuery, path: string): Promise<string> {
  if (query.rows !== undefined || hasEstimates(query)) {
    return judge(query, await tables.expected(query), await linesIn(path));
  }
  const { connection } = tables.database;
  const expectedSql = await tables.expectedSql(query);
  const described = (await connection.runAndReadAll(`DESCRIBE ${expectedSql}`)).getRowObjectsJS();
  const types = described.map((column) => String(column['column_type']));
  const expected = { cells: expectedCells(query, types), from: `(${expectedSql})` };
  const actual = query.sink === 'parquet' ? inParquet(query, types, path) : inLines(query, types, path);
  const [rows, sum] = await totals(tables, expected);
  const [actualRows, actualSum] = await totals(tables, actual);
  if (rows === actualRows && sum === actualSum) return '';
  const { missing, tooMany, unexpected } = await rowsThatDiffer(tables, expected, actual);
  const text = differences(query, missing, unexpected, rows);
  return tooMany ? `${text}\n… and more: only ${DIFFERENT_ROWS_MAX} rows that differ were looked at` : text;
}

async function linesIn(path: string): Promise<string[]> {
  const lines: string[] = [];
  const file = await open(path);
  for await (const line of file.readLines()) lines.push(line);
  return lines;
}

function expectedCells({ columns }: NexmarkQuery, types: readonly string[]): string[] {
  return columns.map((name, i) => jsonOf(quoted(name), types[i] as string));
}

const jsonOf = (value: string, type: string): string =>
  type === 'VARCHAR' ? `to_json(${value})::VARCHAR` : `${value}::VARCHAR`;

/** Lines as they are written: a column is a value, a member of the key, or a bound. */
function inLines(query: NexmarkQuery, types: readonly string[], path: string): Side {
  const { columns } = query;
  const members = literal(`STRUCT(${columns.map((name) => `${quoted(name)} JSON`).join(', ')})`);
  const bounds = ['start', 'end'];
  const layout = [...bounds.map((name) => `${quoted(name)}: 'JSON'`), `output: 'VARCHAR'`];
  layout.push(`key: ${members}`, `"values": ${members}`);
  const raw = columns.map((name) => {
    const places = [
      `"values".${quoted(name)}`,
      `"key".${quoted(name)}`,
      ...(bounds.includes(name) ? [quoted(name)] : []),
    ];
    return `coalesce(${places.join(', ')})::VARCHAR`;
  });
  const cells = raw.map((text, i) =>
    types[i] === 'DOUBLE' ? `coalesce(TRY_CAST(${text} AS DOUBLE)::VARCHAR, ${text})` : text,
  );
  const source = `read_json(${literal(path)}, format = 'newline_delimited', columns = {${layout.join(', ')}})`;
  const closing = closingColumns(query).map((name) => `coalesce(${raw[columns.indexOf(name)]} = '0', FALSE)`);
  const where = [`coalesce(output, '') = ''`, ...closing.map((text) => `NOT ${text}`)].join(' AND ');
  return { cells, from: `${source} WHERE ${where}` };
}

/** Numbers are doubles there. */
function inParquet(query: NexmarkQuery, types: readonly string[], folder: string): Side {
  const column = (name: string): string => quoted(`value_${name}`);
  const cells = query.columns.map((name, i) => {
    const value = column(name);
    const whole = `CASE WHEN ${value} = trunc(${value}) THEN ${value}::BIGINT::VARCHAR ELSE ${value}::VARCHAR END`;
    return types[i] === 'BIGINT' ? whole : jsonOf(value, types[i] as string);
  });
  const closing = closingColumns(query).map((name) => `${column(name)} IS DISTINCT FROM 0`);
  return { cells, from: `read_parquet(${literal(join(folder, '*.parquet'))}) WHERE ${closing.join(' AND ')}` };
}

async function totals(tables: NexmarkTables, { cells, from }: Side): Promise<readonly [number, string]> {
  const [row] = await tables.database.rows(
    `SELECT count(*)::DOUBLE AS rows, coalesce(sum(hash(${cells.join(', ')})::HUGEINT), 0)::VARCHAR AS hashes FROM ${from}`,
  );
  return [row?.['rows'] as number, row?.['hashes'] as string];
}

interface Different {
  readonly missing: Table;
  readonly unexpected: Table;
  readonly tooMany: boolean;
}

async function rowsThatDiffer(tables: NexmarkTables, expected: Side, actual: Side): Promise<Different> {
  const select = (balance: number, { cells, from }: Side): string =>
    `SELECT ${balance} AS balance, ${cells.map((cell, i) => `${cell} AS c${i}`).join(', ')} FROM ${from}`;
  const names = expected.cells.map((_, i) => `c${i}`).join(', ');
  const reader = await tables.database.connection.runAndReadAll(`
    SELECT sum(balance)::DOUBLE, ${names} FROM (${select(1, expected)} UNION ALL ${select(-1, actual)})
    GROUP BY ${names} HAVING sum(balance) <> 0 ORDER BY ${names} LIMIT ${DIFFERENT_ROWS_MAX + 1}`);
  const missing: Cell[][] = [];
  const unexpected: Cell[][] = [];
  const found = reader.getRowsJS();
  for (const [balance, ...cells] of found.slice(0, DIFFERENT_ROWS_MAX)) {
    const row = cells.map((text) => (text === null ? null : (JSON.parse(text as string) as Cell)));
    const side = (balance as number) > 0 ? missing : unexpected;
    for (let times = Math.abs(balance as number); times > 0; times--) side.push(row);
  }
  return { missing, unexpected, tooMany: found.length > DIFFERENT_ROWS_MAX };
}
