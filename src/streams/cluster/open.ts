/**
 * Opens the streams of a cluster on this node: the local engine, an owner per unit, and the messages between nodes.
 *
 * Role: the composition root of this folder. Owners look at their unit when nodes come, go or change status, and every
 * `LOOK_MS`; what other nodes have put in force is read when they say so, and now and then.
 */
import type { Peers } from '../../cluster/peers/port.ts';
import type { Leases, Membership } from '../../cluster/port.ts';
import { Script } from '../../redis/script.ts';
import type { StreamDefinition } from '../define/definition.ts';
import { OperatorParts } from '../engine/operators.ts';
import type { EngineThreads } from '../engine/pool-threads.ts';
import type { ShardParts } from '../engine/shard.ts';
import { type OpenStreams, openStreams, type StreamsOptions } from '../open.ts';
import { ClusterStreams } from './cluster-streams.ts';
import { definitionsOf, steadyClock, UnitEngine, type UnitEngineOptions } from './unit-engine.ts';
import { UNIT_TTL_MS, unitKeys } from './unit-keys.ts';
import { ACCEPT, ASK, answerNode, askNode, DEFINED, YIELD } from './unit-messages.ts';
import { UnitOwner } from './unit-owner.ts';
import { UnitSeat } from './unit-seat.ts';
import { cutIntoUnits, type Unit } from './units.ts';

const LOOK_MS = 500;
/** Looks after which definitions are read again, whether or not someone told of a change. */
const LOOKS_PER_READING = 20;
/** An hour. */
const LOOKS_PER_NOTE = 7200;

/** KEYS: how streams are cut. ARGV: stream, cut, ttl in ms. Gives how it was cut before. */
const NOTE_CUT = new Script(`
local before = redis.call('HGET', KEYS[1], ARGV[1])
if before ~= ARGV[2] then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return before`);
/** For the holder to apply and save what it has. */
const YIELD_MS_MAX = 15_000;
const TELL_MS_MAX = 1_000;

export interface ClusterOptions extends Omit<StreamsOptions, 'threads' | 'now' | 'stores'> {
  readonly leases: Leases;
  readonly membership: Membership;
  readonly peers: Peers;
  readonly redis: UnitEngineOptions['redis'];
  /** Start of all keys in Redis. */
  readonly prefix: string;
  readonly replicasMin: number;
  readonly askMsMax: number;
  /** Of the streams that each node has for itself. */
  readonly stores: (local: readonly StreamDefinition[]) => ReturnType<StreamsOptions['stores']>;
  /** Engine 0 runs those, the next ones a unit each; the last cuts batches by key. */
  readonly threads: (engine: number, parts: ShardParts) => EngineThreads;
  /** Wall clock, ms. */
  readonly now: () => number;
  readonly clock?: UnitEngineOptions['clock'];
}

export interface OpenClusterStreams {
  readonly service: ClusterStreams;
  /** Resolves when every unit has been looked at once more: a unit this node should have, and could take, is here. */
  look(): Promise<void>;
  /** Units this node runs. */
  readonly owned: readonly string[];
  /** Ends at once, nothing is saved or given back: what a crash leaves. */
  abandon(): Promise<void>;
  /** Units are handed over, the local streams closed. */
  close(): Promise<void>;
}

/** Rejects with `DefinitionProblem`, or when the local streams cannot be opened. Units are opened in their time. */
export async function openClusterStreams(options: ClusterOptions): Promise<OpenClusterStreams> {
  const { units, local: definitions } = cutIntoUnits(options.definitions);
  const { now, redis, replicasMin, stores, threads } = options;
  if (replicasMin > 0 && /^rediss?-cluster:/.test(redis.address)) {
    throw new Error('streaming.minReplicas is not for a Redis Cluster: set min-replicas-to-write there');
  }
  const local =
    definitions.length === 0
      ? null
      : await openStreams({
          ...options,
          definitions,
          stores: () => stores(definitions),
          threads: (parts) => threads(0, parts),
          now,
        });
  return new ClusterNode(options, units, local);
}

class ClusterNode implements OpenClusterStreams {
  readonly service: ClusterStreams;
  readonly #options: ClusterOptions;
  readonly #local: OpenStreams | null;
  readonly #seats: readonly UnitSeat[];
  readonly #splitter: EngineThreads;
  readonly #looks: NodeJS.Timeout;
  readonly #unsubscribe: () => void;
  #lookCount = 0;
  /** First units of streams whose cut is not noted yet. */
  #unnoted: readonly Unit[];
  #noting = false;

  constructor(options: ClusterOptions, units: readonly Unit[], local: OpenStreams | null) {
    this.#options = options;
    this.#local = local;
    const { askMsMax, leases, log, membership, peers } = options;
    const monotonic = (): number => performance.now();
    this.#seats = units.map((unit, i) => {
      const owner = new UnitOwner(unit, {
        leases,
        membership,
        open: (_unit, lease, lost) => this.#open(i, lease, lost),
        askToYield: (nodeId, name) => this.#askToYield(nodeId, name),
        changed: () => this.#ownerChanged(i),
        log,
        now: monotonic,
      });
      return new UnitSeat(unit, owner, { nodeId: membership.id, leases, peers, now: monotonic });
    });
    this.#splitter = options.threads(units.length + 1, new OperatorParts(new Map()));
    this.service = new ClusterStreams({
      local: local?.service ?? null,
      seats: this.#seats,
      splitter: this.#splitter,
      askMsMax,
      log,
    });
    this.#serve(peers);
    this.#unsubscribe = membership.onChange(() => this.#membersChanged());
    this.#looks = setInterval(() => this.#lookOnce(), LOOK_MS);
    this.#unnoted = units.filter(({ partition }) => partition === 0);
    void this.#notePartitions();
    void this.look();
  }

  get owned(): readonly string[] {
    return this.#seats.filter(({ owner }) => owner.engine !== null).map(({ unit }) => unit.name);
  }

  async look(): Promise<void> {
    await Promise.all(this.#seats.map(({ owner }) => owner.look()));
  }

  #lookOnce(): void {
    this.#lookCount += 1;
    void this.look();
    if (this.#unnoted.length > 0) void this.#notePartitions();
    if (this.#lookCount % LOOKS_PER_NOTE === 0) void this.#keepNotes();
    if (this.#lookCount % LOOKS_PER_READING !== 0) return;
    for (const seat of this.#seats) if (seat.owner.engine === null) void this.#readDefinitions(seat);
  }

  /** Cut otherwise the streams begin anew, which nobody should find out by missing results. */
  async #notePartitions(): Promise<void> {
    const { log, prefix, redis } = this.#options;
    // Not connected yet, or away: the next look tries again.
    if (this.#noting || !redis.up) return;
    this.#noting = true;
    const key = `${prefix}stream-partitions`;
    try {
      for (const unit of this.#unnoted) {
        const { cut, family } = unit;
        const before = await redis.script(NOTE_CUT, [key], [family, cut, UNIT_TTL_MS]);
        this.#unnoted = this.#unnoted.filter((other) => other !== unit);
        if (before === null || String(before) === cut) continue;
        const facts = { stream: family, before: String(before), partitions: cut };
        const what = 'another number of partitions, or a key of other fields';
        log.warn(facts, `the stream has ${what}: it begins anew, what it held stays in Redis for a while`);
      }
    } catch (error) {
      log.info({ err: error }, 'whether streams have the partitions they had before is not known');
    } finally {
      this.#noting = false;
    }
  }

  /** A note is there for as long as the units it is about. */
  async #keepNotes(): Promise<void> {
    const { prefix, redis } = this.#options;
    // Missed, it is put off with the next one.
    await redis.command('PEXPIRE', `${prefix}stream-partitions`, UNIT_TTL_MS).catch(() => undefined);
  }

  #membersChanged(): void {
    for (const seat of this.#seats) seat.forgetHolder();
    void this.look();
  }

  async #open(
    index: number,
    lease: Parameters<typeof UnitEngine.open>[2],
    lost: (reason: string) => void,
  ): Promise<UnitEngine> {
    const { unit } = this.#seats[index] as UnitSeat;
    const { clock = steadyClock, threads } = this.#options;
    const options = { ...this.#options, clock, threads: (parts: ShardParts) => threads(index + 1, parts) };
    const engine = await UnitEngine.open(options, unit, lease, lost);
    engine.service.onChange((change) => this.service.tell(change));
    engine.service.onDefined(() => this.#defined(index, engine));
    return engine;
  }

  #ownerChanged(index: number): void {
    const seat = this.#seats[index] as UnitSeat;
    seat.forgetHolder();
    const { engine } = seat.owner;
    if (engine !== null) this.#defined(index, engine);
  }

  /** By this node's engine: the others are told, those that are not hear of it with their next reading. */
  #defined(index: number, engine: UnitEngine): void {
    const seat = this.#seats[index] as UnitSeat;
    this.#use(seat, engine.service.definitions);
    const { log, membership, peers } = this.#options;
    for (const { id, status } of membership.nodes) {
      if (id === membership.id || status !== 'running') continue;
      const message = { path: DEFINED, facts: { unit: seat.unit.name }, body: '', timeoutMs: TELL_MS_MAX };
      peers.ask(id, message).catch((error: unknown) => {
        log.info({ err: error, node: id, unit: seat.unit.name }, 'a node could not be told of new definitions');
      });
    }
  }

  async #readDefinitions(seat: UnitSeat): Promise<void> {
    const { log, prefix, redis } = this.#options;
    try {
      const inForce = await definitionsOf(redis, unitKeys(prefix, seat.unit.name).head);
      if (inForce !== null && seat.owner.engine === null) this.#use(seat, inForce.definitions);
    } catch (error) {
      log.info({ err: error, unit: seat.unit.name }, 'the definitions in force cannot be read');
    }
  }

  #use(seat: UnitSeat, definitions: readonly StreamDefinition[]): void {
    if (JSON.stringify(seat.definitions) === JSON.stringify(definitions)) return;
    seat.definitions = definitions;
    this.service.planChanged();
  }

  async #askToYield(nodeId: string, unit: string): Promise<void> {
    const message = { path: YIELD, facts: { unit }, body: new Uint8Array(0), timeoutMs: YIELD_MS_MAX };
    const yielded = await askNode(this.#options.peers, nodeId, message);
    if (yielded !== true) throw new Error(`node ${nodeId} sees itself before this one`);
  }

  #serve(peers: Peers): void {
    const { log } = this.#options;
    const seatOf = (facts: { readonly [member: string]: unknown }): UnitSeat | undefined =>
      this.#seats.find(({ unit }) => unit.name === facts['unit']);
    peers.serve(ACCEPT, (message, reply) => {
      this.service.answerAccept(message, reply);
      return null;
    });
    peers.serve(ASK, (message, reply) => {
      this.service.answerAsk(message, reply);
      return null;
    });
    peers.serve(YIELD, ({ facts, from }, reply) => {
      const yielded = seatOf(facts)?.owner.yieldTo(from) ?? Promise.resolve(true);
      answerNode(yielded, reply, (error) => log.error({ err: error }, 'a unit could not be handed over'));
      return null;
    });
    peers.serve(DEFINED, ({ facts }, reply) => {
      const seat = seatOf(facts);
      seat?.forgetHolder();
      if (seat !== undefined) void this.#readDefinitions(seat);
      reply.send(200, '');
      return null;
    });
  }

  #stopLooking(): void {
    clearInterval(this.#looks);
    this.#unsubscribe();
  }

  async abandon(): Promise<void> {
    this.#stopLooking();
    await Promise.all([this.#local?.abandon(), ...this.#seats.map(({ owner }) => owner.abandon())]);
  }

  async close(): Promise<void> {
    this.#stopLooking();
    await Promise.all(this.#seats.map(({ owner }) => owner.stop()));
    this.#splitter.release();
    await this.#local?.close();
  }
}
