/**
 * `custom`: the state of a reducer of the user, encoded in the arena.
 *
 * Role: between the reducer's objects and memory that any thread can go on with. Decoding and encoding cost some
 * microseconds: a state that is added to is decoded once and written by `flush`, at the end of the operator's call, so
 * that the cost is per key and batch. Nothing decoded outlives that call, and nothing that a reducer gave away (a result,
 * what was merged into another state) is still part of a state, so that what a reducer sees depends on the calls alone.
 * `add` may throw: that is told of the batch. `result` and `merge` are called when time passes: what they throw is the
 * result of that row (`failed-result.ts`), of a merge for as long as the row lives.
 * Row: offset (0: nothing yet). Block: length (32 bits), 1 for a state that could not be merged (32 bits), then MessagePack
 * that explains itself, or the text of what was thrown.
 * Bound: `OPEN_STATES_MAX` decoded states; then all are written.
 */
import { Packr } from 'msgpackr';
import type { EventBatch } from '../decode/event-batch.ts';
import type { FieldPlan } from '../plan.ts';
import type { Arena } from '../state/arena.ts';
import type { ArenaPart } from './arena-part.ts';
import { FailedResult } from './failed-result.ts';
import type { Reducer } from './reducer.ts';

export const OPEN_STATES_MAX = 4096;
const HEAD_BYTES = 8;
const encoder = new TextEncoder();
const decoder = new TextDecoder();
/** Records are defined within the block; `moreTypes`: Set, typed arrays and errors come back as what they were. */
const packr = new Packr({ moreTypes: true });

interface Open {
  /** A `FailedResult`: it could not be merged. */
  state: unknown;
  /** No event of the batch at hand is to blame when it cannot be written. */
  isMerged: boolean;
}

export class Custom implements ArenaPart {
  readonly doubles = 1;
  readonly #reducer: Reducer;
  readonly #fields: readonly FieldPlan[];
  /** Decoded states that are not written yet, by the index of their double. A call that throws leaves some behind. */
  readonly #open = new WeakMap<Arena, Map<number, Open>>();

  constructor(reducer: Reducer, fields: readonly FieldPlan[]) {
    this.#reducer = reducer;
    this.#fields = fields;
  }

  addValue(arena: Arena, rows: Float64Array, at: number, value: unknown, ts: number): void {
    const open = this.#openAt(arena, rows, at);
    if (open.state instanceof FailedResult) return;
    const after = this.#reducer.add(open.state, value, ts);
    // Null is a state like any other.
    if (after !== undefined) open.state = after;
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
    const open = this.#mergedAt(arena, rows, at);
    if (open.state instanceof FailedResult) return;
    open.state = other instanceof FailedResult ? other : this.#merged(open.state, other);
  }

  #merged(state: unknown, other: unknown): unknown {
    try {
      const after = this.#reducer.merge(state, other);
      return after === undefined ? state : after;
    } catch (error) {
      return new FailedResult(error);
    }
  }

  result(arena: Arena, rows: Float64Array, at: number, spanMs: number): unknown {
    this.#close(arena, rows, at);
    try {
      const state = this.#decoded(arena, rows, at);
      return state instanceof FailedResult ? state : asJson(this.#reducer.result(state, spanMs));
    } catch (error) {
      return new FailedResult(error);
    }
  }

  free(arena: Arena, rows: Float64Array, at: number): void {
    this.#open.get(arena)?.delete(at);
    if ((rows[at] as number) !== 0) arena.free(rows[at] as number);
    rows[at] = 0;
  }

  flush(arena: Arena, rows: Float64Array): void {
    const open = this.#open.get(arena);
    if (open === undefined) return;
    for (const [at, each] of open) this.#write(arena, rows, at, each);
    open.clear();
  }

  #openAt(arena: Arena, rows: Float64Array, at: number): Open {
    const open = this.#openOf(arena, rows);
    let known = open.get(at);
    if (known === undefined) {
      known = { state: this.#decoded(arena, rows, at), isMerged: false };
      open.set(at, known);
    }
    return known;
  }

  #mergedAt(arena: Arena, rows: Float64Array, at: number): Open {
    try {
      const open = this.#openAt(arena, rows, at);
      open.isMerged = true;
      return open;
    } catch (error) {
      // It has no state yet, and `init` gives none.
      const failed = { state: new FailedResult(error), isMerged: true };
      this.#openOf(arena, rows).set(at, failed);
      return failed;
    }
  }

  #openOf(arena: Arena, rows: Float64Array): Map<number, Open> {
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
    const bytes = arena.bytes.slice(start, start + (arena.words[block >>> 2] as number));
    if (arena.words[(block >>> 2) + 1] === 1) return new FailedResult(decoder.decode(bytes));
    return packr.unpack(bytes);
  }

  /** Writes a state, if it is open: from here on it is the reducer's no more. */
  #close(arena: Arena, rows: Float64Array, at: number): void {
    const open = this.#open.get(arena);
    const state = open?.get(at);
    if (open === undefined || state === undefined) return;
    open.delete(at);
    this.#write(arena, rows, at, state);
  }

  #write(arena: Arena, rows: Float64Array, at: number, open: Open): void {
    const written = this.#encoded(open);
    const isFailed = written instanceof FailedResult;
    const bytes = isFailed ? encoder.encode(written.why) : written;
    let block = rows[at] as number;
    if (block !== 0 && arena.capacity(block) < HEAD_BYTES + bytes.length) {
      arena.free(block);
      block = 0;
    }
    if (block === 0) block = arena.alloc(HEAD_BYTES + bytes.length);
    rows[at] = block;
    arena.words[block >>> 2] = bytes.length;
    arena.words[(block >>> 2) + 1] = isFailed ? 1 : 0;
    arena.bytes.set(bytes, block + HEAD_BYTES);
  }

  /** Throws for what an event has made of a state: its batch does not count. */
  #encoded({ isMerged, state }: Open): Uint8Array | FailedResult {
    if (state instanceof FailedResult) return state;
    try {
      return packr.pack(state);
    } catch (error) {
      if (!isMerged) throw error;
      return new FailedResult(error);
    }
  }
}

/** Throws for what has no JSON: it could not be told. */
function asJson(value: unknown): unknown {
  if (typeof value === 'bigint' || (typeof value === 'object' && value !== null)) JSON.stringify(value);
  return value;
}
