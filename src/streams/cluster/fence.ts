/**
 * The right to write a unit's keys: every script checks the token of the lease before it changes anything.
 *
 * Role: what log, checkpoints and dead letters in Redis write through. `claim` puts the token of a new owner into the
 * unit's head; from then on scripts that carry an older one do nothing. A node that was stopped and goes on, or that
 * lost Redis for a while, therefore changes nothing after another has taken over, whatever it believes.
 * A head that is missing, or has an older token than ours, means that Redis lost what it had (it was restarted empty, or
 * a replica that lagged behind was promoted): then the log in there is not the one this node wrote.
 * The keys of a unit have one end, which its owner puts off (`keep`), so that none of them outlives the others.
 */
import type { RedisArgument, RedisConnection, RedisReply } from '../../redis/connection.ts';
import { Script } from '../../redis/script.ts';
import { UNIT_TTL_MS, type UnitKeys } from './unit-keys.ts';

/** This node does not own the unit any more, or the unit's keys are not what it wrote. Nothing was changed. */
export class Fenced extends Error {
  override readonly name = 'Fenced';
}

const FENCED = 'FENCED';
const LOST = 'LOST';

/** KEYS[1]: head. ARGV[1]: token. Goes before every script that changes the unit. */
const GUARD = `
local owner = redis.call('HGET', KEYS[1], 'token')
if owner ~= ARGV[1] then
  if owner and tonumber(owner) > tonumber(ARGV[1]) then return '${FENCED}' end
  return '${LOST}'
end
`;

/**
 * A script that changes a unit: KEYS[1] is its head, ARGV[1] the token; the rest is its own. A key that it makes ends with
 * the head.
 */
export const guarded = (body: string): Script =>
  new Script(`${GUARD}
local function change()
${body}
end
local reply = change()
for i = 2, #KEYS do
  if redis.call('PTTL', KEYS[i]) == -1 then redis.call('PEXPIRE', KEYS[i], redis.call('PTTL', KEYS[1])) end
end
return reply`);

/** KEYS: head, log, manifests, begun, boxes. ARGV: token, start of the keys of pieces, and of letters. */
const KEEP_UP = `
for i = 1, #KEYS do redis.call('PEXPIRE', KEYS[i], ${UNIT_TTL_MS}) end
for _, id in ipairs(redis.call('SMEMBERS', KEYS[4])) do redis.call('PEXPIRE', ARGV[2] .. id, ${UNIT_TTL_MS}) end
for _, stream in ipairs(redis.call('HKEYS', KEYS[5])) do redis.call('PEXPIRE', ARGV[3] .. stream, ${UNIT_TTL_MS}) end
`;

const KEEP = guarded(`${KEEP_UP} return 1`);

const CLAIM = new Script(`
local owner = redis.call('HGET', KEYS[1], 'token')
if owner and tonumber(owner) > tonumber(ARGV[1]) then return '${FENCED}' end
redis.call('HSET', KEYS[1], 'token', ARGV[1])
${KEEP_UP}
local time = redis.call('TIME')
return time[1] .. string.format('%06d', tonumber(time[2]))`);

export interface Claimed {
  readonly fence: UnitFence;
  /** Clock of Redis at the claim. */
  readonly nowMs: number;
}

export class UnitFence {
  readonly redis: RedisConnection;
  readonly keys: UnitKeys;
  readonly token: number;
  /** Why nothing can be written any more; `''` while it can. */
  lost = '';
  /** Called once, when a write was refused. */
  onLost: ((reason: string) => void) | null = null;

  private constructor(redis: RedisConnection, keys: UnitKeys, token: number) {
    this.redis = redis;
    this.keys = keys;
    this.token = token;
  }

  /** Rejects with `Fenced` when a later owner has been there, with `RedisUnavailable` when nobody can tell. */
  static async claim(redis: RedisConnection, keys: UnitKeys, token: number): Promise<Claimed> {
    const reply = String(await redis.script(CLAIM, [keys.head, ...keptKeys(keys)], [String(token), ...starts(keys)]));
    if (reply === FENCED) throw new Fenced(`an owner with a later token than ${token} has been there`);
    return { fence: new UnitFence(redis, keys, token), nowMs: Number(reply) / 1000 };
  }

  /** The unit outlives `UNIT_TTL_MS` from now on. Rejects as `run` does. */
  async keep(): Promise<void> {
    await this.run(KEEP, keptKeys(this.keys), starts(this.keys));
  }

  /** `script`: made by `guarded`; `keys` and `args` follow the head and the token. Rejects with `Fenced`. */
  async run(script: Script, keys: readonly string[], args: readonly RedisArgument[]): Promise<RedisReply> {
    if (this.lost !== '') throw new Fenced(this.lost);
    const reply = await this.redis.script(script, [this.keys.head, ...keys], [String(this.token), ...args]);
    if (!Buffer.isBuffer(reply) || reply.length > FENCED.length) return reply;
    const text = reply.toString('latin1');
    if (text === FENCED) throw this.lose('another node has taken over');
    if (text === LOST) throw this.lose('Redis does not hold what was written');
    return reply;
  }

  /** Nothing is written from now on. */
  lose(reason: string): Fenced {
    if (this.lost === '') {
      this.lost = reason;
      this.onLost?.(reason);
    }
    return new Fenced(this.lost);
  }
}

const keptKeys = ({ begun, boxes, log, manifests }: UnitKeys): string[] => [log, manifests, begun, boxes];
const starts = (keys: UnitKeys): string[] => [keys.pieces(''), keys.letters('')];
