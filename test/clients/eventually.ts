/**
 * Waits for something that has no event: asks again and again, and fails with the last value.
 */
import { setTimeout as delay } from 'node:timers/promises';

const PAUSE_MS = 5;

export async function eventually<T>(
  what: string,
  read: () => T | Promise<T>,
  wanted: (value: T) => boolean,
  patienceMs = 30_000,
): Promise<T> {
  const until = performance.now() + patienceMs;
  for (;;) {
    const value = await read();
    if (wanted(value)) return value;
    if (performance.now() > until) throw new Error(`${what}: still ${JSON.stringify(value)} after ${patienceMs} ms`);
    await delay(PAUSE_MS);
  }
}
