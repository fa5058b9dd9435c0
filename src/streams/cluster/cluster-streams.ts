/**
 * The streams of all nodes, as any of them sees them: `Streams` over the local engine and the units of the cluster.
 *
 * Role: answers what is of this node itself, and asks the node that runs a unit for the rest. An ingested batch is
 * forwarded as it came in and acknowledged when the owner says that it is durable and applied. `plan` is for describing
 * only: its numbers mean nothing to an engine. What several units are asked for (lists, alerts) is put together from
 * those that answer; of a unit that does not, the newest known facts are given.
 */
import type { PeerMessage, PeerReply } from '../../cluster/peers/port.ts';
import { compilePlan } from '../define/compile.ts';
import type { StreamDefinition } from '../define/definition.ts';
import type { EngineLog } from '../engine/engine.ts';
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
import type { UnitEngine } from './unit-engine.ts';
import {
  ACCEPT,
  ASK,
  answerNode,
  NotOwner,
  packArguments,
  type UnitMessage,
  unpackArguments,
} from './unit-messages.ts';
import type { UnitSeat } from './unit-seat.ts';

const LISTENERS_MAX = 64;
/** Where a unit's facts are put together with others', none is waited for longer. */
const LIST_MS_MAX = 1000;

/** What one node asks another's engine for. */
const METHODS = [
  'list',
  'query',
  'alerts',
  'define',
  'events',
  'deadLetters',
  'replayDeadLetters',
  'dropDeadLetters',
] as const;
type Method = (typeof METHODS)[number];
type Asked = { readonly [M in Method]: Awaited<ReturnType<StreamService[M]>> };

export interface ClusterStreamsOptions {
  /** Streams that every node has for itself; null: none. */
  readonly local: StreamService | null;
  readonly seats: readonly UnitSeat[];
  /** For a forwarded batch or question to be answered. */
  readonly askMsMax: number;
  readonly log: EngineLog;
}

export class ClusterStreams implements Streams {
  plan: Plan;
  readonly #options: ClusterStreamsOptions;
  readonly #listeners = new Set<(change: StreamChange) => void>();
  readonly #definedListeners: (() => void)[] = [];
  /** By stream. */
  #seats: ReadonlyMap<string, UnitSeat> = new Map();
  #epoch = 0;

  constructor(options: ClusterStreamsOptions) {
    this.#options = options;
    this.plan = this.#compiled();
    options.local?.onChange((change) => this.tell(change));
    options.local?.onDefined(() => this.planChanged());
  }

  get definitions(): readonly StreamDefinition[] {
    const { local, seats } = this.#options;
    return [...(local?.definitions ?? []), ...seats.flatMap(({ definitions }) => definitions)];
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
    const seat = this.#seatOf(stream);
    if (seat === null) return this.#localFor(stream).accept(stream, source, batch);
    const { body, ...heading } = batch;
    const facts = { unit: seat.unit.name, stream, source, heading };
    const timeoutMs = this.#options.askMsMax;
    return seat.ask((engine) => engine.service.accept(stream, source, batch), { path: ACCEPT, facts, body, timeoutMs });
  }

  async list(): Promise<readonly StreamFacts[]> {
    const { local, seats } = this.#options;
    const listed = await Promise.all(seats.map((seat) => this.#factsOf(seat)));
    return [...(local?.list() ?? []), ...listed.flat()];
  }

  /** Of the streams that run here. */
  listOwn(): readonly StreamFacts[] {
    const { local, seats } = this.#options;
    return [...(local?.list() ?? []), ...seats.flatMap(({ owner }) => owner.engine?.service.list() ?? [])];
  }

  async #factsOf(seat: UnitSeat): Promise<readonly StreamFacts[]> {
    try {
      seat.facts = await this.#ask(seat, 'list', [], LIST_MS_MAX);
    } catch (error) {
      this.#options.log.info({ err: error, unit: seat.unit.name }, 'the facts of these streams are those last known');
    }
    return seat.facts.length > 0 ? seat.facts : seat.definitions.map(factsBefore);
  }

  query(query: WindowQuery): Promise<WindowAnswer> {
    return this.#forStream(query.stream, 'query', [query], (local) => local.query(query));
  }

  async alerts(filter: AlertFilter): Promise<readonly RaisedAlert[]> {
    const { local, log, seats } = this.#options;
    if (filter.stream !== '') {
      return this.#forStream(filter.stream, 'alerts', [filter], (own) => Promise.resolve(own.alerts(filter)));
    }
    const asked = seats.map((seat) =>
      this.#ask(seat, 'alerts', [filter], LIST_MS_MAX).catch((error: unknown) => {
        log.info({ err: error, unit: seat.unit.name }, 'alerts of these streams are left out');
        return [];
      }),
    );
    const all = [...(local?.alerts(filter) ?? []), ...(await Promise.all(asked)).flat()];
    return all.sort((a, b) => b.atMs - a.atMs).slice(0, filter.limit);
  }

  async define(stream: string, kind: 'windows' | 'patterns', definition: unknown): Promise<DefineOutcome> {
    return this.#forStream(stream, 'define', [stream, kind, definition], (local) =>
      local.define(stream, kind, definition),
    );
  }

  events(stream: string, ids: readonly string[]): Promise<readonly { readonly id: string; readonly text: string }[]> {
    return this.#forStream(stream, 'events', [stream, ids], (local) => local.events(stream, ids));
  }

  deadLetters(stream: string, after: string, limit: number): Promise<readonly DeadLetterFacts[]> {
    return this.#forStream(stream, 'deadLetters', [stream, after, limit], (local) =>
      local.deadLetters(stream, after, limit),
    );
  }

  replayDeadLetters(stream: string, ids: readonly string[]): Promise<Accepted> {
    return this.#forStream(stream, 'replayDeadLetters', [stream, ids], (local) => local.replayDeadLetters(stream, ids));
  }

  dropDeadLetters(stream: string, ids: readonly string[]): Promise<number> {
    return this.#forStream(stream, 'dropDeadLetters', [stream, ids], (local) => local.dropDeadLetters(stream, ids));
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
  answerAccept({ body, facts }: PeerMessage, reply: PeerReply): void {
    const { heading, source, stream, unit } = facts as unknown as {
      readonly heading: Omit<IncomingBatch, 'body'>;
      readonly source: string;
      readonly stream: string;
      readonly unit: string;
    };
    // The message is only lent for this turn.
    const batch = { ...heading, body: Buffer.from(body) };
    this.#answer(unit, reply, (engine) => engine.service.accept(stream, source, batch));
  }

  answerAsk({ body, facts }: PeerMessage, reply: PeerReply): void {
    const { method, unit } = facts as unknown as { readonly method: Method; readonly unit: string };
    const args = unpackArguments(body);
    this.#answer(unit, reply, async (engine) => {
      if (args === null || !METHODS.includes(method)) throw new TypeError(`no such question: ${String(method)}`);
      return this.#askOwn(engine, method, args);
    });
  }

  #answer(unit: string, reply: PeerReply, work: (engine: UnitEngine) => Promise<unknown>): void {
    const seat = this.#options.seats.find((each) => each.unit.name === unit);
    const answered = async (): Promise<unknown> => {
      if (seat === undefined) throw new NotOwner(`unit ${unit} is not known here`);
      return seat.answer(work);
    };
    answerNode(answered(), reply, (error) =>
      this.#options.log.error({ err: error, unit }, 'a node could not be answered'),
    );
  }

  async #forStream<M extends Method>(
    stream: string,
    method: M,
    args: readonly unknown[],
    local: (service: StreamService) => Promise<Asked[M]>,
  ): Promise<Asked[M]> {
    const seat = this.#seatOf(stream);
    return seat === null ? local(this.#localFor(stream)) : this.#ask(seat, method, args, this.#options.askMsMax);
  }

  #ask<M extends Method>(seat: UnitSeat, method: M, args: readonly unknown[], timeoutMs: number): Promise<Asked[M]> {
    const facts = { unit: seat.unit.name, method };
    const message: UnitMessage = { path: ASK, facts, body: packArguments(args), timeoutMs };
    return seat.ask((engine) => this.#askOwn(engine, method, args) as Promise<Asked[M]>, message);
  }

  async #askOwn(engine: UnitEngine, method: Method, args: readonly unknown[]): Promise<unknown> {
    const target = method === 'define' ? engine : engine.service;
    const answer = (target as unknown as Record<Method, (...given: readonly unknown[]) => unknown>)[method];
    return answer.apply(target, [...args]);
  }

  #seatOf(stream: string): UnitSeat | null {
    return this.#seats.get(stream) ?? null;
  }

  #localFor(stream: string): StreamService {
    const { local } = this.#options;
    if (local === null) throw new StreamRefusal('unknown', `no stream named ${JSON.stringify(stream.slice(0, 64))}`);
    return local;
  }

  #compiled(): Plan {
    this.#epoch += 1;
    this.#seats = new Map(this.#options.seats.flatMap((seat) => seat.names.map((name) => [name, seat] as const)));
    return compilePlan(this.definitions, { epoch: this.#epoch, shards: 1 });
  }
}

/** Of a stream that nobody has told anything of yet. */
function factsBefore({ description = '', durability = 'memory', name, title = '' }: StreamDefinition): StreamFacts {
  const counters = { accepted: 0, rejected: 0, duplicates: 0, late: 0, batches: 0, results: 0 };
  return {
    name,
    title,
    description,
    durability,
    watermark: null,
    counters,
    pendingBytes: 0,
    deadLetters: 0,
    partialsDropped: {},
    resultsRefused: 0,
  };
}
