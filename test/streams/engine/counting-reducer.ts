/** A reducer that keeps its values in one array, changes it in place and gives the very same out as its result. */
export const list = {
  init: (): number[] => [],
  add(state: number[], value: number): void {
    state.push(value);
  },
  merge(a: number[], b: number[]): void {
    a.push(...b);
  },
  result: (state: number[]): number[] => state,
};

/** As `list`, but it throws for a negative value. */
export const fragile = {
  ...list,
  add(state: number[], value: number): void {
    if (value < 0) throw new Error('no negative values');
    state.push(value);
  },
};
