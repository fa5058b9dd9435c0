/**
 * The jobs that stream programs are compared at, and what they must come to.
 *
 * Role: shared by all peers and by millrace's own row. Events are in order of time, one key and one whole number each,
 * so that sums are exact and every peer must come to the same totals. No peer has watermarks, late events, or state
 * that survives a crash: a comparison should say so.
 */

export const JOB_NAMES = ['tumbling', 'p99', 'distinct', 'hop', 'session'] as const;
export type JobName = (typeof JOB_NAMES)[number];

export interface Job {
  /**
   * `tumbling`: count, sum, min, max per key and ten seconds. `p99`: with the exact 0.99 quantile (rank ⌈0.99 n⌉), per key and second.
   * `distinct`: with the number of different values, per key and second.
   * `hop`: count, sum, min, max of 60 s, every second. `session`: count, sum, min, max between gaps.
   */
  readonly name: JobName;
  readonly keys: number;
  readonly events: number;
  /** Events per second of event time. */
  readonly ratePerS: number;
  readonly sizeMs: number;
  readonly slideMs: number;
  readonly gapMs: number;
}

const SECOND_MS = 1000;
const HOP_SECONDS = 60;
const TUMBLING_SECONDS = 10;
/** A hop needs some of its windows to pass: events are thinner in time. */
const RATE_PER_S = 100_000;
const HOP_RATE_PER_S = 10_000;

export function jobOf(name: JobName, keys: number, events: number): Job {
  const ratePerS = name === 'hop' ? HOP_RATE_PER_S : RATE_PER_S;
  const seconds = name === 'hop' ? HOP_SECONDS : name === 'tumbling' ? TUMBLING_SECONDS : 1;
  const sizeMs = seconds * SECOND_MS;
  return {
    name,
    keys,
    events,
    ratePerS,
    sizeMs,
    slideMs: name === 'tumbling' ? sizeMs : SECOND_MS,
    // Twice the mean time between two events of a key: about every seventh gap ends a session.
    gapMs: Math.max(2, Math.round((2 * keys * SECOND_MS) / ratePerS)),
  };
}

/**
 * Sums over all results. `extra`: of what the job has beside, the quantile or the number of different values. `weighted`:
 * Σ start · count, the start in ms after the first event's window.
 */
export interface Totals {
  groups: number;
  count: number;
  sum: number;
  min: number;
  max: number;
  extra: number;
  weighted: number;
}

export function createTotals(): Totals {
  return { groups: 0, count: 0, sum: 0, min: 0, max: 0, extra: 0, weighted: 0 };
}

export function addResult(
  totals: Totals,
  start: number,
  count: number,
  sum: number,
  min: number,
  max: number,
  extra: number,
): void {
  totals.groups++;
  totals.count += count;
  totals.sum += sum;
  totals.min += min;
  totals.max += max;
  totals.extra += extra;
  totals.weighted += start * count;
}

export function sameTotals(a: Totals, b: Totals): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Position of the 0.99 quantile among n sorted values. */
export function p99Position(n: number): number {
  return Math.ceil((99 * n) / 100) - 1;
}
