// HOT PATH
/**
 * Bodies of format `columns` into a batch: copied column by column, and checked.
 *
 * Role: a body that is right throughout costs a copy and one look at each value. As soon as one value is not, all rows
 * are read one by one as objects, so that those that are refused have their reasons and the others are taken.
 * The rows have no original bytes: `EventBatch.original` makes their text of the fields.
 */
import type { BatchWriter } from './batch-writer.ts';
import { ABSENT_BIT, BOOL_ABSENT, type ColumnLayout, type ColumnsLayout } from './column-format.ts';
import { valueAt } from './column-rows.ts';
import { ABSENT } from './event-batch.ts';
import { BOOLEAN, INTEGER, STRING } from './field-types.ts';
import { readObject } from './object-row.ts';
import { isUtf8 } from './utf8.ts';

/** Bytes that a column's texts may name, for each of its own. */
const OVERLAP_MAX = 2;

/** The writer has no body and room for the rows. */
export function readColumns(writer: BatchWriter, body: Uint8Array, layout: ColumnsLayout): void {
  const { fields } = writer.schema.stream;
  const columns = fields.map(({ name }) => layout.columns.findLast((column) => column.name === name));
  const reason = typeReason(writer, columns) || overlapReason(body, columns, layout.rows);
  if (reason !== '') {
    writer.reject(0, body.length, reason);
    return;
  }
  const used = writer.used;
  if (layout.rows === 0 || takeAll(writer, body, columns, layout.rows)) return;
  writer.used = used;
  writer.row = 0;
  writer.tsMax = Number.NEGATIVE_INFINITY;
  readRows(writer, body, columns, layout.rows);
}

function typeReason(writer: BatchWriter, columns: readonly (ColumnLayout | undefined)[]): string {
  const { fields } = writer.schema.stream;
  for (const [field, column] of columns.entries()) {
    const { name, type, optional } = fields[field] as { name: string; type: string; optional: boolean };
    const expected = type === 'string' ? 'text' : type === 'boolean' ? 'bool' : 'f64';
    if (column === undefined && !optional) return `field "${name}": has no column, expected one of type ${expected}`;
    if (column !== undefined && column.type !== expected && column.type !== 'none') {
      return `field "${name}": has a column of type ${column.type}, expected ${expected}`;
    }
  }
  return '';
}

/** Offsets that fall name the same bytes again: a small body must not become a large batch. */
function overlapReason(body: Uint8Array, columns: readonly (ColumnLayout | undefined)[], rows: number): string {
  for (const column of columns) {
    if (column === undefined || column.type !== 'text') continue;
    const offsets = new Uint32Array(body.buffer, body.byteOffset + column.at, rows + 1);
    const size = column.bytes - (rows + 1) * 4;
    let named = 0;
    for (let row = 0; row < rows; row++) {
      const from = ((offsets[row] as number) & ~ABSENT_BIT) >>> 0;
      const to = ((offsets[row + 1] as number) & ~ABSENT_BIT) >>> 0;
      if (from <= to && to <= size) named += to - from;
    }
    // Some may be damage, which costs the rows it is in.
    if (named > OVERLAP_MAX * column.bytes)
      return `field "${column.name}": its texts add up to ${named} bytes, and its column has ${size}`;
  }
  return '';
}

function takeAll(
  writer: BatchWriter,
  body: Uint8Array,
  columns: readonly (ColumnLayout | undefined)[],
  rows: number,
): boolean {
  const { types, optional, wideField } = writer.schema;
  for (let field = 0; field < types.length; field++) {
    const column = columns[field];
    const isOptional = optional[field] === 1;
    const isText = types[field] === STRING;
    if (column === undefined || column.type === 'none') {
      if (!isOptional) return false;
      if (isText) (writer.textBytes[field] as Uint32Array).fill(ABSENT, 0, rows);
      else (writer.values[field] as Float64Array).fill(Number.NaN, 0, rows);
    } else if (isText) {
      if (!takeTexts(writer, field, body, column, rows, isOptional)) return false;
    } else if (types[field] === BOOLEAN) {
      if (!takeBooleans(writer.values[field] as Float64Array, body, column, rows, isOptional)) return false;
    } else {
      const whole = types[field] !== INTEGER ? 0 : field === wideField ? 1 : 2;
      if (!takeNumbers(writer.values[field] as Float64Array, body, column, rows, isOptional, whole)) return false;
    }
  }
  for (let row = 0; row < rows; row++) {
    if (!writer.stampTime()) return false;
    writer.commit(0, 0);
  }
  return true;
}

/** `whole`: 0 any number, 1 a whole one, 2 a safe integer. */
function takeNumbers(
  to: Float64Array,
  body: Uint8Array,
  column: ColumnLayout,
  rows: number,
  isOptional: boolean,
  whole: number,
): boolean {
  to.set(new Float64Array(body.buffer, body.byteOffset + column.at, rows));
  for (let row = 0; row < rows; row++) {
    const value = to[row] as number;
    if (value - value !== 0) {
      if (isOptional && Number.isNaN(value)) continue;
      return false;
    }
    if (whole === 2 ? !Number.isSafeInteger(value) : whole === 1 && !Number.isInteger(value)) return false;
  }
  return true;
}

function takeBooleans(
  to: Float64Array,
  body: Uint8Array,
  column: ColumnLayout,
  rows: number,
  isOptional: boolean,
): boolean {
  for (let row = 0; row < rows; row++) {
    const value = body[column.at + row] as number;
    if (value > BOOL_ABSENT || (value === BOOL_ABSENT && !isOptional)) return false;
    to[row] = value === BOOL_ABSENT ? Number.NaN : value;
  }
  return true;
}

function takeTexts(
  writer: BatchWriter,
  field: number,
  body: Uint8Array,
  column: ColumnLayout,
  rows: number,
  isOptional: boolean,
): boolean {
  const offsets = new Uint32Array(body.buffer, body.byteOffset + column.at, rows + 1);
  const textAt = column.at + (rows + 1) * 4;
  const size = column.at + column.bytes - textAt;
  const base = writer.appendBytes(body.subarray(textAt, textAt + size));
  const bytes = writer.bytes;
  const at = writer.textAt[field] as Uint32Array;
  const lengths = writer.textBytes[field] as Uint32Array;
  for (let row = 0; row < rows; row++) {
    const entry = offsets[row] as number;
    const from = (entry & ~ABSENT_BIT) >>> 0;
    const to = ((offsets[row + 1] as number) & ~ABSENT_BIT) >>> 0;
    if (from > to || to > size) return false;
    if (entry >= ABSENT_BIT) {
      if (!isOptional || from !== to) return false;
      lengths[row] = ABSENT;
      continue;
    }
    if (!isUtf8(bytes, base + from, base + to)) return false;
    at[row] = base + from;
    lengths[row] = to - from;
  }
  return true;
}

function readRows(
  writer: BatchWriter,
  body: Uint8Array,
  columns: readonly (ColumnLayout | undefined)[],
  rows: number,
): void {
  const { fields } = writer.schema.stream;
  for (let row = 0; row < rows; row++) {
    const value = Object.create(null) as Record<string, unknown>;
    for (let field = 0; field < fields.length; field++) {
      const column = columns[field];
      if (column !== undefined) value[(fields[field] as { name: string }).name] = valueAt(body, column, row, rows);
    }
    const used = writer.used;
    const reason = readObject(writer, value);
    if (reason === '') writer.commit(0, 0);
    else {
      writer.used = used;
      // It has no bytes of its own; who cuts the body asks which row it is.
      writer.reject(row, 0, `row ${row}: ${reason}`);
    }
  }
}
