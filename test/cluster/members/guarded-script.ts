/**
 * A write that a lease guards, as whoever keeps data under one makes it: Redis refuses it once the lease is over or has
 * another holder. What the streams write refuses by itself (`src/streams/cluster/fence.ts`); this shows what leases are
 * worth to any script.
 */
import { Script } from '../../../src/redis/script.ts';
import { RedisUnavailable } from '../../../src/redis/unavailable.ts';

const FENCED = 'FENCED';

/** A script that runs only while the lease holds. KEYS[1]: `leaseKey`. ARGV[1]: the token. Else it fails: `isFenced`. */
export function guardedScript(lua: string): Script {
  return new Script(`
local clock = redis.call('TIME')
local kept = redis.call('HMGET', KEYS[1], 'token', 'until')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if kept[1] ~= ARGV[1] or (tonumber(kept[2]) or 0) <= now then
  return redis.error_reply('${FENCED} the lease is over or has another holder')
end
${lua}`);
}

/** The write was refused for good: whoever tried it holds the lease no more. */
export function isFenced(error: unknown): boolean {
  return error instanceof RedisUnavailable && error.code === FENCED;
}
