/** Reducers whose functions throw when time passes, each in a way of its own. A state is the list of what came. */
interface ListReducer {
  init(): number[];
  add(state: number[], value: number): void;
  merge(a: number[], b: number[]): void;
  result(state: number[]): unknown;
}

const list: ListReducer = {
  init: () => [],
  add(state, value) {
    state.push(value);
  },
  merge(a, b) {
    a.push(...b);
  },
  result: (state) => state.toSorted((a, b) => a - b),
};

const isBad = (state: readonly number[]): boolean => state.some((value) => value < 0);

/** It has no result with a negative value. */
export const unfinished: ListReducer = {
  ...list,
  result(state) {
    if (isBad(state)) throw new Error('no negative values');
    return state.length;
  },
};

/** Its result with a negative value cannot be written. */
export const unwritable: ListReducer = {
  ...list,
  result: (state) => (isBad(state) ? { sum: 1n } : { sum: state.length }),
};

/** It merges no events with a negative value among them, and is half done when it sees that. */
export const unmergeable: ListReducer = {
  ...list,
  merge(a, b) {
    const isNew = a.length === 0;
    a.push(...b);
    if (isBad(a) && !isNew) throw new Error('no negative values');
  },
  result: (state) => state.length,
};

/** What it makes of a negative value by merging cannot be kept. */
export const unkept: ListReducer = {
  ...list,
  merge(a, b) {
    const isNew = a.length === 0;
    a.push(...b);
    if (isBad(a) && !isNew) a.push(Symbol('no state') as unknown as number);
  },
  result: (state) => state.length,
};

/** It throws what has no text. */
export const textless: ListReducer = {
  ...list,
  result(state) {
    if (isBad(state)) throw Object.create(null);
    return state.length;
  },
};
