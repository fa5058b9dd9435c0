/**
 * A user's reducer: an aggregate that a module computes.
 *
 * Role: the contract of `fn: custom`. A state is plain data (numbers, texts, booleans, null, arrays, objects, Map, Set,
 * Date, typed arrays): it is encoded after every batch, so that any thread can go on with it.
 * `add` and `merge` return the new state, or change the one they got and return nothing. They must depend on nothing but
 * their arguments, or a replay leads to other results; `merge(a, b)` must be associative, and events of `a` arrived before
 * those of `b`.
 */
export interface Reducer<S = unknown> {
  init(): S;
  /** `value`: what `of` names (absent ones are skipped), or the event's fields as an object. */
  // biome-ignore lint/suspicious/noConfusingVoidType: a reducer that changes its state returns nothing
  add(state: S, value: unknown, tsMs: number): S | undefined | void;
  // biome-ignore lint/suspicious/noConfusingVoidType: as above
  merge(a: S, b: S): S | undefined | void;
  /** A JSON value. `spanMs`: length of the window; Infinity when it has none. */
  result(state: S, spanMs: number): unknown;
}

/** Name of a reducer in the map of those that are loaded. */
export function reducerKey(module: string, exportName: string): string {
  return `${module}#${exportName}`;
}

/** What is wrong with an export that should be a reducer, or null. */
export function reducerProblem(value: unknown): string | null {
  if (typeof value !== 'object' || value === null) return 'is no object with init, add, merge, result';
  const members = value as Readonly<Record<string, unknown>>;
  for (const name of ['init', 'add', 'merge', 'result']) {
    if (typeof members[name] !== 'function') return `has no function ${name}`;
  }
  return null;
}
