/**
 * The meaning of windows, written down without any cleverness: lists of events per window and key.
 */
import type { WindowPlan } from '../../../src/streams/plan.ts';
import type { Event, Result } from './window-run.ts';

interface Cell {
  readonly key: string;
  all: Event[];
  since: Event[];
  pane: number;
  stands: readonly unknown[] | null;
  changed: boolean;
  touched: boolean;
}

interface Window {
  readonly start: number;
  readonly end: number;
  readonly cells: Map<string, Cell>;
}

/** Start and end of all windows that contain a time. */
export function windowsOf(plan: WindowPlan, ts: number): { start: number; end: number }[] {
  const { offsetMs, sizeMs, type } = plan;
  const slideMs = type === 'tumbling' ? sizeMs : plan.slideMs;
  const found: { start: number; end: number }[] = [];
  if (type === 'cumulating') {
    const start = Math.floor((ts - offsetMs) / sizeMs) * sizeMs + offsetMs;
    for (let end = start + slideMs; end <= start + sizeMs; end += slideMs) if (ts < end) found.push({ start, end });
    return found;
  }
  const newest = Math.floor((ts - offsetMs) / slideMs) * slideMs + offsetMs;
  for (let start = newest; start > ts - sizeMs; start -= slideMs) found.unshift({ start, end: start + sizeMs });
  return found;
}

export function resultsOf(events: readonly Event[], withDistinct: boolean): unknown[] {
  const values = events.map(({ value }) => value);
  const sum = values.reduce((a, b) => a + b, 0);
  const none = values.length === 0;
  const flat = [values.length, none ? null : sum, none ? null : Math.min(...values), none ? null : Math.max(...values)];
  return withDistinct ? [...flat, new Set(values).size] : flat;
}

export class WindowOracle {
  late = 0;
  watermark = Number.NEGATIVE_INFINITY;
  readonly #plan: WindowPlan;
  readonly #distinct: boolean;
  readonly #paned: boolean;
  readonly #windows = new Map<string, Window>();
  #period = Number.NaN;
  #out: Result[] = [];

  constructor(plan: WindowPlan, distinct: boolean) {
    this.#plan = plan;
    this.#distinct = distinct;
    this.#paned = plan.allowedLatenessMs > 0 || plan.earlyMs > 0 || plan.earlyCount > 0;
  }

  #fired(end: number): boolean {
    return this.watermark >= end - 1;
  }

  #expired(end: number): boolean {
    return this.watermark >= end - 1 + this.#plan.allowedLatenessMs;
  }

  #take(): Result[] {
    const results = this.#out;
    this.#out = [];
    return results;
  }

  events(events: readonly Event[], passes: (event: Event) => boolean, arrivalMs: number): Result[] {
    const touched: { window: Window; cell: Cell }[] = [];
    for (const event of events) {
      if (!passes(event)) continue;
      const time = this.#plan.time === 'processing' ? arrivalMs : event.ts;
      const windows = windowsOf(this.#plan, time);
      if (windows.length > 0 && windows.every(({ end }) => this.#expired(end))) this.#tooLate(event, time);
      for (const bounds of windows) {
        if (this.#expired(bounds.end)) continue;
        const { cell, window } = this.#cell(bounds, event.key);
        cell.all.push(event);
        cell.since.push(event);
        cell.changed = true;
        if (this.#fired(bounds.end)) {
          if (!cell.touched) touched.push({ window, cell });
          cell.touched = true;
          continue;
        }
        const { accumulation, earlyCount } = this.#plan;
        const count = accumulation === 'discarding' ? cell.since.length : cell.all.length;
        if (earlyCount > 0 && count % earlyCount === 0) {
          this.#fireSome(window, [cell], 'early', false);
          cell.changed = false;
        }
      }
    }
    this.#fireTouched(touched);
    return this.#take();
  }

  #fireTouched(touched: readonly { window: Window; cell: Cell }[]): void {
    const done = new Set<Window>();
    for (const { cell, window } of touched) {
      cell.touched = false;
      if (this.#plan.top !== null && done.has(window)) continue;
      done.add(window);
      this.#fireSome(window, [cell], 'late', false);
    }
  }

  #tooLate(event: Event, time: number): void {
    this.late += 1;
    if (!this.#plan.sideOutput) return;
    this.#out.push({
      key: event.key,
      start: time,
      end: time,
      pane: this.late - 1,
      timing: 'late',
      final: true,
      retraction: false,
      output: 'late',
      values: [event.key, event.value],
    });
  }

  #cell(bounds: { start: number; end: number }, key: string): { window: Window; cell: Cell } {
    const id = `${bounds.start}/${bounds.end}`;
    let window = this.#windows.get(id);
    if (window === undefined) {
      window = { ...bounds, cells: new Map() };
      this.#windows.set(id, window);
    }
    let cell = window.cells.get(key);
    if (cell === undefined) {
      cell = { key, all: [], since: [], pane: 0, stands: null, changed: false, touched: false };
      window.cells.set(key, cell);
    }
    return { window, cell };
  }

  #byEnd(): Window[] {
    return [...this.#windows.values()].sort((a, b) => a.end - b.end || a.start - b.start);
  }

  advance(watermark: number): Result[] {
    if (!(watermark > this.watermark)) return [];
    const before = this.watermark;
    this.watermark = watermark;
    for (const window of this.#byEnd()) {
      if (before >= window.end - 1 || !this.#fired(window.end)) continue;
      this.#fireSome(window, [...window.cells.values()], 'on-time', this.#expired(window.end));
    }
    for (const [id, { end }] of this.#windows) if (this.#expired(end)) this.#windows.delete(id);
    return this.#take();
  }

  tick(nowMs: number): Result[] {
    const { earlyMs, time } = this.#plan;
    const results = time === 'processing' ? this.advance(nowMs - 1) : [];
    if (earlyMs === 0) return results;
    const period = Math.floor(nowMs / earlyMs);
    const before = this.#period;
    if (period <= before) return results;
    this.#period = period;
    if (!Number.isNaN(before)) {
      for (const window of this.#byEnd()) {
        if (this.#fired(window.end)) continue;
        const changed = [...window.cells.values()].filter((cell) => cell.changed);
        for (const cell of changed) cell.changed = false;
        if (changed.length > 0) this.#fireSome(window, changed, 'early', false);
      }
    }
    return [...results, ...this.#take()];
  }

  #valuesOf(cell: Cell): unknown[] {
    const news = this.#paned && this.#plan.accumulation === 'discarding';
    return resultsOf(news ? cell.since : cell.all, this.#distinct);
  }

  #fireSome(window: Window, some: readonly Cell[], timing: string, final: boolean): void {
    const { top } = this.#plan;
    const offered = top === null ? some : [...window.cells.values()];
    const chosen = top === null ? some : this.#best(offered);
    for (const cell of chosen) this.#fire(window, cell, timing, final);
    for (const cell of offered) cell.since = [];
  }

  /** With ties: the value of the last one that is in decides. */
  #best(cells: readonly Cell[]): Cell[] {
    const limit = this.#plan.top?.limit ?? 0;
    const valued = cells.map((cell) => ({ cell, value: (this.#valuesOf(cell)[1] as number | null) ?? -Infinity }));
    const sorted = valued.toSorted((a, b) => b.value - a.value || 0);
    const last = sorted[limit - 1]?.value ?? Number.NEGATIVE_INFINITY;
    return sorted.filter(({ value }) => value >= last).map(({ cell }) => cell);
  }

  #retract({ end, start }: Window, cell: Cell, timing: string): void {
    if (cell.stands === null) return;
    const { key, pane, stands } = cell;
    cell.stands = null;
    this.#out.push({
      key,
      start,
      end,
      pane: pane - 1,
      timing,
      final: false,
      retraction: true,
      output: '',
      values: stands,
    });
  }

  #fire(window: Window, cell: Cell, timing: string, final: boolean): void {
    const { end, start } = window;
    this.#retract(window, cell, timing);
    const values = this.#valuesOf(cell);
    // Rankings of a shard are no panes.
    const paned = this.#paned && this.#plan.top === null;
    const pane = paned ? cell.pane : 0;
    this.#out.push({ key: cell.key, start, end, pane, timing, final, retraction: false, output: '', values });
    if (this.#plan.top === null) cell.pane += 1;
    if (paned && this.#plan.accumulation === 'retracting' && !final) cell.stands = values;
  }

  /** What open windows would say now. */
  open(): Result[] {
    return this.#byEnd()
      .filter(({ end }) => !this.#fired(end))
      .flatMap(({ cells, end, start }) =>
        [...cells.values()].map((cell) => ({
          key: cell.key,
          start,
          end,
          pane: cell.pane,
          timing: 'early',
          final: false,
          retraction: false,
          output: '',
          values: this.#valuesOf(cell),
        })),
      );
  }

  forget(keys: ReadonlySet<string>): void {
    for (const { cells } of this.#windows.values()) for (const key of keys) cells.delete(key);
  }
}
