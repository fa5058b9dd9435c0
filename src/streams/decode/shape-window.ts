// HOT PATH
/**
 * The memory that programs of shapes work in: a piece of the body, and columns of the rows that were read of it.
 *
 * Role: between a batch, whose memory goes from thread to thread, and WebAssembly, which sees one memory only. What is
 * copied in and out is a piece that the first cache holds. One per thread, as large as it ever gets.
 * Layout: result of the last run (rows, where it stopped, highest time) · powers of ten · window · columns of a block of
 * rows (`Columns`).
 * Invariants: behind the window stand `PADDING_BYTES` zeros, so that an object that is cut off there is of no shape. What
 * is in the window is forgotten when another body begins.
 */
import type { BatchWriter } from './batch-writer.ts';
import { STRING } from './field-types.ts';
import { JsonCursor, PADDING_BYTES, POWERS_OF_TEN } from './json-cursor.ts';

export const ROWS_AT = 0;
export const STOPPED_AT = 4;
export const HIGH_AT = 8;
export const TENS_AT = 64;
export const INT_TENS_AT = 256;
const WINDOW_AT = 4096;
const WINDOW_BYTES = 32_768;
const COLUMNS_AT = 40_960;
const MEMORY_BYTES = 196_608;
const PAGES = MEMORY_BYTES / 65_536;
const BLOCK_ROWS_MAX = 1024;
/** With more fields there are no programs. */
export const FIELDS_MAX = 1024;
/** The call of a built-in copy costs as much as this many values one by one. */
const COPIED_BY_HAND_MAX = 16;

/** What is used of it; Node.js has it, its types are those of browsers. */
declare const WebAssembly: {
  readonly Memory: new (pages: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  readonly Module: new (code: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: Readonly<Record<string, unknown>> };
};

/** Where columns of a block are. */
export interface Columns {
  readonly rows: number;
  readonly ts: number;
  readonly eventAt: number;
  readonly eventBytes: number;
  /** By field: doubles, or offsets of texts. */
  readonly values: readonly number[];
  /** From the offsets of texts to their lengths. */
  readonly toLengths: number;
  /** Of texts that are keys. */
  readonly hashes: readonly number[];
}

export function columnsOf(fields: number, keys: number): Columns {
  const most = Math.floor((MEMORY_BYTES - COLUMNS_AT) / (8 * (fields + 2) + 4 * keys));
  const rows = Math.min(BLOCK_ROWS_MAX, most & ~7);
  const doubles = rows * 8;
  return {
    rows,
    ts: COLUMNS_AT,
    eventAt: COLUMNS_AT + doubles,
    eventBytes: COLUMNS_AT + doubles + rows * 4,
    values: Array.from({ length: fields }, (_, field) => COLUMNS_AT + doubles * (field + 2)),
    toLengths: rows * 4,
    hashes: Array.from({ length: keys }, (_, key) => COLUMNS_AT + doubles * (fields + 2) + rows * 4 * key),
  };
}

/**
 * Arguments: where to begin in the window; first row and end of rows; what makes places in the window those of the body;
 * arrival, latest time and highest so far, ms. Gives where it stopped: in front of an object.
 */
export type Run = (
  at: number,
  row: number,
  rowEnd: number,
  delta: number,
  arrivalMs: number,
  latestMs: number,
  tsMax: number,
) => number;

export interface Program {
  readonly run: Run;
  readonly columns: Columns;
  /** In which it works; all programs of a thread in one. */
  readonly shapeWindow: ShapeWindow;
}

export class ShapeWindow {
  readonly #memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES });
  readonly bytes = new Uint8Array(this.#memory.buffer);
  readonly words = new Uint32Array(this.#memory.buffer);
  readonly doubles = new Float64Array(this.#memory.buffer);
  /** Passes values, in lines (a line feed ends them) and in arrays. */
  readonly inLines = new JsonCursor(this.bytes, 32);
  readonly inArrays = new JsonCursor(this.bytes, 10);
  /** What of the body it holds. */
  #from = 0;
  #to = 0;
  /** From where on it was wanted. */
  #asked = 0;
  /** Rows of the block: those that are read and not in the batch yet are [first, row). */
  #first = 0;
  #row = 0;
  #high = 0;
  #columns: Columns | null = null;
  /** The next object, in the body. */
  at = 0;

  constructor() {
    this.doubles.set(POWERS_OF_TEN, TENS_AT / 8);
    const longs = new BigInt64Array(this.#memory.buffer, INT_TENS_AT, 9);
    for (let i = 0; i < longs.length; i++) longs[i] = 10n ** BigInt(i);
  }

  /** The function that a module exports, which works in this memory. */
  instantiate(code: Uint8Array, services: object): unknown {
    const imports = { memory: { memory: this.#memory }, services };
    return new WebAssembly.Instance(new WebAssembly.Module(code), imports).exports['run'];
  }

  forget(): void {
    this.#from = 0;
    this.#to = 0;
  }

  /** Rows that follow are the batch's next ones, of objects from `at` on. */
  open(writer: BatchWriter, at: number): void {
    this.at = at;
    this.#high = writer.tsMax;
    this.#begin(writer);
  }

  /** At a place of the same kind as in the batch: shared memory is copied by words only where both sides begin alike. */
  #begin({ row }: BatchWriter): void {
    this.#first = row & 1;
    this.#row = this.#first;
  }

  /** Lets a program take objects from `at` on, piece by piece, until one is not of its shape; how many it took. */
  run({ columns, run }: Program, writer: BatchWriter): number {
    const { arrivalMs, bodyBytes, bytes, capacity, timeMsMax } = writer;
    this.#columns = columns;
    const words = this.words;
    let taken = 0;
    while (this.at < bodyBytes) {
      if (this.at < this.#from || this.at >= this.#to) this.#load(bytes, this.at, bodyBytes);
      const rows = Math.min(columns.rows - this.#row, capacity - writer.row - (this.#row - this.#first));
      if (rows === 0) {
        if (writer.row === capacity) return taken;
        this.flush(writer);
        continue;
      }
      const delta = this.#from - WINDOW_AT;
      this.at = delta + run(this.at - delta, this.#row, this.#row + rows, delta, arrivalMs, timeMsMax, this.#high);
      const took = (words[ROWS_AT / 4] as number) - this.#row;
      this.#row += took;
      this.#high = this.doubles[HIGH_AT / 8] as number;
      taken += took;
      if (took === rows) continue;
      // It may have stopped for want of bytes, unless these are all, or it had as many before.
      if (this.#to === bodyBytes || this.at === this.#asked) return taken;
      if ((words[STOPPED_AT / 4] as number) + delta + PADDING_BYTES < this.#to) return taken;
      this.#load(bytes, this.at, bodyBytes);
    }
    return taken;
  }

  #load(body: Uint8Array, from: number, bodyBytes: number): void {
    const begin = from & ~7;
    const bytes = Math.min(WINDOW_BYTES, bodyBytes - begin);
    this.bytes.set(body.subarray(begin, begin + bytes), WINDOW_AT);
    this.bytes.fill(0, WINDOW_AT + bytes, WINDOW_AT + bytes + PADDING_BYTES);
    this.#asked = from;
    this.#from = begin;
    this.#to = begin + bytes;
  }

  /** Rows that were read go into the batch. */
  flush(writer: BatchWriter): void {
    const columns = this.#columns;
    const first = this.#first;
    const rows = this.#row - first;
    if (rows === 0 || columns === null) return;
    const { row } = writer;
    const { keyTexts, types } = writer.schema;
    copy(this.doubles, columns.ts / 8 + first, writer.ts, row, rows);
    copy(this.words, columns.eventAt / 4 + first, writer.eventAt, row, rows);
    copy(this.words, columns.eventBytes / 4 + first, writer.eventBytes, row, rows);
    for (let field = 0; field < types.length; field++) {
      const at = columns.values[field] as number;
      if (types[field] === STRING) {
        copy(this.words, at / 4 + first, writer.textAt[field] as Uint32Array, row, rows);
        copy(this.words, (at + columns.toLengths) / 4 + first, writer.textBytes[field] as Uint32Array, row, rows);
      } else copy(this.doubles, at / 8 + first, writer.values[field] as Float64Array, row, rows);
    }
    for (let k = 0; k < keyTexts.length; k++) {
      const at = columns.hashes[keyTexts[k] as number];
      if (at !== undefined) copy(this.words, at / 4 + first, writer.batch.hashes[k] as Uint32Array, row, rows);
    }
    writer.hashed(row, rows);
    writer.row = row + rows;
    writer.tsMax = this.#high;
    this.#begin(writer);
  }
}

function copy<T extends Uint32Array | Float64Array>(from: T, at: number, to: T, row: number, rows: number): void {
  if (rows > COPIED_BY_HAND_MAX) to.set(from.subarray(at, at + rows), row);
  else for (let i = 0; i < rows; i++) to[row + i] = from[at + i] as number;
}
