/**
 * A clock in one word of shared memory: how the front end and the threads of the pool tell each other times.
 *
 * Role: deadlines and starts of jobs, written on one thread and read on another. Not the wall clock, which can be put
 * forward or back while calls wait and run: `performance.now()` of each thread, moved to the beginning that
 * `process.hrtime` has in all of them.
 * Its milliseconds do not fit 32 bits for ever, so that they begin anew every 24.8 days; nothing measured here lasts as
 * long.
 */
const FOLD = 0x7fffffff;
const HALF = 0x3fffffff;

/** What is farther ahead than so many milliseconds would be taken for past. */
export const FOLDED_AHEAD_MS_MAX = HALF;

/** When this thread's own clock began. */
const BEGAN_MS = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** Milliseconds folded into a positive 31-bit word; compare with `foldedSince`, add with `foldedAfter`. */
export function foldedNow(): number {
  return Math.trunc(performance.now() + BEGAN_MS) % FOLD;
}

/** The folded time that is `ms`, 0 to `FOLDED_AHEAD_MS_MAX`, after another one. */
export function foldedAfter(from: number, ms: number): number {
  return (from + ms) % FOLD;
}

/** Milliseconds from one folded time to another, right across the fold. */
export function foldedSince(from: number, to: number): number {
  const span = to - from;
  if (span < -HALF) return span + FOLD;
  return span > HALF ? span - FOLD : span;
}
