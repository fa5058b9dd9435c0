/**
 * Waits for something that has no event: asks again and again, and fails with the last value.
 */
import { setTimeout as delay } from 'node:timers/promises';

const PAUSE_MS = 5;
/** Of what has been waited for long already, so that asking takes no processor from what is waited for. */
const PAUSE_MS_MAX = 50;
const PAUSE_SHARE = 1 / 20;

/** The patience is for machines that stand still for seconds: it says when to give up, not what is good enough. */
export async function eventually<T>(
  what: string,
  read: () => T | Promise<T>,
  wanted: (value: T) => boolean,
  patienceMs = 60_000,
): Promise<T> {
  const beganMs = performance.now();
  for (;;) {
    const value = await read();
    if (wanted(value)) return value;
    const waitedMs = performance.now() - beganMs;
    if (waitedMs > patienceMs) throw new Error(`${what}: still ${JSON.stringify(value)} after ${patienceMs} ms`);
    await delay(Math.min(PAUSE_MS_MAX, Math.max(PAUSE_MS, waitedMs * PAUSE_SHARE)));
  }
}
