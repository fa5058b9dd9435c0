/**
 * The event log in Redis: one entry of a Redis stream per record, its id the sequence number.
 *
 * Role: survives the node; `grouped-log.ts` does what is not about Redis. A group is one script call, which checks the
 * owner's token, the attempt, and that the first record follows the last one there.
 *
 * What `durable` means: Redis has run the script. Whether that survives Redis is Redis' own affair: `appendonly yes` with
 * `appendfsync always` survives its process and disk cache, `everysec` may lose a second, a replica that is promoted may
 * lack what had not reached it. With `replicasMin` the promise resolves only when so many replicas have it too (WAIT),
 * which narrows that and does not close it; on a Cluster, where WAIT cannot be sent to the node that was written to, use
 * the server's `min-replicas-to-write`.
 * When the connection breaks, nobody knows whether the last call was carried out. `recover` begins an attempt higher than
 * any before, so that a call still on its way does nothing, be it a recovery, and removes what was not acknowledged, as the
 * port says.
 */
import type { RedisConnection, RedisReply } from '../../redis/connection.ts';
import { guarded, type UnitFence } from '../cluster/fence.ts';
import {
  type Ends,
  GroupedLog,
  type LogBounds,
  type Place,
  type RecordGroup,
  type RecordPage,
  type RecordStore,
} from './grouped-log.ts';
import { type EventLog, LogDamaged, LogUnavailable } from './port.ts';
import { bytesBefore, decodeRecord } from './record-codec.ts';

export const REDIS_LOG_BYTES_MAX = 2 ** 30;
export const REDIS_LOG_PENDING_BYTES_MAX = 64 * 2 ** 20;
const PAGE_BYTES = 2 ** 20;
const PAGE_RECORDS_MAX = 500;
const TRUNCATED_PER_CALL = 10_000;
/** Less than a command may take: other commands of the connection wait meanwhile. */
const REPLICAS_MS_MAX = 250;

/** KEYS: head, log. ARGV: token, attempt, sequence number before the first record, records. */
const APPEND = guarded(`
local head = redis.call('HMGET', KEYS[1], 'attempt', 'last')
if head[1] ~= ARGV[2] then return -1 end
if head[2] ~= ARGV[3] then return -2 end
local seq = tonumber(ARGV[3])
for i = 4, #ARGV do
  seq = seq + 1
  redis.call('XADD', KEYS[2], string.format('%.0f-0', seq), 'r', ARGV[i])
end
redis.call('HSET', KEYS[1], 'last', string.format('%.0f', seq))
return 1`);

/**
 * ARGV: token, newest durable record, `''` for what the head says, attempt to begin, `''` for the next one. Gives attempt,
 * first, last; or last alone when records are missing; nothing when a later attempt has begun: then this call is late, and
 * what it would remove may have been confirmed since.
 */
const SETTLE = guarded(`
local attempt = tonumber(redis.call('HGET', KEYS[1], 'attempt') or '0')
local begun = ARGV[3] == '' and attempt + 1 or tonumber(ARGV[3])
if begun <= attempt then return {} end
redis.call('HSETNX', KEYS[1], 'first', '1')
redis.call('HSETNX', KEYS[1], 'last', '0')
local head = redis.call('HMGET', KEYS[1], 'first', 'last')
local durable = ARGV[2]
if durable == '' then durable = head[2] end
if tonumber(head[2]) < tonumber(durable) then return {head[2]} end
local after = '(' .. durable .. '-0'
local cut = false
while true do
  local more = redis.call('XRANGE', KEYS[2], after, '+', 'COUNT', 16)
  if #more == 0 then break end
  for _, entry in ipairs(more) do redis.call('XDEL', KEYS[2], entry[1]) end
  cut = true
end
if cut then
  if durable == '0' then redis.call('DEL', KEYS[2]) else redis.call('XSETID', KEYS[2], durable .. '-0') end
end
redis.call('HSET', KEYS[1], 'last', durable)
redis.call('HSET', KEYS[1], 'attempt', begun)
return {begun, head[1], durable}`);

/**
 * ARGV: token, oldest record that stays, unless more was removed since. Gives the beginning of that one. XTRIM stops at the
 * trace of a record that a recovery removed, though one of the same number may stand before it.
 */
const TRUNCATE = guarded(`
if tonumber(ARGV[2]) > tonumber(redis.call('HGET', KEYS[1], 'first')) then
  redis.call('XTRIM', KEYS[2], 'MINID', '=', ARGV[2] .. '-0')
  redis.call('HSET', KEYS[1], 'first', ARGV[2])
  while true do
    local left = redis.call('XRANGE', KEYS[2], '-', '(' .. ARGV[2] .. '-0', 'COUNT', 16)
    if #left == 0 then break end
    for _, entry in ipairs(left) do redis.call('XDEL', KEYS[2], entry[1]) end
  end
end
local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)
if #oldest == 0 then return '' end
return string.sub(oldest[1][2][2], 1, 16)`);

export interface RedisLogOptions extends Partial<LogBounds> {
  /** Replicas that must have a record before it counts as durable. Default 0. */
  readonly replicasMin?: number;
}

/** Rejects with `LogDamaged` when its ends are not what the head says, with `Fenced`, or with `RedisUnavailable`. */
export async function openRedisLog(fence: UnitFence, options: RedisLogOptions = {}): Promise<EventLog> {
  const { bytesMax = REDIS_LOG_BYTES_MAX, pendingBytesMax = REDIS_LOG_PENDING_BYTES_MAX, replicasMin = 0 } = options;
  const ends = await openedEnds(fence);
  return new GroupedLog(new RedisRecords(fence, replicasMin, ends.attempt), ends, { bytesMax, pendingBytesMax });
}

class RedisRecords implements RecordStore {
  readonly removedMax = TRUNCATED_PER_CALL;
  readonly #fence: UnitFence;
  readonly #replicasMin: number;
  #attempt: string;
  /** Newest attempt that was asked for, whatever became of it. */
  #asked = 0;
  /** Settles when the write before has. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(fence: UnitFence, replicasMin: number, attempt: string) {
    this.#fence = fence;
    this.#replicasMin = replicasMin;
    this.#attempt = attempt;
  }

  refusal(): string | null {
    return this.#fence.lost === '' ? null : this.#fence.lost;
  }

  write(take: () => RecordGroup): Promise<void> {
    const written = this.#turn.then(() => this.#send(take()));
    this.#turn = written.catch(() => undefined);
    return written;
  }

  async #send({ after, values }: RecordGroup): Promise<void> {
    if (values.length === 0) return;
    const { keys, redis } = this.#fence;
    const reply = await this.#fence.run(APPEND, [keys.log], [this.#attempt, String(after), ...values]);
    if (reply !== 1)
      throw new LogUnavailable(reply === -1 ? 'another attempt is under way' : 'the log goes on elsewhere');
    if (this.#replicasMin > 0) await waitForReplicas(redis, this.#replicasMin);
  }

  async page(from: number, durable: number, meanBytes: number): Promise<RecordPage> {
    const count = Math.max(1, Math.min(PAGE_RECORDS_MAX, Math.floor(PAGE_BYTES / meanBytes)));
    const { keys, redis } = this.#fence;
    return entriesOf(await redis.commandBytes('XRANGE', keys.log, `${from}-0`, `${durable}-0`, 'COUNT', count));
  }

  async remove(_from: number, to: number, durable: Place): Promise<number> {
    const oldest = await this.#fence.run(TRUNCATE, [this.#fence.keys.log], [String(to + 1)]);
    return Buffer.isBuffer(oldest) && oldest.length === 16 ? oldest.readDoubleLE(8) : durable.bytes;
  }

  async recover({ seq: durable }: Place): Promise<void> {
    const { keys, redis } = this.#fence;
    const known = Number(await redis.command('HGET', keys.head, 'attempt'));
    // Above every one that was asked for before: none of those does anything from now on, however late it comes.
    this.#asked = Math.max(this.#asked, known) + 1;
    const reply = await this.#fence.run(SETTLE, [keys.log], [String(durable), String(this.#asked)]);
    const [attempt, ...others] = listOf(reply);
    if (attempt === undefined) throw new LogUnavailable('another attempt is under way');
    if (others.length === 0) {
      const text = `the log in Redis ends at ${String(attempt)}, record ${durable} was confirmed`;
      this.#fence.lose(text);
      throw new LogDamaged(durable, text);
    }
    this.#attempt = String(attempt);
  }
}

interface OpenedEnds extends Ends {
  readonly attempt: string;
}

async function openedEnds(fence: UnitFence): Promise<OpenedEnds> {
  const { keys, redis } = fence;
  const [attempt, firstText, lastText] = listOf(await fence.run(SETTLE, [keys.log], ['', ''])).map(String);
  const first = Number(firstText);
  const last = Number(lastText);
  const count = Number(await redis.command('XLEN', keys.log));
  if (count !== last - first + 1) throw new LogDamaged(first, `log holds ${count} records from ${first} to ${last}`);
  if (count === 0) {
    const empty = { seq: last, bytes: 0 };
    return { attempt: String(attempt), truncated: empty, newest: empty };
  }
  const range = async (command: string, from: string, to: string): Promise<Map<number, Buffer>> =>
    entriesOf(await redis.commandBytes(command, keys.log, from, to, 'COUNT', 1));
  const oldest = (await range('XRANGE', '-', '+')).get(first);
  const newest = (await range('XREVRANGE', '+', '-')).get(last);
  decodeRecord(first, oldest);
  decodeRecord(last, newest);
  return {
    attempt: String(attempt),
    truncated: { seq: first - 1, bytes: bytesBefore(first, oldest) },
    newest: { seq: last, bytes: bytesBefore(last, newest) + (newest as Buffer).byteLength },
  };
}

async function waitForReplicas(redis: RedisConnection, replicasMin: number): Promise<void> {
  const have = Number(await redis.command('WAIT', replicasMin, REPLICAS_MS_MAX));
  if (have < replicasMin) throw new LogUnavailable(`${have} of ${replicasMin} replicas have the records`);
}

/** By sequence number. */
function entriesOf(reply: RedisReply): Map<number, Buffer> {
  const entries = new Map<number, Buffer>();
  for (const entry of listOf(reply)) {
    const [id, fields] = listOf(entry);
    const value = listOf(fields ?? null)[1];
    if (Buffer.isBuffer(value)) entries.set(Number.parseInt(String(id), 10), value);
  }
  return entries;
}

const listOf = (reply: RedisReply): readonly RedisReply[] => (Array.isArray(reply) ? reply : []);
