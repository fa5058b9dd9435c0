/**
 * `custom`: the state of a reducer of the user, encoded in the arena.
 *
 * Role: between the reducer's objects and memory that any thread can go on with: decoded before and encoded after every
 * event, some microseconds each, for small states.
 * Row: offset (0: nothing yet). Block: length (32 bits), 32 bits free, then MessagePack that explains itself.
 */
import { Packr } from 'msgpackr';
import type { EventBatch } from '../decode/event-batch.ts';
import type { FieldPlan } from '../plan.ts';
import type { Arena } from '../state/arena.ts';
import type { ArenaPart } from './arena-part.ts';
import type { Reducer } from './reducer.ts';

const HEAD_BYTES = 8;
/** Records are defined within the block; `moreTypes`: Set, typed arrays and errors come back as what they were. */
const packr = new Packr({ moreTypes: true });

export class Custom implements ArenaPart {
  readonly doubles = 1;
  readonly #reducer: Reducer;
  readonly #fields: readonly FieldPlan[];

  constructor(reducer: Reducer, fields: readonly FieldPlan[]) {
    this.#reducer = reducer;
    this.#fields = fields;
  }

  addValue(arena: Arena, rows: Float64Array, at: number, value: unknown, ts: number): void {
    const state = this.#state(arena, rows, at);
    this.#write(arena, rows, at, this.#reducer.add(state, value, ts) ?? state);
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
    if ((fromRows[fromAt] as number) === 0) return;
    const state = this.#state(arena, rows, at);
    const other = this.#state(from, fromRows, fromAt);
    this.#write(arena, rows, at, this.#reducer.merge(state, other) ?? state);
  }

  result(arena: Arena, rows: Float64Array, at: number, spanMs: number): unknown {
    return this.#reducer.result(this.#state(arena, rows, at), spanMs);
  }

  free(arena: Arena, rows: Float64Array, at: number): void {
    if ((rows[at] as number) !== 0) arena.free(rows[at] as number);
    rows[at] = 0;
  }

  #state(arena: Arena, rows: Float64Array, at: number): unknown {
    const block = rows[at] as number;
    if (block === 0) return this.#reducer.init();
    const start = block + HEAD_BYTES;
    return packr.unpack(arena.bytes.slice(start, start + (arena.words[block >>> 2] as number)));
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
