/**
 * Channels of a Cluster, sharded (`SSUBSCRIBE`): one connection to each server that has any of them.
 *
 *   channels ──slot map──► servers ──SSUBSCRIBE──► standing
 *      ▲                                              │ a connection ended, a channel has moved, a probe failed
 *      └────── pause that doubles and varies ◄────────┘
 *
 * Role: beside `SingleLink`. The client library has sharded subscribers of its own, which stop listening for good when a
 * server that is being connected to goes, and ask for the slot map in a tight loop while a primary is dead.
 * Invariants: one placing at a time; channels of servers that are well are listened to while the others are looked for;
 * a connection into a black hole and a channel that has moved are noticed within `PROBE_MS` and an answer's time, as
 * far as `PROBED_CHANNELS_MAX` reaches at once.
 */
import type { Redis } from 'ioredis';
import type { RedisAddress } from './address.ts';
import { ANSWER_MS_MAX, type ChannelLink, type LinkEvents, PROBE_MS } from './channel-link.ts';
import { slotOf } from './slot.ts';
import { makeServerClient, pauseMs } from './topology.ts';

/** Servers asked for the slot map, those of the URL among them. */
const HOSTS_MAX = 64;
/** Asked again at once, of one server. */
const PROBED_CHANNELS_MAX = 8;

interface Host {
  readonly host: string;
  readonly port: number;
}

interface SlotRange extends Host {
  readonly first: number;
  readonly last: number;
}

interface Server {
  readonly redis: Redis;
  /** Confirmed. */
  readonly channels: Set<string>;
  probing: boolean;
  /** Where the next probe begins. */
  probed: number;
}

const nameOf = ({ host, port }: Host): string => `${host}:${port}`;

export class ShardedLink implements ChannelLink {
  readonly #address: RedisAddress;
  readonly #tlsCaFile: string;
  readonly #events: LinkEvents;
  readonly #channels = new Set<string>();
  readonly #servers = new Map<string, Server>();
  readonly #prober: NodeJS.Timeout;
  /** Asked in turn: one of them may be wrong for long. */
  #hosts: readonly Host[];
  #asked = 0;
  /** Null: to be asked for. */
  #map: readonly SlotRange[] | null = null;
  #started = false;
  #placing = false;
  #again = false;
  #standing = false;
  #missed = false;
  #attempts = 0;
  #pause: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(address: RedisAddress, tlsCaFile: string, events: LinkEvents) {
    this.#address = address;
    this.#tlsCaFile = tlsCaFile;
    this.#events = events;
    this.#hosts = address.hosts;
    this.#prober = setInterval(() => this.#probeAll(), PROBE_MS);
    this.#prober.unref();
  }

  get up(): boolean {
    return this.#standing;
  }

  get standing(): boolean {
    return this.#standing;
  }

  start(): void {
    this.#started = true;
    void this.#place();
  }

  add(channel: string): void {
    this.#channels.add(channel);
    if (!this.#standing) this.#missed = true;
    if (this.#started) void this.#place();
  }

  remove(channel: string): void {
    this.#channels.delete(channel);
    if (this.#started) void this.#place();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#prober);
    if (this.#pause !== null) clearTimeout(this.#pause);
    for (const { redis } of this.#servers.values()) redis.disconnect();
    this.#servers.clear();
  }

  async #place(): Promise<void> {
    // It is placed with the others when the pause is over.
    if (this.#pause !== null || this.#closed) return;
    this.#again = true;
    if (this.#placing) return;
    this.#placing = true;
    try {
      while (this.#again && !this.#closed) {
        this.#again = false;
        await this.#placeAll();
      }
      this.#placed();
    } catch (error) {
      if (this.#standing) this.#events.trouble(error, 'channels of the Cluster cannot be listened to; retrying');
      this.#lost();
    } finally {
      this.#placing = false;
    }
  }

  #placed(): void {
    // A server that was placed has gone meanwhile.
    if (this.#pause !== null) return;
    this.#attempts = 0;
    if (this.#standing || this.#closed) return;
    const missed = this.#missed;
    this.#standing = true;
    this.#missed = false;
    this.#events.standing(missed);
  }

  /** Some channel is not listened to. */
  #lost(): void {
    this.#standing = false;
    this.#missed = true;
    this.#map = null;
    if (this.#closed || this.#pause !== null) return;
    this.#attempts += 1;
    this.#pause = setTimeout(
      () => {
        this.#pause = null;
        void this.#place();
      },
      pauseMs(this.#attempts, Math.random()),
    );
  }

  async #placeAll(): Promise<void> {
    this.#map ??= await this.#slotMap();
    const wanted = new Map<string, { readonly host: Host; readonly channels: Set<string> }>();
    let homeless = '';
    for (const channel of this.#channels) {
      const host = this.#ownerOf(channel);
      if (host === undefined) homeless = channel;
      else {
        const own = wanted.get(nameOf(host)) ?? { host, channels: new Set() };
        wanted.set(nameOf(host), own);
        own.channels.add(channel);
      }
    }
    for (const [name, server] of this.#servers) if (!wanted.has(name)) this.#drop(name, server);
    const listening = [...wanted.values()].map(({ channels, host }) => this.#listen(host, channels));
    for (const outcome of await Promise.allSettled(listening)) if (outcome.status === 'rejected') throw outcome.reason;
    if (homeless !== '') throw new Error(`the slot of channel ${homeless} has no server`);
  }

  #ownerOf(channel: string): Host | undefined {
    const slot = slotOf(channel);
    return this.#map?.find(({ first, last }) => first <= slot && slot <= last);
  }

  async #listen(host: Host, channels: ReadonlySet<string>): Promise<void> {
    const { channels: confirmed, redis } = this.#servers.get(nameOf(host)) ?? (await this.#connect(host));
    for (const channel of confirmed) {
      if (channels.has(channel)) continue;
      confirmed.delete(channel);
      await redis.sunsubscribe(channel);
    }
    const missing = [...channels].filter((channel) => !confirmed.has(channel));
    await Promise.all(missing.map((channel) => redis.ssubscribe(channel).then(() => confirmed.add(channel))));
  }

  async #connect(host: Host): Promise<Server> {
    const redis = this.#clientOf(host);
    const server: Server = { redis, channels: new Set(), probing: false, probed: 0 };
    redis.on('smessageBuffer', (channel: Buffer, message: Buffer) => {
      this.#events.message(channel.toString(), message);
    });
    const name = nameOf(host);
    redis.once('end', () => {
      if (this.#servers.get(name) !== server) return;
      this.#servers.delete(name);
      this.#lost();
    });
    await redis.connect();
    if (this.#closed) redis.disconnect();
    else this.#servers.set(name, server);
    return server;
  }

  #drop(name: string, { redis }: Server): void {
    this.#servers.delete(name);
    redis.disconnect();
  }

  #clientOf({ host, port }: Host): Redis {
    const redis = makeServerClient(this.#address, host, port, {
      commandMsMax: ANSWER_MS_MAX,
      tlsCaFile: this.#tlsCaFile,
    });
    // What goes wrong is told by the end of the connection.
    redis.on('error', () => undefined);
    return redis;
  }

  async #slotMap(): Promise<readonly SlotRange[]> {
    let failure: unknown;
    for (let i = 0; i < this.#hosts.length && !this.#closed; i++) {
      const host = this.#hosts[this.#asked++ % this.#hosts.length] as Host;
      const redis = this.#clientOf(host);
      try {
        await redis.connect();
        const map = rangesOf(await redis.call('CLUSTER', 'SLOTS'), host.host);
        const named = new Map([...this.#address.hosts, ...map].map((each) => [nameOf(each), each]));
        this.#hosts = [...named.values()].slice(0, HOSTS_MAX);
        return map;
      } catch (error) {
        failure = error;
      } finally {
        redis.disconnect();
      }
    }
    throw failure;
  }

  #probeAll(): void {
    for (const [name, server] of this.#servers) if (!server.probing) void this.#probe(name, server);
  }

  /** By asking for channels once more, which changes nothing where they are, and fails where they are not. */
  async #probe(name: string, server: Server): Promise<void> {
    server.probing = true;
    const channels = [...server.channels];
    const first = server.probed % Math.max(1, channels.length);
    server.probed = first + PROBED_CHANNELS_MAX;
    const probed = [...channels.slice(first), ...channels.slice(0, first)].slice(0, PROBED_CHANNELS_MAX);
    try {
      await Promise.all(probed.map((channel) => server.redis.ssubscribe(channel)));
    } catch (error) {
      if (this.#servers.get(name) !== server) return;
      this.#events.trouble(error, 'a connection that listens does not answer as it should; reconnecting');
      this.#drop(name, server);
      this.#lost();
    } finally {
      server.probing = false;
    }
  }
}

/** `asked`: stands for a server that does not know its own name. */
function rangesOf(reply: unknown, asked: string): readonly SlotRange[] {
  if (!Array.isArray(reply)) throw new Error('the slot map is no list');
  return reply.map((range: unknown) => {
    const [first, last, owner] = range as readonly [number, number, readonly [string | null, number]];
    const [host, port] = owner;
    return { first, last, host: host === null || host === '' ? asked : host, port };
  });
}
