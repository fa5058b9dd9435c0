// HOT PATH
/**
 * How fast queued work gets done, and from it the advice when to come again. Completions are counted only while jobs
 * wait: an idle hour says nothing about what the pool can do.
 *
 * The pace is (completions + what the last window promised for `PRIOR_MS`) / (time + `PRIOR_MS`): steady at once after
 * a busy period began, and sinking while nothing completes, so that the advice grows when the pool is stuck.
 */
export const RETRY_AFTER_MS_MIN = 50;
export const RETRY_AFTER_MS_MAX = 5000;
/** Advice while nothing has ever completed. */
export const RETRY_AFTER_MS_UNKNOWN = 1000;
const WINDOW_MS = 1000;
const PRIOR_MS = 250;

export class Pace {
  #known = false;
  #perMs = 0;
  #count = 0;
  #sinceMs = 0;

  /** The queue was empty and is not any more. */
  busyFrom(nowMs: number): void {
    this.#count = 0;
    this.#sinceMs = nowMs;
  }

  /** A job completed while others waited. */
  completed(nowMs: number): void {
    if (!this.#known) {
      this.#known = true;
      this.#perMs = 1 / Math.max(1, nowMs - this.#sinceMs);
    }
    this.#count++;
    if (nowMs - this.#sinceMs < WINDOW_MS) return;
    this.#perMs = this.#now(nowMs);
    this.busyFrom(nowMs);
  }

  /** Whole milliseconds until `ahead` jobs are likely to be done, within the limits above. */
  retryAfterMs(ahead: number, nowMs: number): number {
    if (!this.#known) return RETRY_AFTER_MS_UNKNOWN;
    const ms = Math.ceil(ahead / this.#now(nowMs));
    return Math.min(RETRY_AFTER_MS_MAX, Math.max(RETRY_AFTER_MS_MIN, ms));
  }

  #now(nowMs: number): number {
    return (this.#count + this.#perMs * PRIOR_MS) / (nowMs - this.#sinceMs + PRIOR_MS);
  }
}
