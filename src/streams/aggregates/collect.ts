// HOT PATH
/**
 * `collect`: the newest `limit` values by event time, oldest first; of equal times, those that arrived later are newer.
 *
 * Role: a buffer of twice the limit: entries are appended as they come, and when it is full, sorted by time, and the
 * older half is dropped. So an event costs an append, in whatever order events come.
 * Row: offset (0: nothing yet), number of entries. Block: per entry a double of time and one of value: the number, or
 * the offset of a cell.
 */
import type { Arena } from '../state/arena.ts';
import type { ArenaPart } from './arena-part.ts';
import { copyCell, encodeValue, readCell, writeScratch, writeText } from './cells.ts';

const ENTRIES_AT_START = 4;
const ENTRY_BYTES = 16;

export class Collect implements ArenaPart {
  readonly doubles = 2;
  readonly #limit: number;
  readonly #kind: 'number' | 'boolean' | 'cell';

  constructor(limit: number, kind: 'number' | 'boolean' | 'cell') {
    this.#limit = limit;
    this.#kind = kind;
  }

  addNumber(arena: Arena, rows: Float64Array, at: number, value: number, ts: number): void {
    this.#append(arena, rows, at, value, ts);
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
    this.#append(arena, rows, at, writeText(arena, 0, bytes, textAt, length), ts);
  }

  addValue(arena: Arena, rows: Float64Array, at: number, value: unknown, ts: number): void {
    encodeValue(value);
    this.#append(arena, rows, at, writeScratch(arena, 0), ts);
  }

  merge(arena: Arena, rows: Float64Array, at: number, from: Arena, fromRows: Float64Array, fromAt: number): void {
    const count = fromRows[fromAt + 1] as number;
    const first = (fromRows[fromAt] as number) >>> 3;
    for (let i = 0; i < count; i++) {
      const value = from.doubles[first + 2 * i + 1] as number;
      const own = this.#kind === 'cell' ? copyCell(arena, 0, from, value) : value;
      this.#append(arena, rows, at, own, from.doubles[first + 2 * i] as number);
    }
  }

  result(arena: Arena, rows: Float64Array, at: number): unknown[] {
    const count = rows[at + 1] as number;
    const first = (rows[at] as number) >>> 3;
    const values: unknown[] = [];
    const order = byTime(arena.doubles, first, count);
    for (let i = Math.max(0, count - this.#limit); i < count; i++) {
      values.push(this.#read(arena, arena.doubles[first + 2 * (order[i] as number) + 1] as number));
    }
    return values;
  }

  free(arena: Arena, rows: Float64Array, at: number): void {
    const count = rows[at + 1] as number;
    const block = rows[at] as number;
    rows[at] = 0;
    rows[at + 1] = 0;
    if (block === 0) return;
    if (this.#kind === 'cell') {
      for (let i = 0; i < count; i++) arena.free(arena.doubles[(block >>> 3) + 2 * i + 1] as number);
    }
    arena.free(block);
  }

  #append(arena: Arena, rows: Float64Array, at: number, value: number, ts: number): void {
    let count = rows[at + 1] as number;
    let block = rows[at] as number;
    if (block === 0) {
      block = arena.alloc(Math.min(ENTRIES_AT_START, 2 * this.#limit) * ENTRY_BYTES);
      rows[at] = block;
    } else if (count === 2 * this.#limit) {
      this.#dropOlder(arena, block, count);
      count = this.#limit;
    } else if ((count + 1) * ENTRY_BYTES > arena.capacity(block)) {
      block = arena.resize(block, (count + 1) * ENTRY_BYTES);
      rows[at] = block;
    }
    const entry = (block >>> 3) + 2 * count;
    arena.doubles[entry] = ts;
    arena.doubles[entry + 1] = value;
    rows[at + 1] = count + 1;
  }

  #dropOlder(arena: Arena, block: number, count: number): void {
    const d = arena.doubles;
    const first = block >>> 3;
    const dropped = count - this.#limit;
    if (this.#kind !== 'cell' && inOrder(d, first, count)) {
      d.copyWithin(first, first + 2 * dropped, first + 2 * count);
      return;
    }
    const order = byTime(d, first, count);
    const entries = d.slice(first, first + 2 * count);
    for (let i = 0; i < count; i++) {
      const entry = 2 * (order[i] as number);
      if (i < dropped) {
        if (this.#kind === 'cell') arena.free(entries[entry + 1] as number);
        continue;
      }
      d[first + 2 * (i - dropped)] = entries[entry] as number;
      d[first + 2 * (i - dropped) + 1] = entries[entry + 1] as number;
    }
  }

  #read(arena: Arena, value: number): unknown {
    if (this.#kind === 'number') return value;
    return this.#kind === 'boolean' ? value === 1 : readCell(arena, value);
  }
}

/** Indexes of the entries by time; those of the same time as they stand. */
function byTime(d: Float64Array, first: number, count: number): Uint32Array {
  const order = new Uint32Array(count);
  for (let i = 0; i < count; i++) order[i] = i;
  if (inOrder(d, first, count)) return order;
  return order.sort((a, b) => (d[first + 2 * a] as number) - (d[first + 2 * b] as number) || a - b);
}

function inOrder(d: Float64Array, first: number, count: number): boolean {
  for (let i = first + 2; i < first + 2 * count; i += 2) if ((d[i] as number) < (d[i - 2] as number)) return false;
  return true;
}
