/**
 * The streams of all nodes, as any of them sees them: `Streams` over the local engine and the units of the cluster.
 *
 * Role: knows which family a stream is of, and asks that: this node's own engine, one unit (`unit-streams.ts`), or many
 * (`partitioned-streams.ts`). `plan` is for describing, and for cutting batches by key; its numbers mean nothing to an
 * engine. What all families are asked for (lists, alerts) is put together from those that answer; of a unit that does not,
 * the newest known facts are given.
 */
import type { PeerMessage, PeerReply } from '../../cluster/peers/port.ts';
import { compilePlan } from '../define/compile.ts';
import type { StreamDefinition } from '../define/definition.ts';
import type { EngineLog } from '../engine/engine.ts';
import {
  type AlertFilter,
  type DeadLetterFacts,
  type DefineOutcome,
  type OriginalEvent,
  type RaisedAlert,
  type Replayed,
  type StreamChange,
  type StreamFacts,
  StreamRefusal,
  type Streams,
  type WindowAnswer,
  type WindowQuery,
} from '../engine/port.ts';
import { StreamListeners } from '../engine/results/stream-listeners.ts';
import type { StreamService } from '../engine/service.ts';
import type { EngineThreads } from '../engine/threads/pool-threads.ts';
import type { Plan } from '../plan.ts';
import type { Accepted, IncomingBatch } from '../sources/port.ts';
import { factsBefore, factsOfAll } from './facts.ts';
import { newestFirst, PartitionedStreams } from './partitioned-streams.ts';
import { refuseNode } from './unit-messages.ts';
import type { UnitRoute } from './unit-route.ts';
import { type FamilyStreams, UnitStreams } from './unit-streams.ts';

export interface ClusterStreamsOptions {
  /** Streams that every node has for itself; null: none. */
  readonly local: StreamService | null;
  /** Those of one family side by side, by partition. */
  readonly routes: readonly UnitRoute[];
  /** Cuts batches of streams with partitions. */
  readonly splitter: Pick<EngineThreads, 'split' | 'usePlan'>;
  /** For a forwarded batch or question to be answered. */
  readonly askMsMax: number;
  readonly log: EngineLog;
}

/** Streams that belong together: all units, by partition, and what is asked of them. */
interface Family {
  readonly units: UnitStreams[];
  readonly streams: UnitStreams | PartitionedStreams;
}

export class ClusterStreams implements Streams {
  plan: Plan;
  readonly #options: ClusterStreamsOptions;
  readonly #families: readonly Family[];
  readonly #listeners = new StreamListeners();
  /** By name of a stream. */
  #byName: ReadonlyMap<string, FamilyStreams> = new Map();
  #epoch = 0;

  constructor(options: ClusterStreamsOptions) {
    this.#options = options;
    this.#families = familiesOf(options, () => this.plan);
    this.plan = this.#compiled();
    options.local?.onChange((change) => this.tell(change));
    options.local?.onDefined(() => this.planChanged());
  }

  get #units(): readonly UnitStreams[] {
    return this.#families.flatMap(({ units }) => units);
  }

  get definitions(): readonly StreamDefinition[] {
    const { local } = this.#options;
    return [...(local?.definitions ?? []), ...this.#families.flatMap(definitionsOf)];
  }

  get degraded(): readonly string[] {
    const { local, routes } = this.#options;
    const units = routes.flatMap(({ ownership, unit }) => [
      ...(ownership.engine?.service.degraded ?? []).map((reason) => `${reason} of ${unit.name}`),
      ...(ownership.trouble === '' ? [] : [`streams of ${unit.name}`]),
    ]);
    return [...(local?.degraded ?? []), ...units];
  }

  async accept(stream: string, source: string, batch: IncomingBatch): Promise<Accepted> {
    return this.#familyOf(stream).accept(stream, source, batch);
  }

  async list(): Promise<readonly StreamFacts[]> {
    const { local } = this.#options;
    const told = await Promise.all(
      this.#families.map(async (family) => {
        const facts = factsOfAll((await Promise.all(family.units.map((unit) => unit.facts()))).flat());
        return facts.length > 0 ? facts : definitionsOf(family).map(factsBefore);
      }),
    );
    return [...(local?.list() ?? []), ...told.flat()];
  }

  /** Of the streams that run here, once they have started. */
  listOwn(): readonly StreamFacts[] {
    const { local, routes } = this.#options;
    const services = [local, ...routes.map(({ ownership }) => ownership.engine?.service ?? null)];
    return factsOfAll(services.flatMap((each) => (each === null || each.starting ? [] : each.list())));
  }

  async query(query: WindowQuery): Promise<WindowAnswer> {
    return this.#familyOf(query.stream).query(query);
  }

  async alerts(filter: AlertFilter): Promise<readonly RaisedAlert[]> {
    if (filter.stream !== '') return this.#familyOf(filter.stream).alerts(filter);
    const asked = await Promise.all(this.#families.map(({ streams }) => streams.alertsIfThere(filter)));
    return newestFirst([...(this.#options.local?.alerts(filter) ?? []), ...asked.flat()], filter.limit);
  }

  async define(stream: string, kind: 'windows' | 'patterns', definition: unknown): Promise<DefineOutcome> {
    return this.#familyOf(stream).define(stream, kind, definition);
  }

  async remove(stream: string, kind: 'windows' | 'patterns', name: string): Promise<DefineOutcome> {
    return this.#familyOf(stream).remove(stream, kind, name);
  }

  async events(stream: string, ids: readonly string[]): Promise<readonly OriginalEvent[]> {
    return this.#familyOf(stream).events(stream, ids);
  }

  async deadLetters(stream: string, after: string, limit: number): Promise<readonly DeadLetterFacts[]> {
    return this.#familyOf(stream).deadLetters(stream, after, limit);
  }

  async replayDeadLetters(stream: string, ids: readonly string[]): Promise<Replayed> {
    return this.#familyOf(stream).replayDeadLetters(stream, ids);
  }

  async dropDeadLetters(stream: string, ids: readonly string[]): Promise<number> {
    return this.#familyOf(stream).dropDeadLetters(stream, ids);
  }

  onChange(listener: (change: StreamChange) => void): () => void {
    return this.#listeners.onChange(listener);
  }

  /** Called when what is in force changed, here or elsewhere. */
  onDefined(listener: () => void): void {
    this.#listeners.onDefined(listener);
  }

  /** From an engine of this node. */
  tell(change: StreamChange): void {
    this.#listeners.changed(change);
  }

  /** The definitions in force of some unit are others now. */
  planChanged(): void {
    try {
      this.plan = this.#compiled();
    } catch (error) {
      // While nodes of two configurations run side by side: the plan from before describes most of it.
      this.#options.log.warn({ err: error }, 'the streams of all nodes do not make one plan');
      return;
    }
    this.#listeners.defined();
  }

  /** From another node: answered by the engine here, or not at all. */
  answerAccept(message: PeerMessage, reply: PeerReply): void {
    this.#unitOf(message, reply)?.answerAccept(message, reply);
  }

  answerAsk(message: PeerMessage, reply: PeerReply): void {
    this.#unitOf(message, reply)?.answerAsk(message, reply);
  }

  #unitOf({ facts }: PeerMessage, reply: PeerReply): UnitStreams | undefined {
    const unit = this.#units.find(({ route }) => route.unit.name === facts['unit']);
    if (unit === undefined) refuseNode(reply);
    return unit;
  }

  #familyOf(stream: string): FamilyStreams {
    const found = this.#byName.get(stream) ?? this.#options.local;
    if (found === null) throw StreamRefusal.noStream(stream, this.#byName.keys());
    return found;
  }

  #compiled(): Plan {
    this.#epoch += 1;
    const plan = compilePlan(this.definitions, { epoch: this.#epoch, shards: 1 });
    this.#byName = new Map(
      this.#families.flatMap((family) => definitionsOf(family).map(({ name }) => [name, family.streams] as const)),
    );
    if (plan.streams.some(({ partitions }) => partitions > 1)) this.#options.splitter.usePlan(plan);
    return plan;
  }
}

/** Those of its first partition: they are the others', too, or will be. */
const definitionsOf = ({ units }: Family): readonly StreamDefinition[] => units[0]?.route.definitions ?? [];

function familiesOf({ askMsMax, log, routes, splitter }: ClusterStreamsOptions, plan: () => Plan): Family[] {
  const units = new Map<string, UnitStreams[]>();
  for (const route of routes) {
    const { family } = route.unit;
    units.set(family, [...(units.get(family) ?? []), new UnitStreams(route, askMsMax, log)]);
  }
  return [...units.values()].map((partitions) => {
    const [only] = partitions;
    const isOne = only !== undefined && partitions.length === 1;
    return { units: partitions, streams: isOne ? only : new PartitionedStreams({ partitions, splitter, plan }) };
  });
}
