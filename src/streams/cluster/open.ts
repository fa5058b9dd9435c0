/**
 * Opens the streams of a cluster on this node, and is where to begin reading this folder.
 *
 * A unit (`units.ts`) is what one node at a time runs: streams that belong together, a family, or one partition of them.
 * Every node has all of the following for every unit, but an engine only for those it owns.
 *
 *   ClusterStreams        whoever asks: by name of a stream, the family
 *      │
 *   UnitStreams           of one unit ◄───── PartitionedStreams: of many, as if they were one; batches cut by key
 *      │  ▲                                   (partition-intake.ts)
 *      │  └── another node's question (unit-messages.ts)
 *      ▼
 *   UnitRoute ─────────── does this node run it? else who does: over unit-messages.ts to that node's UnitStreams
 *      ▼
 *   UnitOwnership ─────── takes the lease, gives it up, loses it; which node should have it: rendezvous.ts
 *      ▼
 *   UnitEngine            while the lease is held: a StreamEngine whose log, checkpoints, dead letters and definitions
 *      ▼                  in force (in-force.ts) are in Redis at unit-keys.ts
 *   UnitFence             every write goes under the lease's token, and is refused once a newer one has been there
 *
 * Role of this file: joins them. Nodes look at their units when nodes come, go or change status, and every `LOOK_MS`;
 * what other nodes have put in force is read when they say so, and now and then, and partitions that run here follow
 * their first one. Streams that are not replicated have an engine of this node alone, as without a cluster.
 */
import type { Peers } from '../../cluster/peers/port.ts';
import type { Leases, Membership } from '../../cluster/port.ts';
import { loadReducers } from '../aggregates/load-reducers.ts';
import type { StreamDefinition } from '../define/definition.ts';
import { checkDeclaration } from '../engine/connectors/check-declaration.ts';
import { OperatorParts } from '../engine/shards/operators.ts';
import type { ShardParts } from '../engine/shards/shard.ts';
import type { EngineThreads } from '../engine/threads/pool-threads.ts';
import { type OpenStreams, openStreams, type StreamsOptions } from '../open.ts';
import { ClusterStreams } from './cluster-streams.ts';
import { CutNotes } from './cut-notes.ts';
import { readInForce } from './in-force.ts';
import { steadyClock, UnitEngine, type UnitEngineOptions } from './unit-engine.ts';
import { unitKeys } from './unit-keys.ts';
import { ACCEPT, ASK, answerNode, askNode, DEFINED, YIELD } from './unit-messages.ts';
import { UnitOwnership } from './unit-ownership.ts';
import { UnitRoute } from './unit-route.ts';
import { cutIntoUnits, type Unit } from './units.ts';

const LOOK_MS = 500;
/** Looks after which definitions are read again, whether or not someone told of a change. */
const LOOKS_PER_READING = 20;
/** For the holder to apply and save what it has. */
const YIELD_MS_MAX = 15_000;
const TELL_MS_MAX = 1_000;

export interface ClusterOptions extends Omit<StreamsOptions, 'threads' | 'now' | 'monotonic' | 'stores'> {
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
  const { kinds, shards } = options;
  // At once, and by the paths of the declaration: a unit would be retried for ever, and numbers its streams otherwise.
  await loadReducers(checkDeclaration(options.definitions, kinds, { epoch: 0, shards }), new Map());
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
          monotonic,
          goesOnBehindSinks: true,
        });
  return new ClusterNode(options, units, local);
}

const monotonic = (): number => performance.now();

class ClusterNode implements OpenClusterStreams {
  readonly service: ClusterStreams;
  readonly #options: ClusterOptions;
  readonly #local: OpenStreams | null;
  readonly #routes: readonly UnitRoute[];
  readonly #splitter: EngineThreads;
  readonly #looks: NodeJS.Timeout;
  readonly #unsubscribe: () => void;
  readonly #cuts: CutNotes;
  #lookCount = 0;

  constructor(options: ClusterOptions, units: readonly Unit[], local: OpenStreams | null) {
    this.#options = options;
    this.#local = local;
    const { askMsMax, leases, log, membership, peers } = options;
    this.#routes = units.map((unit, i) => {
      const ownership = new UnitOwnership(unit, {
        leases,
        membership,
        open: (_unit, lease, lost, unwanted) => this.#open(i, lease, lost, unwanted),
        askToYield: (nodeId, name) => this.#askToYield(nodeId, name),
        changed: () => this.#ownershipChanged(i),
        log,
        now: monotonic,
      });
      return new UnitRoute(unit, ownership, { nodeId: membership.id, leases, peers, now: monotonic });
    });
    this.#splitter = options.threads(units.length + 1, new OperatorParts(new Map()));
    this.service = new ClusterStreams({
      local: local?.service ?? null,
      routes: this.#routes,
      splitter: this.#splitter,
      askMsMax,
      log,
    });
    this.#serve(peers);
    this.#unsubscribe = membership.onChange(() => this.#membersChanged());
    this.#looks = setInterval(() => this.#lookOnce(), LOOK_MS);
    this.#cuts = new CutNotes(options, units);
    this.#cuts.look();
    void this.look();
  }

  get owned(): readonly string[] {
    return this.#routes.filter(({ ownership }) => ownership.engine !== null).map(({ unit }) => unit.name);
  }

  async look(): Promise<void> {
    await Promise.all(this.#routes.map(({ ownership }) => ownership.look()));
  }

  #lookOnce(): void {
    this.#lookCount += 1;
    void this.look();
    this.#cuts.look();
    if (this.#lookCount % LOOKS_PER_READING !== 0) return;
    for (const route of this.#routes) {
      if (route.ownership.engine === null) void this.#readDefinitions(route);
      else this.#follow(route);
    }
  }

  #membersChanged(): void {
    for (const route of this.#routes) route.forgetHolder();
    void this.look();
  }

  async #open(
    index: number,
    lease: Parameters<typeof UnitEngine.open>[2],
    lost: (reason: string) => void,
    unwanted: AbortSignal,
  ): Promise<UnitEngine> {
    const { unit } = this.#routes[index] as UnitRoute;
    const { clock = steadyClock, threads } = this.#options;
    const options = { ...this.#options, clock, threads: (parts: ShardParts) => threads(index + 1, parts) };
    const engine = await UnitEngine.open(options, unit, lease, lost, unwanted);
    engine.service.onChange((change) => this.service.tell(change));
    engine.service.onDefined(() => this.#defined(index, engine));
    return engine;
  }

  #ownershipChanged(index: number): void {
    const route = this.#routes[index] as UnitRoute;
    route.forgetHolder();
    const { engine } = route.ownership;
    // What is in force is not known before it has started.
    if (engine === null || engine.service.starting) return;
    this.#defined(index, engine);
    this.#follow(route);
  }

  #follow({ ownership: { engine }, unit }: UnitRoute): void {
    if (engine === null || engine.service.starting) return;
    engine.follow().catch((error: unknown) => {
      this.#options.log.info({ err: error, unit: unit.name }, 'a partition does not follow the first one yet');
    });
  }

  /** By this node's engine: the others are told, those that are not hear of it with their next reading. */
  #defined(index: number, engine: UnitEngine): void {
    const route = this.#routes[index] as UnitRoute;
    this.#use(route, engine.service.definitions);
    const { log, membership, peers } = this.#options;
    for (const { id, status } of membership.nodes) {
      if (id === membership.id || status !== 'running') continue;
      const message = { path: DEFINED, facts: { unit: route.unit.name }, body: '', timeoutMs: TELL_MS_MAX };
      peers.ask(id, message).catch((error: unknown) => {
        log.info({ err: error, node: id, unit: route.unit.name }, 'a node could not be told of new definitions');
      });
    }
  }

  async #readDefinitions(route: UnitRoute): Promise<void> {
    const { log, prefix, redis } = this.#options;
    try {
      const inForce = await readInForce(redis, unitKeys(prefix, route.unit.name).head);
      if (inForce !== null && route.ownership.engine === null) this.#use(route, inForce.definitions);
    } catch (error) {
      log.info({ err: error, unit: route.unit.name }, 'the definitions in force cannot be read');
    }
  }

  #use(route: UnitRoute, definitions: readonly StreamDefinition[]): void {
    if (JSON.stringify(route.definitions) === JSON.stringify(definitions)) return;
    route.definitions = definitions;
    this.service.planChanged();
  }

  async #askToYield(nodeId: string, unit: string): Promise<void> {
    const message = { path: YIELD, facts: { unit }, body: new Uint8Array(0), timeoutMs: YIELD_MS_MAX };
    const yielded = await askNode(this.#options.peers, nodeId, message);
    if (yielded !== true) throw new Error(`node ${nodeId} sees itself before this one`);
  }

  #serve(peers: Peers): void {
    const { log } = this.#options;
    const routeOf = (facts: { readonly [member: string]: unknown }): UnitRoute | undefined =>
      this.#routes.find(({ unit }) => unit.name === facts['unit']);
    peers.serve(ACCEPT, (message, reply) => {
      this.service.answerAccept(message, reply);
      return null;
    });
    peers.serve(ASK, (message, reply) => {
      this.service.answerAsk(message, reply);
      return null;
    });
    peers.serve(YIELD, ({ facts, from }, reply) => {
      const yielded = routeOf(facts)?.ownership.yieldTo(from) ?? Promise.resolve(true);
      answerNode(yielded, reply, (error) => log.error({ err: error }, 'a unit could not be handed over'));
      return null;
    });
    peers.serve(DEFINED, ({ facts }, reply) => {
      const route = routeOf(facts);
      route?.forgetHolder();
      if (route !== undefined) {
        void this.#readDefinitions(route);
        const { family, partition } = route.unit;
        for (const each of this.#routes) if (partition === 0 && each.unit.family === family) this.#follow(each);
      }
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
    await Promise.all([this.#local?.abandon(), ...this.#routes.map(({ ownership }) => ownership.abandon())]);
  }

  async close(): Promise<void> {
    this.#stopLooking();
    await Promise.all(this.#routes.map(({ ownership }) => ownership.stop()));
    this.#splitter.release();
    await this.#local?.close();
  }
}
