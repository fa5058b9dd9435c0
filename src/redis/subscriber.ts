/**
 * Pub/sub on a connection of its own, since one that listens takes no commands.
 *
 * Role: tells listeners what others published while the connection stands. What was published while it was away is
 * lost, as pub/sub is: `onGap` says that something may have been missed, and who keeps a copy then reads it anew. It is
 * told once Redis has the subscriptions, since what is published before that is missed too.
 * On a Cluster the channels are sharded (`SSUBSCRIBE`), so that a message goes to the nodes of one slot only; publish
 * with `publishCommand`.
 * Invariant: a connection into a black hole is noticed though nobody sends on it. Every `PROBE_MS` it is asked
 * something, and given up when that is not answered in time.
 */
import type { Cluster, Redis } from 'ioredis';
import { parseRedisUrl } from './address.ts';
import type { RedisLog } from './connection.ts';
import { CLIENT_DEFAULTS, makeClient } from './topology.ts';

/** Between questions on a quiet connection, and how long an answer may take. */
const PROBE_MS = 1000;
const ANSWER_MS_MAX = 1000;
/** Connections of a Cluster probed at once: one for each of so many channels. */
const PROBED_CHANNELS_MAX = 8;

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
  #probing = false;
  /** Where the next probe of a Cluster begins among the channels. */
  #probedChannel = 0;
  readonly #prober: NodeJS.Timeout;
  /** Called when the channels are listened to, again or at last, after messages may have been missed. */
  onGap: (() => void) | null = null;
  /** Resolves when the connection stands for the first time. */
  readonly standing: Promise<void>;

  constructor(url: string, log: RedisLog, tlsCaFile = '') {
    const address = parseRedisUrl(url);
    this.#address = address.shown;
    this.#log = log;
    this.publishCommand = address.kind === 'cluster' ? 'SPUBLISH' : 'PUBLISH';
    this.#redis = makeClient(address, {
      ...CLIENT_DEFAULTS,
      commandMsMax: ANSWER_MS_MAX,
      tlsCaFile,
      subscriber: true,
    });
    this.#redis.on(this.#sharded ? 'smessageBuffer' : 'messageBuffer', (channel: Buffer, message: Buffer) => {
      for (const listener of this.#channels.get(channel.toString()) ?? []) listener(message);
    });
    // Told by the command connection of the node already; an unheard 'error' would end the process.
    this.#redis.on('error', () => undefined);
    this.#redis.on('ready', () => this.#ready());
    this.standing = new Promise((resolve) => this.#redis.once('ready', () => resolve()));
    // One connection of several was made anew, and its channels with it.
    this.#redis.on('subscribersReady', () => this.#hadConnection && this.onGap?.());
    this.#prober = setInterval(() => void this.#probe(), PROBE_MS);
    this.#prober.unref();
  }

  get #sharded(): boolean {
    return this.publishCommand === 'SPUBLISH';
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
      if (this.up) void this.#send('subscribe', channel);
    }
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size > 0 || !this.#channels.delete(channel) || !this.up) return;
      void this.#send('unsubscribe', channel);
    };
  }

  #ready(): void {
    const listening: Promise<unknown>[] = [];
    for (const channel of this.#channels.keys()) {
      // The client of a Cluster lists channels once for each time it is asked, unless they are taken off its list.
      if (this.#sharded && this.#hadConnection) void this.#send('unsubscribe', channel);
      listening.push(this.#send('subscribe', channel));
    }
    // Who listened before there was a connection has missed something too.
    const missed = this.#hadConnection || listening.length > 0;
    this.#hadConnection = true;
    // Lost again meanwhile: the next connection tells it.
    if (missed) void Promise.all(listening).then(() => this.up && this.onGap?.());
  }

  #send(what: 'subscribe' | 'unsubscribe', channel: string): Promise<unknown> {
    return this.#ask(what, channel).catch((error: unknown) => {
      // A connection that broke listens to nothing any more, and hears of what it missed when it is there again.
      if (this.#closed || !this.up || what === 'unsubscribe') return;
      this.#log.warn({ err: error, redis: this.#address, channel }, `could not ${what}`);
    });
  }

  #ask(what: 'subscribe' | 'unsubscribe', channel: string): Promise<unknown> {
    const redis = this.#redis;
    if (this.#sharded) return what === 'subscribe' ? redis.ssubscribe(channel) : redis.sunsubscribe(channel);
    return what === 'subscribe' ? redis.subscribe(channel) : redis.unsubscribe(channel);
  }

  /** Each channel of a Cluster has a connection of its own, or shares one: a few of them are asked in turn. */
  async #probe(): Promise<void> {
    if (!this.up || this.#probing) return;
    this.#probing = true;
    try {
      if (this.#sharded) await Promise.all(this.#probedChannels().map((channel) => this.#probeChannel(channel)));
      else await this.#redis.ping();
    } catch (error) {
      if (this.#closed || !this.up) return;
      this.#log.warn(
        { err: error, redis: this.#address },
        'the connection that listens does not answer; it is made anew',
      );
      this.#redis.disconnect(true);
    } finally {
      this.#probing = false;
    }
  }

  #probedChannels(): string[] {
    const channels = [...this.#channels.keys()];
    const first = this.#probedChannel % Math.max(1, channels.length);
    this.#probedChannel = first + PROBED_CHANNELS_MAX;
    return [...channels.slice(first), ...channels.slice(0, first)].slice(0, PROBED_CHANNELS_MAX);
  }

  /** By a channel of the same slot, so that the subscription itself is never away. */
  async #probeChannel(channel: string): Promise<void> {
    const tag = /\{([^}]+)\}/.exec(channel)?.[1] ?? channel;
    const probed = `{${tag}}:probe`;
    await this.#ask('subscribe', probed);
    await this.#ask('unsubscribe', probed);
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#prober);
    this.#redis.disconnect();
  }
}
