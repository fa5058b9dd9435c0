/**
 * The content of one window, however it is kept: where the aggregates of a key are, and which events they came from.
 *
 * Role: firing and queries ask for a key's aggregates by a handle and do not know of slices. `RowContent`: a row is the
 * window's (handle: row). `ChainContent`: the window that is closing (handle: key, made ready by `KeyChains.close`).
 * `SliceContent`: any other window, its slices put together on the spot (handle: key).
 * Invariant: aggregates that were put together are in row 0 and must be freed by who asked (`isScratch`).
 */
import type { KeyChains } from './key-chains.ts';
import type { WindowState } from './window-state.ts';

export interface WindowContent {
  /** Turns to a window. */
  begin(window: number): void;
  /** Index of the first double of a key's aggregates. */
  at(handle: number): number;
  /** Adds a key's contributing events, newest first, to the evidence reader. */
  gather(handle: number): void;
}

/** Whether aggregates are in the scratch row. */
export function isScratch(state: WindowState, at: number): boolean {
  return at < state.store.stride;
}

export class RowContent implements WindowContent {
  readonly #state: WindowState;

  constructor(state: WindowState) {
    this.#state = state;
  }

  begin(): void {
    // A row is found by its handle alone.
  }

  at(row: number): number {
    return row * this.#state.store.stride + this.#state.own;
  }

  gather(row: number): void {
    this.#state.evidence.addRow(this.#state.store, row, this.#state.evidenceAt);
  }
}

export class ChainContent implements WindowContent {
  readonly #state: WindowState;
  readonly #chains: KeyChains;
  #end = 0;

  constructor(state: WindowState, chains: KeyChains) {
    this.#state = state;
    this.#chains = chains;
  }

  begin(window: number): void {
    this.#end = this.#state.geometry.windowSlicesEnd(window);
  }

  at(key: number): number {
    return this.#chains.combined(key);
  }

  gather(key: number): void {
    const { evidence, evidenceAt, store } = this.#state;
    for (let row = this.#chains.newest(key); row !== 0; row = this.#chains.older(row)) {
      if (this.#chains.sliceOf(row) < this.#end && !evidence.addRow(store, row, evidenceAt)) return;
    }
  }
}

export class SliceContent implements WindowContent {
  readonly #state: WindowState;
  /** Records of the window's slices, oldest first. */
  readonly #records: number[] = [];

  constructor(state: WindowState) {
    this.#state = state;
  }

  begin(window: number): void {
    const { geometry, store } = this.#state;
    const first = geometry.windowSlice(window);
    const end = geometry.windowSlicesEnd(window);
    this.#records.length = 0;
    let record = store.newest;
    for (; record !== 0 && store.numberOf(record) >= first; record = store.older(record)) {
      if (store.numberOf(record) < end) this.#records.push(record);
    }
    this.#records.reverse();
  }

  at(key: number): number {
    const { aggregates, own, store } = this.#state;
    aggregates.init(store, own);
    for (let i = 0; i < this.#records.length; i++) {
      store.select(this.#records[i] as number);
      const row = store.find(key);
      if (row !== 0) aggregates.merge(store, own, store, row * store.stride + own);
    }
    return own;
  }

  gather(key: number): void {
    const { evidence, evidenceAt, store } = this.#state;
    for (let i = this.#records.length - 1; i >= 0; i--) {
      store.select(this.#records[i] as number);
      const row = store.find(key);
      if (row !== 0 && !evidence.addRow(store, row, evidenceAt)) return;
    }
  }

  has(key: number): boolean {
    const { store } = this.#state;
    return this.#records.some((record) => {
      store.select(record);
      return store.find(key) !== 0;
    });
  }

  /** Keys of the window, in order of their first row. */
  keys(): Set<number> {
    const { store } = this.#state;
    const keys = new Set<number>();
    for (const record of this.#records) {
      for (let row = store.firstRow(record); row !== 0; row = store.nextRow(row)) keys.add(store.keyOf(row));
    }
    return keys;
  }
}
