/**
 * The columnar format: batches of sources in the same process, and of benchmarks, that need no parsing.
 *
 * Layout, little-endian, every part aligned to 8 bytes:
 *   0   'MRC1'      4   Uint32 length of the header      8   header, JSON, padded with spaces
 *   then the columns in the header's order:
 *     f64    Float64 × rows           NaN: absent
 *     bool   Uint8 × rows             0, 1; 2: absent
 *     text   Uint32 × (rows + 1)      rising offsets into the bytes that follow; the top bit of an entry: absent, which
 *            Uint8 × last offset      has no bytes. UTF-8
 *     none   nothing                  all absent
 * Header: `{"rows":n,"columns":[{"name":…,"type":…,"bytes":n},…]}`, `bytes` without the padding.
 * Role: the writer and the reading of the header; `columns.ts` makes a batch of it. For little-endian machines, which is
 * what Node runs on.
 * Invariant: `readLayout` gives only columns that lie within the body and have the size their rows need.
 */
import { Buffer } from 'node:buffer';

export type ColumnType = 'f64' | 'bool' | 'text' | 'none';
export type ColumnValues = Float64Array | readonly (string | number | boolean | null | undefined)[];

export interface ColumnLayout {
  readonly name: string;
  readonly type: ColumnType;
  /** Place in the body. */
  readonly at: number;
  readonly bytes: number;
}

export interface ColumnsLayout {
  readonly rows: number;
  readonly columns: readonly ColumnLayout[];
}

export const ABSENT_BIT = 0x80000000;
export const BOOL_ABSENT = 2;
export const COLUMNS_MAX = 1024;
/** Of columns whose rows all have the same size. */
const ROW_BYTES = { f64: 8, bool: 1, none: 0 } as const;
const MAGIC = 0x3143524d;
const HEAD_BYTES = 8;

const aligned = (bytes: number): number => Math.ceil(bytes / 8) * 8;

/** A column of a body. */
export interface ColumnPart {
  readonly name: string;
  readonly type: ColumnType;
  readonly content: Uint8Array;
}

/** A body of format `columns`: values by field name, all of the same length; null or undefined is absent. */
export function encodeColumns(columns: Readonly<Record<string, ColumnValues>>): Uint8Array {
  const entries = Object.entries(columns);
  const rows = entries[0]?.[1].length ?? 0;
  const parts = entries.map(([name, values]) => {
    if (values.length !== rows) throw new RangeError(`column "${name}" has ${values.length} rows, expected ${rows}`);
    return encodeColumn(name, values);
  });
  return assembled(rows, parts);
}

export function assembled(rows: number, parts: readonly ColumnPart[]): Uint8Array {
  const described = parts.map(({ name, type, content }) => ({ name, type, bytes: content.length }));
  const header = Buffer.from(JSON.stringify({ rows, columns: described }));
  const headerBytes = aligned(header.length);
  const size = parts.reduce((sum, { content }) => sum + aligned(content.length), HEAD_BYTES + headerBytes);
  const body = new Uint8Array(size);
  new DataView(body.buffer).setUint32(0, MAGIC, true);
  new DataView(body.buffer).setUint32(4, headerBytes, true);
  body.fill(0x20, HEAD_BYTES, HEAD_BYTES + headerBytes).set(header, HEAD_BYTES);
  let at = HEAD_BYTES + headerBytes;
  for (const { content } of parts) {
    body.set(content, at);
    at += aligned(content.length);
  }
  return body;
}

function encodeColumn(name: string, values: ColumnValues): ColumnPart {
  if (values instanceof Float64Array) return { name, type: 'f64', content: bytesOf(values) };
  const type = typeof values.find((value) => value !== null && value !== undefined);
  for (const value of values) {
    if (value !== null && value !== undefined && typeof value !== type) {
      throw new TypeError(`column "${name}" holds ${type}s and a ${typeof value}`);
    }
  }
  if (type === 'undefined') return { name, type: 'none', content: new Uint8Array(0) };
  if (type === 'string') return { name, type: 'text', content: encodeTexts(values as readonly (string | null)[]) };
  if (type === 'boolean') {
    const content = Uint8Array.from(values, (value) => (typeof value === 'boolean' ? Number(value) : BOOL_ABSENT));
    return { name, type: 'bool', content };
  }
  const doubles = Float64Array.from(values, (value) => (typeof value === 'number' ? value : Number.NaN));
  return { name, type: 'f64', content: bytesOf(doubles) };
}

const bytesOf = (array: Float64Array | Uint32Array): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

function encodeTexts(values: readonly (string | null | undefined)[]): Uint8Array {
  const offsets = new Uint32Array(values.length + 1);
  const text = Buffer.from(values.map((value) => value ?? '').join(''));
  let at = 0;
  for (const [row, value] of values.entries()) {
    const isAbsent = value === null || value === undefined;
    offsets[row] = isAbsent ? at | ABSENT_BIT : at;
    if (!isAbsent) at += Buffer.byteLength(value);
  }
  if (at !== text.length) throw new RangeError('a text has half of a surrogate pair');
  offsets[values.length] = at;
  return Buffer.concat([bytesOf(offsets), text]);
}

/** Where the columns are, or why it is no such body. `body` must begin at a multiple of 8. */
export function readLayout(body: Uint8Array): ColumnsLayout | string {
  if (body.length < HEAD_BYTES) return 'expected columns, which end too early';
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  if (view.getUint32(0, true) !== MAGIC) return 'expected columns, which begin with "MRC1"';
  const headerEnd = HEAD_BYTES + view.getUint32(4, true);
  if (headerEnd > body.length || headerEnd % 8 !== 0) return 'expected columns, whose header has no end';
  let header: unknown;
  try {
    header = JSON.parse(Buffer.from(body.subarray(HEAD_BYTES, headerEnd)).toString());
  } catch {
    return 'expected columns, whose header is not JSON';
  }
  return placeColumns(header, headerEnd, body.length);
}

function placeColumns(header: unknown, from: number, end: number): ColumnsLayout | string {
  const { rows, columns } = (header ?? {}) as { rows?: unknown; columns?: unknown };
  if (typeof rows !== 'number' || !Number.isInteger(rows) || rows < 0 || rows > end) {
    return 'columns: "rows" is not a count of rows that the body has room for';
  }
  if (!Array.isArray(columns) || columns.length > COLUMNS_MAX || (columns.length === 0 && rows > 0)) {
    return `columns: "columns" is not a list of 1 to ${COLUMNS_MAX}`;
  }
  const placed: ColumnLayout[] = [];
  let at = from;
  for (const column of columns as readonly unknown[]) {
    const { name, type, bytes } = (column ?? {}) as { name?: unknown; type?: unknown; bytes?: unknown };
    if (typeof name !== 'string' || typeof bytes !== 'number' || !isType(type))
      return 'columns: a column is not described';
    const fits = type === 'text' ? bytes >= rows * 4 + 4 : bytes === rows * ROW_BYTES[type];
    if (!Number.isInteger(bytes) || !fits || at + bytes > end) {
      return `columns: column ${JSON.stringify(name.slice(0, 64))} has no room for ${rows} rows`;
    }
    placed.push({ name, type, at, bytes });
    at += aligned(bytes);
  }
  return { rows, columns: placed };
}

const isType = (type: unknown): type is ColumnType => type === 'text' || Object.hasOwn(ROW_BYTES, String(type));
