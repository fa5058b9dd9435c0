/**
 * The secret that all nodes share when none is configured: the first node leaves it in Redis.
 *
 *   start ──read──► what Redis has        Redis away ──► own, until Redis is there; then what it has
 *
 * Role: read at the start, and checked from then on. A Redis that came back empty is given the secret again, or it
 * would give the next node another one. A node that could not ask, or whose Redis has been given another secret
 * meanwhile, takes what is there, since that is the same for all nodes. A secret that another version of this program
 * left there is neither used nor replaced: the node keeps its own, and says so.
 */
import type { Settings } from '../config/settings.ts';
import type { Log } from '../observe/port.ts';
import type { RedisConnection } from '../redis/connection.ts';
import { pack, unpack } from '../redis/packed.ts';
import { Script } from '../redis/script.ts';
import { RedisUnavailable } from '../redis/unavailable.ts';

/** After the last node: what was sealed with it can be opened that long. */
const TTL_MS = 30 * 86_400_000;
const VERSION = 1;

/** KEYS: the secret, packed. ARGV: one for whoever comes first, ttl in ms. Gives the one that is there. */
const SHARE = new Script(`
local there = redis.call('GET', KEYS[1])
if there then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return there
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
`);

export class NodeSecret {
  readonly #redis: RedisConnection;
  readonly #settings: Settings;
  readonly #log: Log;
  #current: string;
  #timer: NodeJS.Timeout | null = null;
  #stopListening: (() => void) | null = null;
  /** Of a secret that cannot be read, every heartbeat would tell. */
  #toldUnknown = false;
  /** Called when it has become another one. */
  onChange: ((secret: string) => void) | null = null;

  private constructor(redis: RedisConnection, settings: Settings, log: Log, current: string) {
    this.#redis = redis;
    this.#settings = settings;
    this.#log = log;
    this.#current = current;
  }

  /** This node's own, for as long as there is no other. Does not wait for Redis. */
  static async open(redis: RedisConnection, settings: Settings, log: Log): Promise<NodeSecret> {
    const { secret } = settings.cluster;
    const opened = new NodeSecret(redis, settings, log, secret === '' ? settings.stateSecret : secret);
    if (secret !== '') return opened;
    try {
      await opened.#look();
    } catch (error) {
      log.warn(
        { err: error },
        'the secret of the nodes cannot be read: until Redis is there this node cannot exchange calls with others, and neither opens the request state of the other; set cluster.secret to be independent of Redis',
      );
    }
    opened.#stopListening = redis.onChange((up) => up && opened.#lookAgain());
    opened.#timer = setInterval(() => opened.#lookAgain(), settings.heartbeatMs).unref();
    return opened;
  }

  get current(): string {
    return this.#current;
  }

  close(): void {
    this.#stopListening?.();
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  #lookAgain(): void {
    this.#look().catch((error: unknown) => {
      // Away, as its owner has said: the next heartbeat tries again.
      if (error instanceof RedisUnavailable || this.#toldUnknown) return;
      this.#toldUnknown = error instanceof UnknownSecret;
      this.#log.error({ err: error }, 'the secret of the nodes cannot be used');
    });
  }

  async #look(): Promise<void> {
    const key = `${this.#settings.cluster.prefix}secret`;
    const packed = await this.#redis.script(SHARE, [key], [pack(VERSION, this.#current), TTL_MS]);
    const there = unpack(VERSION, packed);
    if (typeof there !== 'string' || there === '') throw new UnknownSecret(packed, key);
    if (there === this.#current) return;
    this.#current = there;
    this.onChange?.(this.#current);
  }
}

class UnknownSecret extends Error {
  override readonly name = 'UnknownSecret';

  constructor(packed: unknown, key: string) {
    const version = Buffer.isBuffer(packed) && packed.length > 0 ? packed[0] : 'none';
    super(`${key} was written by another version of this program: version ${version}, expected ${VERSION}`);
  }
}
