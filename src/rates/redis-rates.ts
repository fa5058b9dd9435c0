/**
 * The rate budgets of many nodes: one bucket in Redis per budget and share, tokens drawn ahead by each node.
 *
 *   {prefix}rate:<budget>:<digest of the share>   hash: n tokens, m at (ms)   TTL: until it is full, and a second
 *
 * Role: `take` is answered from the tokens lent to this node. A bucket this node knows nothing of lets a few calls
 * through on credit while it asks; what it took so is paid for with the next tokens, so credit never adds to the rate.
 * Slack, for each node and bucket: the tokens of two draws, given up after `LENT_MS_MAX`, and those of one on credit. Over any
 * time T the nodes let through at most perSecond × T + burst + nodes × 3 × draw calls; a draw is a tenth of what a node
 * may use in a second, at least one.
 * Without Redis each node keeps to its part: perSecond and burst divided by the nodes known, or by those expected as long
 * as it has not seen the others. So it does with a bucket that
 * Redis refuses to write (it is full, it misses replicas, a part of a Cluster is gone), which is asked again now and then.
 */
import type { RateLimit } from '../config/settings.ts';
import { digestOf } from '../protocol/canonical-json.ts';
import type { RedisConnection } from '../redis/connection.ts';
import { Script } from '../redis/script.ts';
import { RedisUnavailable } from '../redis/unavailable.ts';
import { BucketMap } from './bucket-map.ts';
import { LimitTable } from './limit-table.ts';
import { EVERYBODY, TokenBucket } from './memory-rates.ts';
import type { RateBudgets } from './port.ts';

/** Tokens that were not used by then are no longer believed in: the bucket fills up meanwhile. */
const LENT_MS_MAX = 1_000;
/** What a call is told to wait while the credit is used up and Redis is asked. */
const ASKING_MS = 25;
/** Between two attempts with a bucket that Redis refuses. */
const REFUSED_MS = 250;

/** Debt is paid first, from tokens that may not be there yet; then as many as there are, at most the wish. */
const DRAW = new Script(`
local t = redis.call('TIME')
local now = t[1] * 1000 + t[2] / 1000
local rate, burst, debt, wish = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local row = redis.call('HMGET', KEYS[1], 'n', 'm')
local tokens = burst
if row[1] then tokens = math.min(burst, tonumber(row[1]) + math.max(0, now - tonumber(row[2])) * rate / 1000) end
tokens = tokens - debt
local lent = math.max(0, math.min(wish, math.floor(tokens + 1e-9)))
tokens = tokens - lent
redis.call('HSET', KEYS[1], 'n', string.format('%.6f', tokens), 'm', string.format('%.3f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil((burst - tokens) * 1000 / rate) + 1000)
local missing = 0
if lent == 0 then missing = math.ceil((1 - tokens) * 1000 / rate) end
return {lent, missing}
`);

/** What this node holds of one bucket. */
interface Lent {
  tokens: number;
  /** When they were lent. */
  atMs: number;
  /** Calls let through without a token. */
  debt: number;
  /** Redis has none before. */
  emptyUntilMs: number;
  asking: boolean;
  /** Redis has refused the last draw. */
  isRefused: boolean;
  /** Then: not asked again before. */
  refusedUntilMs: number;
  /** While Redis is away, or refuses. */
  alone: TokenBucket | null;
}

export interface RedisRatesOptions {
  readonly commands: RedisConnection;
  readonly prefix: string;
  readonly limits: readonly RateLimit[];
  /** Nodes that share the budgets, this one among them. */
  readonly nodes: () => number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

export class RedisRates implements RateBudgets {
  readonly #options: RedisRatesOptions;
  readonly #table: LimitTable;
  readonly #lent: readonly BucketMap<Lent>[];

  constructor(options: RedisRatesOptions) {
    this.#options = options;
    this.#table = new LimitTable(options.limits);
    this.#lent = options.limits.map(() => new BucketMap<Lent>());
  }

  limits(tool: string): boolean {
    return this.#table.of(tool).length > 0;
  }

  take(tool: string, share: string): number {
    const places = this.#table.of(tool);
    const nowMs = this.#options.now();
    const { up } = this.#options.commands;
    let waitMs = 0;
    for (const place of places) waitMs = Math.max(waitMs, this.#missingMs(place, share, nowMs, up));
    if (waitMs > 0) return waitMs;
    for (const place of places) this.#takeOne(place, share, nowMs, up);
    return 0;
  }

  close(): void {
    // Tokens that were lent run out by themselves.
  }

  #missingMs(place: number, share: string, nowMs: number, up: boolean): number {
    const lent = this.#of(place, share);
    const limit = this.#table.limits[place] as RateLimit;
    if (up && lent.isRefused && nowMs >= lent.refusedUntilMs) this.#draw(lent, place, share);
    if (!up || lent.isRefused) return this.#aloneMs(lent, limit, nowMs);
    lent.alone = null;
    if (nowMs - lent.atMs > LENT_MS_MAX) lent.tokens = 0;
    if (lent.tokens > 0) return 0;
    if (lent.emptyUntilMs > nowMs) return Math.ceil(lent.emptyUntilMs - nowMs);
    this.#draw(lent, place, share);
    return lent.debt < this.#drawSize(limit) ? 0 : ASKING_MS;
  }

  #takeOne(place: number, share: string, nowMs: number, up: boolean): void {
    const lent = this.#of(place, share);
    if (!up || lent.isRefused) {
      lent.alone?.take();
      return;
    }
    if (lent.tokens > 0) lent.tokens -= 1;
    else lent.debt += 1;
    const limit = this.#table.limits[place] as RateLimit;
    if (lent.tokens <= this.#drawSize(limit) / 2 && lent.emptyUntilMs <= nowMs) this.#draw(lent, place, share);
  }

  #aloneMs(lent: Lent, limit: RateLimit, nowMs: number): number {
    const nodes = Math.max(1, this.#options.nodes());
    const burst = Math.max(1, limit.burst / nodes);
    // Begun with one call: the rest of the bucket may have been used on the other nodes a moment ago.
    lent.alone ??= new TokenBucket(1, nowMs);
    return lent.alone.waitMs(limit.perSecond / nodes, burst, nowMs);
  }

  #drawSize(limit: RateLimit): number {
    const nodes = Math.max(1, this.#options.nodes());
    return Math.max(1, Math.floor(Math.min(limit.perSecond / 10, limit.burst / 2) / nodes));
  }

  /** Asked after this turn, so that the debt of calls that come together is told at once. */
  #draw(lent: Lent, place: number, share: string): void {
    if (lent.asking) return;
    lent.asking = true;
    setImmediate(() => {
      this.#ask(lent, place, share).finally(() => {
        lent.asking = false;
      });
    });
  }

  async #ask(lent: Lent, place: number, share: string): Promise<void> {
    const { commands, now, prefix } = this.#options;
    const limit = this.#table.limits[place] as RateLimit;
    const { debt } = lent;
    const wish = this.#drawSize(limit);
    const key = `${prefix}rate:${place}:${digestOf(limit.tool, limit.by === 'all' ? EVERYBODY : share)}`;
    lent.debt = 0;
    try {
      const drawn = await commands.script(DRAW, [key], [limit.perSecond, limit.burst, debt, wish]);
      const [tokens, missingMs] = drawn as readonly [number, number];
      if (now() - lent.atMs > LENT_MS_MAX) lent.tokens = 0;
      lent.tokens += tokens;
      lent.atMs = now();
      lent.emptyUntilMs = tokens === 0 ? lent.atMs + missingMs : 0;
      lent.isRefused = false;
    } catch (cause) {
      if (!(cause instanceof RedisUnavailable)) throw cause;
      // Carried out or not: paid twice is within the limit, not paid is not.
      lent.debt += debt;
      lent.isRefused = true;
      lent.refusedUntilMs = now() + REFUSED_MS;
    }
  }

  #of(place: number, share: string): Lent {
    const limit = this.#table.limits[place] as RateLimit;
    const key = limit.by === 'all' ? EVERYBODY : share;
    const buckets = this.#lent[place] as BucketMap<Lent>;
    return buckets.get(key) ?? buckets.add(key, newLent());
  }
}

function newLent(): Lent {
  return {
    tokens: 0,
    atMs: 0,
    debt: 0,
    emptyUntilMs: 0,
    asking: false,
    isRefused: false,
    refusedUntilMs: 0,
    alone: null,
  };
}
