/**
 * The tools nodes say they run, in Redis: one key per node, gone with it.
 *
 *     {prefix}tools:{node id}  →  hash: e epoch of the start, d digest, v packed { tools: [listing, …] }
 *     {prefix}tools-seen       →  sorted set: names of tools by when a node last said that it runs them, ms
 *     {prefix}tools            →  channel: a node's tools have changed
 *
 * Role: writes this node's listings and reads the others'. The digest stands apart, so that looking whether anything
 * changed costs a few bytes. Who is alive is for `Membership` to say. Names outlive their node for `SEEN_MS`, so that a tool
 * that nobody runs any more can be told of.
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

/** KEYS: names seen. ARGV: names that are run. */
const SAW = new Script(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 1, #ARGV do redis.call('ZADD', KEYS[1], now, ARGV[i]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ${SEEN_MS})
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, ${-SEEN_MAX - 1})
redis.call('PEXPIRE', KEYS[1], ${SEEN_MS})
return redis.call('ZRANGE', KEYS[1], 0, -1)
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

  /** Says that these are run. Names of all that anybody has run lately, these among them. */
  async saw(names: readonly string[]): Promise<readonly string[]> {
    return ((await this.#commands.script(SAW, [this.#seenKey], names)) as readonly Buffer[]).map(String);
  }

  /** These are gone on purpose: nobody misses them, unless another node runs them. */
  async forget(names: readonly string[]): Promise<void> {
    if (names.length > 0) await this.#commands.command('ZREM', this.#seenKey, ...names);
  }

  get #seenKey(): string {
    return `${this.channel}-seen`;
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
