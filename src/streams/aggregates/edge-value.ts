// HOT PATH
/**
 * `first` and `last` of values that are no numbers: the one of the lowest or highest event time.
 *
 * Role: of equal times, `first` keeps the one that arrived first and `last` the one that arrived last; when rows are
 * merged, what is in the row arrived before what is added to it. Absent values do not count.
 * Row: event time, offset of the cell (0: nothing yet).
 */
import type { Arena } from '../state/arena.ts';
import type { ArenaPart } from './arena-part.ts';
import { copyCell, encodeValue, readCell, writeScratch, writeText } from './cells.ts';

export class EdgeValue implements ArenaPart {
  readonly doubles = 2;
  readonly #last: boolean;

  constructor(last: boolean) {
    this.#last = last;
  }

  addText(
    arena: Arena,
    rows: Float64Array,
    at: number,
    bytes: Uint8Array,
    textAt: number,
    length: number,
    ts: number,
  ): void {
    if (!this.#replaces(rows, at, ts)) return;
    rows[at] = ts;
    rows[at + 1] = writeText(arena, rows[at + 1] as number, bytes, textAt, length);
  }

  addValue(arena: Arena, rows: Float64Array, at: number, value: unknown, ts: number): void {
    if (!this.#replaces(rows, at, ts)) return;
    encodeValue(value);
    rows[at] = ts;
    rows[at + 1] = writeScratch(arena, rows[at + 1] as number);
  }

  merge(arena: Arena, rows: Float64Array, at: number, from: Arena, fromRows: Float64Array, fromAt: number): void {
    const cell = fromRows[fromAt + 1] as number;
    const ts = fromRows[fromAt] as number;
    if (cell === 0 || !this.#replaces(rows, at, ts)) return;
    rows[at] = ts;
    rows[at + 1] = copyCell(arena, rows[at + 1] as number, from, cell);
  }

  result(arena: Arena, rows: Float64Array, at: number): unknown {
    return readCell(arena, rows[at + 1] as number);
  }

  free(arena: Arena, rows: Float64Array, at: number): void {
    if ((rows[at + 1] as number) !== 0) arena.free(rows[at + 1] as number);
    rows[at] = 0;
    rows[at + 1] = 0;
  }

  #replaces(rows: Float64Array, at: number, ts: number): boolean {
    if ((rows[at + 1] as number) === 0) return true;
    return this.#last ? ts >= (rows[at] as number) : ts < (rows[at] as number);
  }
}
