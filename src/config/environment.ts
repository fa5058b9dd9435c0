/**
 * The one place that reads `process.env`.
 *
 * Role: everything else is handed the variables it needs, so tests need no real environment and a reader can find in
 * one file what the process takes from outside. Secrets stay in the returned copy's values and are never logged.
 */
export function readEnvironment(): Readonly<Record<string, string | undefined>> {
  return Object.freeze({ ...process.env });
}
