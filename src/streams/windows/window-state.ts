/**
 * What one window definition keeps in one shard, and where.
 *
 * Role: lays the memory out for the parts of the slice operator (events, firing, queries), which hold no state.
 * Buffers: 0 facts · 1–4 rows of slices or windows · 5 ring of traces · 6–9 panes · 10–11 chains of keys.
 * Facts are doubles: watermark · last window fired · late events · newest sequence number · period of the last early
 * firing · slices before it are out of the chains · last window of which content was forgotten.
 * A row: head (`row-store.ts`), links (`key-chains.ts`) when chained, aggregates, their suffix when chained, evidence.
 * A pane's row, by window and key: head, number of the next pane, offset of the values of the last one (JSON).
 * Two ways to keep content: `chained`, by slice, for windows that overlap; and by window, where there is one slice to a
 * window, or what is asked needs each window's own count or news (`discarding`, `earlyCount`).
 * The layout depends on what `define/state-shape.ts` takes for the shape and on nothing else: lateness and `top` can
 * change over the same memory.
 */
import type { RowAggregates } from '../aggregates/port.ts';
import type { WindowPlan } from '../plan.ts';
import { ShardMemory } from '../state/memory.ts';
import { EVIDENCE_PER_ROW, EvidenceReader, TRACES_BYTES_AT_START } from './evidence.ts';
import { WindowGeometry } from './geometry.ts';
import { CHAIN_BYTES, CHAIN_HEAD, KeyChains } from './key-chains.ts';
import { ROW_HEAD, RowStore, rowStoreBytes } from './row-store.ts';

const FACTS = 16;
const WATERMARK = 0;
const FIRED = 1;
const LATE = 2;
const LAST_SEQ = 3;
const EARLY = 4;
const UNCHAINED = 5;
const FORGOTTEN = 6;

const ROWS_BUFFER = 1;
const TRACES_BUFFER = 5;
const PANES_BUFFER = 6;
const CHAINS_BUFFER = 10;

/** Doubles of a pane's row after its head. */
export const PANE_NUMBER = ROW_HEAD;
export const PANE_VALUES = ROW_HEAD + 1;
const PANE_STRIDE = ROW_HEAD + 2;

/** Flags of rows, and of panes. */
export const ROW_CHANGED = 1;
export const PANE_TOUCHED = 1;

interface RowLayout {
  readonly chained: boolean;
  readonly own: number;
  readonly suffix: number;
  readonly evidence: number;
  readonly stride: number;
}

function layoutOf(plan: WindowPlan, geometry: WindowGeometry, aggregates: RowAggregates): RowLayout {
  const chained = !geometry.single && plan.accumulation !== 'discarding' && plan.earlyCount === 0;
  const own = chained ? CHAIN_HEAD : ROW_HEAD;
  const suffix = own + (chained ? aggregates.doubles : 0);
  const evidence = suffix + aggregates.doubles;
  return { chained, own, suffix, evidence, stride: evidence + EVIDENCE_PER_ROW };
}

export function createWindowMemory(plan: WindowPlan, aggregates: RowAggregates): ShardMemory {
  const { stride } = layoutOf(plan, new WindowGeometry(plan), aggregates);
  const memory = ShardMemory.create(
    FACTS * 8,
    ...rowStoreBytes(stride),
    TRACES_BYTES_AT_START,
    ...rowStoreBytes(PANE_STRIDE),
    ...CHAIN_BYTES,
  );
  const facts = new Float64Array(memory.buffer(0));
  facts[WATERMARK] = Number.NEGATIVE_INFINITY;
  facts[FIRED] = Number.NEGATIVE_INFINITY;
  facts[EARLY] = Number.NaN;
  facts[UNCHAINED] = Number.NEGATIVE_INFINITY;
  facts[FORGOTTEN] = Number.NEGATIVE_INFINITY;
  return memory;
}

export class WindowState {
  readonly plan: WindowPlan;
  readonly geometry: WindowGeometry;
  readonly aggregates: RowAggregates;
  readonly store: RowStore;
  readonly panes: RowStore;
  /** Null when content is kept by window. */
  readonly chains: KeyChains | null;
  readonly evidence: EvidenceReader;
  readonly own: number;
  readonly evidenceAt: number;
  /** A window can fire more than once. */
  readonly paned: boolean;
  readonly #facts: Float64Array;

  constructor(plan: WindowPlan, memory: ShardMemory, aggregates: RowAggregates) {
    const geometry = new WindowGeometry(plan);
    const { chained, own, suffix, evidence, stride } = layoutOf(plan, geometry, aggregates);
    this.plan = plan;
    this.geometry = geometry;
    this.aggregates = aggregates;
    this.own = own;
    this.evidenceAt = evidence;
    this.#facts = new Float64Array(memory.buffer(0));
    this.store = new RowStore(memory, ROWS_BUFFER, stride);
    this.panes = new RowStore(memory, PANES_BUFFER, PANE_STRIDE);
    this.chains = chained ? new KeyChains(memory, CHAINS_BUFFER, this.store, aggregates, own, suffix) : null;
    this.evidence = new EvidenceReader(memory, TRACES_BUFFER, this.#facts, LAST_SEQ);
    this.paned = plan.allowedLatenessMs > 0 || plan.earlyMs > 0 || plan.earlyCount > 0;
  }

  /** In use. */
  get byteLength(): number {
    return this.store.byteLength + this.panes.byteLength + (this.chains?.byteLength ?? 0);
  }

  get watermark(): number {
    return this.#facts[WATERMARK] as number;
  }

  set watermark(value: number) {
    this.#facts[WATERMARK] = value;
  }

  /** Number of the last window that has fired; it and all before it are closed. */
  get fired(): number {
    return this.#facts[FIRED] as number;
  }

  set fired(window: number) {
    this.#facts[FIRED] = window;
  }

  get late(): number {
    return this.#facts[LATE] as number;
  }

  set late(value: number) {
    this.#facts[LATE] = value;
  }

  /** Period of processing time of the last early firing; NaN before the first. */
  get earlyPeriod(): number {
    return this.#facts[EARLY] as number;
  }

  set earlyPeriod(value: number) {
    this.#facts[EARLY] = value;
  }

  /** Rows of slices before it are in no chain. */
  get unchained(): number {
    return this.#facts[UNCHAINED] as number;
  }

  set unchained(slice: number) {
    this.#facts[UNCHAINED] = slice;
  }

  /** The last window whose content cannot change any more, be it that events were allowed to be less late before. */
  get expired(): number {
    const expired = this.geometry.lastExpired(this.watermark, this.plan.allowedLatenessMs);
    return Math.max(expired, this.#facts[FORGOTTEN] as number);
  }

  /** That window and all before it have no content any more. */
  forgotten(window: number): void {
    this.#facts[FORGOTTEN] = window;
  }

  /** The last window that what is kept under this number belongs to. */
  lastWindowOf(unit: number): number {
    return this.chains === null ? unit : this.geometry.lastWindow(unit);
  }

  /** Row of a key's pane of a window; made when there is none. */
  pane(window: number, key: number): number {
    const { panes } = this;
    panes.select(panes.open(window));
    const known = panes.find(key);
    if (known !== 0) return known;
    const row = panes.insert(key);
    panes.rows[row * panes.stride + PANE_NUMBER] = 0;
    panes.rows[row * panes.stride + PANE_VALUES] = 0;
    return row;
  }

  /** Gives back the values a pane's row holds. */
  freePane(row: number): void {
    const offset = this.panes.rows[row * this.panes.stride + PANE_VALUES] as number;
    if (offset !== 0) this.panes.arena.free(offset);
  }
}
