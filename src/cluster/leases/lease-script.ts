/**
 * A lease as it stands in Redis, and the scripts that give, renew and end it.
 *
 *   {prefix}lease:{name}   hash   holder   id of the node, '' when it was given back
 *                                 instance of that start of it
 *                                 token    rises with every holder, for ever
 *                                 until    end, in ms by the clock of Redis
 *
 * The name is the hash tag of the key, or holds one already (`streams:{prices}:3`): data guarded by the lease takes the
 * same tag, so that one script reaches both on a Cluster as well. The hash outlives the lease, so that the next token is
 * higher; the clock of Redis goes into the token, so that it is higher also after Redis lost everything.
 * Leaves to others: to refuse writes under an older token, where data is kept under one (`streams/cluster/fence.ts`).
 */
import { Script } from '../../redis/script.ts';

/** Far longer than any lease: who was stopped for longer finds the clock gone on all the same. */
const KEPT_MS = 24 * 3600 * 1000;

export function leaseKey(prefix: string, name: string): string {
  return /\{[^}]+\}/.test(name) ? `${prefix}lease:${name}` : `${prefix}lease:{${name}}`;
}

/** Lua: milliseconds and microseconds of Redis' clock, as numbers that a double holds exactly. */
const CLOCK = `
local time = redis.call('TIME')
local micros = time[1] * 1000000 + time[2]
local millis = math.floor(micros / 1000)
`;

/** ARGV: node id, instance, ttl in ms. Replies the token; nil: somebody else holds it. */
export const ACQUIRE = new Script(`${CLOCK}
local kept = redis.call('HMGET', KEYS[1], 'holder', 'instance', 'token', 'until')
local left = (tonumber(kept[4]) or 0) - millis
if kept[1] and kept[1] ~= '' and left > 0 and kept[2] ~= ARGV[2] then
  -- The clock was set back: a holder that lives renews it, one that is gone must not hold it for as long as that.
  if left > tonumber(ARGV[3]) then redis.call('HSET', KEYS[1], 'until', string.format('%.0f', millis + ARGV[3])) end
  return false
end
local token = string.format('%.0f', math.max((tonumber(kept[3]) or 0) + 1, micros))
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'instance', ARGV[2], 'token', token,
  'until', string.format('%.0f', millis + ARGV[3]))
redis.call('PEXPIRE', KEYS[1], ${KEPT_MS})
return token
`);

/** ARGV: token, ttl in ms. Replies 1, or 0 when it is lost. Nobody else had it meanwhile, even if its time was over. */
export const RENEW = new Script(`${CLOCK}
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'until', string.format('%.0f', millis + ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ${KEPT_MS})
return 1
`);

/** ARGV: token. */
export const RELEASE = new Script(`
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'holder', '', 'instance', '', 'until', '0')
return 1
`);

/** Replies {holder, token}; nil: nobody. */
export const HOLDER = new Script(`${CLOCK}
local kept = redis.call('HMGET', KEYS[1], 'holder', 'token', 'until')
if not kept[1] or kept[1] == '' or (tonumber(kept[3]) or 0) <= millis then return false end
return {kept[1], kept[2]}
`);
