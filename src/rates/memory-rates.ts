// HOT PATH
/**
 * The rate budgets of one node: a token bucket per budget and share.
 *
 * Role: `take` answers at once from numbers alone. A call that several budgets match needs a token of each, and takes
 * none when one of them has none.
 */
import type { RateLimit } from '../config/settings.ts';
import { BucketMap } from './bucket-map.ts';
import { LimitTable } from './limit-table.ts';
import type { RateBudgets } from './port.ts';

export class TokenBucket {
  #tokens: number;
  #atMs: number;

  constructor(burst: number, nowMs: number) {
    this.#tokens = burst;
    this.#atMs = nowMs;
  }

  /** Milliseconds until there is a token; 0: there is one. */
  waitMs(perSecond: number, burst: number, nowMs: number): number {
    this.#tokens = Math.min(burst, this.#tokens + ((nowMs - this.#atMs) * perSecond) / 1000);
    this.#atMs = nowMs;
    // What is missing for a token after rounding is not worth a refusal.
    return this.#tokens >= 1 - 1e-9 ? 0 : Math.max(1, Math.ceil(((1 - this.#tokens) * 1000) / perSecond));
  }

  take(): void {
    this.#tokens -= 1;
  }
}

/** One key for all callers of a budget that is everybody's. */
export const EVERYBODY = '';

export class MemoryRates implements RateBudgets {
  readonly #table: LimitTable;
  readonly #buckets: readonly BucketMap<TokenBucket>[];
  readonly #now: () => number;

  /** `now`: monotonic milliseconds. */
  constructor(limits: readonly RateLimit[], now: () => number) {
    this.#table = new LimitTable(limits);
    this.#buckets = limits.map(() => new BucketMap<TokenBucket>());
    this.#now = now;
  }

  limits(tool: string): boolean {
    return this.#table.of(tool).length > 0;
  }

  take(tool: string, share: string): number {
    const places = this.#table.of(tool);
    const nowMs = this.#now();
    let waitMs = 0;
    for (let i = 0; i < places.length; i++) {
      const place = places[i] as number;
      const limit = this.#table.limits[place] as RateLimit;
      const bucket = this.#bucket(place, limit, share, nowMs);
      const missingMs = bucket.waitMs(limit.perSecond, limit.burst, nowMs);
      if (missingMs > waitMs) waitMs = missingMs;
    }
    if (waitMs > 0) return waitMs;
    for (let i = 0; i < places.length; i++) {
      const place = places[i] as number;
      this.#bucket(place, this.#table.limits[place] as RateLimit, share, nowMs).take();
    }
    return 0;
  }

  close(): void {
    // Nothing runs by itself.
  }

  #bucket(place: number, limit: RateLimit, share: string, nowMs: number): TokenBucket {
    const key = limit.by === 'all' ? EVERYBODY : share;
    const buckets = this.#buckets[place] as BucketMap<TokenBucket>;
    return buckets.get(key) ?? buckets.add(key, new TokenBucket(limit.burst, nowMs));
  }
}
