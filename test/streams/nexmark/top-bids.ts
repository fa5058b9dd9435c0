/**
 * The ten highest prices, as a reducer of the user: what Q19 needs and no built-in aggregate gives.
 */
const LIMIT = 10;

const best = (prices: readonly number[]): number[] => prices.toSorted((a, b) => b - a).slice(0, LIMIT);

export const topBids = {
  init: (): number[] => [],
  add: (state: readonly number[], price: unknown): number[] => best([...state, price as number]),
  merge: (a: readonly number[], b: readonly number[]): number[] => best([...a, ...b]),
  result: (state: readonly number[]): readonly number[] => state,
};
