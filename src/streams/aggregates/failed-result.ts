/**
 * What stands in place of a value that a reducer of the user could not give.
 *
 * Role: between `custom.ts`, whose calls of a module may throw when a window closes, and the operators, which tell results.
 * Nobody's batch, and no other window, is worse for it: the value is null, and the result says of which it is so and why.
 * Bound: `WHY_CHARACTERS_MAX` of what was thrown.
 */

const WHY_CHARACTERS_MAX = 256;

/** By name of the value: what was thrown. */
export type Failed = Readonly<Record<string, string>>;

export class FailedResult {
  readonly why: string;

  constructor(error: unknown) {
    this.why = whyOf(error).slice(0, WHY_CHARACTERS_MAX);
  }
}

/** Of a window's values: those that failed become null, and are named. Null: none has. */
export function takeFailed(columns: readonly string[], values: unknown[]): Failed | null {
  let failed: Record<string, string> | null = null;
  for (const [i, column] of columns.entries()) {
    const value = values[i];
    if (!(value instanceof FailedResult)) continue;
    values[i] = null;
    failed ??= {};
    failed[column] = value.why;
  }
  return failed;
}

/** Anything can be thrown, and asking it what it is may throw again. */
function whyOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error);
  } catch {
    return 'what was thrown has no text';
  }
}
