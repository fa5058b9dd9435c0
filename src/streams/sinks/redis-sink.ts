/**
 * Results as entries of a Redis stream, exactly once: a batch and the place in the log are one transaction.
 *
 * Options: `url`, `stream` (the key), `maxLen` (about so many entries are kept; 0, the default: all).
 * Entries: `id` (the identity of the result) and `result` (its JSON).
 * Cursor: the key `{stream}:millrace:{sink}`, in the same hash slot. A script adds the entries and moves the cursor, or
 * finds the cursor there already and adds nothing: the answer to the first try was lost.
 * Leaves to Redis: whether what it has taken survives it (`appendonly`, replicas).
 */
import { RedisConnection } from '../../redis/connection.ts';
import { optionalInteger, redisUrl, requiredText } from '../connector-options.ts';
import type { Sink, SinkBatch, SinkKind } from './port.ts';

/** KEYS: stream, cursor. ARGV: place, maxLen, then id and result in turn. */
const ADD = `
if redis.call('GET', KEYS[2]) == ARGV[1] then return 0 end
for i = 3, #ARGV, 2 do
  if ARGV[2] == '0' then redis.call('XADD', KEYS[1], '*', 'id', ARGV[i], 'result', ARGV[i + 1])
  else redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'id', ARGV[i], 'result', ARGV[i + 1]) end
end
redis.call('SET', KEYS[2], ARGV[1])
return 1`;

export const redisSinkKind: SinkKind = {
  type: 'redis',
  guarantee: 'exactly-once',
  create: (options, name) =>
    new RedisSink(
      redisUrl(options, name),
      name,
      requiredText(options, name, 'stream'),
      optionalInteger(options, name, 'maxLen', 0, 0, 1e9),
    ),
};

/** Each failure reaches the engine by itself. */
const QUIET = { warn: (): void => undefined, info: (): void => undefined };

class RedisSink implements Sink {
  readonly #redis: RedisConnection;
  readonly #stream: string;
  readonly #cursorKey: string;
  readonly #maxLen: number;

  constructor(url: string, name: string, stream: string, maxLen: number) {
    this.#redis = new RedisConnection(url, name, QUIET);
    this.#stream = stream;
    // What is in braces decides the slot; a key without them is hashed as a whole.
    this.#cursorKey = `${/\{[^}]+\}/.test(stream) ? stream : `{${stream}}`}:millrace:${name}`;
    this.#maxLen = maxLen;
  }

  /** Rejects when Redis is away: without its cursor nothing could be written exactly once. */
  async open(): Promise<number> {
    try {
      await this.#redis.ready();
      const cursor = Number((await this.#redis.command('GET', this.#cursorKey)) ?? 0);
      if (Number.isFinite(cursor)) return cursor;
      throw new Error(`${this.#cursorKey} at ${this.#redis.address} does not hold a place in a log`);
    } catch (error) {
      this.#redis.close();
      throw error;
    }
  }

  async write({ lines, seq }: SinkBatch): Promise<void> {
    await this.#redis.ready();
    const pairs = lines.flatMap((line) => [(JSON.parse(line) as { id: string }).id, line]);
    await this.#redis.command('EVAL', ADD, 2, this.#stream, this.#cursorKey, String(seq), this.#maxLen, ...pairs);
  }

  close(): Promise<void> {
    this.#redis.close();
    return Promise.resolve();
  }
}
