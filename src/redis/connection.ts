/**
 * A connection to Redis: commands that fail while it is away, instead of waiting in a queue nobody bounded.
 *
 * Role: what all users of Redis send commands with. It connects again by itself, with pauses that double and vary, so
 * that many nodes do not come back at the same moment; who uses it decides what to do with a command that failed.
 *
 *   away ──connected──► up ──lost, or SLOW_MAX answers in a row missing──► away
 *
 * Invariants: nothing is queued while it is not connected; at most `PENDING_MAX` commands are under way; a command whose
 * connection was lost rejects and is never sent again by this side, since it may have been carried out. Every rejection
 * is a `RedisUnavailable`. Passwords of the URL never appear in a message.
 */
import type { Cluster, Redis } from 'ioredis';
import type { Log } from '../observe/port.ts';
import { parseRedisUrl } from './address.ts';
import type { Script } from './script.ts';
import { answerInTime, timedCommand } from './timed-command.ts';
import { CLIENT_DEFAULTS, type ClientOptions, makeClient, serversConnected } from './topology.ts';
import { RedisUnavailable, unavailableFrom } from './unavailable.ts';

export type RedisLog = Pick<Log, 'info' | 'warn'>;

/** Strings, numbers, lists, null. Bulk texts as bytes where `bytes` was asked for. */
export type RedisReply = string | number | Buffer | null | readonly RedisReply[];
export type RedisArgument = string | number | Buffer;

const PENDING_MAX = 20_000;
/** Answers in a row that did not come in time, after which the connection is taken for dead. */
const SLOW_MAX = 3;
/** Told of one absence. */
const REASONS_MAX = 8;

export class RedisConnection {
  /** `redis://host:port/db`, without user and password. */
  readonly address: string;
  readonly #redis: Redis | Cluster;
  readonly #commandMsMax: number;
  readonly #listeners = new Set<(up: boolean) => void>();
  #lost = false;
  /** Why it could not be reached since then: each reason is told once. */
  readonly #told = new Set<string>();
  #closed = false;
  #pending = 0;
  #slow = 0;
  /** Why the last command that was refused was, until one succeeds: `full` and `readonly` do not break the connection. */
  #trouble = '';

  /** Connects at the first `ready`. `owner`: for messages. Throws `TypeError` when the URL is not one. */
  constructor(url: string, owner: string, log: RedisLog, options: Partial<ClientOptions> = {}) {
    const address = parseRedisUrl(url);
    this.address = address.shown;
    const given = { ...CLIENT_DEFAULTS, ...options };
    this.#commandMsMax = given.commandMsMax;
    this.#redis = makeClient(address, given, () => this.#closed);
    this.#redis.on('error', (error: Error) => {
      if (this.#closed || !this.#isNew(error)) return;
      this.#lost = true;
      log.warn({ err: error, redis: this.address, user: owner }, 'Redis cannot be reached; retrying');
    });
    this.#redis.on('close', () => {
      if (this.#closed) return;
      this.#tell(false);
      if (this.#lost) return;
      this.#lost = true;
      log.warn({ redis: this.address, user: owner }, 'the connection to Redis was lost; reconnecting');
    });
    this.#redis.on('ready', () => {
      if (this.#lost) log.info({ redis: this.address, user: owner }, 'Redis can be reached again');
      this.#lost = false;
      this.#told.clear();
      this.#slow = 0;
      void serversConnected(this.#redis).then(() => this.up && this.#tell(true));
    });
  }

  /** By its code: texts may count attempts or name ports. */
  #isNew(error: Error & { readonly code?: string }): boolean {
    const reason = error.code ?? /^\S+/.exec(error.message)?.[0] ?? '';
    if (this.#told.has(reason) || this.#told.size >= REASONS_MAX) return false;
    this.#told.add(reason);
    return true;
  }

  /** Whether a command has a chance now. */
  get up(): boolean {
    return this.#redis.status === 'ready' && this.#slow < SLOW_MAX;
  }

  /** What is wrong: `away`, `slow`, `full`, `readonly`, `loading`; `''` when nothing is known to be. */
  get trouble(): string {
    if (this.#redis.status !== 'ready') return 'away';
    return this.#slow >= SLOW_MAX ? 'slow' : this.#trouble;
  }

  /** Called when the connection comes and goes. Returns unsubscribe. */
  onChange(listener: (up: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves when commands can be sent. Rejects, with what is wrong, when this attempt fails or after `close`. */
  async ready(): Promise<void> {
    const redis = this.#redis;
    if (this.#closed) throw new RedisUnavailable('away', `the connection to ${this.address} is closed`, false);
    // A Cluster says that it is ready before its servers are.
    if (redis.status === 'ready') return serversConnected(redis);
    if (redis.status === 'wait' || redis.status === 'end') {
      try {
        // Of a Cluster that has to try again the first promise is never settled.
        await Promise.race([redis.connect(), this.#nextReady()]);
        await serversConnected(redis);
      } catch (cause) {
        throw this.#unreachable(cause);
      }
      return;
    }
    await this.#nextReady();
    await serversConnected(redis);
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
        else reject(this.#unreachable(error));
      };
      redis.on('ready', onReady).on('error', onError).on('end', onEnd);
    });
  }

  #unreachable(cause: unknown): RedisUnavailable {
    if (cause instanceof RedisUnavailable) return cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    return new RedisUnavailable('away', `cannot reach Redis at ${this.address}: ${message}`, false, cause);
  }

  /** One command. Rejects at once while there is no connection. */
  command(name: string, ...args: readonly RedisArgument[]): Promise<RedisReply> {
    return this.#run(name, args, 'utf8');
  }

  /** As `command`, with bulk texts as bytes. */
  commandBytes(name: string, ...args: readonly RedisArgument[]): Promise<RedisReply> {
    return this.#run(name, args, null);
  }

  /**
   * Runs a script; bulk texts of the reply are bytes. A server that does not know the script yet refuses it, and it is
   * sent again, whole: then it comes after commands that were sent since. Who cannot have that waits for the reply.
   */
  async script(script: Script, keys: readonly string[], args: readonly RedisArgument[]): Promise<RedisReply> {
    const rest = [keys.length, ...keys, ...args];
    const call = (name: string, text: string): Promise<RedisReply> => this.#run(name, [text, ...rest], null);
    try {
      return await call('EVALSHA', script.digest);
    } catch (error) {
      if (!(error instanceof RedisUnavailable) || error.code !== 'NOSCRIPT') throw error;
      return call('EVAL', script.text);
    }
  }

  async #run(name: string, args: readonly RedisArgument[], replyEncoding: 'utf8' | null): Promise<RedisReply> {
    if (!this.up)
      throw new RedisUnavailable(this.trouble === 'slow' ? 'slow' : 'away', `Redis at ${this.address} is away`, false);
    if (this.#pending >= PENDING_MAX) {
      throw new RedisUnavailable('busy', `${PENDING_MAX} commands to Redis at ${this.address} are under way`, false);
    }
    this.#pending++;
    try {
      const command = timedCommand(name, args as RedisArgument[], { replyEncoding });
      const answer = this.#redis.sendCommand(command) as Promise<RedisReply>;
      const reply = await (this.#commandMsMax === 0 ? answer : answerInTime(answer, this.#commandMsMax));
      this.#slow = 0;
      this.#trouble = '';
      return reply;
    } catch (cause) {
      const error = unavailableFrom(cause, this.address);
      this.#note(error);
      throw error;
    } finally {
      this.#pending--;
    }
  }

  #note(error: RedisUnavailable): void {
    if (error.why === 'slow') {
      // A connection into a black hole looks alive to the operating system for minutes.
      if (++this.#slow === SLOW_MAX) this.#redis.disconnect(true);
      return;
    }
    this.#slow = 0;
    if (error.why === 'full' || error.why === 'readonly' || error.why === 'loading') this.#trouble = error.why;
  }

  #tell(up: boolean): void {
    for (const listener of this.#listeners) listener(up);
  }

  /** Ends at once; commands under way reject. */
  close(): void {
    this.#closed = true;
    this.#redis.disconnect();
  }
}
