/**
 * The result cache of many nodes: memory first, then Redis.
 *
 *   {prefix}cache:{tool}:<key>   hash: g generation, v packed result     TTL: the result's
 *   {prefix}cache:{tool}:gen     number                                  TTL: `GENERATION_TTL_MS`
 *
 * Role: what one node computed is served by all. A generation rises with every invalidation, for ever; a result of
 * another generation than the present one reads as absent, so that nothing has to be looked for and deleted. Other
 * nodes hear of an invalidation over pub/sub; when messages may have been missed, the memory level is emptied.
 * Invariants: without Redis the memory level goes on and nothing waits; no answer here ever rejects.
 */
import type { RedisConnection } from '../redis/connection.ts';
import { pack, unpack } from '../redis/packed.ts';
import { Script } from '../redis/script.ts';
import type { RedisSubscriber } from '../redis/subscriber.ts';
import { MemoryResultCache } from './memory-cache.ts';
import type { CachedResult, ResultCache } from './port.ts';

/** The longest a result is kept: a generation must be remembered for longer. */
export const RESULT_TTL_MS_MAX = 86_400_000;
const GENERATION_TTL_MS = 2 * RESULT_TTL_MS_MAX;
/** Tools whose invalidation is repeated until it succeeds. */
const UNTOLD_MAX = 10_000;
/** After an invalidation failed though the connection stands. */
const RETRY_MS = 1_000;
const VERSION = 1;

const GET = new Script(`
local g = redis.call('GET', KEYS[2]) or '0'
local found = redis.call('HMGET', KEYS[1], 'g', 'v')
if not found[2] or found[1] ~= g then return {g} end
return {g, found[2], redis.call('PTTL', KEYS[1])}
`);

const SET = new Script(`
local g = redis.call('GET', KEYS[2]) or '0'
if g ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'g', g, 'v', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
`);

const INVALIDATE = new Script(`
local time = redis.call('TIME')
local g = math.max(tonumber(redis.call('GET', KEYS[1]) or '0') + 1, time[1] * 1000000 + time[2])
redis.call('SET', KEYS[1], string.format('%.0f', g), 'PX', ARGV[1])
return string.format('%.0f', g)
`);

export interface RedisCacheOptions {
  readonly commands: RedisConnection;
  readonly subscriber: RedisSubscriber;
  readonly prefix: string;
  readonly resultsMax: number;
  readonly bytesMax: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly log: { warn(fields: object, message: string): void };
}

export class RedisResultCache implements ResultCache {
  readonly #options: RedisCacheOptions;
  readonly #memory: MemoryResultCache;
  readonly #channel: string;
  readonly #unsubscribe: readonly (() => void)[];
  /** Tools whose invalidation Redis, or the other nodes, have not heard of yet: what it holds of them is not served. */
  readonly #untold = new Set<string>();
  #retry: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: RedisCacheOptions) {
    this.#options = options;
    this.#memory = new MemoryResultCache(options);
    this.#channel = `${options.prefix}cache:changes`;
    this.#unsubscribe = [
      options.subscriber.on(this.#channel, (message) => this.#heard(message)),
      options.commands.onChange((up) => up && this.#tellAll()),
    ];
  }

  get size(): number {
    return this.#memory.size;
  }

  get(tool: string, key: string): CachedResult | undefined | Promise<CachedResult | undefined> {
    const known = this.#memory.get(tool, key);
    if (known !== undefined || !this.#options.commands.up || this.#untold.has(tool)) return known;
    return this.#fetch(tool, key);
  }

  generation(tool: string): number {
    return this.#memory.generation(tool);
  }

  set(tool: string, key: string, resultJson: string, ttlMs: number, generation: number): void {
    const { commands } = this.#options;
    const keptMs = Math.min(ttlMs, RESULT_TTL_MS_MAX);
    this.#memory.set(tool, key, resultJson, keptMs, generation);
    if (keptMs <= 0 || !commands.up) return;
    const value = pack(VERSION, resultJson);
    // Lost when Redis goes at this moment: the call is then made again elsewhere, which is what happens without a cache.
    commands.script(SET, this.#keys(tool, key), [generation, value, keptMs]).catch(() => undefined);
  }

  invalidate(tool: string): void {
    this.#memory.invalidate(tool);
    this.#remember(tool);
    this.#tellOthers(tool);
  }

  /** Messages may have been missed. */
  gap(): void {
    this.#memory.clear();
  }

  close(): void {
    this.#closed = true;
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#memory.close();
  }

  async #fetch(tool: string, key: string): Promise<CachedResult | undefined> {
    const before = this.#memory.generation(tool);
    try {
      const found = await this.#options.commands.script(GET, this.#keys(tool, key), []);
      const [text, packed, ttl] = found as readonly (Buffer | number | undefined)[];
      const generation = Number(String(text));
      const known = this.#memory.generation(tool);
      // An invalidation, which comes on another connection, has overtaken this reply.
      if (known !== before && generation < known) return undefined;
      this.#memory.enter(tool, generation);
      const resultJson = packed === undefined ? null : unpack(VERSION, packed);
      const ttlMs = Number(ttl);
      if (typeof resultJson !== 'string' || !(ttlMs > 0)) return undefined;
      this.#memory.set(tool, key, resultJson, ttlMs, generation);
      return { resultJson, ttlMs };
    } catch {
      // Redis went away on the way: the tool is called, as if nothing had been kept.
      return undefined;
    }
  }

  #remember(tool: string): void {
    if (this.#untold.size < UNTOLD_MAX) this.#untold.add(tool);
  }

  #tellAll(): void {
    for (const tool of this.#untold) this.#tellOthers(tool);
  }

  #tellOthers(tool: string): void {
    const { commands, log } = this.#options;
    this.#raise(tool).catch((cause: unknown) => {
      if (this.#closed) return;
      this.#remember(tool);
      // When the connection was lost, its return tells them again.
      if (commands.up) this.#retry ??= setTimeout(() => this.#again(), RETRY_MS).unref();
      log.warn(
        { err: cause, tool, redis: commands.address },
        'other nodes were not told yet to forget the results of a tool',
      );
    });
  }

  #again(): void {
    this.#retry = null;
    if (this.#options.commands.up) this.#tellAll();
  }

  async #raise(tool: string): Promise<void> {
    const { commands, subscriber } = this.#options;
    const raised = await commands.script(INVALIDATE, [this.#generationKey(tool)], [GENERATION_TTL_MS]);
    const generation = Number(String(raised));
    this.#untold.delete(tool);
    this.#memory.enter(tool, generation);
    await commands.command(subscriber.publishCommand, this.#channel, pack(VERSION, [tool, generation]));
  }

  #heard(message: Buffer): void {
    const told = unpack(VERSION, message);
    if (!Array.isArray(told) || typeof told[0] !== 'string' || typeof told[1] !== 'number') return;
    if (told[1] > this.#memory.generation(told[0])) this.#memory.enter(told[0], told[1]);
  }

  #keys(tool: string, key: string): readonly [string, string] {
    return [`${this.#options.prefix}cache:{${tool}}:${key}`, this.#generationKey(tool)];
  }

  #generationKey(tool: string): string {
    return `${this.#options.prefix}cache:{${tool}}:gen`;
  }
}
