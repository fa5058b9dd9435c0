/**
 * Pub/sub on a connection of its own, since one that listens takes no commands.
 *
 * Role: tells listeners what others published while the connection stands. What was published while it was away is
 * lost, as pub/sub is: `onGap` says that something may have been missed, and who keeps a copy then reads it anew.
 * On a Cluster the channels are sharded (`SSUBSCRIBE`), so that a message goes to the nodes of one slot only; publish
 * with `publishCommand`.
 */
import type { Cluster, Redis } from 'ioredis';
import { parseRedisUrl } from './address.ts';
import type { RedisLog } from './connection.ts';
import { CLIENT_DEFAULTS, makeClient } from './topology.ts';

export type ChannelListener = (message: Buffer) => void;

export class RedisSubscriber {
  /** `PUBLISH`, or `SPUBLISH` on a Cluster. */
  readonly publishCommand: 'PUBLISH' | 'SPUBLISH';
  readonly #redis: Redis | Cluster;
  readonly #channels = new Map<string, Set<ChannelListener>>();
  readonly #log: RedisLog;
  readonly #address: string;
  #closed = false;
  #hadConnection = false;
  /** Called when the connection is there again, after messages may have been missed. */
  onGap: (() => void) | null = null;

  constructor(url: string, log: RedisLog, tlsCaFile = '') {
    const address = parseRedisUrl(url);
    this.#address = address.shown;
    this.#log = log;
    this.publishCommand = address.kind === 'cluster' ? 'SPUBLISH' : 'PUBLISH';
    this.#redis = makeClient(address, { ...CLIENT_DEFAULTS, tlsCaFile, subscriber: true });
    const sharded = this.publishCommand === 'SPUBLISH';
    this.#redis.on(sharded ? 'smessageBuffer' : 'messageBuffer', (channel: Buffer, message: Buffer) => {
      for (const listener of this.#channels.get(channel.toString()) ?? []) listener(message);
    });
    // Told by the command connection of the node already; an unheard 'error' would end the process.
    this.#redis.on('error', () => undefined);
    this.#redis.on('ready', () => this.#ready());
  }

  get up(): boolean {
    return this.#redis.status === 'ready';
  }

  /** Begins to connect, and goes on by itself; does not wait. */
  start(): void {
    // A failure is reported by the 'error' event, and tried again.
    this.#redis.connect().catch(() => undefined);
  }

  /** Listens to a channel from now on, or from when the connection stands. Returns unsubscribe. */
  on(channel: string, listener: ChannelListener): () => void {
    let listeners = this.#channels.get(channel);
    if (listeners === undefined) {
      listeners = new Set();
      this.#channels.set(channel, listeners);
      if (this.up) this.#send('subscribe', channel);
    }
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size > 0 || !this.#channels.delete(channel) || !this.up) return;
      this.#send('unsubscribe', channel);
    };
  }

  #ready(): void {
    for (const channel of this.#channels.keys()) this.#send('subscribe', channel);
    if (this.#hadConnection) this.onGap?.();
    this.#hadConnection = true;
  }

  #send(what: 'subscribe' | 'unsubscribe', channel: string): void {
    const redis = this.#redis;
    const sharded = this.publishCommand === 'SPUBLISH';
    const sent =
      what === 'subscribe'
        ? sharded
          ? redis.ssubscribe(channel)
          : redis.subscribe(channel)
        : sharded
          ? redis.sunsubscribe(channel)
          : redis.unsubscribe(channel);
    sent.catch((error: unknown) => {
      if (this.#closed || !this.up) return;
      this.#log.warn({ err: error, redis: this.#address, channel }, `could not ${what}`);
    });
  }

  close(): void {
    this.#closed = true;
    this.#redis.disconnect();
  }
}
