/**
 * The operator port: what windows, patterns, joins, anomalies, alerts and views are to a shard.
 *
 * Role: the seam between the shard runner (`engine/`), which knows batches, watermarks and results, and the operators,
 * which know neither threads nor logs. All calls are synchronous; an operator is a function of the calls it gets, so a
 * replay of the same calls leads to the same memory and the same results.
 * Order of calls for one step: `events` (per input that has rows), then `advance`. Results are given to the emitter in
 * either. Anything an operator remembers between tasks is in its `ShardMemory`; caches on the heap hold only what the
 * memory's content determines.
 */
import type { Failed } from './aggregates/failed-result.ts';
import type { EventBatch } from './decode/event-batch.ts';
import type { RowText } from './expressions/row-text.ts';
import type { LineBuffer } from './lines/line-buffer.ts';
import type { OperatorPlan, Plan } from './plan.ts';
import type { KeyTable } from './state/key-table.ts';
import type { ShardMemory } from './state/memory.ts';

/** Keys of a group, numbered. See `state/key-table.ts`. */
export interface Keys {
  readonly size: number;
  readonly byteLength: number;
  /** JSON text of the key as results show it: `{"host":"a"}`; `{}` when unkeyed. */
  json(keyId: number): string;
  /** Writes that text, or as the content of a JSON string; for those that can do so without making it. */
  write?(keyId: number, quoted: boolean, out: LineBuffer): void;
  /** The key's members in order. */
  values(keyId: number): readonly (string | number | boolean | null)[];
  /** Id of a key given as values; −1 when it is not there. */
  find(values: readonly (string | number | boolean | null)[]): number;
  /** An operator that holds state of a key retains it; a key nobody retains is forgotten and its id used again. */
  retain(keyId: number): void;
  release(keyId: number): void;
}

/** Rows of a batch that belong to this shard and group, and their keys. Arrays are reused: valid during the call. */
export interface OperatorInput {
  readonly batch: EventBatch;
  /** 0, or 1 for the right stream of a join. */
  readonly side: number;
  readonly count: number;
  /** Rows of the batch, rising. */
  readonly rows: Uint32Array;
  /** Key of each of them. */
  readonly keys: Uint32Array;
  /** Watermark of the batch's stream before this batch. */
  readonly watermark: number;
  readonly provenance: Provenance;
}

/** Places between two records of the log: more than there are streams. */
export const BETWEEN_RECORDS = 512;

/** Of the batch that events came with: what context and contributing ids are made of. */
export interface Provenance {
  /**
   * Log sequence number of the batch; event ids are `{seq}:{row}`. Of events made of results, the record's they follow
   * from and a multiple of 1 / `BETWEEN_RECORDS`.
   */
  readonly seq: number;
  /** Arrival, wall clock ms: processing time. */
  readonly arrivalMs: number;
  /** W3C trace context and correlation id of the batch; `''` when absent. */
  readonly traceparent: string;
  readonly correlationId: string;
}

/** Contributing events of a result: bounded, the newest win. */
export interface Evidence {
  /** Event ids. */
  readonly events: readonly string[];
  /** Span links: distinct `traceparent`s. */
  readonly traces: readonly string[];
  readonly correlationIds: readonly string[];
  /** False: there are neither traces nor correlation ids. */
  readonly hasTexts?: boolean;
  /** Writes `events` as the content of a JSON list, for those that can do so without making texts. */
  writeEvents?(out: LineBuffer): void;
  /** Writes `events` joined by `+`, likewise. */
  writeIdentity?(out: LineBuffer): void;
}

export const EVIDENCE_MAX = 8;

/** One result. The emitter copies what it needs: the object may be used again. */
export interface ResultRow {
  /** Key in the operator's group; −1 for none. */
  keyId: number;
  /** Event time bounds, ms; patterns and joins: first and last event. Infinity is written as null. */
  start: number;
  end: number;
  /** `''`, or the event that tells this result apart from others of the same key and bounds: part of its identity. */
  origin: string;
  /** Firing of this window and key, from 0. */
  pane: number;
  timing: 'early' | 'on-time' | 'late';
  /** Nothing more will come for this window and key. */
  final: boolean;
  /** Takes back what an earlier pane said. */
  retraction: boolean;
  /** `''`, or which other output of the operator this is: `late`, `timeout`. */
  output: '' | 'late' | 'timeout';
  /** By position in `columns` of the operator; of the output `late`, in the fields of its stream. JSON values. */
  values: unknown[];
  /** Values that are null because the code of a reducer threw; null: none is. */
  failed: Failed | null;
  evidence: Evidence | null;
}

/** A row that an operator uses again for each result; here as of one that is final and on time. */
export function newResultRow(values: ResultRow['values'], evidence: ResultRow['evidence'] = null): ResultRow {
  return {
    keyId: -1,
    start: 0,
    end: 0,
    origin: '',
    pane: 0,
    timing: 'on-time',
    final: true,
    retraction: false,
    output: '',
    values,
    failed: null,
    evidence,
  };
}

/** Results that are one event each: of its time, final, on time. Arrays are reused: valid during the call. */
export interface EventResults {
  readonly batch: EventBatch;
  readonly provenance: Provenance;
  readonly count: number;
  /** Row of the batch, and key, of each. */
  readonly rows: Uint32Array;
  readonly keys: Uint32Array;
  /** `pane` of the first; each further one's is one more. */
  readonly pane: number;
  /** By position in `columns` of the operator. */
  readonly values: readonly RowText[];
}

/** Writes the values of the result at hand, so that they need not be made. */
export interface ValueWriter {
  /** As JSON; by position in `columns` of the operator. */
  writeValue(index: number, out: LineBuffer): void;
}

export interface Emitter {
  /** Takes a result of the operator, writes it, and hands it to the operators it feeds. */
  emit(row: ResultRow): void;
  /** The same of a row whose values `writer` writes. False, with nothing done, when somebody needs them; absent: somebody always does. */
  emitWritten?(row: ResultRow, writer: ValueWriter): boolean;
  /** The same of many. False, with nothing done, when somebody needs them as rows; absent: somebody always does. */
  emitEvents?(results: EventResults): boolean;
}

export interface OperatorStats {
  /** Rows, sessions, partial matches or buffered events held. */
  readonly rows: number;
  /** In use: memory that state has given back is kept, and used again. */
  readonly bytes: number;
  /** Events that came too late and were dropped, since the memory was created. */
  readonly late: number;
}

/** What `window_query` asks of one shard. */
export interface StateQuery {
  /** Null: all keys, or those of `match`. */
  readonly key: readonly (string | number | boolean | null)[] | null;
  /** Some members of the key, looked for among all; null for none. The shard sees to it, operators do not. */
  readonly match: Readonly<Record<string, string | number | boolean | null>> | null;
  /** Windows that overlap [fromMs, toMs). */
  readonly fromMs: number;
  readonly toMs: number;
  /** Value the best rows are chosen by, descending; `''`: by key and start. */
  readonly by: string;
  readonly limit: number;
}

/** Of which shard the rows of a batch that was aggregated ahead are taken, and what stands beside them. */
export interface PartialInput {
  /** Table of the operator's group, swept as after any other step. */
  readonly keys: KeyTable;
  readonly shard: number;
  /** Power of two. */
  readonly shards: number;
  /** Of the batch's stream, before it. */
  readonly watermark: number;
  readonly provenance: Provenance;
}

export interface ShardOperator {
  /** Names of `ResultRow.values`. */
  readonly columns: readonly string[];
  events?(input: OperatorInput, out: Emitter): void;
  /** Instead of `events`, for a batch that was aggregated ahead; windows only, see `windows/partials.ts`. */
  mergePartial?(partial: SharedArrayBuffer, input: PartialInput, out: Emitter): void;
  /** A result of an operator this one is fed by. `columns` are that operator's. */
  result?(row: ResultRow, columns: readonly string[], out: Emitter): void;
  /** The watermark rose. Called after the events that raised it. */
  advance?(watermark: number, out: Emitter): void;
  /** Processing time passed: windows of processing time, early triggers. `nowMs` is wall clock of the log. */
  tick?(nowMs: number, out: Emitter): void;
  /** The whole stream is silent, its watermark stands; by the clock its time would be `timeMs`. Missing data only. */
  silent?(timeMs: number, out: Emitter): void;
  /**
   * The watermark by which windows with `resultsMax` results have closed, or one of them; Infinity: `until` closes no
   * more. Windows that can have many of a key close at once only; in processing time a tick is the watermark.
   */
  reach?(until: number, resultsMax: number): number;
  /** Results as they would be now, of windows still open. Gives at most `query.limit` rows to `out`. */
  query?(query: StateQuery, out: Emitter): void;
  /** Forgets about this part (0…1) of the keys that may go first, those idle the longest. Returns keys forgotten. */
  evictIdle?(share: number): number;
  /** The same of keys that go only when there is no other way: results say that they are forgotten. */
  evictLast?(share: number, out: Emitter): number;
  /** Of patterns: partial matches given up because a limit was reached, since the memory was created. */
  dropped?(): number;
  stats(): OperatorStats;
}

/** What an operator may use of its shard. */
export interface ShardServices {
  readonly plan: Plan;
  readonly keys: Keys;
}

/** One kind of operator: how its memory begins and how it is taken up again. */
export interface OperatorKind<P extends OperatorPlan = OperatorPlan> {
  create(operator: P, plan: Plan): ShardMemory;
  /** Makes the operator over memory that `create` made, in this or another thread, now or before a restart. */
  attach(operator: P, memory: ShardMemory, services: ShardServices): ShardOperator;
}
