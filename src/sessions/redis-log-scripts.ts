/**
 * The event log of a session in Redis, in one step each. Keys are those of `sessionKeys`.
 *
 *   events   entry = '1' stream '.' sequence ' ' message      oldest first, of all streams
 *   streams  stream → 'first last dropped'                     sequence numbers; dropped: highest one not kept, or -1
 *            :b → bytes kept     :h → node that writes the standalone stream, or opened the session     :e → its epoch
 *   order    streams but the standalone one, oldest first
 *
 * Sequences are consecutive in a stream: one that was skipped was dropped before it came here. The first character of
 * an entry is its version.
 */
import { Script } from '../redis/script.ts';

const RECORD = `
local function numbers(text)
  local first, last, dropped = string.match(text, '^(%S+) (%S+) (%S+)$')
  return tonumber(first), tonumber(last), tonumber(dropped)
end
local function text(first, last, dropped)
  return string.format('%d %d %d', first, last, dropped)
end`;

/**
 * ARGV: ms to live, most events, most bytes, bytes an event costs beside its message, epoch of the writer, then for each
 * event: stream, sequence, kind (`m`: message, `k`: mark, `d`: dropped already), message.
 * What is there already is left alone, so that a batch may be sent again. Returns 1 when the writer of the standalone
 * stream is not the one any more, -1 when the session is gone, else 0.
 */
export const APPEND = new Script(`${RECORD}
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
local eventsMax, bytesMax, overhead = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local bytes = tonumber(redis.call('HGET', KEYS[3], ':b') or '0')
local epoch = redis.call('HGET', KEYS[3], ':e') or ''
local fenced = 0
local records = {}
local function read(stream)
  if records[stream] == nil then records[stream] = redis.call('HGET', KEYS[3], stream) end
  return records[stream]
end
for i = 6, #ARGV, 4 do
  local stream, sequence, kind = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  if stream == '0' and epoch ~= ARGV[5] then
    fenced = 1
  else
    local known = read(stream)
    local first, last, dropped = sequence, sequence - 1, -1
    if known then
      first, last, dropped = numbers(known)
    elseif stream ~= '0' then
      redis.call('RPUSH', KEYS[4], stream)
    end
    if sequence > last then
      if sequence > last + 1 then dropped = sequence - 1 end
      if kind == 'm' and #ARGV[i + 3] + overhead <= bytesMax then
        redis.call('RPUSH', KEYS[2], '1' .. stream .. '.' .. ARGV[i + 1] .. ' ' .. ARGV[i + 3])
        bytes = bytes + #ARGV[i + 3] + overhead
      elseif kind ~= 'k' then
        dropped = sequence
      end
      records[stream] = text(first, sequence, dropped)
    end
  end
end
local count = redis.call('LLEN', KEYS[2])
while count > eventsMax or bytes > bytesMax do
  local entry = redis.call('LPOP', KEYS[2])
  if not entry then break end
  count = count - 1
  local head, stream, sequence = string.match(entry, '^(1(%w+)%.(%d+) )')
  bytes = bytes - (#entry - #head) - overhead
  local known = read(stream)
  if known then
    local first, last, dropped = numbers(known)
    records[stream] = text(first, last, math.max(dropped, tonumber(sequence)))
  end
end
for stream, record in pairs(records) do
  if record then redis.call('HSET', KEYS[3], stream, record) end
end
redis.call('HSET', KEYS[3], ':b', bytes)
while redis.call('LLEN', KEYS[4]) > eventsMax do
  redis.call('HDEL', KEYS[3], redis.call('LPOP', KEYS[4]))
end
for i = 2, 4 do redis.call('PEXPIRE', KEYS[i], ARGV[1]) end
return fenced`);

/**
 * ARGV: stream, sequence, how far above what is known an id may be. Returns false when it cannot be resumed from, else
 * sequence, message, … of what follows, newest first.
 */
export const AFTER = new Script(`${RECORD}
local known = redis.call('HGET', KEYS[3], ARGV[1])
if not known then return false end
local first, last, dropped = numbers(known)
local sequence = tonumber(ARGV[2])
if sequence < first or sequence > last + tonumber(ARGV[3]) or sequence < dropped then return false end
local found = {}
local prefix = '1' .. ARGV[1] .. '.'
local below = -1
while true do
  local entries = redis.call('LRANGE', KEYS[2], below - 63, below)
  for i = #entries, 1, -1 do
    local entry = entries[i]
    if string.sub(entry, 1, #prefix) == prefix then
      local space = string.find(entry, ' ', 1, true)
      local number = string.sub(entry, #prefix + 1, space - 1)
      if tonumber(number) <= sequence then return found end
      found[#found + 1] = number
      found[#found + 1] = string.sub(entry, space + 1)
    end
  end
  if #entries < 64 then return found end
  below = below - 64
end`);

/**
 * ARGV: ms to live, node, least last sequence, how far above what is known that may be. Makes the node the writer of the
 * standalone stream. Returns its epoch, as text, and the last sequence there is; false when the session is gone.
 */
export const TAKE = new Script(`${RECORD}
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
local time = redis.call('TIME')
local epoch = math.max(tonumber(redis.call('HGET', KEYS[3], ':e') or '0') + 1, time[1] * 1000000 + time[2])
epoch = string.format('%.0f', epoch)
redis.call('HSET', KEYS[3], ':e', epoch, ':h', ARGV[2])
redis.call('PEXPIRE', KEYS[3], ARGV[1])
local known = redis.call('HGET', KEYS[3], '0')
local last = -1
if known then
  local first
  first, last = numbers(known)
  local least = tonumber(ARGV[3])
  if least > last and least <= last + tonumber(ARGV[4]) then
    redis.call('HSET', KEYS[3], '0', text(first, least, least))
    last = least
  end
end
return { epoch, last }`);
