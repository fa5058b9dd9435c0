/**
 * What stands in place of a value that a user's reducer could not compute.
 *
 * Role: between `custom.ts`, where calls into the module may throw when a window closes, and the operators, which give
 * out results. A failure harms no batch and no other window: the value is null, and the result names it with the
 * reason.
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
