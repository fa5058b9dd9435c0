/**
 * A circuit breaker for one node, and the budget of calls that may be repeated on it: what keeps a failing node from being
 * asked, and retries from multiplying the load of those that are left when many fail. Pure: time comes in.
 *
 *   closed ──FAILURES_MAX in a row──► open (OPEN_MS, doubling up to OPEN_MS_MAX) ──time──► half open: one probe
 *      ▲                                ▲──────────────── it fails ──────────────────────────┤
 *      └──────────────────────────────────────────────── it succeeds ────────────────────────┘
 */

export const FAILURES_MAX = 5;
export const OPEN_MS = 500;
export const OPEN_MS_MAX = 15_000;

export class Breaker {
  #failures = 0;
  #openings = 0;
  #openUntilMs = 0;
  #probing = false;

  /** Whether a call may be sent now. */
  allows(nowMs: number): boolean {
    if (this.#openings === 0) return true;
    return !this.#probing && nowMs >= this.#openUntilMs;
  }

  /** 0 when a call may be sent now, or when a probe is under way. */
  waitMs(nowMs: number): number {
    return Math.max(0, this.#openUntilMs - nowMs);
  }

  get open(): boolean {
    return this.#openings > 0;
  }

  /** A call that was allowed is sent. */
  began(): void {
    if (this.#openings > 0) this.#probing = true;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#openings = 0;
    this.#openUntilMs = 0;
    this.#probing = false;
  }

  /** True when it opens, or stays open. */
  failed(nowMs: number): boolean {
    this.#failures += 1;
    this.#probing = false;
    if (this.#failures < FAILURES_MAX && this.#openings === 0) return false;
    this.#openUntilMs = nowMs + Math.min(OPEN_MS_MAX, OPEN_MS * 2 ** Math.min(this.#openings, 10));
    this.#openings += 1;
    return true;
  }

  /** The call was cancelled before anything was known. */
  dropped(): void {
    this.#probing = false;
  }
}

/** Retries a node is sent per call it is sent first, in the long run. */
export const RETRY_SHARE = 0.1;
/** Retries that may come at once. */
export const RETRIES_MAX = 10;

export class RetryBudget {
  #tokens = RETRIES_MAX;

  /** A call has come. */
  earn(): void {
    this.#tokens = Math.min(RETRIES_MAX, this.#tokens + RETRY_SHARE);
  }

  /** Whether a call may be repeated; if so it is paid for. */
  spend(): boolean {
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
