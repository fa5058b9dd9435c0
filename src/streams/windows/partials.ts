// HOT PATH
/**
 * Batches aggregated ahead of their shards: what keeps a hot key from making one shard do all the work.
 *
 * Role: any thread turns a batch into a few rows per key and slice; shards then merge those that are theirs
 * (`WindowEvents.takePartial`). Only where nothing depends on single events: aggregates that are plain doubles and go by
 * no order but that of event time, event time, no early results by count, no late events to show one by one
 * (`canPreAggregate`). Lateness is a matter of slices, so it is judged when rows are merged, by the watermark of then,
 * with the same outcome.
 * Sums of fractions may differ in their last digits from those made event by event: whether batches go this way must
 * follow from the log, as everything else does.
 * Layout of a partial batch: words 0 rows · 1 doubles of a row · 2 doubles of aggregates · 3 spare, then the rows:
 *   words 0 hash   1 form   2 offset of the key's bytes   3 their number   4 events   5 spare   double 3 slice
 *   then aggregates, then references of evidence (see `evidence.ts`); after all rows the bytes of the keys.
 */
import type { RowAggregates } from '../aggregates/port.ts';
import type { EventBatch } from '../decode/event-batch.ts';
import type { RowExpression } from '../expressions/row.ts';
import type { Plan, WindowPlan } from '../plan.ts';
import { KeyTable } from '../state/key-table.ts';
import { ShardMemory } from '../state/memory.ts';
import { EVIDENCE_PER_ROW, referenceBase, referenceTo } from './evidence.ts';
import { WindowGeometry } from './geometry.ts';
import { ROW_EVENTS, ROW_HEAD, RowStore, rowStoreBytes } from './row-store.ts';

export const PARTIAL_HEAD_WORDS = 4;
/** Doubles of a row before its aggregates. */
export const PARTIAL_ROW_HEAD = 4;
export const PARTIAL_HASH = 0;
export const PARTIAL_FORM = 1;
export const PARTIAL_KEY_AT = 2;
export const PARTIAL_KEY_BYTES = 3;
export const PARTIAL_EVENTS = 4;
export const PARTIAL_SLICE = 3;

const CHUNK = 512;

/** Whether a window's events may be aggregated before they are in order. */
export function canPreAggregate(plan: WindowPlan, aggregates: RowAggregates): boolean {
  const single = new WindowGeometry(plan).single;
  const byWindow = !single && plan.accumulation === 'discarding';
  const byArrival = plan.aggregates.some(({ fn }) => fn === 'ewma');
  const isWhole = !byArrival && !byWindow && aggregates.flat;
  return isWhole && plan.time === 'event' && plan.earlyCount === 0 && !plan.sideOutput;
}

export class PartialCombiner {
  readonly #geometry: WindowGeometry;
  readonly #aggregates: RowAggregates;
  readonly #where: RowExpression | null;
  readonly #keys: KeyTable;
  readonly #store: RowStore;
  readonly #evidenceAt: number;
  readonly #ids = new Uint32Array(CHUNK);
  readonly #rows = new Uint32Array(CHUNK);
  readonly #ats = new Uint32Array(CHUNK);

  constructor(plan: Plan, operator: WindowPlan, aggregates: RowAggregates, where: RowExpression | null) {
    this.#geometry = new WindowGeometry(operator);
    this.#aggregates = aggregates;
    this.#where = where;
    this.#evidenceAt = ROW_HEAD + aggregates.doubles;
    const stride = this.#evidenceAt + EVIDENCE_PER_ROW;
    this.#store = new RowStore(ShardMemory.create(...rowStoreBytes(stride)), 0, stride);
    // Keys are looked up by the hashes that decoding gave, never by values.
    this.#keys = new KeyTable(KeyTable.create(plan, operator.group), plan, operator.group, () => 0);
  }

  /** Of `count` rows of a batch; null when none counts. */
  combine(
    batch: EventBatch,
    fields: readonly number[],
    hashes: Uint32Array,
    rows: Uint32Array,
    count: number,
    seq: number,
  ): SharedArrayBuffer | null {
    let from = Number.NaN;
    let to = Number.NaN;
    for (let begin = 0; begin < count; ) {
      let n = 0;
      for (; begin < count && n < CHUNK; begin++) {
        const row = rows[begin] as number;
        if (this.#where === null || this.#where.test(batch, row)) this.#rows[n++] = row;
      }
      this.#keys.internRows(batch, fields, hashes, this.#rows, n, this.#ids);
      let kept = 0;
      for (let i = 0; i < n; i++) {
        const row = this.#rows[i] as number;
        const time = batch.ts[row] as number;
        if (!(time >= from && time < to)) {
          const slice = this.#geometry.sliceOf(time);
          if (this.#geometry.lastWindow(slice) < this.#geometry.firstWindow(slice)) continue;
          from = this.#geometry.sliceStart(slice);
          to = this.#geometry.sliceEnd(slice);
          this.#store.select(this.#store.open(slice));
        }
        this.#ats[kept] = this.#rowOf(this.#ids[i] as number, referenceTo(referenceBase(seq), row));
        this.#rows[kept++] = row;
      }
      this.#aggregates.addRows(this.#store, this.#ats, batch, this.#rows, kept);
    }
    return this.#write();
  }

  /** Counts an event in; index of the row's aggregates. */
  #rowOf(key: number, reference: number): number {
    const store = this.#store;
    let row = store.find(key);
    if (row === 0) {
      row = store.insert(key);
      this.#aggregates.init(store, row * store.stride + ROW_HEAD);
    }
    const events = store.words[row * store.step + ROW_EVENTS] as number;
    store.words[row * store.step + ROW_EVENTS] = events + 1;
    store.rows[row * store.stride + this.#evidenceAt + (events & (EVIDENCE_PER_ROW - 1))] = reference;
    return row * store.stride + ROW_HEAD;
  }

  #write(): SharedArrayBuffer | null {
    const store = this.#store;
    const { doubles } = this.#aggregates;
    const stride = PARTIAL_ROW_HEAD + doubles + EVIDENCE_PER_ROW;
    const count = store.liveRows;
    if (count === 0) return null;
    let keyBytes = 0;
    for (let record = store.oldest; record !== 0; record = store.newer(record)) {
      for (let row = store.firstRow(record); row !== 0; row = store.nextRow(row)) {
        keyBytes += this.#keys.lengthOf(store.keyOf(row));
      }
    }
    const keysAt = PARTIAL_HEAD_WORDS * 4 + count * stride * 8;
    const buffer = new SharedArrayBuffer((keysAt + keyBytes + 7) & ~7);
    const words = new Uint32Array(buffer);
    words[0] = count;
    words[1] = stride;
    words[2] = doubles;
    this.#writeRows(buffer, stride, keysAt);
    return buffer;
  }

  #writeRows(buffer: SharedArrayBuffer, stride: number, keysAt: number): void {
    const store = this.#store;
    const words = new Uint32Array(buffer);
    const to = new Float64Array(buffer);
    const bytes = new Uint8Array(buffer);
    const doubles = this.#aggregates.doubles + EVIDENCE_PER_ROW;
    let at = PARTIAL_HEAD_WORDS / 2;
    let keyAt = keysAt;
    while (store.oldest !== 0) {
      const record = store.oldest;
      for (let row = store.firstRow(record); row !== 0; row = store.nextRow(row)) {
        const key = store.keyOf(row);
        const length = this.#keys.lengthOf(key);
        words[2 * at + PARTIAL_HASH] = this.#keys.hashOf(key);
        words[2 * at + PARTIAL_FORM] = this.#keys.formOf(key);
        words[2 * at + PARTIAL_KEY_AT] = keyAt;
        words[2 * at + PARTIAL_KEY_BYTES] = length;
        words[2 * at + PARTIAL_EVENTS] = store.words[row * store.step + ROW_EVENTS] as number;
        to[at + PARTIAL_SLICE] = store.numberOf(record);
        this.#keys.copyTo(key, bytes, keyAt);
        const from = row * store.stride + ROW_HEAD;
        for (let i = 0; i < doubles; i++) to[at + PARTIAL_ROW_HEAD + i] = store.rows[from + i] as number;
        keyAt += length;
        at += stride;
      }
      store.retire(record);
    }
    this.#keys.sweep();
  }
}
