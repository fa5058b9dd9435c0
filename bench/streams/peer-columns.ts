// HOT PATH
/**
 * The limit: typed columns with keys already numbered, one thread, one row of doubles per key.
 *
 * Role: what the arithmetic alone costs; nothing is parsed, interned, kept or judged. A hop is a sum of slices of one
 * second, combined by two stacks per key, so that an event costs one update and a key a few merges per close.
 */
import { type EventColumns, eventColumns } from './data.ts';
import { addResult, createTotals, type Job, p99Position, type Totals } from './job.ts';
import type { Peer } from './peer.ts';

/** Per key: count, sum, min, max. */
const ROW = 4;
/** Bytes of slices and suffixes a hop may take. */
const HOP_BYTES_MAX = 2 ** 30;

function createRows(rows: number): Float64Array {
  const all = new Float64Array(rows * ROW);
  for (let i = 0; i < rows; i++) clearRow(all, i * ROW);
  return all;
}

function clearRow(rows: Float64Array, at: number): void {
  rows[at] = 0;
  rows[at + 1] = 0;
  rows[at + 2] = Number.POSITIVE_INFINITY;
  rows[at + 3] = Number.NEGATIVE_INFINITY;
}

function addValue(rows: Float64Array, at: number, value: number): void {
  rows[at] = (rows[at] as number) + 1;
  rows[at + 1] = (rows[at + 1] as number) + value;
  if (value < (rows[at + 2] as number)) rows[at + 2] = value;
  if (value > (rows[at + 3] as number)) rows[at + 3] = value;
}

function mergeRow(into: Float64Array, at: number, from: Float64Array, fromAt: number): void {
  into[at] = (into[at] as number) + (from[fromAt] as number);
  into[at + 1] = (into[at + 1] as number) + (from[fromAt + 1] as number);
  if ((from[fromAt + 2] as number) < (into[at + 2] as number)) into[at + 2] = from[fromAt + 2] as number;
  if ((from[fromAt + 3] as number) > (into[at + 3] as number)) into[at + 3] = from[fromAt + 3] as number;
}

function tellRow(totals: Totals, start: number, rows: Float64Array, at: number, extra: number): void {
  const [count, sum, min, max] = [rows[at], rows[at + 1], rows[at + 2], rows[at + 3]] as [
    number,
    number,
    number,
    number,
  ];
  addResult(totals, start, count, sum, min, max, extra);
}

function tumbling(columns: EventColumns, { keys, sizeMs }: Job): Totals {
  const { count, key, ts, value } = columns;
  const totals = createTotals();
  const rows = createRows(keys);
  let start = 0;
  for (let n = 0; n < count; n++) {
    const time = ts[n] as number;
    if (time >= start + sizeMs) {
      closeWindow(totals, start, rows, keys);
      start = time - (time % sizeMs);
    }
    addValue(rows, (key[n] as number) * ROW, value[n] as number);
  }
  closeWindow(totals, start, rows, keys);
  return totals;
}

function closeWindow(totals: Totals, start: number, rows: Float64Array, keys: number): void {
  for (let k = 0; k < keys; k++) {
    const at = k * ROW;
    if (rows[at] === 0) continue;
    tellRow(totals, start, rows, at, 0);
    clearRow(rows, at);
  }
}

const p99Of = (sorted: Float64Array): number => sorted[p99Position(sorted.length)] as number;

function distinctOf(sorted: Float64Array): number {
  let distinct = 1;
  for (let i = 1; i < sorted.length; i++) if (sorted[i] !== sorted[i - 1]) distinct++;
  return distinct;
}

/** The events of a window are sorted by key by counting, then each key's values by themselves. */
function sorted(columns: EventColumns, { keys, name, sizeMs }: Job): Totals {
  const { count, ts } = columns;
  const totals = createTotals();
  const rows = createRows(keys);
  const ends = new Uint32Array(keys);
  let from = 0;
  while (from < count) {
    const start = (ts[from] as number) - ((ts[from] as number) % sizeMs);
    let to = from;
    while (to < count && (ts[to] as number) < start + sizeMs) to++;
    closeSorted(columns, from, to, start, rows, ends, totals, name === 'p99' ? p99Of : distinctOf);
    from = to;
  }
  return totals;
}

function closeSorted(
  { key, value }: EventColumns,
  from: number,
  to: number,
  start: number,
  rows: Float64Array,
  ends: Uint32Array,
  totals: Totals,
  extraOf: (sorted: Float64Array) => number,
): void {
  for (let n = from; n < to; n++) addValue(rows, (key[n] as number) * ROW, value[n] as number);
  let next = 0;
  for (let k = 0; k < ends.length; k++) {
    ends[k] = next;
    next += rows[k * ROW] as number;
  }
  const placed = new Float64Array(to - from);
  for (let n = from; n < to; n++) {
    const k = key[n] as number;
    placed[ends[k] as number] = value[n] as number;
    ends[k] = (ends[k] as number) + 1;
  }
  for (let k = 0; k < ends.length; k++) {
    const of = rows[k * ROW] as number;
    if (of === 0) continue;
    const values = placed.subarray((ends[k] as number) - of, ends[k]).sort();
    tellRow(totals, start, rows, k * ROW, extraOf(values));
    clearRow(rows, k * ROW);
  }
}

/** Slices of the last `slices` slides, the suffixes of those before the middle, and what came after it in one row. */
class Hop {
  readonly #job: Job;
  readonly #slices: number;
  readonly #suffix: Float64Array;
  readonly #back: Float64Array;
  readonly #ring: Float64Array;
  readonly #row = createRows(1);
  /** Number of the slice from which on slices are in `back`. */
  #middle = 0;
  readonly totals = createTotals();

  constructor(job: Job) {
    this.#job = job;
    this.#slices = job.sizeMs / job.slideMs;
    this.#ring = createRows(job.keys * this.#slices);
    this.#suffix = createRows(job.keys * this.#slices);
    this.#back = createRows(job.keys);
  }

  add(slice: number, key: number, value: number): void {
    addValue(this.#ring, ((slice % this.#slices) * this.#job.keys + key) * ROW, value);
  }

  /** The slice is complete: tells the window that ends with it and makes room for the next one. */
  close(slice: number): void {
    const { keys, slideMs } = this.#job;
    const first = slice - this.#slices + 1;
    const ring = this.#ring;
    const place = (slice % this.#slices) * keys;
    for (let k = 0; k < keys; k++) mergeRow(this.#back, k * ROW, ring, (place + k) * ROW);
    if (first > this.#middle - 1) this.#turn(first, slice);
    const front = (((first % this.#slices) + this.#slices) % this.#slices) * keys;
    const row = this.#row;
    for (let k = 0; k < keys; k++) {
      clearRow(row, 0);
      if (first < this.#middle && first >= 0) mergeRow(row, 0, this.#suffix, (front + k) * ROW);
      else if (first < 0 && this.#middle > 0) mergeRow(row, 0, this.#suffix, k * ROW);
      mergeRow(row, 0, this.#back, k * ROW);
      if (row[0] !== 0) tellRow(this.totals, first * slideMs, row, 0, 0);
    }
    const next = ((slice + 1) % this.#slices) * keys;
    for (let k = 0; k < keys; k++) clearRow(ring, (next + k) * ROW);
  }

  /** The middle moves behind the newest slice: suffixes of all slices of the window are made anew. */
  #turn(first: number, slice: number): void {
    const { keys } = this.#job;
    const from = Math.max(0, first);
    for (let s = slice; s >= from; s--) {
      const place = (s % this.#slices) * keys;
      const later = ((s + 1) % this.#slices) * keys;
      for (let k = 0; k < keys; k++) {
        const at = (place + k) * ROW;
        clearRow(this.#suffix, at);
        mergeRow(this.#suffix, at, this.#ring, at);
        if (s < slice) mergeRow(this.#suffix, at, this.#suffix, (later + k) * ROW);
      }
    }
    for (let k = 0; k < keys; k++) clearRow(this.#back, k * ROW);
    this.#middle = slice + 1;
  }
}

function hop(columns: EventColumns, job: Job): Totals {
  const { count, key, ts, value } = columns;
  const windows = new Hop(job);
  let slice = 0;
  for (let n = 0; n < count; n++) {
    const of = Math.floor((ts[n] as number) / job.slideMs);
    while (slice < of) windows.close(slice++);
    windows.add(slice, key[n] as number, value[n] as number);
  }
  for (const last = slice + job.sizeMs / job.slideMs; slice < last; ) windows.close(slice++);
  return windows.totals;
}

function session(columns: EventColumns, { gapMs, keys }: Job): Totals {
  const { count, key, ts, value } = columns;
  const totals = createTotals();
  const rows = createRows(keys);
  const starts = new Float64Array(keys);
  const lasts = new Float64Array(keys);
  for (let n = 0; n < count; n++) {
    const k = key[n] as number;
    const time = ts[n] as number;
    const at = k * ROW;
    if (rows[at] !== 0 && time - (lasts[k] as number) >= gapMs) {
      tellRow(totals, starts[k] as number, rows, at, 0);
      clearRow(rows, at);
    }
    if (rows[at] === 0) starts[k] = time;
    lasts[k] = time;
    addValue(rows, at, value[n] as number);
  }
  for (let k = 0; k < keys; k++) if (rows[k * ROW] !== 0) tellRow(totals, starts[k] as number, rows, k * ROW, 0);
  return totals;
}

const WAYS = { tumbling, p99: sorted, distinct: sorted, hop, session };

export const typedColumns: Peer = {
  name: 'typed columns',
  input: 'columns',
  refuses({ keys, name, sizeMs, slideMs }) {
    const bytes = (2 * keys * sizeMs * ROW * 8) / slideMs;
    return name === 'hop' && bytes > HOP_BYTES_MAX ? `${Math.round(bytes / 2 ** 20)} MiB of slices` : '';
  },
  eventsMax: ({ events }) => events,
  prepare(job) {
    const columns = eventColumns(job);
    return { run: () => WAYS[job.name](columns, job) };
  },
};
