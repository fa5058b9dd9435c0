/**
 * What is done with a session in Redis in one step. Keys are those of `sessionKeys`, in that order, or the index alone.
 */
import { Script } from '../redis/script.ts';

/** ARGV: ms to live, packed init, node: it collects what the session has to be told when it listens. */
export const CREATE = new Script(`
redis.call('HSET', KEYS[1], 'i', ARGV[2], 'v', 1)
redis.call('HSET', KEYS[3], ':h', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[3], ARGV[1])
return 1`);

/** ARGV: ms to live. Returns the version, -1 when there is no such session. */
export const TOUCH = new Script(`
local version = redis.call('HGET', KEYS[1], 'v')
if not version then return -1 end
for i = 1, #KEYS do redis.call('PEXPIRE', KEYS[i], ARGV[1]) end
return tonumber(version)`);

/** ARGV: ms to live, number of names and values to set, those, names to remove. Returns the new version, or -1. */
export const SAVE = new Script(`
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
local last = 2 + tonumber(ARGV[2])
for i = 3, last, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
for i = last + 1, #ARGV do redis.call('HDEL', KEYS[1], ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return redis.call('HINCRBY', KEYS[1], 'v', 1)`);

/** Returns 1 when there was such a session. */
export const DELETE = new Script(`
local there = redis.call('EXISTS', KEYS[1])
for i = 1, #KEYS do redis.call('DEL', KEYS[i]) end
return there`);

/**
 * Index. ARGV: ms to live, most sessions, session. Enters a new session; returns those that have to go for it, least
 * recently used first.
 */
export const ENTER = new Script(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[1])
redis.call('ZADD', KEYS[1], now, ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
local over = redis.call('ZCARD', KEYS[1]) - ARGV[2]
local gone = {}
if over < 1 then return gone end
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, over)) do
  if id ~= ARGV[3] and #gone < over then gone[#gone + 1] = id end
end
if #gone > 0 then redis.call('ZREM', KEYS[1], unpack(gone)) end
return gone`);

/** Index. ARGV: ms to live, sessions in use. */
export const USED = new Script(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now, ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1`);
