/**
 * The event log in Redis: one entry of a Redis stream per record, its id the sequence number.
 *
 * Role: survives the node. Records appended while a group is on its way are staged and make up the next one, one script
 * call for many; a call checks the owner's token, the attempt and that the first record follows the last one there.
 *
 *     truncated │ first ………… durable │ on its way … │ staged … last
 *     (head)    │    in the stream    │      in `#unflushed`
 *
 * What `durable` means: Redis has run the script. Whether that survives Redis is Redis' own affair: `appendonly yes` with
 * `appendfsync always` survives its process and disk cache, `everysec` may lose a second, a replica that is promoted may
 * lack what had not reached it. With `replicasMin` the promise resolves only when so many replicas have it too (WAIT),
 * which narrows that and does not close it; on a Cluster, where WAIT cannot be sent to the node that was written to, use
 * the server's `min-replicas-to-write`.
 * When the connection breaks, nobody knows whether the last call was carried out. `recover` raises the attempt, so that
 * a call still on its way does nothing, and removes what was not acknowledged, as the port says.
 */
import type { RedisConnection, RedisReply } from '../../redis/connection.ts';
import { Fenced, guarded, type UnitFence } from '../cluster/fence.ts';
import type { Appended, EventLog, LoggedRecord, LogRecord } from './port.ts';
import { LogDamaged, LogUnavailable } from './port.ts';
import { bytesBefore, decodeRecord, encodeRecord } from './record-codec.ts';

export const REDIS_LOG_BYTES_MAX = 2 ** 30;
/** Bytes appended and not confirmed yet. */
export const REDIS_LOG_PENDING_BYTES_MAX = 64 * 2 ** 20;
/** One script call; Redis does nothing else meanwhile. */
const GROUP_BYTES_MAX = 4 * 2 ** 20;
const GROUP_RECORDS_MAX = 1000;
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

/** ARGV: token, newest durable record, `''` for what the head says. Gives attempt, first, last; or last alone. */
const SETTLE = guarded(`
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
return {redis.call('HINCRBY', KEYS[1], 'attempt', 1), head[1], durable}`);

/** ARGV: token, oldest record that stays. Gives the beginning of that one. */
const TRUNCATE = guarded(`
redis.call('XTRIM', KEYS[2], 'MINID', '=', ARGV[2] .. '-0')
redis.call('HSET', KEYS[1], 'first', ARGV[2])
local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)
if #oldest == 0 then return '' end
return string.sub(oldest[1][2][2], 1, 16)`);

export interface RedisLogOptions {
  readonly bytesMax?: number;
  readonly pendingBytesMax?: number;
  /** Replicas that must have a record before it counts as durable. Default 0. */
  readonly replicasMin?: number;
}

/** A place in the log: after which record, and the size of all records up to it. */
interface Place {
  readonly seq: number;
  readonly bytes: number;
}

export class RedisLog implements EventLog {
  readonly #fence: UnitFence;
  readonly #bytesMax: number;
  readonly #pendingBytesMax: number;
  readonly #replicasMin: number;
  #attempt: string;
  #truncated: Place;
  #durable: Place;
  #newest: Place;
  #staged: Buffer[] = [];
  readonly #unflushed = new Map<number, Buffer>();
  #group: Promise<void> | null = null;
  #flushing: Promise<void> = Promise.resolve();
  #truncateTo = 0;
  #truncating: Promise<void> | null = null;
  #failure: LogUnavailable | null = null;

  private constructor(fence: UnitFence, options: RedisLogOptions, ends: Ends) {
    this.#fence = fence;
    this.#bytesMax = options.bytesMax ?? REDIS_LOG_BYTES_MAX;
    this.#pendingBytesMax = options.pendingBytesMax ?? REDIS_LOG_PENDING_BYTES_MAX;
    this.#replicasMin = options.replicasMin ?? 0;
    this.#attempt = ends.attempt;
    this.#truncated = ends.truncated;
    this.#durable = ends.newest;
    this.#newest = ends.newest;
  }

  /** Rejects with `LogDamaged` when its ends are not what the head says, with `Fenced`, or with `RedisUnavailable`. */
  static async open(fence: UnitFence, options: RedisLogOptions = {}): Promise<RedisLog> {
    return new RedisLog(fence, options, await endsOf(fence));
  }

  get last(): number {
    return this.#newest.seq;
  }

  get first(): number {
    return this.#truncated.seq + 1;
  }

  get bytes(): number {
    return this.#newest.bytes - this.#truncated.bytes;
  }

  get available(): boolean {
    return this.#failure === null && this.#fence.lost === '';
  }

  append(record: LogRecord): Appended {
    if (!this.available) throw this.#failure ?? new LogUnavailable(this.#fence.lost);
    const seq = this.#newest.seq + 1;
    const value = encodeRecord(seq, this.#newest.bytes, record);
    const held = this.bytes + value.byteLength;
    if (held > this.#bytesMax) throw new LogUnavailable(`the log would hold ${held} of ${this.#bytesMax} bytes`);
    const pending = this.#newest.bytes - this.#durable.bytes + value.byteLength;
    if (pending > this.#pendingBytesMax) throw new LogUnavailable(`${pending} bytes are not confirmed yet`);
    this.#newest = { seq, bytes: this.#newest.bytes + value.byteLength };
    this.#staged.push(value);
    this.#unflushed.set(seq, value);
    this.#group ??= this.#writeGroup();
    return { seq, durable: this.#group };
  }

  async *read(after: number): AsyncGenerator<LoggedRecord> {
    const end = this.last;
    let page = new Map<number, Buffer>();
    for (let seq = after + 1; seq <= end && seq <= this.last; seq++) {
      if (seq < this.first) throw new LogDamaged(seq, `records up to ${this.first - 1} were truncated`);
      const unflushed = this.#unflushed.get(seq);
      if (unflushed === undefined && !page.has(seq)) page = await this.#page(seq);
      // It may have been confirmed while the page was read.
      yield { seq, record: decodeRecord(seq, unflushed ?? page.get(seq)) };
    }
  }

  /** Those from `seq` on, as many as are about a page. */
  async #page(seq: number): Promise<Map<number, Buffer>> {
    const records = Math.max(1, this.last - this.first + 1);
    const each = Math.max(1, this.bytes / records);
    const count = Math.max(1, Math.min(PAGE_RECORDS_MAX, Math.floor(PAGE_BYTES / each)));
    const { keys, redis } = this.#fence;
    const end = `${this.#durable.seq}-0`;
    return entriesOf(await redis.commandBytes('XRANGE', keys.log, `${seq}-0`, end, 'COUNT', count));
  }

  truncate(seq: number): Promise<void> {
    if (seq > this.last) throw new RangeError(`truncate(${seq}) past the newest record, ${this.last}`);
    this.#truncateTo = Math.max(this.#truncateTo, seq);
    this.#truncating ??= this.#removeOldest().finally(() => {
      this.#truncating = null;
    });
    return this.#truncating;
  }

  async recover(): Promise<void> {
    if (this.available) return;
    // A call on its way ends first: what it said is known then.
    await Promise.allSettled([this.#flushing]);
    const { keys } = this.#fence;
    let reply: readonly RedisReply[];
    try {
      reply = listOf(await this.#fence.run(SETTLE, [keys.log], [String(this.#durable.seq)]));
    } catch (error) {
      throw unavailable(error);
    }
    if (reply.length === 1) {
      const text = `the log in Redis ends at ${String(reply[0])}, record ${this.#durable.seq} was confirmed`;
      this.#fence.lose(text);
      throw new LogDamaged(this.#durable.seq, text);
    }
    this.#attempt = String(reply[0]);
    this.#failure = null;
  }

  async close(): Promise<void> {
    // Whoever appended is told what became of it.
    await Promise.allSettled([this.#flushing, this.#truncating]);
    this.#failure = new LogUnavailable('the log is closed');
  }

  #writeGroup(): Promise<void> {
    const before = this.#flushing.catch(() => undefined);
    this.#flushing = before.then(() => this.#send());
    return this.#flushing;
  }

  async #send(): Promise<void> {
    const staged = this.#staged;
    this.#staged = [];
    this.#group = null;
    const begin = this.#durable;
    try {
      if (this.#failure !== null) throw this.#failure;
      for (let at = 0; at < staged.length; ) {
        const group = groupFrom(staged, at);
        await this.#sendSome(group);
        this.#confirmed(group);
        at += group.length;
      }
    } catch (error) {
      // They were promised together: those that are there already go with the others.
      this.#durable = begin;
      throw this.#failed(error);
    }
  }

  async #sendSome(group: readonly Buffer[]): Promise<void> {
    const { keys, redis } = this.#fence;
    const reply = await this.#fence.run(APPEND, [keys.log], [this.#attempt, String(this.#durable.seq), ...group]);
    if (reply !== 1)
      throw new LogUnavailable(reply === -1 ? 'another attempt is under way' : 'the log goes on elsewhere');
    if (this.#replicasMin > 0) await waitForReplicas(redis, this.#replicasMin);
  }

  #confirmed(group: readonly Buffer[]): void {
    let { bytes, seq } = this.#durable;
    for (const value of group) {
      seq += 1;
      bytes += value.byteLength;
      this.#unflushed.delete(seq);
    }
    this.#durable = { seq, bytes };
  }

  /** Everything staged or on its way goes the same way, so the first failure settles it for all of them. */
  #failed(error: unknown): LogUnavailable {
    if (this.#failure !== null) return this.#failure;
    this.#failure = unavailable(error);
    this.#unflushed.clear();
    this.#newest = this.#durable;
    return this.#failure;
  }

  async #removeOldest(): Promise<void> {
    try {
      while (this.#truncated.seq < this.#truncateTo) {
        const to = Math.min(this.#truncateTo, this.#truncated.seq + TRUNCATED_PER_CALL);
        if (to > this.#durable.seq) await this.#flushing;
        await this.#removeSome(to);
      }
    } catch (error) {
      throw unavailable(error);
    }
  }

  async #removeSome(to: number): Promise<void> {
    const before = this.#truncated;
    const durable = this.#durable;
    // From now on a reader may find them gone.
    this.#truncated = { seq: to, bytes: before.bytes };
    try {
      const oldest = await this.#fence.run(TRUNCATE, [this.#fence.keys.log], [String(to + 1)]);
      const left = Buffer.isBuffer(oldest) && oldest.length === 16;
      this.#truncated = { seq: to, bytes: left ? oldest.readDoubleLE(8) : durable.bytes };
    } catch (error) {
      this.#truncated = before;
      throw error;
    }
  }
}

interface Ends {
  readonly attempt: string;
  readonly truncated: Place;
  readonly newest: Place;
}

async function endsOf(fence: UnitFence): Promise<Ends> {
  const { keys, redis } = fence;
  const [attempt, firstText, lastText] = listOf(await fence.run(SETTLE, [keys.log], [''])).map(String);
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

function groupFrom(staged: readonly Buffer[], from: number): readonly Buffer[] {
  let bytes = 0;
  let to = from;
  while (to < staged.length && to - from < GROUP_RECORDS_MAX) {
    bytes += (staged[to] as Buffer).byteLength;
    if (bytes > GROUP_BYTES_MAX && to > from) break;
    to += 1;
  }
  return staged.slice(from, to);
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

function unavailable(error: unknown): LogUnavailable | LogDamaged {
  if (error instanceof LogUnavailable || error instanceof LogDamaged) return error;
  const message = error instanceof Fenced ? `the log cannot be written: ${error.message}` : String(error);
  return new LogUnavailable(message, { cause: error });
}
