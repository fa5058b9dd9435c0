/**
 * A connection to Redis: commands that fail while it is away, instead of waiting in a queue nobody bounded.
 *
 * Role: the only place that knows ioredis. It connects again by itself, with pauses that double and vary, so that many
 * nodes do not come back at the same moment; who uses it decides what to do with a command that failed.
 * Invariants: nothing is queued while it is not connected; a command whose connection was lost rejects and is never sent
 * again by this side, since it may have been carried out. Passwords of the URL never appear in a message.
 */
import { Redis } from 'ioredis';

const PAUSE_MS = 50;
const PAUSE_MS_MAX = 5_000;
const CONNECT_MS_MAX = 5_000;

export interface RedisLog {
  warn(fields: object, message: string): void;
  info(fields: object, message: string): void;
}

/** Strings, numbers, lists, null. Bulk texts as bytes where `bytes` was asked for. */
export type RedisReply = string | number | Buffer | null | readonly RedisReply[];
export type RedisArgument = string | number | Buffer;

export class RedisConnection {
  /** `redis://host:port/db`, without user and password. */
  readonly address: string;
  readonly #redis: Redis;
  #lost = false;
  #closed = false;

  /** Connects at the first `ready`. `owner`: for messages. Throws when the URL is not one. */
  constructor(url: string, owner: string, log: RedisLog) {
    this.address = addressOf(url);
    this.#redis = new Redis(url, {
      lazyConnect: true,
      // Replies of commands that are called by name are lists in this one, whatever the server speaks.
      protocol: 2,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      connectTimeout: CONNECT_MS_MAX,
      retryStrategy: (attempt) => pauseMs(attempt, Math.random()),
    });
    this.#redis.on('error', (error: Error) => {
      if (this.#lost || this.#closed) return;
      this.#lost = true;
      log.warn({ err: error, redis: this.address, connector: owner }, 'Redis cannot be reached; it is tried again');
    });
    this.#redis.on('close', () => {
      if (this.#lost || this.#closed) return;
      this.#lost = true;
      log.warn({ redis: this.address, connector: owner }, 'the connection to Redis was lost; it is made again');
    });
    this.#redis.on('ready', () => {
      if (this.#lost) log.info({ redis: this.address, connector: owner }, 'Redis is reached again');
      this.#lost = false;
    });
  }

  /** Resolves when commands can be sent. Rejects, with what is wrong, when this attempt fails or after `close`. */
  async ready(): Promise<void> {
    const redis = this.#redis;
    if (this.#closed) throw new Error(`the connection to ${this.address} is closed`);
    if (redis.status === 'ready') return;
    if (redis.status === 'wait' || redis.status === 'end') {
      try {
        await redis.connect();
      } catch (cause) {
        throw new Error(`cannot reach Redis at ${this.address}: ${messageOf(cause)}`, { cause });
      }
      return;
    }
    await this.#nextReady();
  }

  #nextReady(): Promise<void> {
    const redis = this.#redis;
    return new Promise((resolve, reject) => {
      const onReady = (): void => settle(null);
      const onError = (error: Error): void => settle(error);
      const onEnd = (): void => settle(new Error('the connection is closed'));
      const settle = (error: Error | null): void => {
        redis.off('ready', onReady).off('error', onError).off('end', onEnd);
        if (error === null) resolve();
        else reject(new Error(`cannot reach Redis at ${this.address}: ${error.message}`, { cause: error }));
      };
      redis.on('ready', onReady).on('error', onError).on('end', onEnd);
    });
  }

  /** One command. Rejects at once while there is no connection. */
  async command(name: string, ...args: readonly RedisArgument[]): Promise<RedisReply> {
    return (await this.#redis.call(name, ...args)) as RedisReply;
  }

  /** As `command`, with bulk texts as bytes. */
  async commandBytes(name: string, ...args: readonly RedisArgument[]): Promise<RedisReply> {
    return (await this.#redis.callBuffer(name, args as RedisArgument[])) as RedisReply;
  }

  /** Ends at once; commands under way reject. */
  close(): void {
    this.#closed = true;
    this.#redis.disconnect();
  }
}

/** Doubles from `PAUSE_MS`; the second half of it varies. `share`: 0 to 1. */
export function pauseMs(attempt: number, share: number): number {
  const pause = Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** Math.min(20, attempt - 1));
  return Math.round(pause / 2 + (pause / 2) * share);
}

/** Without user and password. Throws `TypeError` for what is no URL of Redis. */
export function addressOf(url: string): string {
  const { host, pathname, protocol } = new URL(url);
  if ((protocol !== 'redis:' && protocol !== 'rediss:') || host === '') throw new TypeError('not a URL of Redis');
  return `${protocol}//${host}${pathname}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
