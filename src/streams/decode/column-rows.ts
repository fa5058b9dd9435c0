/**
 * Single rows of a body of format `columns`: a row's values, and some of its rows as a body of their own.
 *
 * Role: for rows that are looked at one by one because something is wrong with them, for their dead letters, and for
 * batches that are cut. What is wrong with a row stays so: values go on as they are.
 */
import { Buffer } from 'node:buffer';
import type { FieldPlan } from '../plan.ts';
import { ABSENT_BIT, assembled, BOOL_ABSENT, type ColumnLayout, type ColumnsLayout } from './column-format.ts';
import { isUtf8 } from './utf8.ts';

/** Not UTF-8: a text that has no place in its column. */
const NO_TEXT = Uint8Array.of(0xff);

export interface SingleRow {
  readonly format: 'ndjson' | 'columns';
  readonly bytes: Uint8Array;
}

/** The rows, in this order. */
export function pickRows(
  body: Uint8Array,
  { columns, rows: total }: ColumnsLayout,
  rows: readonly number[],
): Uint8Array {
  const parts = columns.map((column) => {
    const { name, type } = column;
    return { name, type, content: pickedFrom(body.subarray(column.at, column.at + column.bytes), column, rows, total) };
  });
  return assembled(rows.length, parts);
}

function pickedFrom(column: Uint8Array, { type }: ColumnLayout, rows: readonly number[], total: number): Uint8Array {
  if (type === 'text') return pickedTexts(column, rows, total);
  if (type === 'none') return new Uint8Array(0);
  if (type === 'bool') return Uint8Array.from(rows, (row) => column[row] as number);
  const doubles = new Float64Array(column.buffer, column.byteOffset, total);
  return new Uint8Array(Float64Array.from(rows, (row) => doubles[row] as number).buffer);
}

function pickedTexts(column: Uint8Array, rows: readonly number[], total: number): Uint8Array {
  const offsets = new Uint32Array(column.buffer, column.byteOffset, total + 1);
  const texts = column.subarray((total + 1) * 4);
  const picked = new Uint32Array(rows.length + 1);
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const [i, row] of rows.entries()) {
    const entry = offsets[row] as number;
    const from = (entry & ~ABSENT_BIT) >>> 0;
    const to = ((offsets[row + 1] as number) & ~ABSENT_BIT) >>> 0;
    // Of a column that nobody reads offsets may fall, and name the same bytes again and again.
    const fits = from <= to && to <= texts.length && at + to - from <= texts.length;
    const text = fits ? texts.subarray(from, to) : NO_TEXT;
    picked[i] = entry >= ABSENT_BIT ? (at | ABSENT_BIT) >>> 0 : at;
    pieces.push(text);
    at += text.length;
  }
  picked[rows.length] = at;
  return Buffer.concat([new Uint8Array(picked.buffer), ...pieces]);
}

/** The columns that a stream reads. Others may name the same bytes for every row. */
export function columnsRead({ columns, rows }: ColumnsLayout, fields: readonly FieldPlan[]): ColumnsLayout {
  const last = fields.map(({ name }) => columns.findLast((column) => column.name === name));
  return { rows, columns: last.filter((column) => column !== undefined) };
}

/** One row by itself: as a line of JSON where that can say all of it, else as a body of that row alone. */
export function singleRow(body: Uint8Array, layout: ColumnsLayout, row: number): SingleRow {
  const values = Object.create(null) as Record<string, unknown>;
  for (const column of layout.columns) {
    const value = valueAt(body, column, row, layout.rows);
    const isPlain = typeof value === 'number' ? Number.isFinite(value) : !(value instanceof Uint8Array);
    if (!isPlain) return { format: 'columns', bytes: pickRows(body, layout, [row]) };
    values[column.name] = value;
  }
  return { format: 'ndjson', bytes: Buffer.from(JSON.stringify(values)) };
}

/** A value as `object-row.ts` judges it; bytes for a text that is none. */
export function valueAt(body: Uint8Array, column: ColumnLayout, row: number, rows: number): unknown {
  if (column.type === 'none') return null;
  const view = new DataView(body.buffer, body.byteOffset + column.at, column.bytes);
  if (column.type === 'f64') {
    const value = view.getFloat64(row * 8, true);
    return Number.isNaN(value) ? null : value;
  }
  if (column.type === 'bool') {
    const value = view.getUint8(row);
    return value === BOOL_ABSENT ? null : value > BOOL_ABSENT ? value : value === 1;
  }
  const entry = view.getUint32(row * 4, true);
  const from = (entry & ~ABSENT_BIT) >>> 0;
  const to = (view.getUint32(row * 4 + 4, true) & ~ABSENT_BIT) >>> 0;
  const text = (rows + 1) * 4;
  if (from > to || text + to > column.bytes) return Buffer.alloc(0);
  if (entry >= ABSENT_BIT) return from === to ? null : Buffer.alloc(0);
  const bytes = Buffer.from(body.subarray(column.at + text + from, column.at + text + to));
  return isUtf8(bytes, 0, bytes.length) ? bytes.toString() : bytes;
}
