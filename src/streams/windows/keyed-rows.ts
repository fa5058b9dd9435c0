// HOT PATH
/**
 * Aggregates of windows that belong to one key and are not cut by the clock: sessions, counts, the global window.
 *
 * Role: the memory and the row arithmetic that `session-window.ts` and `count-window.ts` share: loose rows of a
 * `RowStore` for aggregates and evidence, and `SharedKeyedStates` for which rows a key has.
 * Buffers: 0–4 keyed states · 5–8 rows · 9 facts (Float64: newest sequence number, period of the last early firing, late
 * events, watermark) · 10 ring of traces.
 */
import type { RowAggregates } from '../aggregates/port.ts';
import { compileRow, type RowExpression } from '../expressions/row.ts';
import type { Evidence, Keys, OperatorInput, ResultRow } from '../operator.ts';
import type { FieldPlan, WindowPlan } from '../plan.ts';
import { SharedKeyedStates } from '../state/keyed-states.ts';
import type { StateCodec } from '../state/keyed-states-port.ts';
import { ShardMemory } from '../state/memory.ts';
import { EVIDENCE_PER_ROW, EvidenceReader, type EvidenceSource, referenceBase, referenceTo } from './evidence.ts';
import { ROW_EVENTS, ROW_HEAD, RowStore, rowStoreBytes } from './row-store.ts';

const ROWS = 5;
const FACTS = 9;
const TRACES = 10;
const FACT_DOUBLES = 4;
const LAST_SEQ = 0;
const PERIOD = 1;
const LATE = 2;
const WATERMARK = 3;
const NOBODY = -1;

export function createKeyedRows(aggregates: RowAggregates): ShardMemory {
  const states = SharedKeyedStates.create()
    .image()
    .buffers.map(({ byteLength }) => byteLength);
  const stride = ROW_HEAD + aggregates.doubles + EVIDENCE_PER_ROW;
  const memory = ShardMemory.create(...states, ...rowStoreBytes(stride), FACT_DOUBLES * 8, 0);
  const facts = new Float64Array(memory.buffer(FACTS));
  facts[PERIOD] = Number.NaN;
  facts[WATERMARK] = Number.NEGATIVE_INFINITY;
  return memory;
}

export class KeyedRows<S> implements EvidenceSource {
  readonly states: SharedKeyedStates<S>;
  readonly aggregates: RowAggregates;
  readonly result: ResultRow;
  readonly #store: RowStore;
  readonly #evidence: EvidenceReader;
  readonly #facts: Float64Array;
  readonly #evidenceAt: number;
  readonly #where: RowExpression | null;
  #base = 0;

  constructor(
    plan: WindowPlan,
    fields: readonly FieldPlan[],
    memory: ShardMemory,
    keys: Keys,
    aggregates: RowAggregates,
    codec: StateCodec<S>,
  ) {
    this.aggregates = aggregates;
    this.states = new SharedKeyedStates(memory, keys, codec);
    this.#evidenceAt = ROW_HEAD + aggregates.doubles;
    this.#store = new RowStore(memory, ROWS, this.#evidenceAt + EVIDENCE_PER_ROW);
    this.#facts = new Float64Array(memory.buffer(FACTS));
    this.#evidence = new EvidenceReader(memory, TRACES, this.#facts, LAST_SEQ);
    this.#where = plan.where === '' ? null : compileRow(plan.where, fields);
    this.result = {
      keyId: NOBODY,
      start: 0,
      end: 0,
      origin: '',
      pane: 0,
      timing: 'on-time',
      final: true,
      retraction: false,
      output: '',
      values: new Array<unknown>(aggregates.columns.length).fill(null),
      evidence: null,
    };
  }

  /** Writes what the call has changed. At its end, whatever the call was. */
  flush(): void {
    this.aggregates.flush(this.#store);
    this.states.flush();
  }

  get rows(): number {
    return this.#store.liveRows;
  }

  get byteLength(): number {
    return this.states.byteLength + this.#store.byteLength;
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

  /** True once per period of `everyMs`: when early results are due. */
  periodBegins(nowMs: number, everyMs: number): boolean {
    const period = Math.floor(nowMs / everyMs);
    const before = this.#facts[PERIOD] as number;
    this.#facts[PERIOD] = period;
    return period > before || Number.isNaN(before);
  }

  begin(input: OperatorInput): void {
    this.#evidence.note(input.provenance);
    this.#evidence.noteEvents(input);
    this.#base = referenceBase(input.provenance.seq);
  }

  wanted(input: OperatorInput, row: number): boolean {
    return this.#where === null || this.#where.test(input.batch, row);
  }

  /** A row without events. */
  take(): number {
    const row = this.#store.take();
    this.aggregates.init(this.#store, this.#own(row));
    return row;
  }

  give(row: number): void {
    this.aggregates.free(this.#store, this.#own(row));
    this.#store.give(row);
  }

  /** Forgets the events of a row. */
  clear(row: number): void {
    this.aggregates.free(this.#store, this.#own(row));
    this.aggregates.init(this.#store, this.#own(row));
    this.#store.words[row * this.#store.step + ROW_EVENTS] = 0;
  }

  #own(row: number): number {
    return row * this.#store.stride + ROW_HEAD;
  }

  add(row: number, input: OperatorInput, eventRow: number): void {
    const store = this.#store;
    this.aggregates.add(store, this.#own(row), input.batch, eventRow);
    const count = store.words[row * store.step + ROW_EVENTS] as number;
    const slot = row * store.stride + this.#evidenceAt + (count & (EVIDENCE_PER_ROW - 1));
    store.rows[slot] = referenceTo(this.#base, eventRow);
    store.words[row * store.step + ROW_EVENTS] = count + 1;
  }

  /** Adds a row's events to another and gives it back. The other one's evidence stays in front. */
  absorb(row: number, from: number): void {
    const store = this.#store;
    this.aggregates.merge(store, this.#own(row), store, this.#own(from));
    const count = store.words[row * store.step + ROW_EVENTS] as number;
    const more = store.words[from * store.step + ROW_EVENTS] as number;
    for (let i = 0; i < EVIDENCE_PER_ROW - count && i < Math.min(more, EVIDENCE_PER_ROW); i++) {
      store.rows[row * store.stride + this.#evidenceAt + count + i] = store.rows[
        from * store.stride + this.#evidenceAt + i
      ] as number;
    }
    store.words[row * store.step + ROW_EVENTS] = count + more;
    this.give(from);
  }

  eventsOf(row: number): number {
    return this.#store.words[row * this.#store.step + ROW_EVENTS] as number;
  }

  valuesOf(row: number, spanMs: number, out: unknown[]): void {
    this.aggregates.results(this.#store, this.#own(row), spanMs, out);
  }

  evidenceOf(row: number): Evidence {
    return this.#evidence.of(this, row);
  }

  gather(row: number): void {
    this.#evidence.addRow(this.#store, row, this.#evidenceAt);
  }
}
