/**
 * The aggregate port: all aggregates of one window definition over one row of doubles.
 *
 * Role: between windows, which decide which row an event belongs to, and the arithmetic. A row is `doubles` consecutive
 * Float64 values of a buffer that the window owns (array of rows, so that one event touches one or two cache lines);
 * what does not fit there (sketches, texts, values) is in the arena, and the row holds its offset.
 * Invariants: `merge` is associative, and commutative but for `first`, `last`, `ewma`, `collect`, which go by event
 * time and take what is in the row for earlier where times are equal; merging rows gives what adding their events to one
 * row gives (within rounding, and the stated error of a sketch). `ewma`'s is so for rows that do not overlap in time and
 * are merged with their neighbours in time; a `custom` merge is what its module makes of it.
 */
import type { EventBatch } from '../decode/event-batch.ts';
import type { Arena } from '../state/arena.ts';

/** Where rows live: views are replaced by their owner when memory grows. */
export interface AggregateSpace {
  rows: Float64Array;
  readonly arena: Arena;
}

export interface RowAggregates {
  /** Doubles of one row. */
  readonly doubles: number;
  /** Names of the results. */
  readonly columns: readonly string[];
  /** Only fixed doubles: rows can be copied, need no `free`, and partial rows may be made ahead of the shard. */
  readonly flat: boolean;
  /** A value of the results may be a `FailedResult`. */
  readonly mayFail: boolean;
  /** `at`: index of the row's first double. */
  init(space: AggregateSpace, at: number): void;
  add(space: AggregateSpace, at: number, batch: EventBatch, row: number): void;
  /** `add` for many: event `rows[i]` of the batch to the row at `ats[i]`, for the first `count` of both, in order. */
  addRows(space: AggregateSpace, ats: Uint32Array, batch: EventBatch, rows: Uint32Array, count: number): void;
  /** Adds `from`'s content to the row; `from` stays as it is. */
  merge(space: AggregateSpace, at: number, from: AggregateSpace, fromAt: number): void;
  /** Values by column. `spanMs`: length of the window, for rates. */
  results(space: AggregateSpace, at: number, spanMs: number, out: unknown[]): void;
  /** Gives back what the row holds in the arena. */
  free(space: AggregateSpace, at: number): void;
  /** Writes what is kept beside the rows until then. To be called before the memory is looked at by anyone else. */
  flush(space: AggregateSpace): void;
}
