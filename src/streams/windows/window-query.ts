/**
 * Results of open windows as they would be now.
 *
 * Role: answers `window_query` from a shard's memory and changes nothing in it. Rows come by key (its JSON text) and
 * start, or the best first when a value is named. What is kept of retracting and discarding panes is not looked at: with
 * `discarding` a row is what came since the last pane.
 * Bound: with a value named, every open window of every key is computed and `limit` of them are kept; else only the
 * windows of the first `limit` keys are computed.
 */
import { type Failed, takeFailed } from '../aggregates/failed-result.ts';
import type { Emitter, Keys, ResultRow, StateQuery } from '../operator.ts';
import { isScratch, type RowContent, type SliceContent, type WindowContent } from './contents.ts';
import { Ranking } from './ranking.ts';
import { PANE_NUMBER, type WindowState } from './window-state.ts';

type Visit = (window: number, handle: number, key: number) => void;

export class WindowQuery {
  readonly #state: WindowState;
  readonly #keys: Keys;
  readonly #slices: SliceContent | null;
  readonly #content: WindowContent;

  constructor(state: WindowState, keys: Keys, rows: RowContent, slices: SliceContent | null) {
    this.#state = state;
    this.#keys = keys;
    this.#slices = slices;
    this.#content = slices ?? rows;
  }

  answer(query: StateQuery, out: Emitter): void {
    const windows = this.#windows(query);
    if (windows.length === 0 || query.limit <= 0) return;
    if (query.key !== null) {
      const key = this.#keys.find(query.key);
      if (key >= 0) this.#byKey(windows, [key], query, out);
    } else if (query.by === '') this.#byKey(windows, this.#firstKeys(windows, query.limit), query, out);
    else this.#best(windows, query, out);
  }

  /** Open windows that overlap the range and have a slice, by start. */
  #windows({ fromMs, toMs }: StateQuery): number[] {
    const state = this.#state;
    const { chains, geometry, store } = state;
    const windows: number[] = [];
    let next = state.fired + 1;
    for (let record = store.oldest; record !== 0; record = store.newer(record)) {
      const unit = store.numberOf(record);
      if (store.countOf(record) === 0) continue;
      const first = chains === null ? unit : geometry.firstWindow(unit);
      for (let window = Math.max(next, first); window <= state.lastWindowOf(unit); window++) {
        if (geometry.windowStart(window) < toMs && geometry.windowEnd(window) > fromMs) windows.push(window);
        next = window + 1;
      }
    }
    return windows;
  }

  /** Keys that have rows in these windows, the first ones by text. */
  #firstKeys(windows: readonly number[], limit: number): number[] {
    const found = new Set<number>();
    for (const window of windows) this.#each(window, (_window, _handle, key) => found.add(key));
    const texts = [...found].map((key) => ({ key, text: this.#keys.json(key) }));
    texts.sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0));
    return texts.slice(0, limit).map(({ key }) => key);
  }

  #each(window: number, visit: Visit): void {
    const { store } = this.#state;
    if (this.#slices !== null) {
      this.#slices.begin(window);
      for (const key of this.#slices.keys()) visit(window, key, key);
      return;
    }
    const record = store.recordOf(window);
    for (let row = store.firstRow(record); row !== 0; row = store.nextRow(row)) visit(window, row, store.keyOf(row));
  }

  #byKey(windows: readonly number[], keys: readonly number[], { by, limit }: StateQuery, out: Emitter): void {
    let left = limit;
    if (by !== '') {
      this.#rank(by, limit, out, (visit) => {
        for (const key of keys) for (const window of windows) this.#find(window, key, visit);
      });
      return;
    }
    for (const key of keys) {
      for (const window of windows) {
        this.#find(window, key, (_window, handle) => {
          if (left > 0) this.#emit(window, handle, key, out);
          left -= 1;
        });
        if (left <= 0) return;
      }
    }
  }

  /** Tells the handle of a key in a window, if it has any content there. */
  #find(window: number, key: number, visit: Visit): void {
    const { store } = this.#state;
    if (this.#slices !== null) {
      this.#slices.begin(window);
      if (this.#slices.has(key)) visit(window, key, key);
      return;
    }
    store.select(store.recordOf(window));
    const row = store.find(key);
    if (row !== 0) visit(window, row, key);
  }

  #best(windows: readonly number[], { by, limit }: StateQuery, out: Emitter): void {
    this.#rank(by, limit, out, (visit) => {
      for (const window of windows) this.#each(window, visit);
    });
  }

  #rank(by: string, limit: number, out: Emitter, visitAll: (visit: Visit) => void): void {
    const ranking = new Ranking(limit, false, (key) => this.#keys.json(key));
    const column = this.#state.aggregates.columns.indexOf(by);
    const windows: number[] = [];
    const handles: number[] = [];
    const values: unknown[] = [];
    visitAll((window, handle, key) => {
      this.#values(window, handle, values);
      ranking.add(values[column], windows.length, key);
      windows.push(window);
      handles.push(handle);
    });
    ranking.take((i, key) => this.#emit(windows[i] as number, handles[i] as number, key, out));
  }

  #values(window: number, handle: number, out: unknown[]): Failed | null {
    const { aggregates, geometry, store } = this.#state;
    this.#content.begin(window);
    const at = this.#content.at(handle);
    aggregates.results(store, at, geometry.windowEnd(window) - geometry.windowStart(window), out);
    if (isScratch(this.#state, at)) aggregates.free(store, at);
    return aggregates.mayFail ? takeFailed(aggregates.columns, out) : null;
  }

  #emit(window: number, handle: number, key: number, out: Emitter): void {
    const { evidence, geometry } = this.#state;
    const row: ResultRow = {
      keyId: key,
      start: geometry.windowStart(window),
      end: geometry.windowEnd(window),
      origin: '',
      pane: this.#paneOf(window, key),
      timing: 'early',
      final: false,
      retraction: false,
      output: '',
      values: [],
      failed: null,
      evidence: null,
    };
    row.failed = this.#values(window, handle, row.values);
    row.evidence = evidence.of(this.#content, handle);
    out.emit(row);
  }

  /** Number the next pane would have. */
  #paneOf(window: number, key: number): number {
    const { panes } = this.#state;
    const record = panes.recordOf(window);
    if (record === 0) return 0;
    panes.select(record);
    const row = panes.find(key);
    return row === 0 ? 0 : (panes.rows[row * panes.stride + PANE_NUMBER] as number);
  }
}
