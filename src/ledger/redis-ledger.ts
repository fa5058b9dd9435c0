/**
 * The idempotency ledger of many nodes.
 *
 *   {prefix}once:<key>   hash: f fingerprint, t token, u until (ms), s status, a packed answer   TTL: `ttlMs`
 *
 * Role: a key is claimed with a token nobody else has, until `u` by the clock of Redis; while the call runs, its node
 * moves `u` on. A claim that ends without an answer means that the node is gone, or cut off: what may be repeated is
 * claimed anew, with another token, and the old one can store nothing any more; for the rest the outcome is unknown.
 * Calls with the same key wait together (`key-waits.ts`).
 * Invariants: an answer is stored under the token that was claimed, or not at all; what could not be told to Redis is
 * told again at each renewal, until its claim is gone or `UNTOLD_MAX` others wait.
 */
import { randomBytes } from 'node:crypto';
import type { Log } from '../observe/port.ts';
import type { RedisConnection, RedisReply } from '../redis/connection.ts';
import { pack, unpack } from '../redis/packed.ts';
import { Script } from '../redis/script.ts';
import { RedisUnavailable } from '../redis/unavailable.ts';
import { KeyWaits } from './key-waits.ts';
import type { Begun, Ledger, LedgerAnswer, LedgerQuestion } from './port.ts';

/** Answers and abandonments that wait for Redis. */
export const UNTOLD_MAX = 1_000;
const VERSION = 1;

const NOW = `local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000)`;

const BEGIN = new Script(`
${NOW}
local row = redis.call('HMGET', KEYS[1], 'f', 't', 'u', 's', 'a')
if row[1] and row[1] ~= ARGV[1] then return {'differs'} end
if row[4] then return {'done', row[4], row[5]} end
if row[2] and row[2] ~= ARGV[2] and tonumber(row[3]) > now then return {'wait'} end
if row[2] and row[2] ~= ARGV[2] and ARGV[3] ~= '1' then return {'unknown'} end
redis.call('HSET', KEYS[1], 'f', ARGV[1], 't', ARGV[2], 'u', string.format('%.0f', now + ARGV[4]))
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return {'run'}
`);

const FINISH = new Script(`
if redis.call('HGET', KEYS[1], 't') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 's', ARGV[2], 'a', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
`);

const ABANDON = new Script(`
local row = redis.call('HMGET', KEYS[1], 't', 's')
if row[1] == ARGV[1] and not row[2] then redis.call('DEL', KEYS[1]) end
return 1
`);

const RENEW = new Script(`
${NOW}
local row = redis.call('HMGET', KEYS[1], 't', 's')
if row[1] ~= ARGV[1] or row[2] then return 0 end
redis.call('HSET', KEYS[1], 'u', string.format('%.0f', now + ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
`);

export interface RedisLedgerOptions {
  readonly commands: Pick<RedisConnection, 'script' | 'up'>;
  readonly prefix: string;
  /** Of an answer; also how long an unknown outcome is remembered. */
  readonly ttlMs: number;
  /** Of a claim that is not renewed. Renewed three times in it. */
  readonly claimMs: number;
  readonly log: Pick<Log, 'warn'>;
}

export class RedisLedger implements Ledger {
  readonly #options: RedisLedgerOptions;
  /** Key and token of calls that run here, as one text, with the key. */
  readonly #claims = new Map<string, string>();
  readonly #untold = new Map<string, () => Promise<unknown>>();
  readonly #waits: KeyWaits;
  readonly #renewer: NodeJS.Timeout;
  #renewing = false;

  constructor(options: RedisLedgerOptions) {
    this.#options = options;
    this.#waits = new KeyWaits(
      (question) => this.#claim(question),
      (key, token) => void this.abandon(key, token),
    );
    this.#renewer = setInterval(() => void this.#tick(), Math.max(10, options.claimMs / 3));
    this.#renewer.unref();
  }

  get running(): number {
    return this.#claims.size;
  }

  begin(question: LedgerQuestion): Promise<Begun> {
    return this.#waits.begin(question);
  }

  /** Null: somebody executes it. */
  async #claim(question: LedgerQuestion): Promise<Begun | null> {
    const token = randomBytes(12).toString('base64url');
    const [kind, status, packed] = await this.#ask(question, token);
    const what = String(kind);
    if (what === 'run') {
      this.#claims.set(token, question.key);
      return { kind: 'run', token };
    }
    if (what === 'differs' || what === 'unknown') return { kind: what };
    return what === 'done' ? doneOf(status, packed) : null;
  }

  async #ask(question: LedgerQuestion, token: string): Promise<readonly RedisReply[]> {
    const { claimMs, commands, ttlMs } = this.#options;
    const args = [question.fingerprint, token, question.repeatable ? '1' : '0', claimMs, ttlMs];
    try {
      return (await commands.script(BEGIN, [this.#redisKey(question.key)], args)) as readonly RedisReply[];
    } catch (cause) {
      // A claim nobody knows of would make the outcome unknown though nothing was executed.
      if (cause instanceof RedisUnavailable && cause.maybeDone) await this.abandon(question.key, token);
      throw cause;
    }
  }

  async finish(key: string, token: string, answer: LedgerAnswer): Promise<boolean> {
    const { commands, ttlMs } = this.#options;
    const args = [token, answer.status, pack(VERSION, answer.responseJson), ttlMs];
    const say = async (): Promise<boolean> => (await commands.script(FINISH, [this.#redisKey(key)], args)) === 1;
    const stands = await this.#tell(token, say);
    this.#waits.ended(key);
    return stands;
  }

  async abandon(key: string, token: string): Promise<void> {
    const { commands } = this.#options;
    await this.#tell(token, async () => (await commands.script(ABANDON, [this.#redisKey(key)], [token])) === 1);
    this.#waits.ended(key);
  }

  close(): void {
    clearInterval(this.#renewer);
    this.#waits.close();
  }

  /** True when it is put off: the claim is kept up meanwhile. */
  async #tell(token: string, say: () => Promise<boolean>): Promise<boolean> {
    try {
      const stands = await say();
      this.#claims.delete(token);
      return stands;
    } catch (cause) {
      if (!(cause instanceof RedisUnavailable)) throw cause;
      if (this.#untold.size >= UNTOLD_MAX) {
        this.#claims.delete(token);
        this.#options.log.warn({ err: cause }, 'the outcome of a call with an idempotency key could not be stored');
        return false;
      }
      this.#untold.set(token, say);
      return true;
    }
  }

  async #tick(): Promise<void> {
    if (this.#renewing || !this.#options.commands.up) return;
    this.#renewing = true;
    const untold = [...this.#untold].map(([token, say]) => this.#tellAgain(token, say));
    const renewed = [...this.#claims].map(([token, key]) => this.#renew(token, key).catch(putOff));
    try {
      // One that fails keeps none of the others back.
      await Promise.all([...untold, ...renewed]);
    } finally {
      this.#renewing = false;
    }
  }

  async #tellAgain(token: string, say: () => Promise<unknown>): Promise<void> {
    try {
      await say();
    } catch (cause) {
      putOff(cause);
      if ((cause as RedisUnavailable).why !== 'refused') return;
      this.#options.log.warn({ err: cause }, 'the outcome of a call with an idempotency key cannot be stored');
    }
    this.#untold.delete(token);
    this.#claims.delete(token);
  }

  async #renew(token: string, key: string): Promise<void> {
    const { claimMs, commands, ttlMs } = this.#options;
    const stands = await commands.script(RENEW, [this.#redisKey(key)], [token, claimMs, ttlMs]);
    if (stands === 1 || !this.#claims.delete(token)) return;
    this.#options.log.warn(
      {},
      'a call with an idempotency key has lost its claim: it took longer than it could be renewed',
    );
  }

  #redisKey(key: string): string {
    return `${this.#options.prefix}once:${key}`;
  }
}

function doneOf(status: RedisReply | undefined, packed: RedisReply | undefined): Begun {
  const responseJson = unpack(VERSION, packed);
  // Written by a version this one does not know: executed, and that is all that can be said.
  if (typeof responseJson !== 'string') return { kind: 'unknown' };
  return { kind: 'done', answer: { status: Number(String(status)), responseJson } };
}

/** Redis went away again, or refuses: the next tick goes on. */
function putOff(cause: unknown): void {
  if (!(cause instanceof RedisUnavailable)) throw cause;
}
