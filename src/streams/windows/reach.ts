/**
 * How far time may go before more windows have closed than one wants results of.
 *
 * Role: beside `slice-window.ts`, for steps of time that are cut into parts (`engine/shards/time-parts.ts`). Looks only.
 * A window's results are counted as one for each of its rows; of overlapping windows as one for each row of its slices,
 * and no more than there are keys: an upper bound.
 */
import type { WindowState } from './window-state.ts';

/** The watermark that closes as many windows as have `resultsMax` results, one at least; Infinity: `until` closes no more. */
export function reachOf(state: WindowState, until: number, resultsMax: number): number {
  const last = state.geometry.lastFired(until);
  if (!(until > state.watermark && last > state.fired)) return Number.POSITIVE_INFINITY;
  const closing = state.chains === null ? closingRows(state) : closingSlices(state, state.chains.size);
  let results = 0;
  let before = Number.NaN;
  for (const { count, window } of closing) {
    if (window > last) return Number.POSITIVE_INFINITY;
    results += count;
    if (results > resultsMax && !Number.isNaN(before)) return state.geometry.windowEnd(before) - 1;
    before = window;
  }
  return Number.POSITIVE_INFINITY;
}

interface Closing {
  readonly window: number;
  readonly count: number;
}

/** Windows that have not closed, in their order; content is kept by window. */
function* closingRows({ fired, store }: WindowState): Generator<Closing> {
  for (let record = store.oldest; record !== 0; record = store.newer(record)) {
    const window = store.numberOf(record);
    if (window > fired) yield { window, count: store.countOf(record) };
  }
}

/** The same, with `keys` at most in each; content is kept by slice. */
function* closingSlices({ fired, geometry, store }: WindowState, keys: number): Generator<Closing> {
  let window = fired + 1;
  let first = store.oldest;
  let next = first;
  /** From the slice of `first` to that before `next`. */
  let rows = 0;
  while (first !== 0) {
    if (store.countOf(first) === 0 || geometry.lastWindow(store.numberOf(first)) < window) {
      if (next === first) next = store.newer(first);
      else rows -= store.countOf(first);
      first = store.newer(first);
      continue;
    }
    window = Math.max(window, geometry.firstWindow(store.numberOf(first)));
    const end = geometry.windowSlicesEnd(window);
    for (; next !== 0 && store.numberOf(next) < end; next = store.newer(next)) rows += store.countOf(next);
    yield { window, count: Math.min(rows, keys) };
    window += 1;
  }
}
