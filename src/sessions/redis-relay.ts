/**
 * What nodes tell each other about sessions, over pub/sub.
 *
 *   broadcast ──► one of `CHANNELS` channels, by session: all nodes listen to all of them
 *   tell, ask ──► the channel of one node ──► (ask) its answer, on the channel of the node that asked
 *
 * Role: cancellations, answers to questions, changes and endings of sessions find the node they are meant for.
 * Pub/sub loses what is published while a listener is away, so nothing here is the only copy of anything: records and
 * events are in Redis, `ask` waits for an answer and says when there is none, and whoever keeps a copy checks it.
 * Invariants: a node hears nothing of what it broadcast itself; at most `ASKS_MAX` answers are waited for, each for
 * `ANSWER_MS_MAX` in which this process ran. Of one server, the number of listeners tells within `GONE_MS` that a node is gone, for one that lost its
 * connection is back by then, and one that listens and does not answer in time may answer later; a Cluster does not count
 * reliably, so there the time has to pass, and tells it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../observe/port.ts';
import type { RedisConnection } from '../redis/connection.ts';
import { pack, unpack } from '../redis/packed.ts';
import { PatientTimer } from '../redis/patient-timer.ts';
import { shardOf } from '../redis/shard.ts';
import type { RedisSubscriber } from '../redis/subscriber.ts';
import { RedisUnavailable } from '../redis/unavailable.ts';
import { KeptMessages } from './kept-messages.ts';
import { ownerOf } from './node-number.ts';
import type { RelayHandler, RelayMessage, SessionRelay } from './port.ts';

export interface RedisRelayOptions {
  readonly commands: RedisConnection;
  readonly subscriber: RedisSubscriber;
  /** Start of all names: `mcp:`. */
  readonly prefix: string;
  readonly tag: string;
  readonly log: Pick<Log, 'error'>;
}

const CHANNELS = 16;
const VERSION = 1;
const ASKS_MAX = 10_000;
const ANSWER_MS_MAX = 1_500;
/** Nobody listens for so long: no node comes back. */
const GONE_MS = 500;
const AGAIN_MS = 50;
/** Kind of an answer; its payload is the answer. */
const ANSWER = 'answer to';

/** As it is packed: from, kind, session, payload, number of the question or 0. */
type Wire = readonly [from: string, kind: string, sessionId: string, payload: string, askNumber: number];

interface Waiting {
  readonly resolve: (answer: string | null) => void;
  readonly reject: (cause: RedisUnavailable) => void;
  readonly timer: PatientTimer;
}

export class RedisSessionRelay implements SessionRelay {
  readonly tag: string;
  readonly #options: RedisRelayOptions;
  readonly #handlers = new Map<string, RelayHandler>();
  readonly #waiting = new Map<number, Waiting>();
  readonly #unsubscribe: (() => void)[] = [];
  readonly #kept = new KeptMessages(() => performance.now());
  #nextAsk = 1;

  constructor(options: RedisRelayOptions) {
    this.tag = options.tag;
    this.#options = options;
    const { subscriber } = options;
    for (let shard = 0; shard < CHANNELS; shard++) {
      this.#unsubscribe.push(subscriber.on(this.#sharedChannel(shard), (bytes) => this.#received(bytes)));
    }
    this.#unsubscribe.push(subscriber.on(this.#nodeChannel(this.tag), (bytes) => this.#received(bytes)));
  }

  ownerOf(streamId: number): string {
    return ownerOf(streamId);
  }

  on(kind: string, handler: RelayHandler): void {
    this.#handlers.set(kind, handler);
  }

  broadcast(kind: string, sessionId: string, payload: string): void {
    this.#sendLossy(this.#sharedChannel(shardOf(sessionId, CHANNELS)), [this.tag, kind, sessionId, payload, 0]);
  }

  broadcastKept(kind: string, sessionId: string, payload: string): void {
    const channel = this.#sharedChannel(shardOf(sessionId, CHANNELS));
    this.#kept.send(() => this.#send(channel, [this.tag, kind, sessionId, payload, 0]));
  }

  tell(tag: string, kind: string, sessionId: string, payload: string): void {
    this.#sendLossy(this.#nodeChannel(tag), [this.tag, kind, sessionId, payload, 0]);
  }

  async ask(tag: string, kind: string, sessionId: string, payload: string): Promise<string | null> {
    if (this.#waiting.size >= ASKS_MAX) {
      throw new RedisUnavailable('busy', `${ASKS_MAX} questions to other nodes are open`, false);
    }
    const number = this.#nextAsk++;
    const isCounted = this.#options.subscriber.publishCommand === 'PUBLISH';
    const answer = new Promise<string | null>((resolve, reject) => {
      const timer = new PatientTimer(ANSWER_MS_MAX, () => this.#late(number, isCounted));
      this.#waiting.set(number, { resolve, reject, timer });
    });
    // It may be settled before it is waited for below.
    answer.catch(() => undefined);
    try {
      const channel = this.#nodeChannel(tag);
      const isGoneAt = performance.now() + GONE_MS;
      while ((await this.#send(channel, [this.tag, kind, sessionId, payload, number])) === 0 && isCounted) {
        if (performance.now() >= isGoneAt) this.#settle(number, null);
        if (!this.#waiting.has(number)) break;
        await delay(AGAIN_MS);
      }
    } catch (error) {
      this.#settle(number, null);
      throw error;
    }
    return answer;
  }

  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#kept.close();
    for (const number of [...this.#waiting.keys()]) this.#settle(number, null);
  }

  #sharedChannel(shard: number): string {
    return `${this.#options.prefix}sessions:all:${shard}`;
  }

  #nodeChannel(tag: string): string {
    return `${this.#options.prefix}sessions:node:${tag}`;
  }

  async #send(channel: string, message: Wire): Promise<number> {
    const { commands, subscriber } = this.#options;
    return Number(await commands.command(subscriber.publishCommand, channel, pack(VERSION, message)));
  }

  #sendLossy(channel: string, message: Wire): void {
    // Redis is away: everybody knows, and checks what it keeps when it is back.
    this.#send(channel, message).catch(() => undefined);
  }

  #settle(number: number, answer: string | null): void {
    const waiting = this.#waiting.get(number);
    if (waiting === undefined) return;
    this.#waiting.delete(number);
    waiting.timer.clear();
    waiting.resolve(answer);
  }

  #late(number: number, isThere: boolean): void {
    const waiting = this.#waiting.get(number);
    if (waiting === undefined || !isThere) {
      this.#settle(number, null);
      return;
    }
    this.#waiting.delete(number);
    waiting.reject(new RedisUnavailable('slow', 'another node does not answer in time', true));
  }

  #received(bytes: Buffer): void {
    const message = wireOf(unpack(VERSION, bytes));
    if (message === null || message[0] === this.tag) return;
    const [from, kind, sessionId, payload, askNumber] = message;
    if (kind === ANSWER) {
      this.#settle(askNumber, payload);
      return;
    }
    const handler = this.#handlers.get(kind);
    if (handler === undefined) return;
    this.#handle(handler, { from, sessionId, payload }, askNumber).catch((cause: unknown) => {
      // Who asked hears nothing, and takes it for what it is: no answer.
      if (!(cause instanceof RedisUnavailable)) this.#options.log.error({ err: cause, kind }, 'a message failed');
    });
  }

  async #handle(handler: RelayHandler, message: RelayMessage, askNumber: number): Promise<void> {
    const answer = await handler(message);
    if (askNumber === 0) return;
    await this.#send(this.#nodeChannel(message.from), [this.tag, ANSWER, message.sessionId, answer, askNumber]);
  }
}

/** Null: a message of another version of this program, or of somebody else. */
function wireOf(value: unknown): Wire | null {
  if (!Array.isArray(value) || value.length < 5) return null;
  const [from, kind, sessionId, payload, askNumber]: unknown[] = value;
  const texts = [from, kind, sessionId, payload];
  if (!texts.every((text) => typeof text === 'string') || typeof askNumber !== 'number') return null;
  return [from, kind, sessionId, payload, askNumber] as Wire;
}
