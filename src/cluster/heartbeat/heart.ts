/**
 * The heartbeat: tells the registry in Redis every `heartbeatMs` that this node is alive, and reads who else is.
 *
 * Role: runs on a thread of its own (`workers/heartbeat.ts`) with its own connections, so that a front end that stands
 * still is reported busy, not dead. What it believes is `KnownNodes`; what it finds goes to the front end as sightings.
 *
 *   not registered ──beat──► beating ──a higher epoch under this id──► fenced: reads, never writes again
 *
 * Invariants: one beat and one look at a time; while Redis is away nothing is queued, the next beat tries again; a change
 * of facts is told at once, by a message to everybody, who then look. Nothing is said before the first beat has come to
 * something, and that has failed only when the first attempt to reach Redis has: the connection that listens may stand
 * before the one that asks.
 */
import type { RedisConnection } from '../../redis/connection.ts';
import { pack, unpack } from '../../redis/packed.ts';
import type { RedisSubscriber } from '../../redis/subscriber.ts';
import { RedisUnavailable } from '../../redis/unavailable.ts';
import type { NodeFacts } from '../port.ts';
import { KnownNodes } from './known-nodes.ts';
import { type LoadBoard, TURN_MS } from './load-board.ts';
import type { FromHeart, HeartSetup, ToHeart } from './messages.ts';
import { BEAT, fieldsOf, HEARTBEATS_TO_LIVE, LEAVE, LIST, READ, type Seen, seenOf } from './node-hash.ts';
import { Presence } from './presence.ts';
import { StallWatch } from './stall-watch.ts';

/** Ids read of the registry; more are not looked at. */
const NODES_MAX = 1000;
/** A node whose own last heartbeat is older does not judge others by theirs. */
const BEATS_LATE = 2;
/** Of the layout of `News`. */
const NEWS_VERSION = 1;
/** The set of ids goes when no node was there for so long. */
const LIST_TTL_MS = 24 * 3600 * 1000;
/** A first attempt to reach Redis that has come to nothing by then, and by the first beat, has failed. */
const FIRST_MS = 2000;

export interface HeartPorts {
  readonly commands: RedisConnection;
  readonly subscriber: RedisSubscriber;
  readonly board: LoadBoard;
  readonly tell: (message: FromHeart) => void;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

interface News {
  readonly what: 'joined' | 'changed' | 'left';
  readonly id: string;
  readonly epoch: number;
}

export class Heart {
  readonly #setup: HeartSetup;
  readonly #ports: HeartPorts;
  readonly #known: KnownNodes;
  readonly #watch = new StallWatch();
  readonly #presence: Presence;
  readonly #channel: string;
  #facts: NodeFacts;
  #epoch: number;
  #fenced = false;
  #busy = false;
  #closed = false;
  #trouble = '';
  /** The first attempt to reach Redis is still under way. */
  #isOpening = true;
  /** The first beat has come to something, or failed: before that there is nothing to be seen, and nothing to be said. */
  #hasBeaten = false;
  /** All nodes of the registry were seen once. */
  #read = false;
  /** When the last beat came to something, good or bad. */
  #beatenAtMs = 0;
  /** What to publish with the next beat that gets through. */
  #news: News['what'] | null = 'joined';
  #beating: Promise<void> | null = null;
  #looking: Promise<void> | null = null;
  #beatAgain = false;
  #lookAgain = false;
  #timers: NodeJS.Timeout[] = [];

  constructor(setup: HeartSetup, ports: HeartPorts) {
    this.#setup = setup;
    this.#ports = ports;
    this.#facts = setup.facts;
    this.#epoch = setup.epoch;
    this.#known = new KnownNodes(setup.heartbeatMs);
    if (setup.known.length > 0) this.#known.recall(setup.known, ports.now());
    this.#channel = `${setup.prefix}nodes:changed`;
    this.#presence = new Presence(ports.commands, setup.presence, HEARTBEATS_TO_LIVE * setup.heartbeatMs);
  }

  start(): void {
    const { commands, subscriber } = this.#ports;
    const { heartbeatMs } = this.#setup;
    subscriber.on(this.#channel, (message) => this.#heard(message));
    subscriber.onGap = () => this.#look();
    subscriber.start();
    commands.onChange((up) => up && this.#opened());
    // A first attempt that fails is tried again by the connection; until then the beats say so.
    commands.ready().catch(() => this.#opened());
    this.#timers = [
      setTimeout(() => this.#isOpening && this.#opened(), Math.max(FIRST_MS, heartbeatMs)),
      setInterval(() => this.#beat(), heartbeatMs),
      setInterval(() => this.#tick(), Math.min(TURN_MS, heartbeatMs / 2)),
    ];
  }

  take(message: ToHeart): void {
    if (message.kind === 'leave') {
      void this.#leave();
      return;
    }
    this.#facts = message.facts;
    this.#news ??= 'changed';
    this.#beat();
  }

  #opened(): void {
    this.#isOpening = false;
    this.#beat();
  }

  #tick(): void {
    const { board, now } = this.#ports;
    const busy = this.#watch.stalled(board.turns, now());
    if (busy !== this.#busy) {
      this.#busy = busy;
      this.#beat();
    }
    // Whoever is due to go may have sent a heartbeat since the last look.
    if (now() >= this.#known.nextGoneAtMs) this.#look();
  }

  #beat(): void {
    if (this.#closed || this.#isOpening) return;
    if (this.#beating !== null) {
      this.#beatAgain = true;
      return;
    }
    this.#beating = this.#beatOnce().finally(() => {
      this.#beating = null;
      this.#hasBeaten = true;
      this.#beatenAtMs = this.#ports.now();
      if (this.#beatAgain) this.#beat();
      else this.#look();
      this.#beatAgain = false;
    });
  }

  async #beatOnce(): Promise<void> {
    if (this.#fenced) return;
    const { board, commands } = this.#ports;
    const { heartbeatMs, id, prefix } = this.#setup;
    const fields = fieldsOf(this.#facts, board.load, this.#busy);
    try {
      const args = [this.#epoch, HEARTBEATS_TO_LIVE * heartbeatMs, ...fields];
      const reply = (await commands.script(BEAT, [this.#key(id)], args)) as [number, Buffer, number];
      if (reply[0] === 0) {
        this.#fence(Number(reply[1]));
        return;
      }
      if (reply[2] === 0) {
        // It lost what it had, heartbeats of others too that nobody has read: they are not known to be late.
        if (this.#epoch !== 0) this.#known.away();
        // Whoever could read meanwhile has found this node gone.
        this.#news ??= 'joined';
      }
      this.#epoch = Number(reply[1]);
      await this.#presence.tell(this.#epoch);
      await commands.script(LIST, [`${prefix}nodes`], [id, LIST_TTL_MS]);
      this.#trouble = '';
      const news = this.#news;
      this.#news = null;
      if (news !== null) await this.#publish(news);
    } catch (error) {
      this.#failed(error);
    }
  }

  #fence(epoch: number): void {
    this.#fenced = true;
    const fields = { node: this.#setup.id, epoch: this.#epoch, higher: epoch };
    const message = 'another node was started under the id of this one: this one writes no shared state any more';
    this.#ports.tell({ kind: 'log', level: 'warn', fields, message });
  }

  #look(): void {
    if (this.#closed || !this.#hasBeaten) return;
    if (this.#looking !== null) {
      this.#lookAgain = true;
      return;
    }
    // It stood still: whether heartbeats are written at all, its own says. A look comes after it.
    if (!this.#fenced && this.#ports.now() - this.#beatenAtMs > BEATS_LATE * this.#setup.heartbeatMs) {
      this.#beat();
      return;
    }
    this.#looking = this.#lookOnce().finally(() => {
      this.#looking = null;
      this.#tell();
      if (this.#lookAgain) this.#look();
      this.#lookAgain = false;
    });
  }

  async #lookOnce(): Promise<void> {
    const { commands, now } = this.#ports;
    const askedAtMs = now();
    const epoch = this.#epoch;
    try {
      const ids = (await commands.command('SMEMBERS', `${this.#setup.prefix}nodes`)) as string[];
      const all = await Promise.all(ids.slice(0, NODES_MAX).map((id) => this.#recordOf(id)));
      if (this.#fenced) this.#trouble = '';
      const isLost = epoch !== 0 && !this.#fenced && !all.some((seen) => seen?.record.id === this.#setup.id);
      // A beat that fails while reading works (a full server) means that nobody's heartbeats are written.
      if (this.#trouble !== '' || isLost) this.#known.away();
      else {
        this.#known.told(
          all.filter((seen) => seen !== null),
          askedAtMs,
        );
        this.#read ||= epoch !== 0 || this.#fenced;
      }
      await this.#forget(ids.filter((id, index) => all[index] === null && !this.#known.has(id)));
    } catch (error) {
      this.#failed(error);
      this.#known.away();
    }
  }

  async #recordOf(id: string): Promise<Seen | null> {
    return seenOf(id, await this.#ports.commands.script(READ, [this.#key(id)], []));
  }

  /** A node that is there lists itself again with its next heartbeat. */
  async #forget(ids: readonly string[]): Promise<void> {
    const others = ids.filter((id) => id !== this.#setup.id);
    if (others.length > 0 && !this.#fenced) {
      await this.#ports.commands.command('SREM', `${this.#setup.prefix}nodes`, ...others);
    }
  }

  #failed(error: unknown): void {
    if (!(error instanceof RedisUnavailable)) throw error;
    this.#trouble = error.why;
  }

  #heard(message: Buffer): void {
    const news = newsOf(message);
    if (news === null) return;
    const { id } = this.#setup;
    if (news.id === id) {
      if (news.epoch > this.#epoch) this.#beat();
      return;
    }
    if (news.what === 'left') {
      this.#known.left(news.id, news.epoch, this.#ports.now());
      this.#tell();
      return;
    }
    this.#look();
  }

  async #publish(what: News['what']): Promise<void> {
    const { commands, subscriber } = this.#ports;
    const news: News = { what, id: this.#setup.id, epoch: this.#epoch };
    await commands.command(subscriber.publishCommand, this.#channel, pack(NEWS_VERSION, news));
  }

  #tell(): void {
    if (this.#closed || !this.#hasBeaten) return;
    const nodes = this.#known.list(this.#ports.now());
    const sighting = { nodes, epoch: this.#epoch, read: this.#read, fenced: this.#fenced, trouble: this.#trouble };
    this.#ports.tell({ kind: 'seen', sighting });
  }

  async #leave(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const timer of this.#timers) clearInterval(timer);
    const { commands, subscriber, tell } = this.#ports;
    try {
      // A beat on its way would register the node again.
      await this.#beating;
      if (this.#epoch !== 0 && !this.#fenced) await this.#signOff();
    } catch (error) {
      // Without Redis the heartbeats stop, which says the same a little later.
      this.#failed(error);
    } finally {
      subscriber.close();
      commands.close();
      tell({ kind: 'left' });
    }
  }

  async #signOff(): Promise<void> {
    const { id, prefix } = this.#setup;
    const { commands } = this.#ports;
    await this.#presence.end(this.#epoch);
    if ((await commands.script(LEAVE, [this.#key(id)], [this.#epoch])) === 0) return;
    await commands.command('SREM', `${prefix}nodes`, id);
    await this.#publish('left');
  }

  #key(id: string): string {
    return `${this.#setup.prefix}node:${id}`;
  }
}

/** Null: not from a node, or from one of another version; what it says is seen with the next look. */
function newsOf(message: Buffer): News | null {
  const { epoch, id, what } = (unpack(NEWS_VERSION, message) ?? {}) as Partial<News>;
  const known = what === 'joined' || what === 'changed' || what === 'left';
  return known && typeof id === 'string' && typeof epoch === 'number' ? { what, id, epoch } : null;
}
