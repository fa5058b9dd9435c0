/**
 * The streams of one unit, wherever it is run.
 *
 * Role: both ends of what nodes ask one another. Asked on this node: each question as a call of the engine and as a
 * message, of which `unit-route.ts` takes the one that reaches the owner. Asked by another node (`answerAccept`,
 * `answerAsk`): answered by the engine here, or not at all. A batch is forwarded as it came in, and acknowledged when the
 * owner says that it is durable and applied.
 */
import type { PeerMessage, PeerReply } from '../../cluster/peers/port.ts';
import type { EngineLog } from '../engine/engine.ts';
import type {
  AlertFilter,
  DeadLetterFacts,
  DefineOutcome,
  OriginalEvent,
  RaisedAlert,
  Replayed,
  StreamFacts,
  Streams,
  WindowAnswer,
  WindowQuery,
} from '../engine/port.ts';
import type { StreamService } from '../engine/service.ts';
import type { Accepted, IncomingBatch } from '../sources/port.ts';
import type { UnitEngine } from './unit-engine.ts';
import { ACCEPT, ASK, answerNode, packArguments, type UnitMessage, unpackArguments } from './unit-messages.ts';
import type { UnitRoute } from './unit-route.ts';

/** What can be asked of a family, the streams that belong together. */
export type FamilyStreams = Pick<
  Streams,
  | 'accept'
  | 'alerts'
  | 'deadLetters'
  | 'define'
  | 'dropDeadLetters'
  | 'events'
  | 'query'
  | 'remove'
  | 'replayDeadLetters'
>;

/** What one node asks another's engine for. */
const METHODS = [
  'list',
  'query',
  'alerts',
  'define',
  'remove',
  'follow',
  'events',
  'deadLetters',
  'letterBatch',
  'replayDeadLetters',
  'dropDeadLetters',
] as const;
type Method = (typeof METHODS)[number];
/** What is in force for the next owner, too, is asked of the unit's engine. */
const OF_UNIT = ['define', 'remove', 'follow'] as const;
type OfUnit = (typeof OF_UNIT)[number];
type Answering = Pick<StreamService, Exclude<Method, OfUnit>> & Pick<UnitEngine, OfUnit>;
type Asked = { readonly [M in Method]: Awaited<ReturnType<Answering[M]>> };

/** Where a unit's answer is put together with others', none is waited for longer. */
const LIST_MS_MAX = 1000;

export class UnitStreams implements FamilyStreams {
  readonly route: UnitRoute;
  readonly #askMsMax: number;
  readonly #log: EngineLog;

  /** `askMsMax`: for a forwarded batch or question to be answered. */
  constructor(route: UnitRoute, askMsMax: number, log: EngineLog) {
    this.route = route;
    this.#askMsMax = askMsMax;
    this.#log = log;
  }

  /** `unread`: why no thread is to decode it; then it is kept as a dead letter, and refused. */
  accept(stream: string, source: string, batch: IncomingBatch, unread = ''): Promise<Accepted> {
    const { body, ...heading } = batch;
    const facts = { unit: this.route.unit.name, stream, source, heading, unread };
    const message = { path: ACCEPT, facts, body, timeoutMs: this.#askMsMax };
    return this.route.ask((engine) => engine.service.accept(stream, source, batch, unread), message);
  }

  /** Those last known, when nobody tells. */
  async facts(): Promise<readonly StreamFacts[]> {
    const { route } = this;
    try {
      route.facts = await this.#ask('list', [], LIST_MS_MAX);
    } catch (error) {
      this.#log.info({ err: error, unit: route.unit.name }, 'the facts of these streams are those last known');
    }
    return route.facts;
  }

  query(query: WindowQuery): Promise<WindowAnswer> {
    return this.#ask('query', [query]);
  }

  alerts(filter: AlertFilter): Promise<readonly RaisedAlert[]> {
    return this.#ask('alerts', [filter]);
  }

  /** None, when nobody tells. */
  async alertsIfThere(filter: AlertFilter): Promise<readonly RaisedAlert[]> {
    try {
      return await this.#ask('alerts', [filter], LIST_MS_MAX);
    } catch (error) {
      this.#log.info({ err: error, unit: this.route.unit.name }, 'alerts of these streams are left out');
      return [];
    }
  }

  define(stream: string, kind: 'windows' | 'patterns', definition: unknown): Promise<DefineOutcome> {
    return this.#ask('define', [stream, kind, definition]);
  }

  remove(stream: string, kind: 'windows' | 'patterns', name: string): Promise<DefineOutcome> {
    return this.#ask('remove', [stream, kind, name]);
  }

  /** Of a partition: what the first one has is in force in it too when this resolves. */
  follow(): Promise<boolean> {
    return this.#ask('follow', []);
  }

  events(stream: string, ids: readonly string[]): Promise<readonly OriginalEvent[]> {
    return this.#ask('events', [stream, ids]);
  }

  deadLetters(stream: string, after: string, limit: number): Promise<readonly DeadLetterFacts[]> {
    return this.#ask('deadLetters', [stream, after, limit]);
  }

  /** A dead letter as it is taken again; null when it is not there. */
  letterBatch(stream: string, id: string): Promise<IncomingBatch | null> {
    return this.#ask('letterBatch', [stream, id]);
  }

  replayDeadLetters(stream: string, ids: readonly string[]): Promise<Replayed> {
    return this.#ask('replayDeadLetters', [stream, ids]);
  }

  dropDeadLetters(stream: string, ids: readonly string[]): Promise<number> {
    return this.#ask('dropDeadLetters', [stream, ids]);
  }

  #ask<M extends Method>(method: M, args: readonly unknown[], timeoutMs = this.#askMsMax): Promise<Asked[M]> {
    const facts = { unit: this.route.unit.name, method };
    const message: UnitMessage = { path: ASK, facts, body: packArguments(args), timeoutMs };
    return this.route.ask((engine) => askEngine(engine, method, args) as Promise<Asked[M]>, message);
  }

  /** Another node's batch. */
  answerAccept({ body, facts }: PeerMessage, reply: PeerReply): void {
    const { heading, source, stream, unread } = facts as unknown as {
      readonly heading: Omit<IncomingBatch, 'body'>;
      readonly source: string;
      readonly stream: string;
      /** Not there from nodes of earlier versions. */
      readonly unread?: string;
    };
    // The message is only lent for this turn.
    const batch = { ...heading, body: Buffer.from(body) };
    this.#answer(reply, (engine) => engine.service.accept(stream, source, batch, unread));
  }

  /** Another node's question. */
  answerAsk({ body, facts }: PeerMessage, reply: PeerReply): void {
    const method = facts['method'] as Method;
    const args = unpackArguments(body);
    this.#answer(reply, async (engine) => {
      if (args === null || !METHODS.includes(method)) throw new TypeError(`no such question: ${String(method)}`);
      return askEngine(engine, method, args);
    });
  }

  #answer(reply: PeerReply, work: (engine: UnitEngine) => Promise<unknown>): void {
    answerNode(this.route.answer(work), reply, (error) =>
      this.#log.error({ err: error, unit: this.route.unit.name }, 'a node could not be answered'),
    );
  }
}

async function askEngine(engine: UnitEngine, method: Method, args: readonly unknown[]): Promise<unknown> {
  const target = OF_UNIT.includes(method as OfUnit) ? engine : engine.service;
  const answer = (target as unknown as Record<Method, (...given: readonly unknown[]) => unknown>)[method];
  return answer.apply(target, [...args]);
}
