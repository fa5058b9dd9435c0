// HOT PATH
/**
 * Events into rows: which slice or window an event belongs to, whether it still may, and the row its key has there.
 *
 * Role: the part of the slice operator that runs per event. Two passes over a chunk of events: the first finds rows, the
 * second (`RowAggregates.addRows`) does the arithmetic, so neither calls anything per event that is not inlined.
 * All events of a slice are judged alike, as lateness is a matter of windows: while events stay in the slice of the one
 * before, judging them is a compare of two bounds.
 *   OPEN    no window of the slice has fired
 *   BEHIND  some have: those fire again when they may, and what was merged for the others is out of date
 *   LATE    all have expired: counted, and given out as a result of the output `late` when asked
 *   GAP     in no window (a slide longer than the size)
 */
import type { RowExpression } from '../expressions/row.ts';
import type { Emitter, Keys, OperatorInput } from '../operator.ts';
import { EVIDENCE_PER_ROW, referenceBase, referenceTo } from './evidence.ts';
import { ROW_CHAINED } from './key-chains.ts';
import type { LateFirings } from './late-firings.ts';
import { ROW_EVENTS, ROW_FLAGS } from './row-store.ts';
import { ROW_CHANGED, type WindowState } from './window-state.ts';

const OPEN = 0;
const BEHIND = 1;
const LATE = 2;
const GAP = 3;

const CHUNK = 1024;
const EVIDENCE_MASK = EVIDENCE_PER_ROW - 1;

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
  readonly #ats = new Uint32Array(CHUNK);
  readonly #rows = new Uint32Array(CHUNK);
  #pending = 0;
  /** Bounds, number and judgement of the slice of the event before. */
  #from = Number.NaN;
  #to = Number.NaN;
  #mode = OPEN;
  #unit = 0;
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
    const { chains, geometry, plan } = this.#state;
    this.#from = Number.NaN;
    this.#to = Number.NaN;
    this.#fired = this.#state.fired;
    this.#expired = this.#state.expired;
    if (chains === null && !geometry.single) this.#takeByWindow(input, out);
    else if (plan.time === 'processing') this.#takeAt(input, input.provenance.arrivalMs, out);
    else this.#takeBySlice(input, out);
    this.#flush(input);
  }

  #takeBySlice(input: OperatorInput, out: Emitter): void {
    const { batch, count, rows, keys } = input;
    const where = this.#where;
    const ts = batch.ts;
    const base = referenceBase(input.provenance.seq);
    let from = Number.NaN;
    let to = Number.NaN;
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number;
      if (where !== null && !where.test(batch, row)) continue;
      const time = ts[row] as number;
      if (!(time >= from && time < to)) {
        this.#turn(time);
        from = this.#from;
        to = this.#to;
      }
      if (this.#mode <= BEHIND) this.#put(input, row, keys[i] as number, referenceTo(base, row), out);
      else if (this.#mode === LATE) this.#tooLate(keys[i] as number, time, referenceTo(base, row), out);
    }
  }

  /** Processing time: all events are at the time of their batch. */
  #takeAt(input: OperatorInput, time: number, out: Emitter): void {
    const { batch, count, rows, keys } = input;
    const where = this.#where;
    const base = referenceBase(input.provenance.seq);
    let turned = false;
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number;
      if (where !== null && !where.test(batch, row)) continue;
      if (!turned) this.#turn(time);
      turned = true;
      if (this.#mode <= BEHIND) this.#put(input, row, keys[i] as number, referenceTo(base, row), out);
      else if (this.#mode === LATE) this.#tooLate(keys[i] as number, time, referenceTo(base, row), out);
    }
  }

  /** Turns to the slice of a time and judges it. */
  #turn(time: number): void {
    const { chains, geometry, store } = this.#state;
    const slice = geometry.sliceOf(time);
    this.#from = geometry.sliceStart(slice);
    this.#to = geometry.sliceEnd(slice);
    this.#first = geometry.firstWindow(slice);
    this.#last = geometry.lastWindow(slice);
    this.#mode = this.#judge();
    if (this.#mode > BEHIND) return;
    this.#unit = chains === null ? this.#last : slice;
    store.select(store.open(this.#unit));
  }

  #judge(): number {
    if (this.#last < this.#first) return GAP;
    if (this.#last <= this.#expired) return LATE;
    return this.#first <= this.#fired ? BEHIND : OPEN;
  }

  /** One event into its row of the selected unit. */
  #put(input: OperatorInput, row: number, key: number, reference: number, out: Emitter): void {
    const { store, evidenceAt, own, plan } = this.#state;
    let found = store.find(key);
    if (found === 0) found = this.#create(key);
    const { words } = store;
    const at = found * store.stride;
    const events = words[found * store.step + ROW_EVENTS] as number;
    words[found * store.step + ROW_EVENTS] = events + 1;
    store.rows[at + evidenceAt + (events & EVIDENCE_MASK)] = reference;
    const n = this.#pending;
    this.#ats[n] = at + own;
    this.#rows[n] = row;
    this.#pending = n + 1;
    if (n + 1 === CHUNK) this.#flush(input);
    if (this.#mode === BEHIND) this.#behind(key, found);
    else if (plan.earlyMs > 0) {
      words[found * store.step + ROW_FLAGS] = (words[found * store.step + ROW_FLAGS] as number) | ROW_CHANGED;
    }
    if (plan.earlyCount > 0 && this.#mode === OPEN && (events + 1) % plan.earlyCount === 0) {
      this.#flush(input);
      this.#trigger.reached(this.#unit, found, out);
    }
  }

  #flush(input: OperatorInput): void {
    if (this.#pending === 0) return;
    this.#state.aggregates.addRows(this.#state.store, this.#ats, input.batch, this.#rows, this.#pending);
    this.#pending = 0;
  }

  #create(key: number): number {
    const { aggregates, chains, geometry, own, store } = this.#state;
    const row = store.insert(key);
    aggregates.init(store, row * store.stride + own);
    this.#keys.retain(key);
    if (chains !== null && this.#last > this.#fired) {
      chains.add(key, row, this.#unit, geometry.windowSlicesEnd(this.#fired));
    }
    return row;
  }

  #behind(key: number, row: number): void {
    const { chains, geometry, plan, store } = this.#state;
    if (chains !== null && this.#unit < geometry.windowSlicesEnd(this.#fired)) {
      if (((store.words[row * store.step + ROW_FLAGS] as number) & ROW_CHAINED) !== 0) chains.dirty(key);
    }
    if (plan.earlyMs > 0) {
      store.words[row * store.step + ROW_FLAGS] = (store.words[row * store.step + ROW_FLAGS] as number) | ROW_CHANGED;
    }
    const last = Math.min(this.#last, this.#fired);
    for (let window = Math.max(this.#first, this.#expired + 1); window <= last; window++) this.#late.touch(window, key);
  }

  #tooLate(key: number, time: number, reference: number, out: Emitter): void {
    const state = this.#state;
    state.late += 1;
    if (state.plan.sideOutput) this.#late.sideOutput(key, time, reference, out);
  }

  /** Overlapping windows that each need their own content: a row per window. */
  #takeByWindow(input: OperatorInput, out: Emitter): void {
    const { batch, count, rows, keys, provenance } = input;
    const { geometry, plan, store } = this.#state;
    const base = referenceBase(provenance.seq);
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number;
      if (this.#where !== null && !this.#where.test(batch, row)) continue;
      const time = plan.time === 'processing' ? provenance.arrivalMs : (batch.ts[row] as number);
      const key = keys[i] as number;
      const slice = geometry.sliceOf(time);
      const last = geometry.lastWindow(slice);
      const first = geometry.firstWindow(slice);
      if (last < first) continue;
      if (last <= this.#expired) this.#tooLate(key, time, referenceTo(base, row), out);
      for (let window = Math.max(first, this.#expired + 1); window <= last; window++) {
        this.#unit = window;
        this.#first = window;
        this.#last = window;
        this.#mode = this.#judge();
        store.select(store.open(window));
        this.#put(input, row, key, referenceTo(base, row), out);
      }
    }
  }
}
