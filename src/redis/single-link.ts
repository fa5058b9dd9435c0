/**
 * Channels over one connection: of one server, or of the primary that Sentinel names.
 *
 * Role: beside `ShardedLink`; the client connects again by itself. Invariant: a connection into a black hole is noticed
 * though nobody sends on it. Every `PROBE_MS` it is asked something, and given up when that is not answered in time.
 */
import type { Cluster, Redis } from 'ioredis';
import type { RedisAddress } from './address.ts';
import { ANSWER_MS_MAX, type ChannelLink, type LinkEvents, PROBE_MS } from './channel-link.ts';
import { makeClient } from './topology.ts';

export class SingleLink implements ChannelLink {
  readonly #redis: Redis | Cluster;
  readonly #channels = new Set<string>();
  readonly #events: LinkEvents;
  readonly #prober: NodeJS.Timeout;
  #hadConnection = false;
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
    return this.#redis.status === 'ready';
  }

  start(): void {
    // A failure is reported by the 'error' event, and tried again.
    this.#redis.connect().catch(() => undefined);
  }

  add(channel: string): void {
    this.#channels.add(channel);
    if (this.up) void this.#listen(channel);
  }

  remove(channel: string): void {
    // What fails here fails with the connection, and with that its channels are gone.
    if (this.#channels.delete(channel) && this.up) this.#redis.unsubscribe(channel).catch(() => undefined);
  }

  #ready(): void {
    const listening = [...this.#channels].map((channel) => this.#listen(channel));
    // Who listened before there was a connection has missed something too.
    const missed = this.#hadConnection || listening.length > 0;
    this.#hadConnection = true;
    // Lost again meanwhile: the next connection tells it.
    void Promise.all(listening).then(() => this.up && this.#events.standing(missed));
  }

  #listen(channel: string): Promise<unknown> {
    return this.#redis.subscribe(channel).catch((error: unknown) => {
      // A connection that broke listens to nothing any more, and hears of what it missed when it is there again.
      if (!this.#closed && this.up) this.#events.trouble(error, `could not listen to ${channel}`);
    });
  }

  async #probe(): Promise<void> {
    if (!this.up || this.#probing) return;
    this.#probing = true;
    try {
      await this.#redis.ping();
    } catch (error) {
      if (this.#closed || !this.up) return;
      this.#events.trouble(error, 'the connection that listens does not answer; it is made anew');
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
