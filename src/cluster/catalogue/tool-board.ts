/**
 * The tools nodes say they run, in Redis: one key per node, gone with it.
 *
 *     {prefix}tools:{node id}  →  hash: e epoch of the start, d digest, v packed { tools: [listing, …] }
 *     {prefix}tools-seen       →  sorted set: names of tools by when a node last said that it runs them, ms
 *     {{prefix}tools-seen}:by  →  hash: for each of them the id of the node that said so last
 *     {prefix}tools            →  channel: a node's tools have changed
 *
 * Role: writes this node's listings and reads the others'. The digest stands apart, so that looking whether anything
 * changed costs a few bytes. Who is alive is for `Membership` to say. Names outlive a node that died for `SEEN_MS`, so that
 * a tool that nobody runs any more can be told of; one that said goodbye for `LEFT_MS`, in which it may come back; and
 * what a node does not run any more since it was started again is not missed at all.
 * Invariant: an earlier start of a node neither writes over a later one nor keeps it up nor takes it away.
 */
import { createHash } from 'node:crypto';
import type { RedisConnection } from '../../redis/connection.ts';
import { pack, unpack } from '../../redis/packed.ts';
import { Script } from '../../redis/script.ts';

type BoardCommands = Pick<RedisConnection, 'command' | 'commandBytes' | 'script'>;

/** Of what is written; a node of another version reads these tools as none. */
const VERSION = 1;
/** A tool that nobody has run for longer is not missed. */
export const SEEN_MS = 3_600_000;
/** So long after its last node left in order it was taken away on purpose. */
export const LEFT_MS = 60_000;
/** Names that are remembered, of all nodes together; the ones seen longest ago are forgotten first. */
export const SEEN_MAX = 10_000;
/** Listings of one node, all together; what is more is not told. */
export const LISTINGS_BYTES_MAX = 16 * 1024 * 1024;

const IS_LATER = `if (tonumber(redis.call('HGET', KEYS[1], 'e') or 0) or 0) > tonumber(ARGV[1]) then return 0 end`;

/** KEYS: the tools of a node. ARGV: epoch, digest, packed listings, ttl in ms. 0: a later start has written. */
const WRITE = new Script(`
${IS_LATER}
redis.call('HSET', KEYS[1], 'e', ARGV[1], 'd', ARGV[2], 'v', ARGV[3])
return redis.call('PEXPIRE', KEYS[1], ARGV[4])
`);

/** KEYS: the tools of a node. ARGV: epoch, ttl in ms. 0: they are not there, or those of another start. */
const RENEW = new Script(`
if redis.call('HGET', KEYS[1], 'e') ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`);

const SEEN_NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function forget(name)
  redis.call('ZREM', KEYS[1], name)
  redis.call('HDEL', KEYS[2], name)
end
`;

/**
 * KEYS: names seen, by whom. ARGV: node, whether it says so for the first time since it was started, names that it runs.
 * Replies all names.
 */
const SAW = new Script(`
${SEEN_NOW}
local runs = {}
for i = 3, #ARGV do
  runs[ARGV[i]] = true
  redis.call('ZADD', KEYS[1], now, ARGV[i])
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[1])
end
if ARGV[2] == '1' then
  local said = redis.call('HGETALL', KEYS[2])
  for i = 1, #said, 2 do
    if said[i + 1] == ARGV[1] and not runs[said[i]] then forget(said[i]) end
  end
end
for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ${SEEN_MS})) do forget(old) end
for _, more in ipairs(redis.call('ZRANGE', KEYS[1], 0, ${-SEEN_MAX - 1})) do forget(more) end
for i = 1, 2 do redis.call('PEXPIRE', KEYS[i], ${SEEN_MS}) end
return redis.call('ZRANGE', KEYS[1], 0, -1)
`);

/** KEYS: names seen, by whom. ARGV: names. */
const FORGET = new Script(`
${SEEN_NOW}
for _, name in ipairs(ARGV) do forget(name) end
return #ARGV
`);

/** KEYS: names seen. ARGV: names that the node that leaves ran; who runs them too says so again. */
const LEFT = new Script(`
${SEEN_NOW}
for _, name in ipairs(ARGV) do redis.call('ZADD', KEYS[1], 'XX', now - ${SEEN_MS - LEFT_MS}, name) end
return #ARGV
`);

/** KEYS: the tools of a node. ARGV: epoch. */
const REMOVE = new Script(`
${IS_LATER}
return redis.call('DEL', KEYS[1])
`);

export interface NodeTools {
  readonly digest: string;
  readonly listings: readonly string[];
}

export class ToolBoard {
  /** Where changes are told. */
  readonly channel: string;
  readonly #commands: BoardCommands;
  readonly #publish: 'PUBLISH' | 'SPUBLISH';
  readonly #prefix: string;
  readonly #ttlMs: number;

  constructor(commands: BoardCommands, publish: 'PUBLISH' | 'SPUBLISH', prefix: string, ttlMs: number) {
    this.#commands = commands;
    this.#publish = publish;
    this.#prefix = prefix;
    this.#ttlMs = ttlMs;
    this.channel = `${prefix}tools`;
  }

  /** Nothing when a later start has written. */
  async write(nodeId: string, epoch: number, listings: readonly string[]): Promise<void> {
    const args = [epoch, digestOf(listings), pack(VERSION, { tools: listings }), this.#ttlMs];
    if ((await this.#commands.script(WRITE, [this.#key(nodeId)], args)) === 1) await this.#tell(nodeId);
  }

  /** False when they are not there any more, or not those of this start. */
  async renew(nodeId: string, epoch: number): Promise<boolean> {
    return (await this.#commands.script(RENEW, [this.#key(nodeId)], [epoch, this.#ttlMs])) === 1;
  }

  /** Nothing when a later start has written. */
  async remove(nodeId: string, epoch: number): Promise<void> {
    if ((await this.#commands.script(REMOVE, [this.#key(nodeId)], [epoch])) === 1) await this.#tell(nodeId);
  }

  async #tell(nodeId: string): Promise<void> {
    await this.#commands.command(this.#publish, this.channel, nodeId);
  }

  /** Says that a node runs these, and no others if it says so for the first time. Names of all that anybody ran lately. */
  async saw(nodeId: string, names: readonly string[], isFirst: boolean): Promise<readonly string[]> {
    const args = [nodeId, isFirst ? '1' : '0', ...names];
    return ((await this.#commands.script(SAW, this.#seenKeys, args)) as readonly Buffer[]).map(String);
  }

  /** These are gone on purpose: nobody misses them, unless another node runs them. */
  async forget(names: readonly string[]): Promise<void> {
    if (names.length > 0) await this.#commands.script(FORGET, this.#seenKeys, names);
  }

  /** A node that ran these leaves in order; to be said before its tools are removed. */
  async left(names: readonly string[]): Promise<void> {
    if (names.length > 0) await this.#commands.script(LEFT, this.#seenKeys, names);
  }

  /** In one slot. */
  get #seenKeys(): readonly [string, string] {
    const key = `${this.channel}-seen`;
    return [key, `{${key}}:by`];
  }

  /** `known` itself when nothing has changed; null when the node tells nothing (any more). */
  async read(nodeId: string, known: NodeTools | null): Promise<NodeTools | null> {
    const key = this.#key(nodeId);
    if (known !== null && (await this.#commands.command('HGET', key, 'd')) === known.digest) return known;
    const [digest, value] = (await this.#commands.commandBytes('HMGET', key, 'd', 'v')) as readonly (Buffer | null)[];
    if (!(digest instanceof Buffer) || !(value instanceof Buffer)) return null;
    return { digest: digest.toString('latin1'), listings: listingsOf(unpack(VERSION, value)) };
  }

  #key(nodeId: string): string {
    return `${this.#prefix}tools:${nodeId}`;
  }
}

function listingsOf(value: unknown): string[] {
  const tools = (value as { tools?: unknown } | null)?.tools;
  return Array.isArray(tools) ? tools.filter((tool) => typeof tool === 'string') : [];
}

function digestOf(listings: readonly string[]): string {
  const hash = createHash('sha256');
  for (const listing of listings) hash.update(listing).update('\n');
  return hash.digest('base64url');
}
