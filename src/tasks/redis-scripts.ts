/**
 * What is done to tasks in Redis, each in one step.
 *
 *   {prefix}{tasks}:t:<id>    hash: r record, k token, o node, s its start, w waited for since (ms), x nodes lost, c call,
 *                             z ended, n answers wait, a:<key> answer
 *   {prefix}{tasks}:all       ids by the time they expire          ms
 *   {prefix}{tasks}:ended     ids of ended tasks by when           µs
 *   {prefix}{tasks}:claims    ids of running tasks by the time their claim is to be looked at: when it runs out, later
 *                             when it is waited for, 0 when it was given back          ms
 *   {prefix}{tasks}:since     changes when the store was emptied
 *   {prefix}{tasks}:looked    hash: a when somebody last looked for claims that ran out, f when they may be taken again   ms
 *   {prefix}{tasks}:node:<id> the start of a node that is there, told by its heartbeat: see `cluster/heartbeat/presence.ts`
 *
 * Role: the rules of claims and fencing. A token rises with every claim and with every end from elsewhere; a write names
 * the token it was claimed with, or is refused. A claim that ran out is anybody's, unless its node is there: then the
 * node's front end stands still while its workers go on, and the claim is waited for, though not for ever. Whether the
 * node is there is asked in the step that takes the claim. When nobody has looked for a while nobody could write either,
 * whether they were all gone or the store was: then claims and heartbeats that are missing say nothing until whoever lives
 * has had the time to come back. Times are those of Redis. All keys have one hash tag, so that there can be one bound for
 * all tasks.
 */
import { Script } from '../redis/script.ts';

/** Claims looked at in one step: those that are waited for then come later than the others. */
const LOOKED_AT = 100;

const TIME = `
local t = redis.call('TIME')
local us = t[1] * 1000000 + t[2]
local now = math.floor(us / 1000)
local function text(n) return string.format('%.0f', n) end
local function rise(token) return text(math.max(tonumber(token or '0') + 1, us)) end
`;

const REMOVE = `
local function remove(key, id)
  redis.call('DEL', key)
  redis.call('ZREM', KEYS[2], id) redis.call('ZREM', KEYS[3], id) redis.call('ZREM', KEYS[4], id)
end
`;

/**
 * Keys: task, all, ended, claims, since. Arguments: id, token or '', since or '', record, ended 0/1, ttl, claim, most
 * tasks, call or '', start of task keys, ttl of the indexes, node, its start. Answers what, token, since, tasks.
 */
export const PUT = new Script(`
${TIME}${REMOVE}
local id, token, since = ARGV[1], ARGV[2], redis.call('GET', KEYS[5])
if not since then
  since = text(us)
end
redis.call('SET', KEYS[5], since, 'PX', ARGV[11])
local row = redis.call('HMGET', KEYS[1], 'k', 'z')
if row[1] and (row[1] ~= token or row[2]) then return {'lost'} end
if not row[1] then
  if token ~= '' and ARGV[3] == since then return {'lost'} end
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 100)) do
    remove(ARGV[10] .. old, old)
  end
  if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[8]) then
    local first = redis.call('ZRANGE', KEYS[3], 0, 0)[1]
    if not first then return {'full', '', since, redis.call('ZCARD', KEYS[2])} end
    remove(ARGV[10] .. first, first)
  end
  token = rise(token ~= '' and token or nil)
  redis.call('HSET', KEYS[1], 'k', token, 'x', 0)
  if ARGV[9] ~= '' then redis.call('HSET', KEYS[1], 'c', ARGV[9]) end
  redis.call('PEXPIRE', KEYS[1], ARGV[6])
  redis.call('ZADD', KEYS[2], now + ARGV[6], id)
end
redis.call('HSET', KEYS[1], 'r', ARGV[4], 'o', ARGV[12], 's', ARGV[13])
redis.call('HDEL', KEYS[1], 'w')
if ARGV[5] == '1' then
  redis.call('HSET', KEYS[1], 'z', 1)
  redis.call('HDEL', KEYS[1], 'c')
  redis.call('ZADD', KEYS[3], us, id)
  redis.call('ZREM', KEYS[4], id)
else
  redis.call('ZADD', KEYS[4], now + ARGV[7], id)
end
for i = 2, 4 do redis.call('PEXPIRE', KEYS[i], ARGV[11]) end
return {'stored', token, since, redis.call('ZCARD', KEYS[2])}
`);

/** Keys: task, all, ended, claims. Arguments: id. */
export const DELETE = new Script(`
${REMOVE}
remove(KEYS[1], ARGV[1])
return redis.call('ZCARD', KEYS[2])
`);

/** Keys: any task, all, ended, claims. Arguments: start of task keys. Answers how many tasks there are. */
export const SWEEP = new Script(`
${TIME}${REMOVE}
for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 200)) do
  remove(ARGV[1] .. old, old)
end
return redis.call('ZCARD', KEYS[2])
`);

/**
 * Keys: claims, since, tasks. Arguments: claim, then id, token and since of each task. Answers a number for each task:
 * 0 lost, 1 held, 2 held and answers wait, 3 missing since the store was emptied.
 */
export const RENEW = new Script(`
${TIME}
local since = redis.call('GET', KEYS[2])
local told = {}
for i = 3, #KEYS do
  local at = 3 * (i - 3) + 2
  local row = redis.call('HMGET', KEYS[i], 'k', 'z', 'n', 'w')
  if not row[1] then
    told[i - 2] = since == ARGV[at + 2] and 0 or 3
  elseif row[1] ~= ARGV[at + 1] or row[2] then
    told[i - 2] = 0
  else
    redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[at])
    if row[4] then redis.call('HDEL', KEYS[i], 'w') end
    told[i - 2] = row[3] and 2 or 1
  end
end
return told
`);

const FORGET_ANSWERS = `
local function answers(key)
  local names, found = {}, {}
  for _, name in ipairs(redis.call('HKEYS', key)) do
    if string.sub(name, 1, 2) == 'a:' then names[#names + 1] = name end
  end
  for i, name in ipairs(names) do
    found[2 * i - 1] = string.sub(name, 3)
    found[2 * i] = redis.call('HGET', key, name)
    redis.call('HDEL', key, name)
  end
  redis.call('HDEL', key, 'n')
  return found
end
`;

/**
 * When a claim that ran out is to be looked at again; nil: it is anybody's. Before its node can be gone that need not be:
 * if it dies now, what its heartbeat said ends then.
 */
const WAITED_FOR = `
local function waited_for(key, ran_out, nodes, patience)
  local row = redis.call('HMGET', key, 'o', 's', 'w')
  if not row[1] or redis.call('HGET', nodes .. row[1], 'start') ~= row[2] then return nil end
  local since = row[3] or ran_out
  local again = math.min(since + patience, now + math.max(1, redis.call('PTTL', nodes .. row[1])))
  if again <= now then return nil end
  redis.call('HSET', key, 'w', since)
  return again
end
`;

/**
 * Until which time a claim must have run out to be taken: 0, given back ones only, while nodes that live may be on their
 * way back.
 */
const TAKES_UNTIL = `
local function takes_until(looked, pause, grace, waits, ttl)
  local row = redis.call('HMGET', looked, 'a', 'f')
  local from = tonumber(row[2] or '0')
  if row[1] and now - row[1] > tonumber(pause) then from = now + grace end
  redis.call('HSET', looked, 'a', text(now), 'f', text(from))
  redis.call('PEXPIRE', looked, ttl)
  return (waits == '1' or now < from) and 0 or now
end
`;

/**
 * Keys: since, claims, looked. Arguments: start of task keys, claim, how many, start of node keys, how long a node that is
 * there is waited for, node, its start, the longest pause between looks after which nobody is taken for gone, for how
 * long then, whether this node waits 0/1, ttl of the indexes. Answers token, record, call, nodes lost, and whether it was
 * this start's already, of each.
 */
export const TAKE_ORPHANS = new Script(`
${TIME}${FORGET_ANSWERS}${WAITED_FOR}${TAKES_UNTIL}
local taken = {}
local upto = takes_until(KEYS[3], ARGV[8], ARGV[9], ARGV[10], ARGV[11])
local out = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', upto, 'WITHSCORES', 'LIMIT', 0, ${LOOKED_AT})
for i = 1, #out, 2 do
  local id, key = out[i], ARGV[1] .. out[i]
  local row = redis.call('HMGET', key, 'k', 'r', 'c', 'o', 's')
  local own = row[4] == ARGV[6] and row[5] == ARGV[7]
  local again = row[1] and not own and waited_for(key, out[i + 1], ARGV[4], ARGV[5])
  if not row[1] then
    redis.call('ZREM', KEYS[2], id)
  elseif again then
    redis.call('ZADD', KEYS[2], again, id)
  else
    local token = own and row[1] or rise(row[1])
    if not own then
      redis.call('HSET', key, 'k', token, 'o', ARGV[6], 's', ARGV[7])
      redis.call('HINCRBY', key, 'x', 1)
      answers(key)
    end
    redis.call('HDEL', key, 'w')
    redis.call('ZADD', KEYS[2], now + ARGV[2], id)
    taken[#taken + 1] = {token, row[2], row[3] or '', redis.call('HGET', key, 'x'), own and 1 or 0}
    if #taken >= tonumber(ARGV[3]) then break end
  end
end
return {redis.call('GET', KEYS[1]) or '', taken}
`);

/** Keys: task, claims. Arguments: id, token. It is nobody's fault: the node does not count as lost, nor is it waited for. */
export const RELEASE = new Script(`
if redis.call('HGET', KEYS[1], 'k') ~= ARGV[2] then return 0 end
redis.call('HINCRBY', KEYS[1], 'x', -1)
redis.call('HDEL', KEYS[1], 'o', 's', 'w')
redis.call('ZADD', KEYS[2], 0, ARGV[1])
return 1
`);

/** Keys: task, ended, claims. Arguments: id, record as it was read, new record. 0: it has changed meanwhile. */
export const END = new Script(`
${TIME}
local row = redis.call('HMGET', KEYS[1], 'r', 'k', 'z')
if row[1] ~= ARGV[2] or row[3] then return 0 end
redis.call('HSET', KEYS[1], 'r', ARGV[3], 'k', rise(row[2]), 'z', 1)
redis.call('HDEL', KEYS[1], 'c')
redis.call('ZADD', KEYS[2], us, ARGV[1])
redis.call('PEXPIRE', KEYS[2], ${30 * 86_400_000})
redis.call('ZREM', KEYS[3], ARGV[1])
return 1
`);

/** Keys: task. Arguments: name and answer of each. */
export const LEAVE_ANSWERS = new Script(`
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HGET', KEYS[1], 'z') then return 0 end
for i = 1, #ARGV, 2 do redis.call('HSET', KEYS[1], 'a:' .. ARGV[i], ARGV[i + 1]) end
redis.call('HSET', KEYS[1], 'n', 1)
return 1
`);

/** Keys: task. Arguments: token. False: it is another node's. */
export const TAKE_ANSWERS = new Script(`
${FORGET_ANSWERS}
if redis.call('HGET', KEYS[1], 'k') ~= ARGV[1] then return false end
return answers(KEYS[1])
`);
