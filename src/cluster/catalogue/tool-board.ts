/**
 * The tools nodes say they run, in Redis: one key per node, gone with it.
 *
 *     {prefix}tools:{node id}  →  digest, 43 characters │ packed { tools: [listing, …] }
 *     {prefix}tools            →  channel: a node's tools have changed
 *
 * Role: writes this node's listings and reads the others'. The digest stands in front, so that looking whether
 * anything changed costs a few bytes. Who is alive is for `Membership` to say.
 */
import { createHash } from 'node:crypto';
import type { RedisArgument, RedisReply } from '../../redis/connection.ts';
import { pack, unpack } from '../../redis/packed.ts';

/** Of what is written; a node of another version reads these tools as none. */
const VERSION = 1;
const DIGEST_CHARS = 43;
/** Listings of one node, all together; what is more is not told. */
export const LISTINGS_BYTES_MAX = 16 * 1024 * 1024;

/** The two commands of `RedisConnection` that are needed. */
export interface BoardCommands {
  command(name: string, ...args: readonly RedisArgument[]): Promise<RedisReply>;
  commandBytes(name: string, ...args: readonly RedisArgument[]): Promise<RedisReply>;
}

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

  async write(nodeId: string, listings: readonly string[]): Promise<void> {
    const digest = digestOf(listings);
    const value = Buffer.concat([Buffer.from(digest), pack(VERSION, { tools: listings })]);
    await this.#commands.command('SET', this.#key(nodeId), value, 'PX', this.#ttlMs);
    await this.#commands.command(this.#publish, this.channel, nodeId);
  }

  /** False when it is not there any more. */
  async renew(nodeId: string): Promise<boolean> {
    return (await this.#commands.command('PEXPIRE', this.#key(nodeId), this.#ttlMs)) === 1;
  }

  async remove(nodeId: string): Promise<void> {
    await this.#commands.command('DEL', this.#key(nodeId));
    await this.#commands.command(this.#publish, this.channel, nodeId);
  }

  /** `known` itself when nothing has changed; null when the node tells nothing (any more). */
  async read(nodeId: string, known: NodeTools | null): Promise<NodeTools | null> {
    if (known !== null) {
      const digest = await this.#commands.command('GETRANGE', this.#key(nodeId), 0, DIGEST_CHARS - 1);
      if (digest === known.digest) return known;
    }
    const value = await this.#commands.commandBytes('GET', this.#key(nodeId));
    if (!(value instanceof Buffer) || value.length <= DIGEST_CHARS) return null;
    const digest = value.toString('latin1', 0, DIGEST_CHARS);
    return { digest, listings: listingsOf(unpack(VERSION, value.subarray(DIGEST_CHARS))) };
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
