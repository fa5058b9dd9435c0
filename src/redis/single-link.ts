/**
 * Channels over one connection: of one server, or of the primary that Sentinel names.
 *
 * Role: beside `ShardedLink`; the client connects again by itself. Invariants: a connection into a black hole is noticed
 * though nobody sends on it: every `PROBE_MS` it is asked something, and given up when that is not answered in time. A
 * channel counts as listened to once Redis has said so; what it refused is asked for again with each probe.
 */
import type { Cluster, Redis } from 'ioredis';
import type { RedisAddress } from './address.ts';
import { ANSWER_MS_MAX, type ChannelLink, type LinkEvents, PROBE_MS } from './channel-link.ts';
import { makeClient } from './topology.ts';

export class SingleLink implements ChannelLink {
  readonly #redis: Redis | Cluster;
  readonly #channels = new Set<string>();
  /** Those of them that Redis has confirmed on the connection that stands now. */
  readonly #confirmed = new Set<string>();
  readonly #events: LinkEvents;
  readonly #prober: NodeJS.Timeout;
  /** Connections so far. */
  #connections = 0;
  /** The one of now was given up, and ends. */
  #leaving = false;
  #standing = false;
  /** Something may have been published before what is about to stand. */
  #missed = false;
  #refusalTold = false;
  #probing = false;
  #closed = false;

  constructor(address: RedisAddress, tlsCaFile: string, events: LinkEvents) {
    this.#events = events;
    this.#redis = makeClient(address, { commandMsMax: ANSWER_MS_MAX, tlsCaFile }, () => this.#closed);
    this.#redis.on('messageBuffer', (channel: Buffer, message: Buffer) => events.message(channel.toString(), message));
    // Told by the command connection of the node already; an unheard 'error' would end the process.
    this.#redis.on('error', () => undefined);
    this.#redis.on('ready', () => this.#ready());
    this.#prober = setInterval(() => void this.#probe(), PROBE_MS);
    this.#prober.unref();
  }

  get up(): boolean {
    return this.standing && this.#confirmed.size === this.#channels.size;
  }

  get standing(): boolean {
    return this.#isConnected && this.#standing;
  }

  get #isConnected(): boolean {
    return this.#redis.status === 'ready' && !this.#leaving;
  }

  start(): void {
    // A failure is reported by the 'error' event, and tried again.
    this.#redis.connect().catch(() => undefined);
  }

  add(channel: string): void {
    this.#channels.add(channel);
    if (this.#isConnected) void this.#listen([channel]);
  }

  remove(channel: string): void {
    this.#confirmed.delete(channel);
    // What fails here fails with the connection, and with that its channels are gone.
    if (this.#channels.delete(channel) && this.#isConnected) this.#redis.unsubscribe(channel).catch(() => undefined);
  }

  #ready(): void {
    // Who listened before there was a connection has missed something too.
    this.#missed ||= this.#connections > 0 || this.#channels.size > 0;
    this.#connections++;
    this.#leaving = false;
    this.#standing = false;
    this.#confirmed.clear();
    void this.#listen([...this.#channels]);
  }

  async #listen(channels: readonly string[]): Promise<void> {
    const connection = this.#connections;
    const answers = await Promise.allSettled(channels.map((channel) => this.#redis.subscribe(channel)));
    // What the one before said counts no more; the one of now hears of what was missed when it stands.
    if (connection !== this.#connections || !this.#isConnected || this.#closed) return;
    for (const [i, channel] of channels.entries()) {
      const answer = answers[i];
      if (!this.#channels.has(channel)) continue;
      if (answer?.status === 'fulfilled') this.#confirmed.add(channel);
      else this.#refused(channel, answer?.reason);
    }
    if (this.#standing || this.#confirmed.size < this.#channels.size) return;
    const missed = this.#missed;
    this.#standing = true;
    this.#missed = false;
    this.#refusalTold = false;
    this.#events.standing(missed);
  }

  #refused(channel: string, error: unknown): void {
    this.#standing = false;
    this.#missed = true;
    if (this.#refusalTold) return;
    this.#refusalTold = true;
    this.#events.trouble(error, `could not listen to ${channel}; retrying`);
  }

  async #probe(): Promise<void> {
    if (!this.#isConnected || this.#probing) return;
    this.#probing = true;
    try {
      await this.#redis.ping();
      const missing = [...this.#channels].filter((channel) => !this.#confirmed.has(channel));
      if (this.#isConnected && (missing.length > 0 || !this.#standing)) await this.#listen(missing);
    } catch (error) {
      if (this.#closed || !this.#isConnected) return;
      this.#leaving = true;
      this.#events.trouble(error, 'the connection that listens does not answer; reconnecting');
      this.#redis.disconnect(true);
    } finally {
      this.#probing = false;
    }
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#prober);
    this.#redis.disconnect();
  }
}
