/**
 * A node as it stands in Redis: `{prefix}node:{id}`, a hash whose fields other people's scripts read, and the Lua that
 * writes and reads it.
 *
 *   status url lastHeartbeat load maxLoad tools version epoch busy
 *
 * `lastHeartbeat` is milliseconds by the clock of Redis, `tools` a JSON list, `busy` 0 or 1. The key ends three heartbeats
 * after the last one, by the clock of Redis. Invariant: nothing is written over a higher epoch; a new start has a higher
 * one than any before it under its id, also after Redis has lost everything, since the clock of Redis goes into it.
 */
import { Script } from '../../redis/script.ts';
import type { NodeFacts, NodeRecord, NodeStatus } from '../port.ts';

const STATUSES: readonly string[] = ['starting', 'running', 'draining', 'stopping'] satisfies NodeStatus[];
export const HEARTBEATS_TO_LIVE = 3;

/**
 * KEYS: the node. ARGV: epoch (0: give me one), ttl in ms, then fields and values. Replies {1, epoch, whether it was
 * there}, or {0, the higher epoch}. Microseconds fit a double exactly, but not Lua's own way of writing one.
 */
export const BEAT = new Script(`
local time = redis.call('TIME')
local micros = time[1] * 1000000 + time[2]
local stored = tonumber(redis.call('HGET', KEYS[1], 'epoch') or 0) or 0
local epoch = tonumber(ARGV[1])
if epoch == 0 then
  epoch = math.max(micros, stored + 1)
elseif stored > epoch then
  return {0, string.format('%.0f', stored)}
end
redis.call('HSET', KEYS[1], 'epoch', string.format('%.0f', epoch),
  'lastHeartbeat', string.format('%.0f', math.floor(micros / 1000)), unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {1, string.format('%.0f', epoch), stored > 0 and 1 or 0}
`);

/**
 * KEYS: the node. Replies the age of its heartbeat and how long the key has to live in ms, then fields and values; an empty
 * list: it is not there.
 */
export const READ = new Script(`
local fields = redis.call('HGETALL', KEYS[1])
if #fields == 0 then return fields end
local time = redis.call('TIME')
local beat = tonumber(redis.call('HGET', KEYS[1], 'lastHeartbeat') or 0) or 0
local age = math.max(0, time[1] * 1000 + math.floor(time[2] / 1000) - beat)
return {string.format('%.0f', age), redis.call('PTTL', KEYS[1]), unpack(fields)}
`);

/** KEYS: the node. ARGV: epoch. A later start is left alone. */
export const LEAVE = new Script(`
if (tonumber(redis.call('HGET', KEYS[1], 'epoch') or 0) or 0) > tonumber(ARGV[1]) then return 0 end
return redis.call('DEL', KEYS[1])
`);

/** KEYS: the set of ids. ARGV: id, ttl in ms. */
export const LIST = new Script(`
redis.call('SADD', KEYS[1], ARGV[1])
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`);

export function fieldsOf(facts: NodeFacts, load: number, busy: boolean): (string | number)[] {
  const { maxLoad, status, tools, url, version } = facts;
  const words = ['status', status, 'url', url, 'tools', JSON.stringify(tools), 'version', version];
  return [...words, 'load', load, 'maxLoad', maxLoad, 'busy', busy ? 1 : 0];
}

export interface Seen {
  readonly record: NodeRecord;
  /** Until its key ends, without another heartbeat. */
  readonly leftMs: number;
}

/** Of the reply of `READ`. Null: it is not there, or somebody else wrote it. */
export function seenOf(id: string, reply: unknown): Seen | null {
  if (!Array.isArray(reply) || reply.length < 3) return null;
  const [age = '', left = '', ...rest] = reply.map(String);
  const field = (name: string): string => {
    const at = rest.findIndex((text, index) => index % 2 === 0 && text === name);
    return at < 0 ? '' : (rest[at + 1] ?? '');
  };
  const status = field('status');
  const epoch = count(field('epoch'));
  if (!STATUSES.includes(status) || epoch === 0) return null;
  const record = {
    id,
    status: status as NodeStatus,
    url: field('url'),
    load: count(field('load')),
    maxLoad: count(field('maxLoad')),
    busy: field('busy') === '1',
    tools: textsOf(field('tools')),
    version: field('version'),
    epoch,
    heartbeatAgeMs: count(age),
  };
  return { record, leftMs: count(left) };
}

function count(text: string): number {
  const value = Number(text);
  return Number.isFinite(value) && value > 0 ? value : 0;
}

function textsOf(json: string): readonly string[] {
  try {
    const value: unknown = JSON.parse(json);
    return Array.isArray(value) ? value.filter((entry): entry is string => typeof entry === 'string') : [];
  } catch {
    // Written by somebody else: a node without tools is of no harm.
    return [];
  }
}
