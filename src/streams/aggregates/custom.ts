/**
 * `custom`: the state of a reducer of the user, encoded in the arena.
 *
 * Role: between the reducer's objects and memory that any thread can go on with. Decoding and encoding cost some
 * microseconds: a state that is added to is decoded once and written by `flush`, at the end of the operator's call, so
 * that the cost is per key and batch. Nothing decoded outlives that call, and nothing that a reducer gave away (a result,
 * what was merged into another state) is still part of a state, so that what a reducer sees depends on the calls alone.
 * Row: offset (0: nothing yet). Block: length (32 bits), 32 bits free, then MessagePack that explains itself.
 * Bound: `OPEN_STATES_MAX` decoded states; then all are written.
 */
import { Packr } from 'msgpackr';
import type { EventBatch } from '../decode/event-batch.ts';
import type { FieldPlan } from '../plan.ts';
import type { Arena } from '../state/arena.ts';
import type { ArenaPart } from './arena-part.ts';
import type { Reducer } from './reducer.ts';

export const OPEN_STATES_MAX = 4096;
const HEAD_BYTES = 8;
/** Records are defined within the block; `moreTypes`: Set, typed arrays and errors come back as what they were. */
const packr = new Packr({ moreTypes: true });

export class Custom implements ArenaPart {
  readonly doubles = 1;
  readonly #reducer: Reducer;
  readonly #fields: readonly FieldPlan[];
  /** Decoded states that are not written yet, by the index of their double. A call that throws leaves some behind. */
  readonly #open = new WeakMap<Arena, Map<number, unknown>>();

  constructor(reducer: Reducer, fields: readonly FieldPlan[]) {
    this.#reducer = reducer;
    this.#fields = fields;
  }

  addValue(arena: Arena, rows: Float64Array, at: number, value: unknown, ts: number): void {
    const open = this.#openOf(arena, rows);
    const known = open.get(at);
    const state = known === undefined ? this.#decoded(arena, rows, at) : known;
    // Null is a state like any other.
    const after = this.#reducer.add(state, value, ts);
    open.set(at, after === undefined ? state : after);
  }

  addEvent(arena: Arena, rows: Float64Array, at: number, batch: EventBatch, row: number): void {
    const event: Record<string, unknown> = {};
    for (const [i, { name, type }] of this.#fields.entries()) {
      const value = (batch.values[i] as Float64Array)[row] as number;
      if (type === 'string') event[name] = batch.text(i, row);
      else if (Number.isNaN(value)) event[name] = null;
      else event[name] = type === 'boolean' ? value === 1 : value;
    }
    this.addValue(arena, rows, at, event, batch.ts[row] as number);
  }

  merge(arena: Arena, rows: Float64Array, at: number, from: Arena, fromRows: Float64Array, fromAt: number): void {
    this.#close(from, fromRows, fromAt);
    if ((fromRows[fromAt] as number) === 0) return;
    const other = this.#decoded(from, fromRows, fromAt);
    const open = this.#openOf(arena, rows);
    const known = open.get(at);
    const state = known === undefined ? this.#decoded(arena, rows, at) : known;
    const after = this.#reducer.merge(state, other);
    open.set(at, after === undefined ? state : after);
  }

  result(arena: Arena, rows: Float64Array, at: number, spanMs: number): unknown {
    this.#close(arena, rows, at);
    return this.#reducer.result(this.#decoded(arena, rows, at), spanMs);
  }

  free(arena: Arena, rows: Float64Array, at: number): void {
    this.#open.get(arena)?.delete(at);
    if ((rows[at] as number) !== 0) arena.free(rows[at] as number);
    rows[at] = 0;
  }

  flush(arena: Arena, rows: Float64Array): void {
    const open = this.#open.get(arena);
    if (open === undefined) return;
    for (const [at, state] of open) this.#write(arena, rows, at, state);
    open.clear();
  }

  #openOf(arena: Arena, rows: Float64Array): Map<number, unknown> {
    let open = this.#open.get(arena);
    if (open === undefined) {
      open = new Map();
      this.#open.set(arena, open);
    } else if (open.size >= OPEN_STATES_MAX) this.flush(arena, rows);
    return open;
  }

  #decoded(arena: Arena, rows: Float64Array, at: number): unknown {
    const block = rows[at] as number;
    if (block === 0) return this.#reducer.init();
    const start = block + HEAD_BYTES;
    return packr.unpack(arena.bytes.slice(start, start + (arena.words[block >>> 2] as number)));
  }

  /** Writes a state, if it is open: from here on it is the reducer's no more. */
  #close(arena: Arena, rows: Float64Array, at: number): void {
    const open = this.#open.get(arena);
    const state = open?.get(at);
    if (open === undefined || state === undefined) return;
    open.delete(at);
    this.#write(arena, rows, at, state);
  }

  #write(arena: Arena, rows: Float64Array, at: number, state: unknown): void {
    const bytes = packr.pack(state);
    let block = rows[at] as number;
    if (block !== 0 && arena.capacity(block) < HEAD_BYTES + bytes.length) {
      arena.free(block);
      block = 0;
    }
    if (block === 0) block = arena.alloc(HEAD_BYTES + bytes.length);
    rows[at] = block;
    arena.words[block >>> 2] = bytes.length;
    arena.words[(block >>> 2) + 1] = 0;
    arena.bytes.set(bytes, block + HEAD_BYTES);
  }
}
