/**
 * Tumbling, hopping and cumulating windows: the operator.
 *
 * Role: decides when windows fire and when they are forgotten; events are `window-events.ts`, results `firing.ts`, what is
 * kept and where `window-state.ts`. In processing time an event is at the arrival of its batch and a tick is the
 * watermark: a window closes at the first tick at or after its end.
 * Rules: windows fire in order of their end, each once on time, however far the watermark jumps, and only those that have
 * events are looked at. Late but allowed events fire their windows again at the end of their batch, for the keys they
 * have. Early firings are at ticks, when `earlyMs` of processing time have begun anew, for what has changed; and at each
 * `earlyCount`th event of a window and key. Keys fire in order of their first event in the window (overlapping windows:
 * in an order of the keys that their comings and goings determine), or best first.
 */
import { compileAggregates } from '../aggregates/compile.ts';
import type { RowAggregates } from '../aggregates/port.ts';
import type { Reducer } from '../aggregates/reducer.ts';
import { compileRow, type RowExpression } from '../expressions/row.ts';
import type {
  Emitter,
  Keys,
  OperatorInput,
  OperatorKind,
  OperatorStats,
  PartialInput,
  ShardOperator,
  ShardServices,
  StateQuery,
} from '../operator.ts';
import type { FieldPlan, Plan, WindowPlan } from '../plan.ts';
import type { ShardMemory } from '../state/memory.ts';
import { ChainContent, RowContent, SliceContent } from './contents.ts';
import { Firing } from './firing.ts';
import { LateFirings } from './late-firings.ts';
import { canPreAggregate, PartialCombiner } from './partials.ts';
import { reachOf } from './reach.ts';
import { ROW_FLAGS } from './row-store.ts';
import { WindowEvents } from './window-events.ts';
import { WindowQuery } from './window-query.ts';
import { createWindowMemory, ROW_CHANGED, WindowState } from './window-state.ts';

const NO_FIELDS: readonly FieldPlan[] = [];

export interface SliceWindowKind extends OperatorKind<WindowPlan> {
  attach(operator: WindowPlan, memory: ShardMemory, services: ShardServices): SliceWindow;
  /** What aggregates batches of this window ahead of its shards, or null where that is not possible. */
  combiner(operator: WindowPlan, plan: Plan): PartialCombiner | null;
}

/** `reducers`: the modules of `custom` aggregates. */
export function sliceWindowKind(reducers: ReadonlyMap<string, Reducer>): SliceWindowKind {
  const compiled = (operator: WindowPlan, plan: Plan): RowAggregates =>
    compileAggregates(operator.aggregates, fieldsOf(operator, plan), reducers);
  return {
    create: (operator, plan) => createWindowMemory(operator, compiled(operator, plan)),
    attach: (operator, memory, { keys, plan }) =>
      new SliceWindow(operator, memory, compiled(operator, plan), whereOf(operator, plan), keys),
    combiner(operator, plan) {
      const aggregates = compiled(operator, plan);
      if (!canPreAggregate(operator, aggregates)) return null;
      return new PartialCombiner(plan, operator, aggregates, whereOf(operator, plan));
    },
  };
}

function whereOf(operator: WindowPlan, plan: Plan): RowExpression | null {
  return operator.where === '' ? null : compileRow(operator.where, fieldsOf(operator, plan), 'boolean');
}

function fieldsOf(operator: WindowPlan, plan: Plan): readonly FieldPlan[] {
  return plan.streams[operator.stream]?.fields ?? NO_FIELDS;
}

class SliceWindow implements ShardOperator {
  readonly columns: readonly string[];
  readonly #state: WindowState;
  readonly #keys: Keys;
  readonly #rows: RowContent;
  readonly #closing: ChainContent | null;
  readonly #slices: SliceContent | null;
  readonly #firing: Firing;
  readonly #late: LateFirings;
  readonly #events: WindowEvents;

  constructor(
    plan: WindowPlan,
    memory: ShardMemory,
    aggregates: RowAggregates,
    where: RowExpression | null,
    keys: Keys,
  ) {
    const state = new WindowState(plan, memory, aggregates);
    this.columns = aggregates.columns;
    this.#state = state;
    this.#keys = keys;
    this.#rows = new RowContent(state);
    this.#closing = state.chains === null ? null : new ChainContent(state, state.chains);
    this.#slices = state.chains === null ? null : new SliceContent(state);
    this.#firing = new Firing(state, keys);
    this.#late = new LateFirings(state, this.#firing, this.#rows, this.#slices);
    this.#events = new WindowEvents(state, keys, where, this.#late, this);
  }

  events(input: OperatorInput, out: Emitter): void {
    if (this.#state.plan.time === 'event') this.advance(input.watermark, out);
    this.#state.evidence.note(input.provenance);
    this.#state.evidence.noteEvents(input);
    this.#events.take(input, out);
    this.#late.fire('late', out);
    this.#flush();
  }

  /**
   * Instead of `events`, for a batch that was aggregated ahead: takes the rows that are of this shard. `keys`: the table
   * of the operator's group, swept as after any other step.
   */
  mergePartial(
    partial: SharedArrayBuffer,
    { keys, provenance, shard, shards, watermark }: PartialInput,
    out: Emitter,
  ): void {
    this.advance(watermark, out);
    this.#state.evidence.note(provenance);
    this.#events.takePartial(partial, keys, shard, shards);
    this.#late.fire('late', out);
  }

  advance(watermark: number, out: Emitter): void {
    if (this.#state.plan.time === 'event') this.#advance(watermark, out);
    this.#flush();
  }

  /** Nothing is kept beside the memory from call to call. */
  #flush(): void {
    this.#state.aggregates.flush(this.#state.store);
  }

  tick(nowMs: number, out: Emitter): void {
    const { earlyMs, time } = this.#state.plan;
    if (time === 'processing') this.#advance(nowMs - 1, out);
    if (earlyMs > 0) this.#fireEarly(Math.floor(nowMs / earlyMs), out);
    this.#flush();
  }

  #fireEarly(period: number, out: Emitter): void {
    const before = this.#state.earlyPeriod;
    if (period === before) return;
    this.#state.earlyPeriod = period;
    // It is lower when periods are longer than they were, or the clock was set back.
    if (period > before) this.#fireChanged(out);
  }

  #advance(watermark: number, out: Emitter): void {
    const state = this.#state;
    if (!(watermark > state.watermark)) return;
    state.watermark = watermark;
    const until = state.geometry.lastFired(watermark);
    const { expired } = state;
    if (until > state.fired) {
      if (state.chains === null) this.#fireRows(until, expired, out);
      else this.#fireChains(until, expired, out);
      state.fired = until;
      this.#unchain(state.geometry.windowSlice(until + 1));
    }
    this.#expire(expired);
  }

  #fireRows(until: number, expired: number, out: Emitter): void {
    const { fired, store } = this.#state;
    let newer = 0;
    for (let record = store.oldest; record !== 0; record = newer) {
      const window = store.numberOf(record);
      newer = store.newer(record);
      if (window > until) return;
      if (window <= fired) continue;
      // Row by row, while it and its key are in the cache; a ranking needs all rows until its end.
      const spent = window <= expired && !this.#firing.ranked;
      this.#firing.begin(this.#rows, window, 'on-time', window <= expired, out);
      for (let row = store.firstRow(record); row !== 0; row = store.nextRow(row)) {
        this.#firing.offer(row, store.keyOf(row));
        if (spent) this.#freeRow(row);
      }
      this.#firing.end();
      if (spent) store.retire(record);
    }
  }

  #fireChains(until: number, expired: number, out: Emitter): void {
    const state = this.#state;
    const { geometry, store } = state;
    let record = store.oldest;
    while (record !== 0) {
      const slice = store.numberOf(record);
      if (geometry.lastWindow(slice) <= state.fired) {
        record = store.newer(record);
        continue;
      }
      const window = Math.max(state.fired + 1, geometry.firstWindow(slice));
      if (window > until) return;
      this.#unchain(geometry.windowSlice(window));
      this.#closeChains(window, window <= expired, out);
      state.fired = window;
    }
  }

  #closeChains(window: number, final: boolean, out: Emitter): void {
    const { chains, geometry } = this.#state;
    if (chains === null || this.#closing === null) return;
    const first = geometry.windowSlice(window);
    const end = geometry.windowSlicesEnd(window);
    this.#firing.begin(this.#closing, window, 'on-time', final, out);
    for (let place = 0; place < chains.size; place++) {
      const key = chains.keyAt(place);
      if (chains.close(key, first, end)) this.#firing.offer(key, key);
    }
    this.#firing.end();
  }

  /** Takes rows of slices before this one out of the chains: no window to come has them. */
  #unchain(slice: number): void {
    const state = this.#state;
    const { chains, store } = state;
    if (chains === null || slice <= state.unchained) return;
    for (let record = store.oldest; record !== 0 && store.numberOf(record) < slice; record = store.newer(record)) {
      if (store.numberOf(record) < state.unchained) continue;
      for (let row = store.firstRow(record); row !== 0; row = store.nextRow(row)) chains.remove(row);
    }
    state.unchained = slice;
  }

  /** Forgets what belongs to no window that may still change. */
  #expire(expired: number): void {
    const state = this.#state;
    const { panes, store } = state;
    state.forgotten(expired);
    while (store.oldest !== 0 && state.lastWindowOf(store.numberOf(store.oldest)) <= expired) {
      const record = store.oldest;
      for (let row = store.firstRow(record); row !== 0; row = store.nextRow(row)) this.#freeRow(row);
      store.retire(record);
    }
    while (panes.oldest !== 0 && panes.numberOf(panes.oldest) <= expired) {
      const record = panes.oldest;
      for (let row = panes.firstRow(record); row !== 0; row = panes.nextRow(row)) state.freePane(row);
      panes.retire(record);
    }
  }

  #freeRow(row: number): void {
    const { aggregates, own, store } = this.#state;
    if (!aggregates.flat) aggregates.free(store, row * store.stride + own);
    this.#keys.release(store.keyOf(row));
  }

  /** An early firing for a number of events. */
  reached(window: number, row: number, out: Emitter): void {
    const { store } = this.#state;
    if (this.#firing.ranked) this.#late.fireWhole(window, 'early', out);
    else {
      this.#firing.begin(this.#rows, window, 'early', false, out);
      this.#firing.offer(row, store.keyOf(row));
      this.#firing.end();
    }
    store.words[row * store.step + ROW_FLAGS] = (store.words[row * store.step + ROW_FLAGS] as number) & ~ROW_CHANGED;
  }

  /** Early results of open windows for the keys that have had events since the last ones. */
  #fireChanged(out: Emitter): void {
    const state = this.#state;
    const { chains, geometry, store } = state;
    for (let record = store.oldest; record !== 0; record = store.newer(record)) {
      const unit = store.numberOf(record);
      const last = state.lastWindowOf(unit);
      if (last <= state.fired) continue;
      const first = Math.max(state.fired + 1, chains === null ? unit : geometry.firstWindow(unit));
      for (let row = store.firstRow(record); row !== 0; row = store.nextRow(row)) {
        const flags = row * store.step + ROW_FLAGS;
        if (((store.words[flags] as number) & ROW_CHANGED) === 0) continue;
        store.words[flags] = (store.words[flags] as number) & ~ROW_CHANGED;
        for (let window = first; window <= last; window++) this.#late.touch(window, store.keyOf(row));
      }
    }
    this.#late.fire('early', out);
  }

  reach(until: number, resultsMax: number): number {
    return reachOf(this.#state, until, resultsMax);
  }

  query(query: StateQuery, out: Emitter): void {
    new WindowQuery(this.#state, this.#keys, this.#rows, this.#slices).answer(query, out);
    this.#flush();
  }

  evictIdle(share: number): number {
    const state = this.#state;
    const { chains, panes, store } = state;
    const idle = idleKeys(state, share);
    if (idle.size === 0) return 0;
    for (let record = store.oldest; record !== 0; record = store.newer(record)) {
      store.without(record, idle, (row) => {
        chains?.remove(row);
        this.#freeRow(row);
      });
    }
    for (let record = panes.oldest; record !== 0; record = panes.newer(record)) {
      panes.without(record, idle, (row) => state.freePane(row));
    }
    return idle.size;
  }

  stats(): OperatorStats {
    return { rows: this.#state.store.liveRows, bytes: this.#state.byteLength, late: this.#state.late };
  }
}

/** This part of the keys: those whose newest slice or window is the oldest. */
function idleKeys({ store }: WindowState, share: number): Set<number> {
  const newestFirst = new Set<number>();
  for (let record = store.newest; record !== 0; record = store.older(record)) {
    for (let row = store.firstRow(record); row !== 0; row = store.nextRow(row)) newestFirst.add(store.keyOf(row));
  }
  const count = Math.floor(newestFirst.size * Math.min(1, Math.max(0, share)));
  return new Set([...newestFirst].slice(newestFirst.size - count));
}
