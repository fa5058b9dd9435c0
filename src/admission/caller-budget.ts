// HOT PATH
/**
 * Whether a job may run on the front-end thread now. That thread serves the sockets, so two limits hold: one call must
 * be known never to take longer than `callBudgetMs`, and all of them together get `share` of the thread's time.
 *
 * The share is a token bucket: it fills with `share` milliseconds per millisecond, up to what `BURST_WINDOW_MS` fills
 * (or one call's budget, if that is more), so a burst cannot stall the sockets for longer. A call that took longer than
 * believed leaves a debt that is waited off.
 */
import type { Entry } from '../catalogue/entry.ts';
import type { ServiceTimes } from './service-times.ts';

export const BURST_WINDOW_MS = 40;

export class CallerBudget {
  readonly #serviceTimes: ServiceTimes;
  readonly #callBudgetUs: number;
  readonly #share: number;
  readonly #leftMsMax: number;
  #leftMs: number;
  #filledAtMs = Number.NEGATIVE_INFINITY;

  /** `share` 0…1; 0 never allows anything. */
  constructor(serviceTimes: ServiceTimes, callBudgetMs: number, share: number) {
    this.#serviceTimes = serviceTimes;
    this.#callBudgetUs = callBudgetMs * 1000;
    this.#share = share;
    this.#leftMsMax = share > 0 ? Math.max(callBudgetMs, share * BURST_WINDOW_MS) : 0;
    this.#leftMs = this.#leftMsMax;
  }

  /** The worst case counts, not the mean: arguments decide how long some tools take. */
  allows(entry: Entry, nowMs: number): boolean {
    if (!entry.callerRuns || this.#leftMsMax === 0) return false;
    const worstUs = this.#serviceTimes.worstUs(entry.key);
    if (worstUs > this.#callBudgetUs) return false;
    this.#fill(nowMs);
    return this.#leftMs * 1000 >= worstUs && this.#leftMs > 0;
  }

  /** Takes what a call really kept the thread busy, in milliseconds. */
  charge(ms: number, nowMs: number): void {
    this.#fill(nowMs);
    this.#leftMs -= ms;
  }

  #fill(nowMs: number): void {
    const elapsedMs = nowMs - this.#filledAtMs;
    if (elapsedMs <= 0) return;
    this.#filledAtMs = nowMs;
    this.#leftMs = Math.min(this.#leftMsMax, this.#leftMs + elapsedMs * this.#share);
  }
}
