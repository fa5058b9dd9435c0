/**
 * Pub/sub on connections of its own, since one that listens takes no commands.
 *
 * Role: tells listeners what others published while the connections stand. What was published while one was away is
 * lost, as pub/sub is: `onGap` says that something may have been missed, and who keeps a copy then reads it anew. It is
 * told once Redis has the subscriptions, since what is published before that is missed too.
 * On a Cluster the channels are sharded, so that a message goes to the servers of one slot only; publish with
 * `publishCommand`. How channels are kept is in `SingleLink` and `ShardedLink`.
 */
import { deferred } from '../waiting.ts';
import { parseRedisUrl } from './address.ts';
import type { ChannelLink, LinkEvents } from './channel-link.ts';
import type { RedisLog } from './connection.ts';
import { ShardedLink } from './sharded-link.ts';
import { SingleLink } from './single-link.ts';

export type ChannelListener = (message: Buffer) => void;

export class RedisSubscriber {
  /** `PUBLISH`, or `SPUBLISH` on a Cluster. */
  readonly publishCommand: 'PUBLISH' | 'SPUBLISH';
  readonly #link: ChannelLink;
  readonly #channels = new Map<string, Set<ChannelListener>>();
  /** Called when the channels are listened to, again or at last, after messages may have been missed. */
  onGap: (() => void) | null = null;
  /** Resolves when the channels are listened to for the first time. */
  readonly standing: Promise<void>;

  constructor(url: string, log: RedisLog, tlsCaFile = '') {
    const address = parseRedisUrl(url);
    const { promise, resolve } = deferred();
    this.standing = promise;
    const events: LinkEvents = {
      message: (channel, message) => {
        for (const listener of this.#channels.get(channel) ?? []) listener(message);
      },
      standing: (missed) => {
        resolve();
        if (missed) this.onGap?.();
      },
      trouble: (error, message) => log.warn({ err: error, redis: address.shown }, message),
    };
    const isCluster = address.kind === 'cluster';
    this.publishCommand = isCluster ? 'SPUBLISH' : 'PUBLISH';
    this.#link = new (isCluster ? ShardedLink : SingleLink)(address, tlsCaFile, events);
  }

  get up(): boolean {
    return this.#link.up;
  }

  /** What is wrong: `not heard`, or `''`. A channel that was added a moment ago is nothing wrong. */
  get trouble(): string {
    return this.#link.standing ? '' : 'not heard';
  }

  /** Begins to connect, and goes on by itself; does not wait. */
  start(): void {
    this.#link.start();
  }

  /** Listens to a channel from now on, or from when the connection stands. Returns unsubscribe. */
  on(channel: string, listener: ChannelListener): () => void {
    let listeners = this.#channels.get(channel);
    if (listeners === undefined) {
      listeners = new Set();
      this.#channels.set(channel, listeners);
      this.#link.add(channel);
    }
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size > 0 || this.#channels.get(channel) !== listeners) return;
      this.#channels.delete(channel);
      this.#link.remove(channel);
    };
  }

  close(): void {
    this.#link.close();
  }
}
