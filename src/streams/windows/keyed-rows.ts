// HOT PATH
/**
 * Aggregates of windows that belong to one key and are not cut by the clock: sessions, counts, the global window.
 *
 * Role: the memory and the row arithmetic that `session-window.ts` and `count-window.ts` share: loose rows of a
 * `RowStore` with the owner's head, aggregates and evidence. Which rows a key has is the owner's business.
 * Buffers, from `base`: 0–3 rows · 4 facts (Float64: newest sequence number, period of the last early firing, late
 * events, watermark, end of what was forgotten) · 5 ring of traces.
 */
import { takeFailed } from '../aggregates/failed-result.ts';
import type { RowAggregates } from '../aggregates/port.ts';
import { compileRow, type RowExpression } from '../expressions/row.ts';
import { type Evidence, newResultRow, type OperatorInput, type ResultRow } from '../operator.ts';
import type { FieldPlan, WindowPlan } from '../plan.ts';
import { ShardMemory } from '../state/memory.ts';
import {
  EVIDENCE_PER_ROW,
  EvidenceReader,
  type EvidenceSource,
  referenceBase,
  referenceTo,
  TRACES_BYTES_AT_START,
} from './evidence.ts';
import { ROW_EVENTS, ROW_HEAD, RowStore, rowStoreBytes } from './row-store.ts';

const FACTS = 4;
const TRACES = 5;
const FACT_DOUBLES = 5;
const LAST_SEQ = 0;
const PERIOD = 1;
const LATE = 2;
const WATERMARK = 3;
const FORGOTTEN = 4;

/** Of the rows of one window: `head`, doubles of the owner in front of the aggregates. */
export interface KeyedRowsLayout {
  readonly base: number;
  readonly head: number;
}

/** Memory whose buffers before `base` are of these sizes. */
export function createKeyedRows(before: readonly number[], head: number, aggregates: RowAggregates): ShardMemory {
  const stride = ROW_HEAD + head + aggregates.doubles + EVIDENCE_PER_ROW;
  const memory = ShardMemory.create(...before, ...rowStoreBytes(stride), FACT_DOUBLES * 8, TRACES_BYTES_AT_START);
  const facts = new Float64Array(memory.buffer(before.length + FACTS));
  facts[PERIOD] = Number.NaN;
  facts[WATERMARK] = Number.NEGATIVE_INFINITY;
  facts[FORGOTTEN] = Number.NEGATIVE_INFINITY;
  return memory;
}

export class KeyedRows implements EvidenceSource {
  readonly store: RowStore;
  readonly aggregates: RowAggregates;
  readonly result: ResultRow;
  /** Where the aggregates and the evidence of a row begin. */
  readonly own: number;
  readonly evidenceAt: number;
  readonly #evidence: EvidenceReader;
  readonly #facts: Float64Array;
  readonly #where: RowExpression | null;
  /** Reference of the first event of the batch. */
  base = 0;

  constructor(
    plan: WindowPlan,
    fields: readonly FieldPlan[],
    memory: ShardMemory,
    aggregates: RowAggregates,
    { base, head }: KeyedRowsLayout,
  ) {
    this.aggregates = aggregates;
    this.own = ROW_HEAD + head;
    this.evidenceAt = this.own + aggregates.doubles;
    this.store = new RowStore(memory, base, this.evidenceAt + EVIDENCE_PER_ROW);
    this.#facts = new Float64Array(memory.buffer(base + FACTS));
    this.#evidence = new EvidenceReader(memory, base + TRACES, this.#facts, LAST_SEQ);
    this.#where = plan.where === '' ? null : compileRow(plan.where, fields);
    this.result = newResultRow(new Array<unknown>(aggregates.columns.length).fill(null));
  }

  /** Writes what the call has changed. At its end, whatever the call was. */
  flush(): void {
    this.aggregates.flush(this.store);
  }

  get rows(): number {
    return this.store.liveRows;
  }

  get byteLength(): number {
    return this.store.byteLength;
  }

  get late(): number {
    return this.#facts[LATE] as number;
  }

  countLate(): void {
    this.#facts[LATE] = (this.#facts[LATE] as number) + 1;
  }

  get watermark(): number {
    return this.#facts[WATERMARK] as number;
  }

  set watermark(value: number) {
    this.#facts[WATERMARK] = value;
  }

  /** What ended by then was forgotten, whatever lateness is allowed now. */
  get forgotten(): number {
    return this.#facts[FORGOTTEN] as number;
  }

  set forgotten(endMs: number) {
    this.#facts[FORGOTTEN] = endMs;
  }

  /** True once per period of `everyMs`: when early results are due. The first tick only says which period it is. */
  periodBegins(nowMs: number, everyMs: number): boolean {
    const period = Math.floor(nowMs / everyMs);
    const before = this.#facts[PERIOD] as number;
    this.#facts[PERIOD] = period;
    return period > before;
  }

  begin(input: OperatorInput): void {
    this.#evidence.note(input.provenance);
    this.#evidence.noteEvents(input);
    this.base = referenceBase(input.provenance.seq);
  }

  wanted(input: OperatorInput, row: number): boolean {
    return this.#where === null || this.#where.test(input.batch, row);
  }

  /** A row without events. */
  take(): number {
    const row = this.store.take();
    this.aggregates.init(this.store, this.at(row));
    return row;
  }

  give(row: number): void {
    if (!this.aggregates.flat) this.aggregates.free(this.store, this.at(row));
    this.store.give(row);
  }

  /** Forgets the events of a row. */
  clear(row: number): void {
    this.aggregates.free(this.store, this.at(row));
    this.aggregates.init(this.store, this.at(row));
    this.store.words[row * this.store.step + ROW_EVENTS] = 0;
  }

  /** Index of the first double of a row's aggregates. */
  at(row: number): number {
    return row * this.store.stride + this.own;
  }

  /** Counts an event in; its values are the caller's to add. */
  note(row: number, eventRow: number): void {
    const { rows, step, stride, words } = this.store;
    const count = words[row * step + ROW_EVENTS] as number;
    rows[row * stride + this.evidenceAt + (count & (EVIDENCE_PER_ROW - 1))] = referenceTo(this.base, eventRow);
    words[row * step + ROW_EVENTS] = count + 1;
  }

  add(row: number, input: OperatorInput, eventRow: number): void {
    this.aggregates.add(this.store, this.at(row), input.batch, eventRow);
    this.note(row, eventRow);
  }

  /** Adds a row's events to another and gives it back. */
  absorb(row: number, from: number): void {
    const { store } = this;
    const { step, words } = store;
    this.aggregates.merge(store, this.at(row), store, this.at(from));
    this.#evidence.join(store, row, from, this.evidenceAt);
    words[row * step + ROW_EVENTS] =
      (words[row * step + ROW_EVENTS] as number) + (words[from * step + ROW_EVENTS] as number);
    this.give(from);
  }

  /** What a row says now, into the operator's result. */
  tell(row: number, spanMs: number): void {
    const { aggregates, result } = this;
    aggregates.results(this.store, this.at(row), spanMs, result.values);
    if (aggregates.mayFail) result.failed = takeFailed(aggregates.columns, result.values);
  }

  evidenceOf(row: number): Evidence {
    return this.#evidence.of(this, row);
  }

  /** Of one event of the batch, by itself. */
  evidenceOfEvent(eventRow: number): Evidence {
    return this.#evidence.ofEvent(referenceTo(this.base, eventRow));
  }

  gather(row: number): void {
    this.#evidence.addRow(this.store, row, this.evidenceAt);
  }
}
