// HOT PATH
/**
 * Events into rows: which slice or window an event belongs to, whether it still may, and the row its key has there.
 *
 * Role: the part of the slice operator that runs per event. Open slices are done in chunks of three short loops whose
 * loads do not wait for each other, as most time goes into cache misses: guess the row (the key's own slot of its slice's
 * table), look at it, aggregate (`RowAggregates.addRows`). What is not plain goes one by one.
 * All events of a slice are judged alike, as lateness is a matter of windows:
 *   OPEN    no window of the slice has fired
 *   BEHIND  some have: those fire again when they may, and what was merged for the others is out of date
 *   LATE    all have expired: counted, and given out as a result of the output `late` when asked
 *   GAP     in no window (a slide longer than the size)
 */
import type { AggregateSpace } from '../aggregates/port.ts';
import type { RowExpression } from '../expressions/row.ts';
import type { Emitter, Keys, OperatorInput } from '../operator.ts';
import type { KeyForm } from '../state/key-bytes.ts';
import type { KeyTable } from '../state/key-table.ts';
import { EVIDENCE_PER_ROW, referenceBase, referenceTo } from './evidence.ts';
import { ROW_CHAINED } from './key-chains.ts';
import type { LateFirings } from './late-firings.ts';
import {
  PARTIAL_EVENTS,
  PARTIAL_FORM,
  PARTIAL_HASH,
  PARTIAL_HEAD_WORDS,
  PARTIAL_KEY_AT,
  PARTIAL_KEY_BYTES,
  PARTIAL_ROW_HEAD,
  PARTIAL_SLICE,
} from './partials.ts';
import { ROW_EVENTS, ROW_FLAGS, ROW_KEY } from './row-store.ts';
import { ROW_CHANGED, type WindowState } from './window-state.ts';

const OPEN = 0;
const BEHIND = 1;
const LATE = 2;
const GAP = 3;

const CHUNK = 512;
const EVIDENCE_MASK = EVIDENCE_PER_ROW - 1;
/** Slices whose judgement is remembered during a batch. */
const JUDGED = 16;

/** Told when a row has had as many events as an early trigger waits for. */
export interface CountTrigger {
  reached(window: number, row: number, out: Emitter): void;
}

export class WindowEvents {
  readonly #state: WindowState;
  readonly #keys: Keys;
  readonly #where: RowExpression | null;
  readonly #late: LateFirings;
  readonly #trigger: CountTrigger;
  /** A chunk: row of the batch, key, record of the slice, and by turns slot, row, index of the row's
   *  aggregates. */
  readonly #rows = new Uint32Array(CHUNK);
  readonly #chunkKeys = new Uint32Array(CHUNK);
  readonly #records = new Uint32Array(CHUNK);
  readonly #ats = new Uint32Array(CHUNK);
  #pending = 0;
  /** Judged slices of this batch, by the low bits of their number. */
  readonly #judged = new Float64Array(JUDGED);
  readonly #modes = new Uint8Array(JUDGED);
  readonly #judgedRecords = new Uint32Array(JUDGED);
  /** The slice turned to. */
  #slice = 0;
  #mode = OPEN;
  #record = 0;
  /** Windows of the slice, and how far windows have fired and expired. */
  #first = 0;
  #last = 0;
  #fired = 0;
  #expired = 0;

  constructor(state: WindowState, keys: Keys, where: RowExpression | null, late: LateFirings, trigger: CountTrigger) {
    this.#state = state;
    this.#keys = keys;
    this.#where = where;
    this.#late = late;
    this.#trigger = trigger;
  }

  /** Takes the rows of a batch. Late firings are left in `LateFirings`. */
  take(input: OperatorInput, out: Emitter): void {
    const { chains, geometry } = this.#state;
    this.#begin();
    if (chains === null && !geometry.single) this.#takeByWindow(input, out);
    else this.#takeBySlice(input, out);
    this.#flush(input);
  }

  #begin(): void {
    this.#judged.fill(Number.NaN);
    this.#fired = this.#state.fired;
    this.#expired = this.#state.expired;
  }

  /** In processing time. A clock that was set back, or another node's, makes nothing late. */
  #arrivalMs({ provenance }: OperatorInput): number {
    return Math.max(provenance.arrivalMs, this.#state.watermark + 1);
  }

  #takeBySlice(input: OperatorInput, out: Emitter): void {
    const { batch, count, rows, keys } = input;
    const { geometry, plan, store } = this.#state;
    const where = this.#where;
    const processing = plan.time === 'processing';
    const arrivalMs = this.#arrivalMs(input);
    const ts = batch.ts;
    const slow = plan.earlyCount > 0 ? OPEN : BEHIND;
    const chunkRows = this.#rows;
    const chunkKeys = this.#chunkKeys;
    const records = this.#records;
    const ats = this.#ats;
    let from = Number.NaN;
    let to = Number.NaN;
    let mode = OPEN;
    let first = 0;
    let mask = 0;
    let shift = 0;
    let spread = 0;
    let n = this.#pending;
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number;
      if (where !== null && !where.test(batch, row)) continue;
      const time = processing ? arrivalMs : (ts[row] as number);
      const key = keys[i] as number;
      const turned = !(time >= from && time < to);
      if (turned) {
        this.#turn(geometry.sliceOf(time));
        from = geometry.sliceStart(this.#slice);
        to = geometry.sliceEnd(this.#slice);
        mode = this.#mode;
      }
      if (mode >= slow || n === CHUNK) {
        this.#pending = n;
        this.#flush(input);
        n = 0;
        if (mode >= slow) this.#one(input, row, key, time, out);
      }
      // A flush moves tables that grow, and so may an event by itself.
      if (turned || n === 0) {
        store.select(this.#record);
        ({ first, mask, shift, spread } = store.table);
      }
      if (mode >= slow) continue;
      chunkRows[n] = row;
      chunkKeys[n] = key;
      records[n] = this.#record;
      ats[n] = first + ((Math.imul(key, spread) >>> shift) & mask);
      n += 1;
    }
    this.#pending = n;
  }

  /** Turns to a slice and judges it. */
  #turn(slice: number): void {
    const { chains, geometry, store } = this.#state;
    const place = slice & (JUDGED - 1);
    this.#slice = slice;
    this.#last = geometry.lastWindow(slice);
    this.#first = geometry.firstWindow(slice);
    if (this.#judged[place] !== slice) {
      const mode = this.#judge();
      this.#judged[place] = slice;
      this.#modes[place] = mode;
      this.#judgedRecords[place] = mode > BEHIND ? 0 : store.open(chains === null ? this.#last : slice);
    }
    this.#mode = this.#modes[place] as number;
    this.#record = this.#judgedRecords[place] as number;
  }

  #judge(): number {
    if (this.#last < this.#first) return GAP;
    if (this.#last <= this.#expired) return LATE;
    return this.#first <= this.#fired ? BEHIND : OPEN;
  }

  /** Gives the events of the chunk to their rows. */
  #flush(input: OperatorInput): void {
    const count = this.#pending;
    if (count === 0) return;
    const { aggregates, evidenceAt, own, plan, store } = this.#state;
    const { step, stride } = store;
    const base = referenceBase(input.provenance.seq);
    const flag = plan.earlyMs > 0 ? ROW_CHANGED : 0;
    const ats = this.#ats;
    this.#look(count);
    for (let i = 0; i < count; i++) {
      let found = ats[i] as number;
      if (found === 0) found = this.#rowOf(this.#records[i] as number, this.#chunkKeys[i] as number);
      const words = store.words;
      const events = words[found * step + ROW_EVENTS] as number;
      words[found * step + ROW_EVENTS] = events + 1;
      if (flag !== 0) words[found * step + ROW_FLAGS] = (words[found * step + ROW_FLAGS] as number) | flag;
      const at = found * stride;
      store.rows[at + evidenceAt + (events & EVIDENCE_MASK)] = referenceTo(base, this.#rows[i] as number);
      ats[i] = at + own;
    }
    aggregates.addRows(store, ats, input.batch, this.#rows, count);
    this.#pending = 0;
  }

  /** From slots to the rows they hold, 0 where that is not the key's. Loops this short have many misses under way. */
  #look(count: number): void {
    const { store } = this.#state;
    const { slots, step, words } = store;
    const ats = this.#ats;
    const keys = this.#chunkKeys;
    for (let i = 0; i < count; i++) ats[i] = slots[ats[i] as number] as number;
    for (let i = 0; i < count; i++) {
      if (words[(ats[i] as number) * step + ROW_KEY] !== keys[i]) ats[i] = 0;
    }
  }

  /** Row of a key in a slice or window; made when there is none. */
  #rowOf(record: number, key: number): number {
    const { aggregates, chains, geometry, own, store } = this.#state;
    store.select(record);
    const found = store.find(key);
    if (found !== 0) return found;
    const row = store.insert(key);
    aggregates.init(store, row * store.stride + own);
    this.#keys.retain(key);
    if (chains === null) return row;
    const slice = store.numberOf(record);
    if (geometry.lastWindow(slice) > this.#fired) {
      chains.add(key, row, slice, geometry.windowSlicesEnd(this.#fired));
    }
    return row;
  }

  /** One event that is not plain, in the slice turned to. */
  #one(input: OperatorInput, row: number, key: number, time: number, out: Emitter): void {
    if (this.#mode === GAP) return;
    const reference = referenceTo(referenceBase(input.provenance.seq), row);
    if (this.#mode === LATE) {
      this.#tooLate(input, row, key, time, reference, out);
      return;
    }
    this.#put(input, row, key, reference, out);
  }

  /** One event into its row of the record turned to. */
  #put(input: OperatorInput, row: number, key: number, reference: number, out: Emitter): void {
    const { aggregates, evidenceAt, own, plan, store } = this.#state;
    const found = this.#rowOf(this.#record, key);
    const at = found * store.stride;
    const events = (store.words[found * store.step + ROW_EVENTS] as number) + 1;
    store.words[found * store.step + ROW_EVENTS] = events;
    store.rows[at + evidenceAt + ((events - 1) & EVIDENCE_MASK)] = reference;
    aggregates.add(store, at + own, input.batch, row);
    if (plan.earlyMs > 0) {
      const flags = found * store.step + ROW_FLAGS;
      store.words[flags] = (store.words[flags] as number) | ROW_CHANGED;
    }
    if (this.#mode === BEHIND) this.#behind(key, found);
    else if (plan.earlyCount > 0 && events % plan.earlyCount === 0) this.#trigger.reached(this.#last, found, out);
  }

  /** Merges the rows of a batch that was aggregated ahead (`partials.ts`), those of one shard. */
  takePartial(partial: SharedArrayBuffer, keys: KeyTable, shard: number, shards: number): void {
    this.#begin();
    const words = new Uint32Array(partial);
    const bytes = new Uint8Array(partial);
    const from: AggregateSpace = { rows: new Float64Array(partial), arena: this.#state.store.arena };
    const count = words[0] as number;
    const stride = words[1] as number;
    for (let i = 0, at = PARTIAL_HEAD_WORDS / 2; i < count; i++, at += stride) {
      const hash = words[2 * at + PARTIAL_HASH] as number;
      if ((hash & (shards - 1)) !== shard) continue;
      this.#turn(from.rows[at + PARTIAL_SLICE] as number);
      const events = words[2 * at + PARTIAL_EVENTS] as number;
      if (this.#mode === LATE) this.#state.late += events;
      if (this.#mode > BEHIND) continue;
      const form = words[2 * at + PARTIAL_FORM] as KeyForm;
      const keyAt = words[2 * at + PARTIAL_KEY_AT] as number;
      const key = keys.internBytes(hash, form, bytes, keyAt, words[2 * at + PARTIAL_KEY_BYTES] as number);
      this.#merge(from, at + PARTIAL_ROW_HEAD, events, key);
    }
  }

  #merge(from: AggregateSpace, fromAt: number, events: number, key: number): void {
    const { aggregates, evidenceAt, own, plan, store } = this.#state;
    const row = this.#rowOf(this.#record, key);
    const at = row * store.stride;
    const before = store.words[row * store.step + ROW_EVENTS] as number;
    store.words[row * store.step + ROW_EVENTS] = before + events;
    aggregates.merge(store, at + own, from, fromAt);
    // The last references only: as many as were kept there, to the places that as many events would have reached.
    for (let i = Math.max(0, events - EVIDENCE_PER_ROW); i < events; i++) {
      const reference = from.rows[fromAt + aggregates.doubles + (i & EVIDENCE_MASK)] as number;
      store.rows[at + evidenceAt + ((before + i) & EVIDENCE_MASK)] = reference;
    }
    if (plan.earlyMs > 0) {
      const flags = row * store.step + ROW_FLAGS;
      store.words[flags] = (store.words[flags] as number) | ROW_CHANGED;
    }
    if (this.#mode === BEHIND) this.#behind(key, row);
  }

  #behind(key: number, row: number): void {
    const { chains, geometry, store } = this.#state;
    if (chains !== null && this.#slice < geometry.windowSlicesEnd(this.#fired)) {
      if (((store.words[row * store.step + ROW_FLAGS] as number) & ROW_CHAINED) !== 0) chains.dirty(key);
    }
    const last = Math.min(this.#last, this.#fired);
    for (let window = Math.max(this.#first, this.#expired + 1); window <= last; window++) this.#late.touch(window, key);
  }

  #tooLate(input: OperatorInput, row: number, key: number, time: number, reference: number, out: Emitter): void {
    this.#state.late += 1;
    if (this.#state.plan.sideOutput) this.#late.sideOutput(key, time, input.batch, row, reference, out);
  }

  /** Overlapping windows that each need their own content: a row per window. */
  #takeByWindow(input: OperatorInput, out: Emitter): void {
    const { batch, count, rows, keys, provenance } = input;
    const { geometry, plan, store } = this.#state;
    const base = referenceBase(provenance.seq);
    const arrivalMs = this.#arrivalMs(input);
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number;
      if (this.#where !== null && !this.#where.test(batch, row)) continue;
      const time = plan.time === 'processing' ? arrivalMs : (batch.ts[row] as number);
      const key = keys[i] as number;
      const slice = geometry.sliceOf(time);
      const last = geometry.lastWindow(slice);
      const first = geometry.firstWindow(slice);
      if (last < first) continue;
      if (last <= this.#expired) this.#tooLate(input, row, key, time, referenceTo(base, row), out);
      for (let window = Math.max(first, this.#expired + 1); window <= last; window++) {
        this.#first = window;
        this.#last = window;
        this.#mode = this.#judge();
        this.#record = store.open(window);
        this.#put(input, row, key, referenceTo(base, row), out);
      }
    }
  }
}
