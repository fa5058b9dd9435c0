/**
 * Windows that fire outside of their turn: again for late events, early for what has changed.
 *
 * Role: collects (window, key) pairs, each once, and fires them in one go: pairs in order of the first touch after late
 * events, by window at an early trigger. With `top` the windows touched fire as wholes.
 * Late events that came too late become results of the output `late`: the event's fields as values, start and end its
 * time, the pane a running number (with the key it makes an id no other late event of the shard has), itself as evidence.
 * Between calls of the operator nothing is collected: `fire` empties it within the call that filled it.
 */
import type { EventBatch } from '../decode/event-batch.ts';
import type { Emitter, ResultRow } from '../operator.ts';
import type { SliceContent, WindowContent } from './contents.ts';
import type { Firing } from './firing.ts';
import { ROW_FLAGS } from './row-store.ts';
import { PANE_TOUCHED, type WindowState } from './window-state.ts';

export class LateFirings {
  readonly #state: WindowState;
  readonly #firing: Firing;
  readonly #rows: WindowContent;
  readonly #slices: SliceContent | null;
  readonly #windows: number[] = [];
  readonly #keys: number[] = [];

  /** `slices`: null when content is kept by window. */
  constructor(state: WindowState, firing: Firing, rows: WindowContent, slices: SliceContent | null) {
    this.#state = state;
    this.#firing = firing;
    this.#rows = rows;
    this.#slices = slices;
  }

  touch(window: number, key: number): void {
    const { panes } = this.#state;
    const flags = this.#state.pane(window, key) * panes.step + ROW_FLAGS;
    if (((panes.words[flags] as number) & PANE_TOUCHED) !== 0) return;
    panes.words[flags] = (panes.words[flags] as number) | PANE_TOUCHED;
    this.#windows.push(window);
    this.#keys.push(key);
  }

  sideOutput(key: number, time: number, batch: EventBatch, row: number, reference: number, out: Emitter): void {
    out.emit({
      keyId: key,
      start: time,
      end: time,
      origin: '',
      pane: this.#state.late - 1,
      timing: 'late',
      final: true,
      retraction: false,
      output: 'late',
      values: batch.fieldValues(row),
      failed: null,
      evidence: this.#state.evidence.ofEvent(reference),
    });
  }

  /** Fires what was touched. */
  fire(timing: ResultRow['timing'], out: Emitter): void {
    if (this.#windows.length === 0) return;
    const pairs = this.#windows.map((window, i) => ({ window, key: this.#keys[i] as number }));
    this.#windows.length = 0;
    this.#keys.length = 0;
    const { panes } = this.#state;
    for (const { window, key } of pairs) {
      const flags = this.#state.pane(window, key) * panes.step + ROW_FLAGS;
      panes.words[flags] = (panes.words[flags] as number) & ~PANE_TOUCHED;
    }
    if (timing === 'early') pairs.sort((a, b) => a.window - b.window);
    if (this.#firing.ranked) {
      for (const window of new Set(pairs.map((pair) => pair.window))) this.fireWhole(window, timing, out);
    } else for (const { window, key } of pairs) this.#fireKey(window, key, timing, out);
  }

  #fireKey(window: number, key: number, timing: ResultRow['timing'], out: Emitter): void {
    const { store } = this.#state;
    if (this.#slices !== null) {
      this.#firing.begin(this.#slices, window, timing, false, out);
      this.#firing.offer(key, key);
    } else {
      store.select(store.recordOf(window));
      this.#firing.begin(this.#rows, window, timing, false, out);
      this.#firing.offer(store.find(key), key);
    }
    this.#firing.end();
  }

  /** Fires all keys of a window, those that have changed and those that have not. */
  fireWhole(window: number, timing: ResultRow['timing'], out: Emitter): void {
    const { store } = this.#state;
    const content = this.#slices ?? this.#rows;
    this.#firing.begin(content, window, timing, false, out);
    if (this.#slices !== null) for (const key of this.#slices.keys()) this.#firing.offer(key, key);
    else {
      const record = store.recordOf(window);
      for (let row = store.firstRow(record); row !== 0; row = store.nextRow(row)) {
        this.#firing.offer(row, store.keyOf(row));
      }
    }
    this.#firing.end();
  }
}
