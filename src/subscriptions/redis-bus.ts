/**
 * The bus of many nodes: a change reaches the listeners of this node as on the embedded bus, and those of the others over
 * pub/sub.
 *
 *   publish ──► listeners here, at the end of the turn
 *        └────► gathered for `GATHER_MS` ──► channel of the change's name ──► bus of every other node
 *
 * Role: changes say that something changed, not what, so equal ones are sent once, and what cannot be sent while Redis
 * is away waits, once per name, up to `UNSENT_MAX` names; past that it is summed up as `missed`.
 * Pub/sub loses what is published while a listener is away. After such a gap the listeners here are told `missed`: every
 * list changed, and every resource somebody here has subscribed to. Tasks are not told anew: their state stands in the
 * change, and who waits for one asks for it.
 * Invariants: what came from another node is never sent on, and what this node sent it does not hear back; changes of
 * one name keep their order, since they take one channel.
 */
import { randomBytes } from 'node:crypto';
import type { RedisConnection } from '../redis/connection.ts';
import { pack, unpack } from '../redis/packed.ts';
import { shardOf } from '../redis/shard.ts';
import type { RedisSubscriber } from '../redis/subscriber.ts';
import { changeKey } from './change-key.ts';
import type { MemoryBus } from './memory-bus.ts';
import type { Bus, Change } from './port.ts';

export interface RedisBusOptions {
  readonly commands: RedisConnection;
  readonly subscriber: RedisSubscriber;
  /** Start of all names: `mcp:`. */
  readonly prefix: string;
  /** Delivers on this node. */
  readonly local: MemoryBus;
}

const CHANNELS = 8;
const VERSION = 1;
/** Changes are gathered this long before they are sent; each name is then sent once. */
const GATHER_MS = 10;
const UNSENT_MAX = 16_384;
/** Changes in one message. */
const MESSAGE_MAX = 512;

/** `key`: of a change. */
export const busShard = (key: string): number => shardOf(key, CHANNELS);
export const busChannel = (prefix: string, shard: number): string => `${prefix}bus:${shard}`;

export class RedisBus implements Bus {
  readonly #options: RedisBusOptions;
  /** Tells messages of this node from those of others. */
  readonly #origin = randomBytes(9).toString('base64url');
  readonly #stop: (() => void)[] = [];
  #unsent = new Map<string, Change>();
  #timer: NodeJS.Timeout | null = null;
  /** What was sent last has arrived, or failed; so has all before it. */
  #sent: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(options: RedisBusOptions) {
    this.#options = options;
    for (let shard = 0; shard < CHANNELS; shard++) {
      this.#stop.push(options.subscriber.on(this.#channel(shard), (bytes) => this.#received(bytes)));
    }
    this.#stop.push(options.commands.onChange((up) => up && this.#send()));
  }

  publish(change: Change): void {
    this.#options.local.publish(change);
    this.#keep(change);
    this.#timer ??= setTimeout(() => this.#send(), GATHER_MS);
  }

  subscribe(listener: (change: Change) => void): () => void {
    return this.#options.local.subscribe(listener);
  }

  /** Changes of other nodes may have been missed. */
  gap(): void {
    this.#options.local.publish({ kind: 'missed' });
  }

  /** Sends what it still can: what changed on this node has to be told though the node goes. */
  async close(): Promise<void> {
    for (const stop of this.#stop) stop();
    this.#closed = true;
    this.#send();
    await this.#sent;
  }

  #channel(shard: number): string {
    return busChannel(this.#options.prefix, shard);
  }

  #keep(change: Change): void {
    const key = changeKey(change);
    if (this.#unsent.size >= UNSENT_MAX && !this.#unsent.has(key)) {
      this.#unsent = new Map([['missed', { kind: 'missed' }]]);
    }
    this.#unsent.set(key, change);
  }

  #send(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    // They wait for the connection.
    if (this.#unsent.size === 0 || !this.#options.commands.up) return;
    const byShard = new Map<number, Change[]>();
    for (const [key, change] of this.#unsent) {
      const shard = busShard(key);
      const changes = byShard.get(shard);
      if (changes === undefined) byShard.set(shard, [change]);
      else changes.push(change);
    }
    this.#unsent = new Map();
    for (const [shard, changes] of byShard) {
      for (let i = 0; i < changes.length; i += MESSAGE_MAX) {
        const sent = this.#sendTo(shard, changes.slice(i, i + MESSAGE_MAX));
        this.#sent = Promise.all([this.#sent, sent]).then(() => undefined);
      }
    }
  }

  #sendTo(shard: number, changes: readonly Change[]): Promise<unknown> {
    const { commands, subscriber } = this.#options;
    const message = pack(VERSION, [this.#origin, changes]);
    return commands.command(subscriber.publishCommand, this.#channel(shard), message).catch(() => {
      if (this.#closed) return;
      // A change published meanwhile says more of its name than these do.
      for (const change of changes) if (!this.#unsent.has(changeKey(change))) this.#keep(change);
      this.#timer ??= setTimeout(() => this.#send(), GATHER_MS * 100);
    });
  }

  #received(bytes: Buffer): void {
    const message = unpack(VERSION, bytes);
    if (!Array.isArray(message) || message[0] === this.#origin || !Array.isArray(message[1])) return;
    for (const value of message[1]) {
      const change = changeOf(value);
      if (change !== null) this.#options.local.publish(change);
    }
  }
}

/** Null for a kind this version does not know. */
function changeOf(value: unknown): Change | null {
  if (typeof value !== 'object' || value === null) return null;
  const { kind, uri, taskId, taskJson } = value as Record<string, unknown>;
  switch (kind) {
    case 'tools':
    case 'resources':
    case 'prompts':
    case 'missed':
      return { kind };
    case 'resource':
      return typeof uri === 'string' ? { kind, uri } : null;
    case 'task':
      return typeof taskId === 'string' && typeof taskJson === 'string' ? { kind, taskId, taskJson } : null;
    default:
      return null;
  }
}
