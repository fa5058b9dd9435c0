/**
 * The streams of all nodes, as any of them sees them: `Streams` over the local engine and the units of the cluster.
 *
 * Role: finds the home of the stream that is spoken of: this node's own engine, a unit, or the partitions of one. `plan` is
 * for describing, and for cutting batches by key; its numbers mean nothing to an engine. What several units are asked for
 * (lists, alerts) is put together from those that answer; of a unit that does not, the newest known facts are given.
 */
import type { PeerMessage, PeerReply } from '../../cluster/peers/port.ts';
import { compilePlan } from '../define/compile.ts';
import type { StreamDefinition } from '../define/definition.ts';
import type { EngineLog } from '../engine/engine.ts';
import type { EngineThreads } from '../engine/pool-threads.ts';
import {
  type AlertFilter,
  type DeadLetterFacts,
  type DefineOutcome,
  type RaisedAlert,
  type StreamChange,
  type StreamFacts,
  StreamRefusal,
  type Streams,
  type WindowAnswer,
  type WindowQuery,
} from '../engine/port.ts';
import type { StreamService } from '../engine/service.ts';
import type { Plan } from '../plan.ts';
import type { Accepted, IncomingBatch } from '../sources/port.ts';
import { factsBefore, factsOfAll } from './facts.ts';
import { newestFirst, PartitionedHome } from './partitioned-home.ts';
import { type StreamHome, UnitHome } from './unit-home.ts';
import { refuseNode } from './unit-messages.ts';
import type { UnitSeat } from './unit-seat.ts';

const LISTENERS_MAX = 64;

export interface ClusterStreamsOptions {
  /** Streams that every node has for itself; null: none. */
  readonly local: StreamService | null;
  /** Those of one family side by side, by partition. */
  readonly seats: readonly UnitSeat[];
  /** Cuts batches of streams with partitions. */
  readonly splitter: Pick<EngineThreads, 'split' | 'usePlan'>;
  /** For a forwarded batch or question to be answered. */
  readonly askMsMax: number;
  readonly log: EngineLog;
}

/** Streams that belong together, and where they are. */
interface Family {
  readonly units: UnitHome[];
  readonly home: UnitHome | PartitionedHome;
}

export class ClusterStreams implements Streams {
  plan: Plan;
  readonly #options: ClusterStreamsOptions;
  readonly #families: readonly Family[];
  readonly #listeners = new Set<(change: StreamChange) => void>();
  readonly #definedListeners: (() => void)[] = [];
  /** By stream. */
  #homes: ReadonlyMap<string, StreamHome> = new Map();
  #epoch = 0;

  constructor(options: ClusterStreamsOptions) {
    this.#options = options;
    this.#families = familiesOf(options, () => this.plan);
    this.plan = this.#compiled();
    options.local?.onChange((change) => this.tell(change));
    options.local?.onDefined(() => this.planChanged());
  }

  get #units(): readonly UnitHome[] {
    return this.#families.flatMap(({ units }) => units);
  }

  get definitions(): readonly StreamDefinition[] {
    const { local } = this.#options;
    return [...(local?.definitions ?? []), ...this.#families.flatMap(definitionsOf)];
  }

  get degraded(): readonly string[] {
    const { local, seats } = this.#options;
    const units = seats.flatMap(({ owner, unit }) => [
      ...(owner.engine?.service.degraded ?? []).map((reason) => `${reason} of ${unit.name}`),
      ...(owner.trouble === '' ? [] : [`streams of ${unit.name}`]),
    ]);
    return [...(local?.degraded ?? []), ...units];
  }

  async accept(stream: string, source: string, batch: IncomingBatch): Promise<Accepted> {
    return this.#homeOf(stream).accept(stream, source, batch);
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

  /** Of the streams that run here. */
  listOwn(): readonly StreamFacts[] {
    const { local, seats } = this.#options;
    return factsOfAll([...(local?.list() ?? []), ...seats.flatMap(({ owner }) => owner.engine?.service.list() ?? [])]);
  }

  async query(query: WindowQuery): Promise<WindowAnswer> {
    return this.#homeOf(query.stream).query(query);
  }

  async alerts(filter: AlertFilter): Promise<readonly RaisedAlert[]> {
    if (filter.stream !== '') return this.#homeOf(filter.stream).alerts(filter);
    const asked = await Promise.all(this.#families.map(({ home }) => home.alertsIfThere(filter)));
    return newestFirst([...(this.#options.local?.alerts(filter) ?? []), ...asked.flat()], filter.limit);
  }

  async define(stream: string, kind: 'windows' | 'patterns', definition: unknown): Promise<DefineOutcome> {
    return this.#homeOf(stream).define(stream, kind, definition);
  }

  async events(
    stream: string,
    ids: readonly string[],
  ): Promise<readonly { readonly id: string; readonly text: string }[]> {
    return this.#homeOf(stream).events(stream, ids);
  }

  async deadLetters(stream: string, after: string, limit: number): Promise<readonly DeadLetterFacts[]> {
    return this.#homeOf(stream).deadLetters(stream, after, limit);
  }

  async replayDeadLetters(stream: string, ids: readonly string[]): Promise<Accepted> {
    return this.#homeOf(stream).replayDeadLetters(stream, ids);
  }

  async dropDeadLetters(stream: string, ids: readonly string[]): Promise<number> {
    return this.#homeOf(stream).dropDeadLetters(stream, ids);
  }

  onChange(listener: (change: StreamChange) => void): () => void {
    if (this.#listeners.size >= LISTENERS_MAX) throw new Error(`more than ${LISTENERS_MAX} listeners to the streams`);
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Called when what is in force changed, here or elsewhere. */
  onDefined(listener: () => void): void {
    this.#definedListeners.push(listener);
  }

  /** From an engine of this node. */
  tell(change: StreamChange): void {
    for (const listener of this.#listeners) listener(change);
  }

  /** The definitions of a seat are others now. */
  planChanged(): void {
    try {
      this.plan = this.#compiled();
    } catch (error) {
      // While nodes of two configurations run side by side: the plan from before describes most of it.
      this.#options.log.warn({ err: error }, 'the streams of all nodes do not make one plan');
      return;
    }
    for (const listener of this.#definedListeners) listener();
  }

  /** From another node: answered by the engine here, or not at all. */
  answerAccept(message: PeerMessage, reply: PeerReply): void {
    this.#unitOf(message, reply)?.answerAccept(message, reply);
  }

  answerAsk(message: PeerMessage, reply: PeerReply): void {
    this.#unitOf(message, reply)?.answerAsk(message, reply);
  }

  #unitOf({ facts }: PeerMessage, reply: PeerReply): UnitHome | undefined {
    const unit = this.#units.find(({ seat }) => seat.unit.name === facts['unit']);
    if (unit === undefined) refuseNode(reply);
    return unit;
  }

  #homeOf(stream: string): StreamHome {
    const home = this.#homes.get(stream) ?? this.#options.local;
    if (home === null) throw new StreamRefusal('unknown', `no stream named ${JSON.stringify(stream.slice(0, 64))}`);
    return home;
  }

  #compiled(): Plan {
    this.#epoch += 1;
    const plan = compilePlan(this.definitions, { epoch: this.#epoch, shards: 1 });
    this.#homes = new Map(
      this.#families.flatMap((family) => definitionsOf(family).map(({ name }) => [name, family.home] as const)),
    );
    if (plan.streams.some(({ partitions }) => partitions > 1)) this.#options.splitter.usePlan(plan);
    return plan;
  }
}

/** Those of its first partition: they are the others', too, or will be. */
const definitionsOf = ({ units }: Family): readonly StreamDefinition[] => units[0]?.seat.definitions ?? [];

function familiesOf({ askMsMax, log, seats, splitter }: ClusterStreamsOptions, plan: () => Plan): Family[] {
  const units = new Map<string, UnitHome[]>();
  for (const seat of seats) {
    const { family } = seat.unit;
    units.set(family, [...(units.get(family) ?? []), new UnitHome(seat, askMsMax, log)]);
  }
  return [...units.values()].map((homes) => {
    const [only] = homes;
    const home = only !== undefined && homes.length === 1 ? only : new PartitionedHome({ homes, splitter, plan });
    return { units: homes, home };
  });
}
