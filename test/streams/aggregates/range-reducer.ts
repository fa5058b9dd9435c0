/** Reducers as a user's module has them. */

interface Range {
  min: number;
  max: number;
  newest: number | null;
}

export const range = {
  init: (): Range => ({ min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY, newest: null }),
  add(state: Range, value: number, ts: number): void {
    state.min = Math.min(state.min, value);
    state.max = Math.max(state.max, value);
    state.newest = Math.max(state.newest ?? ts, ts);
  },
  merge: (a: Range, b: Range): Range => ({
    min: Math.min(a.min, b.min),
    max: Math.max(a.max, b.max),
    newest: Math.max(a.newest ?? 0, b.newest ?? 0),
  }),
  result({ min, max, newest }: Range, spanMs: number): unknown {
    const width = Math.max(0, max - min);
    return { range: width, perSecond: (width * 1000) / spanMs, newest };
  },
};

export const events = {
  init: (): unknown[] => [],
  add: (state: unknown[], event: object, ts: number): unknown[] => [...state, { ts, ...event }],
  merge: (a: unknown[], b: unknown[]): unknown[] => [...a, ...b],
  result: (state: unknown[]): unknown => state,
};

export const half = { init: (): number => 0, add: (state: number): number => state + 1 };
