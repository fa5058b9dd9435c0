/** Keeps this thread for `ms`, as a machine does that is overloaded or was suspended. */
export function standStill(ms: number): void {
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs);
}
