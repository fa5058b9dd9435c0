/**
 * Result lines as columns of a Parquet file.
 *
 * Role: a pure function from lines to bytes. Columns: `id`, `stream`, `name`, `start`, `end` (timestamps), `pane`,
 * `timing`, `final`, `retraction`, `output`, `failed` (JSON) where there is any, then `key_{member}` and `value_{name}` for all that occur in the file, then
 * `context` (JSON). A member that is a number in every line is DOUBLE, a boolean BOOLEAN, anything else is text: lists
 * and objects as JSON, and so is a member whose type changes from line to line.
 */
import { type ColumnSource, parquetWriteBuffer } from 'hyparquet-writer';
import type { ResultLine } from '../engine/port.ts';

/** Of a `Date`, to either side of 1970. */
const DATE_MS_MAX = 8.64e15;

/** `notes`: names and texts of the file's own metadata. */
export function parquetOf(lines: readonly string[], notes: Readonly<Record<string, string>>): Uint8Array {
  const rows = lines.map((line) => JSON.parse(line) as ResultLine);
  const columnData = [
    ...fixedColumns(rows),
    ...failedColumn(rows),
    ...memberColumns(
      'key_',
      rows.map(({ key }) => key),
    ),
    ...memberColumns(
      'value_',
      rows.map(({ values }) => values),
    ),
    texts(
      'context',
      rows.map(({ context }) => (context === undefined ? null : JSON.stringify(context))),
    ),
  ];
  const kvMetadata = Object.entries(notes).map(([key, value]) => ({ key, value }));
  return new Uint8Array(parquetWriteBuffer({ columnData, kvMetadata, createdBy: 'millrace' }));
}

function fixedColumns(rows: readonly ResultLine[]): ColumnSource[] {
  return [
    texts(
      'id',
      rows.map(({ id }) => id),
    ),
    texts(
      'stream',
      rows.map(({ stream }) => stream),
    ),
    texts(
      'name',
      rows.map(({ name }) => name),
    ),
    times(
      'start',
      rows.map(({ start }) => start),
    ),
    times(
      'end',
      rows.map(({ end }) => end),
    ),
    { name: 'pane', type: 'DOUBLE', nullable: false, data: rows.map(({ pane }) => pane) },
    texts(
      'timing',
      rows.map(({ timing }) => timing),
    ),
    { name: 'final', type: 'BOOLEAN', nullable: false, data: rows.map(({ final }) => final) },
    { name: 'retraction', type: 'BOOLEAN', nullable: false, data: rows.map(({ retraction }) => retraction === true) },
    texts(
      'output',
      rows.map(({ output }) => output ?? null),
    ),
  ];
}

/** Only in files that have such a result: all others are as they always were. */
function failedColumn(rows: readonly ResultLine[]): ColumnSource[] {
  const data = rows.map(({ failed }) => (failed === undefined ? null : JSON.stringify(failed)));
  return data.every((each) => each === null) ? [] : [texts('failed', data)];
}

function texts(name: string, data: (string | null)[]): ColumnSource {
  return { name, type: 'STRING', nullable: true, data };
}

function times(name: string, data: (number | null)[]): ColumnSource {
  return { name, type: 'TIMESTAMP', nullable: true, data: data.map((ms) => (ms === null ? null : dateOf(ms))) };
}

/** A window at an end of all dates reaches beyond it, where there is none. */
const dateOf = (ms: number): Date => new Date(Math.max(-DATE_MS_MAX, Math.min(DATE_MS_MAX, ms)));

function memberColumns(prefix: string, members: readonly Readonly<Record<string, unknown>>[]): ColumnSource[] {
  const names = new Set(members.flatMap((each) => Object.keys(each)));
  return [...names].map((name) => {
    const data = members.map((each) => (Object.hasOwn(each, name) ? (each[name] ?? null) : null));
    const types = new Set(data.filter((value) => value !== null).map((value) => typeof value));
    const [type] = types;
    if (types.size === 1 && type === 'number') return { name: prefix + name, type: 'DOUBLE', nullable: true, data };
    if (types.size === 1 && type === 'boolean') return { name: prefix + name, type: 'BOOLEAN', nullable: true, data };
    return texts(
      prefix + name,
      data.map((value) => (value === null || typeof value === 'string' ? value : JSON.stringify(value))),
    );
  });
}
