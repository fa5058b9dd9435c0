/**
 * Results of windows: from aggregates to `ResultRow`s, one pane at a time.
 *
 * Role: told which keys of a window fire (`begin`, `offer` per key, `end`), it keeps the best when `top` asks, numbers the
 * panes, takes back what was said before (`retracting`) and begins content anew (`discarding`). It does not decide when
 * windows fire.
 * Rules: the first pane is 0. A retraction has the number and the values of the pane it takes back. With `top`, a
 * firing is the ranking of this shard; panes and retractions are of the ranking of all, `engine/results/rankings.ts`.
 * A pane is final when its window has expired: nothing can come after it.
 */
import { takeFailed } from '../aggregates/failed-result.ts';
import { type Emitter, type Keys, newResultRow, type ResultRow } from '../operator.ts';
import { isScratch, type WindowContent } from './contents.ts';
import { Ranking } from './ranking.ts';
import { ROW_EVENTS } from './row-store.ts';
import { PANE_NUMBER, PANE_VALUES, type WindowState } from './window-state.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class Firing {
  readonly #state: WindowState;
  readonly #ranking: Ranking | null;
  readonly #by: number;
  readonly #discarding: boolean;
  readonly #retracting: boolean;
  readonly #row: ResultRow;
  #content!: WindowContent;
  #out!: Emitter;
  #window = 0;
  #spanMs = 0;
  /** Rows to begin anew when the firing is over. */
  readonly #spent: number[] = [];

  constructor(state: WindowState, keys: Keys) {
    const { aggregates, paned, plan } = state;
    this.#state = state;
    this.#ranking = plan.top === null ? null : new Ranking(plan.top.limit, plan.top.ties, (key) => keys.json(key));
    this.#by = plan.top === null ? -1 : aggregates.columns.indexOf(plan.top.by);
    this.#discarding = plan.accumulation === 'discarding' && paned;
    this.#retracting = plan.accumulation === 'retracting' && paned;
    this.#row = newResultRow([]);
  }

  /** Keys are ranked: a firing must be offered all keys of the window. */
  get ranked(): boolean {
    return this.#ranking !== null;
  }

  begin(content: WindowContent, window: number, timing: ResultRow['timing'], final: boolean, out: Emitter): void {
    const { geometry } = this.#state;
    const row = this.#row;
    content.begin(window);
    this.#content = content;
    this.#out = out;
    this.#window = window;
    row.start = geometry.windowStart(window);
    row.end = geometry.windowEnd(window);
    row.timing = timing;
    row.final = final;
    this.#spanMs = row.end - row.start;
  }

  offer(handle: number, key: number): void {
    if (this.#ranking === null) this.#fire(handle, key);
    else {
      this.#values(handle);
      this.#ranking.add(this.#row.values[this.#by], handle, key);
    }
    if (this.#discarding && !this.#row.final) this.#spent.push(handle);
  }

  end(): void {
    this.#ranking?.take((handle, key) => this.#fire(handle, key));
    const { aggregates, own, store } = this.#state;
    for (const row of this.#spent) {
      aggregates.free(store, row * store.stride + own);
      aggregates.init(store, row * store.stride + own);
      store.words[row * store.step + ROW_EVENTS] = 0;
    }
    this.#spent.length = 0;
  }

  /** One key's results now, into the row. */
  #values(handle: number): void {
    const { aggregates, store } = this.#state;
    const row = this.#row;
    const at = this.#content.at(handle);
    aggregates.results(store, at, this.#spanMs, row.values);
    if (aggregates.mayFail) row.failed = takeFailed(aggregates.columns, row.values);
    if (isScratch(this.#state, at)) aggregates.free(store, at);
  }

  #fire(handle: number, key: number): void {
    const state = this.#state;
    const row = this.#row;
    this.#values(handle);
    row.keyId = key;
    row.pane = 0;
    if (!state.paned || this.#ranking !== null) {
      row.evidence = state.evidence.of(this.#content, handle);
      this.#out.emit(row);
      return;
    }
    const pane = state.pane(this.#window, key);
    const at = pane * state.panes.stride;
    if (this.#retracting) this.#retract(pane, key);
    row.pane = state.panes.rows[at + PANE_NUMBER] as number;
    row.evidence = state.evidence.of(this.#content, handle);
    this.#out.emit(row);
    state.panes.rows[at + PANE_NUMBER] = row.pane + 1;
    if (this.#retracting && !row.final) this.#keep(pane, row.values);
  }

  /** Takes back the last pane of a key, if it still stands. */
  #retract(pane: number, key: number): void {
    const { panes } = this.#state;
    const at = pane * panes.stride;
    const offset = panes.rows[at + PANE_VALUES] as number;
    if (offset === 0) return;
    const length = panes.arena.words[offset / 4] as number;
    const text = decoder.decode(panes.arena.bytes.slice(offset + 4, offset + 4 + length));
    panes.arena.free(offset);
    panes.rows[at + PANE_VALUES] = 0;
    const { end, start, timing } = this.#row;
    this.#out.emit({
      keyId: key,
      start,
      end,
      origin: '',
      pane: (panes.rows[at + PANE_NUMBER] as number) - 1,
      timing,
      final: false,
      retraction: true,
      output: '',
      values: JSON.parse(text) as unknown[],
      failed: null,
      evidence: null,
    });
  }

  /** Remembers what a pane says. */
  #keep(pane: number, values: readonly unknown[]): void {
    const { panes } = this.#state;
    const bytes = encoder.encode(JSON.stringify(values));
    const offset = panes.arena.alloc(4 + bytes.length);
    panes.arena.words[offset / 4] = bytes.length;
    panes.arena.bytes.set(bytes, offset + 4);
    panes.rows[pane * panes.stride + PANE_VALUES] = offset;
  }
}
