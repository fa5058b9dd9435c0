/**
 * Every pane of a window with `top`, as plain loops over all that happened, in order: early ones, those on time, late ones.
 *
 * Role: a model of the rules, not of how the engine goes about them: no slices, no shards, each window with all its keys.
 * A batch is judged against the watermark before it. Windows that are closed and had events in it fire again, as wholes;
 * then those close whose end the watermark has reached. A tick that begins a period of the trigger fires the open windows
 * that had events since they fired last; the first tick only says which period it is. A pane is the ranking of all keys
 * as it is by then; with `retracting` every row of the window's pane before is taken back first.
 */
import type { WindowDefinition } from '../../../src/streams/define/definition.ts';
import type { PaneEvent } from './pane-case.ts';

/** Bounds, number of the pane, whether the row is taken back, what kind of result, key, events, highest value. */
export type PaneRow = readonly [string, number, boolean, string, string, number, number | null];

export type RankedWindow = WindowDefinition & { readonly top: NonNullable<WindowDefinition['top']> };

interface Entry {
  readonly key: string;
  n: number;
  best: number | null;
}

interface Open {
  readonly start: number;
  readonly end: number;
  readonly entries: Map<string, Entry>;
  closed: boolean;
  /** Events since it fired last. */
  news: boolean;
  panes: number;
  said: readonly PaneRow[];
}

export class TopModel {
  readonly rows: PaneRow[] = [];
  readonly #window: RankedWindow;
  readonly #outOfOrderMs: number;
  readonly #windows = new Map<string, Open>();
  #watermark = Number.NEGATIVE_INFINITY;
  #period = Number.NaN;

  constructor(window: RankedWindow, outOfOrderMs: number) {
    this.#window = window;
    this.#outOfOrderMs = outOfOrderMs;
  }

  batch(events: readonly PaneEvent[]): void {
    for (const event of events) this.#take(event);
    for (const window of this.#inOrder()) if (window.closed && window.news) this.#fire(window, 'late');
    const newest = Math.max(...events.map(({ at }) => at));
    this.#watermark = Math.max(this.#watermark, newest - this.#outOfOrderMs - 1);
    for (const window of this.#inOrder()) {
      if (window.closed || !this.#hasEnded(window.end)) continue;
      window.closed = true;
      this.#fire(window, 'on-time');
    }
  }

  tick(nowMs: number): void {
    const period = Math.floor(nowMs / (this.#window.trigger?.everyMs ?? Number.POSITIVE_INFINITY));
    const isFirst = Number.isNaN(this.#period);
    if (period <= this.#period) return;
    this.#period = period;
    if (isFirst) return;
    for (const window of this.#inOrder()) if (!window.closed && window.news) this.#fire(window, 'early');
  }

  #take({ at, k, v }: PaneEvent): void {
    for (const [start, end] of boundsOf(this.#window, at)) {
      if (this.#hasEnded(end + (this.#window.allowedLatenessMs ?? 0))) continue;
      const window = this.#windowOf(start, end);
      window.news = true;
      const entry = window.entries.get(k) ?? { key: k, n: 0, best: null };
      window.entries.set(k, entry);
      entry.n += 1;
      if (v !== null) entry.best = entry.best === null ? v : Math.max(entry.best, v);
    }
  }

  #windowOf(start: number, end: number): Open {
    const name = `${start}-${end}`;
    const known = this.#windows.get(name);
    if (known !== undefined) return known;
    const closed = this.#hasEnded(end);
    const made: Open = { start, end, entries: new Map(), closed, news: false, panes: 0, said: [] };
    this.#windows.set(name, made);
    return made;
  }

  #hasEnded(end: number): boolean {
    return end - 1 <= this.#watermark;
  }

  #inOrder(): Open[] {
    return [...this.#windows.values()].sort((a, b) => a.end - b.end || a.start - b.start);
  }

  #fire(window: Open, timing: 'early' | 'on-time' | 'late'): void {
    const { end, panes, said, start } = window;
    const takesBack = this.#window.accumulation === 'retracting';
    if (takesBack) {
      for (const [bounds, pane, , , ...rest] of said) this.rows.push([bounds, pane, true, timing, ...rest]);
    }
    window.said = ranked([...window.entries.values()], this.#window.top).map(
      ({ best, key, n }): PaneRow => [`${start}-${end}`, panes, false, timing, key, n, best],
    );
    this.rows.push(...window.said);
    window.panes += 1;
    window.news = false;
  }
}

function ranked(entries: readonly Entry[], { by, limit, ties = false }: RankedWindow['top']): readonly Entry[] {
  const scoreOf = ({ best, n }: Entry): number => (by === 'n' ? n : (best ?? Number.NEGATIVE_INFINITY));
  const sorted = entries.toSorted((a, b) => {
    const [x, y] = [scoreOf(a), scoreOf(b)];
    return x === y ? (a.key < b.key ? -1 : 1) : y - x;
  });
  const last = sorted[limit - 1];
  return sorted.filter((entry, i) => i < limit || (ties && last !== undefined && scoreOf(entry) === scoreOf(last)));
}

/** The windows of a time. */
function boundsOf({ sizeMs = 0, slideMs = sizeMs, type }: WindowDefinition, at: number): readonly [number, number][] {
  const found: [number, number][] = [];
  if (type === 'cumulating') {
    const start = Math.floor(at / sizeMs) * sizeMs;
    for (let end = start + slideMs; end <= start + sizeMs; end += slideMs) if (end > at) found.push([start, end]);
    return found;
  }
  for (let start = Math.floor(at / slideMs) * slideMs; start + sizeMs > at; start -= slideMs) {
    found.push([start, start + sizeMs]);
  }
  return found;
}
