/**
 * What the result cache runs inside Redis. All keys of one call share the hash tag `{tool}`.
 *
 *   {prefix}cache:{tool}:<key>   hash, one of   g generation, v packed result           TTL: the result's
 *                                               g generation, t token, w somebody waits TTL: the lease of the flight
 *   {prefix}cache:{tool}:gen     number                                                 TTL: `GENERATION_TTL_MS`
 *
 * Invariants: a row of another generation than the present one counts as absent, result and flight alike; a flight is
 * given back or renewed by whoever has its token, and nobody else; each look and each landing is one script.
 */
import { Script } from '../redis/script.ts';

/**
 * Keys: row, generation. Arguments: token, lease, whether the asker waits for a flight whose lease cannot be over 0/1.
 * `{g, 'kept', result, ms left}`; `{g, 'led', token, ms left of its lease}`; `{g, 'lost'}`: there is no trace of the
 * flight that the asker waits for; `{g}`: the flight is the asker's now.
 */
export const LOOK = new Script(`
local g = redis.call('GET', KEYS[2]) or '0'
local row = redis.call('HMGET', KEYS[1], 'g', 'v', 't')
if row[1] == g then
  if row[2] then return {g, 'kept', row[2], redis.call('PTTL', KEYS[1])} end
  if row[3] and row[3] ~= ARGV[1] then
    redis.call('HSET', KEYS[1], 'w', '1')
    return {g, 'led', row[3], redis.call('PTTL', KEYS[1])}
  end
end
if not row[1] and ARGV[3] == '1' then return {g, 'lost'} end
if row[1] then redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], 'g', g, 't', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {g}
`);

/**
 * Keys: row, generation. Arguments: generation, result, its TTL, token or `''`. A result that is out of date is not
 * stored, and its flight ends all the same. 1: somebody waits for what became of it.
 */
export const LAND = new Script(`
local row = redis.call('HMGET', KEYS[1], 't', 'w')
if (redis.call('GET', KEYS[2]) or '0') == ARGV[1] then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'g', ARGV[1], 'v', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
elseif row[1] == ARGV[4] then
  redis.call('DEL', KEYS[1])
else
  return 0
end
return row[2] and 1 or 0
`);

/** Key: row. Argument: token. 1: somebody waits. */
export const GIVE_BACK = new Script(`
local row = redis.call('HMGET', KEYS[1], 't', 'w')
if row[1] ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
return row[2] and 1 or 0
`);

/**
 * Keys: generation, rows of one tool. Arguments: lease, then the token and the generation of each in order. For each:
 * whether the flight stands. One of which there is no trace, of the present generation, is made again, as if somebody
 * waited: Redis has lost it.
 */
export const RENEW = new Script(`
local g = redis.call('GET', KEYS[1]) or '0'
local stands = {}
for i = 2, #KEYS do
  local row, token = redis.call('HMGET', KEYS[i], 'g', 't'), ARGV[2 * i - 2]
  if not row[1] and ARGV[2 * i - 1] == g then
    redis.call('HSET', KEYS[i], 'g', g, 't', token, 'w', '1')
    row[2] = token
  end
  stands[i - 1] = row[2] == token and redis.call('PEXPIRE', KEYS[i], ARGV[1]) or 0
end
return stands
`);

/** Key: generation. Argument: its TTL. The new one, above all that ever were, though Redis was emptied meanwhile. */
export const INVALIDATE = new Script(`
local time = redis.call('TIME')
local g = math.max(tonumber(redis.call('GET', KEYS[1]) or '0') + 1, time[1] * 1000000 + time[2])
redis.call('SET', KEYS[1], string.format('%.0f', g), 'PX', ARGV[1])
return string.format('%.0f', g)
`);
