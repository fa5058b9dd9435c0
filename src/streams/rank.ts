// HOT PATH
/**
 * The rule by which results are ranked: the highest value first, equal ones by the text of their key.
 *
 * Role: of windows with `top`, in each shard and over all of them, and of questions that name a value.
 * Invariant: a total order of what results show, so that it is the same wherever it is applied. They are JSON, which has
 * neither Infinity nor NaN: what is no finite number is shown as null, or as what it is, and goes last, all of it alike.
 */

/** What a value counts as; −Infinity for what is no finite number. */
export function rankOf(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : Number.NEGATIVE_INFINITY;
}

/** Best first; of what `rankOf` gives. */
export function byRank(a: number, b: number): number {
  if (a === b) return 0;
  return a > b ? -1 : 1;
}

/** Of equal ranks. */
export function byText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** A result as it is shown. */
interface Shown {
  readonly key: unknown;
  readonly values: Readonly<Record<string, unknown>>;
}

/** Of what is shown, by one of its values. */
export function byValue(a: Shown, b: Shown, value: string): number {
  const rank = byRank(rankOf(a.values[value]), rankOf(b.values[value]));
  return rank === 0 ? byText(JSON.stringify(a.key), JSON.stringify(b.key)) : rank;
}
