/**
 * Whether the lines of a query say what is expected: rows compared as a multiset, numbers to nine digits.
 *
 * Role: the last step of a Nexmark case. Returns `''` for agreement, or a text with a few rows that differ.
 * Rows of the closing events are left out. Distinct counts above `DISTINCT_EXACT_MAX` are compared within
 * `DISTINCT_RELATIVE_ERROR`, since they are estimates by definition.
 */
import { parseLines, type ResultLine } from '../oracle/compare.ts';
import type { Cell, NexmarkQuery, Table } from './streams.ts';

export const DISTINCT_EXACT_MAX = 1024;
export const DISTINCT_RELATIVE_ERROR = 0.04;
const SHOWN_MAX = 5;
const CLOSING_COLUMNS: readonly string[] = ['auction', 'bidder', 'id', 'category', 'seller'];
const ESTIMATED = /^(bidders|auctions)(Rank\d)?$/;

/** Final rows of the lines, in the query's columns. */
export function rowsOf(query: NexmarkQuery, lines: readonly string[]): Table {
  const parsed = parseLines(lines).filter(({ output }) => (output ?? '') === '');
  const table = query.rows === undefined ? parsed.map((line) => plainRow(query, line)) : query.rows(parsed);
  const closing = closingColumns(query).map((name) => query.columns.indexOf(name));
  return table.filter((row) => !closing.some((i) => row[i] === 0));
}

/** Columns that are 0 in the rows of closing events, and in no other. */
export function closingColumns({ columns }: NexmarkQuery): readonly string[] {
  return columns.filter((name) => CLOSING_COLUMNS.includes(name));
}

export function hasEstimates({ columns }: NexmarkQuery): boolean {
  return columns.some((name) => ESTIMATED.test(name));
}

function plainRow({ columns }: NexmarkQuery, { end, key, start, values }: ResultLine): Cell[] {
  const bounds: Readonly<Record<string, number | null>> = { start, end };
  return columns.map((name) => (values[name] ?? key[name] ?? bounds[name] ?? null) as Cell);
}

export function judge(query: NexmarkQuery, expected: Table, lines: readonly string[]): string {
  return differences(query, expected, rowsOf(query, lines));
}

/** `rows`: how many are expected, when those that agree were left out before. */
export function differences(query: NexmarkQuery, expected: Table, actual: Table, rows = expected.length): string {
  const estimated = query.columns.map((name) => ESTIMATED.test(name));
  const exact = (row: readonly Cell[]): string =>
    JSON.stringify(row.map((cell, i) => (estimated[i] ? '~' : digits(cell))));
  const waiting = new Map<string, (readonly Cell[])[]>();
  for (const row of expected) {
    const text = exact(row);
    const same = waiting.get(text);
    if (same === undefined) waiting.set(text, [row]);
    else same.push(row);
  }
  const unexpected: (readonly Cell[])[] = [];
  for (const row of actual) {
    const candidates = waiting.get(exact(row)) ?? [];
    const at = candidates.findIndex((candidate) => candidate.every((cell, i) => !estimated[i] || near(cell, row[i])));
    if (at < 0) unexpected.push(row);
    else candidates.splice(at, 1);
  }
  const missing = [...waiting.values()].flat();
  if (missing.length === 0 && unexpected.length === 0) return '';
  const shown = (title: string, rows: Table): string[] =>
    rows.slice(0, SHOWN_MAX).map((row) => `${title} ${JSON.stringify(row)}`);
  const head = `${query.name}: ${missing.length} of ${rows} rows missing, ${unexpected.length} unexpected`;
  return [
    head,
    JSON.stringify(query.columns),
    ...shown('missing   ', missing),
    ...shown('unexpected', unexpected),
  ].join('\n');
}

function digits(cell: Cell): Cell {
  return typeof cell === 'number' && !Number.isInteger(cell) ? Number(cell.toPrecision(9)) : cell;
}

function near(expected: Cell, actual: Cell | undefined): boolean {
  if (typeof expected !== 'number' || typeof actual !== 'number') return expected === actual;
  if (expected <= DISTINCT_EXACT_MAX) return expected === actual;
  return Math.abs(actual - expected) <= DISTINCT_RELATIVE_ERROR * expected;
}
