/**
 * Results as entries of a Redis stream, exactly once: a batch and its place in the log are one transaction.
 *
 * Options: `url`, `stream` (the key), `maxLen` (about so many entries are kept; 0, the default: all), `tlsCaFile`
 * (certificate authorities for `rediss:`; default those of the system).
 * Entries: `id` (the identity of the result) and `result` (its JSON).
 * Cursor: the key `{stream}:millrace:{sink}`, in the same hash slot. A script adds the entries and moves the cursor.
 * Streams that go from node to node give the token of their lease (`fence`): the key `…:{sink}:token` holds the newest,
 * and a writer with an older one is refused. A batch may arrive twice: its first answer was lost, or a try over a
 * connection that was given up comes late, even after later batches. `…:{sink}:writer` holds who wrote the newest batch
 * and that writer's count, by which a repetition is known and adds nothing. The cursor alone would not do, as a log
 * that began anew passes the same places. All of these keys expire `PLACE_TTL_MS` after the last write: later than any
 * log that could bring the same results again.
 * Leaves to Redis: whether what it has taken survives it (`appendonly`, replicas).
 */
import { randomUUID } from 'node:crypto';
import { RedisConnection, type RedisReply } from '../../redis/connection.ts';
import { Script } from '../../redis/script.ts';
import { RedisUnavailable } from '../../redis/unavailable.ts';
import {
  inWorkingDirectory,
  optionalFile,
  optionalInteger,
  redisUrl,
  requiredText,
  TLS_NEED,
} from '../connector-options.ts';
import { type Sink, SinkAway, type SinkBatch, type SinkKind } from './port.ts';

/** Without a writer. */
export const PLACE_TTL_MS = 90 * 86_400_000;
/** Between two times that a writer without results puts off the end. */
const KEEP_MS = 3_600_000;

/** What a script begins with that only the newest writer may run; `0`: there is only one. */
const guard = (key: string, token: string): string => `
if ${token} ~= '0' then
  local newest = redis.call('GET', ${key})
  if newest and tonumber(newest) > tonumber(${token}) then
    return redis.error_reply('FENCED another node writes these results')
  end
  redis.call('SET', ${key}, ${token}, 'PX', ${PLACE_TTL_MS})
end`;

/** KEYS: stream, cursor, token, writer. ARGV: place, maxLen, token or 0, writer, its count, then id and result in turn. */
const ADD = new Script(`${guard('KEYS[3]', 'ARGV[3]')}
local writer, count = string.match(redis.call('GET', KEYS[4]) or '', '^(%S+) (%d+)$')
if writer == ARGV[4] and tonumber(count) >= tonumber(ARGV[5]) then return 0 end
for i = 6, #ARGV, 2 do
  if ARGV[2] == '0' then redis.call('XADD', KEYS[1], '*', 'id', ARGV[i], 'result', ARGV[i + 1])
  else redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'id', ARGV[i], 'result', ARGV[i + 1]) end
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ${PLACE_TTL_MS})
redis.call('SET', KEYS[4], ARGV[4] .. ' ' .. ARGV[5], 'PX', ${PLACE_TTL_MS})
return 1`);

/** KEYS: cursor, token. ARGV: token or 0. Gives the cursor. */
const OPEN = new Script(`${guard('KEYS[2]', 'ARGV[1]')}
redis.call('PEXPIRE', KEYS[1], ${PLACE_TTL_MS})
return redis.call('GET', KEYS[1])`);

export const redisSinkKind: SinkKind = {
  type: 'redis',
  guarantee: 'exactly-once',
  // `fence` is not declared: streams that go from node to node add it.
  options: ['url', 'stream', 'maxLen', 'tlsCaFile'],
  needs: [TLS_NEED],
  create: (options, name, fileAt = inWorkingDirectory) =>
    new RedisSink(
      redisUrl(options, name),
      name,
      requiredText(options, name, 'stream'),
      optionalInteger(options, name, 'maxLen', 0, 0, 1e9),
      optionalInteger(options, name, 'fence', 0, 0, Number.MAX_SAFE_INTEGER),
      optionalFile(options, name, 'tlsCaFile', fileAt),
    ),
};

/**
 * Longer than any write that is going to succeed takes. Behind a firewall that forgot the connection no answer ever
 * comes: the batch is then sent again, and counts once.
 */
const COMMAND_MS_MAX = 10_000;

/** Each failure reaches the engine by itself. */
const QUIET = { warn: (): void => undefined, info: (): void => undefined };

class RedisSink implements Sink {
  readonly #redis: RedisConnection;
  readonly #stream: string;
  readonly #cursorKey: string;
  readonly #maxLen: number;
  readonly #token: string;
  readonly #writer = randomUUID();
  /** Of batches, and the place of the newest: it is written again under the same number. */
  #count = 0;
  #newest = -1;
  /** From the first opening on: one that is only looked at, to check its options, holds nothing. */
  #keeping: NodeJS.Timeout | null = null;

  constructor(url: string, name: string, stream: string, maxLen: number, token: number, tlsCaFile: string) {
    this.#redis = new RedisConnection(url, name, QUIET, { commandMsMax: COMMAND_MS_MAX, tlsCaFile });
    this.#stream = stream;
    // What is in braces decides the slot; a key without them is hashed as a whole.
    this.#cursorKey = `${/\{[^}]+\}/.test(stream) ? stream : `{${stream}}`}:millrace:${name}`;
    this.#maxLen = maxLen;
    this.#token = String(token);
  }

  /** `SinkAway` while Redis cannot say: without its cursor nothing could be written exactly once. */
  async open(): Promise<number> {
    // A writer that is refused hears of it with its next results.
    this.#keeping ??= setInterval(() => void this.#place().catch(() => undefined), KEEP_MS).unref();
    try {
      await this.#redis.ready();
      const cursor = Number(String((await this.#place()) ?? 0));
      if (Number.isFinite(cursor)) return cursor;
      throw new Error(`${this.#cursorKey} at ${this.#redis.address} does not hold a place in a log`);
    } catch (error) {
      if (error instanceof RedisUnavailable && error.why !== 'refused') throw new SinkAway(error.message, 0, error);
      this.#end();
      throw error;
    }
  }

  /** The cursor; keeps it and the token up. */
  #place(): Promise<RedisReply> {
    return this.#redis.script(OPEN, [this.#cursorKey, this.#tokenKey], [this.#token]);
  }

  async write({ lines, seq }: SinkBatch): Promise<void> {
    await this.#redis.ready();
    const pairs = lines.flatMap((line) => [(JSON.parse(line) as { id: string }).id, line]);
    if (seq !== this.#newest) this.#count += 1;
    this.#newest = seq;
    const keys = [this.#stream, this.#cursorKey, this.#tokenKey, `${this.#cursorKey}:writer`];
    const batch = [String(seq), this.#maxLen, this.#token, this.#writer, this.#count];
    await this.#redis.script(ADD, keys, [...batch, ...pairs]);
  }

  get #tokenKey(): string {
    return `${this.#cursorKey}:token`;
  }

  close(): Promise<void> {
    this.#end();
    return Promise.resolve();
  }

  #end(): void {
    if (this.#keeping !== null) clearInterval(this.#keeping);
    this.#keeping = null;
    this.#redis.close();
  }
}
