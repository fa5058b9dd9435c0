/**
 * `Peers` over HTTP: messages out through kept connections, messages in through the front end's `/internal/`.
 *
 * Role: joins the two halves, and bounds what one node may have under way to another: each message has a connection to
 * itself, so `socketsMax` bounds both. Nothing waits for a connection: one message too many fails at once.
 * TLS is used where the other node's URL says `https:`, checked against `tlsCaFile` or the authorities of Node.js. Over
 * plain HTTP messages cannot be forged or repeated, but be read, and answers be forged by who can write to the network.
 */
import { readFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import { PeerEndpoint } from './endpoint.ts';
import { Exchange, type Hearing, type Link } from './exchange.ts';
import {
  type PeerAnswer,
  type PeerFrame,
  type PeerHandler,
  type PeerRequest,
  type PeerStream,
  type PeerStreamSink,
  type Peers,
  PeerUnavailable,
} from './port.ts';
import { Prover } from './proof.ts';
import { FACTS_BYTES_MAX } from './wire.ts';

/** Between two comment frames of an open answer: a node that says nothing for three of them counts as gone. */
const KEEP_ALIVE_MS = 5_000;
/** Kept connections without a message, per node. */
const FREE_SOCKETS_MAX = 64;
/** Below the 10 s after which uWebSockets.js closes an idle connection: a closed one is not picked. */
const FREE_SOCKET_MS = 4_000;
const NOTHING = new Uint8Array(0);
/** Nodes whose start is remembered; the other starts of many are asked for again. */
const STARTS_MAX = 1024;

export interface HttpPeersOptions {
  readonly nodeId: string;
  readonly secret: string;
  /** Base URL of a node; `''`: it is not known. */
  readonly urlOf: (nodeId: string) => string;
  /** Messages under way to one node. */
  readonly socketsMax: number;
  /** Body of one message, facts not counted. */
  readonly bodyBytesMax: number;
  /** One whole answer, and frames held for one slow reader. */
  readonly answerBytesMax: number;
  /** PEM; `''`: the authorities of Node.js. */
  readonly tlsCaFile: string;
  /** Between two comment frames of an open answer; the same on all nodes. Default 5 s. */
  readonly keepAliveMs?: number;
}

export class HttpPeers implements Peers {
  /** Serves `INTERNAL_PREFIX`. */
  readonly endpoint: PeerEndpoint;
  /** Told of messages without a valid proof. */
  onRefused: ((status: number) => void) | null = null;
  readonly #link: Link;
  readonly #prover: Prover;
  readonly #socketsMax: number;
  readonly #agents: { readonly plain: Agent; readonly tls: TlsAgent };
  readonly #underWay = new Map<string, Set<Exchange>>();
  #closed = false;

  constructor(options: HttpPeersOptions) {
    const prover = new Prover(options.nodeId, options.secret);
    this.#prover = prover;
    const tlsCa = options.tlsCaFile === '' ? undefined : readFileSync(options.tlsCaFile, 'utf8');
    const keep = {
      keepAlive: true,
      maxFreeSockets: FREE_SOCKETS_MAX,
      timeout: FREE_SOCKET_MS,
      scheduling: 'lifo',
    } as const;
    const agents = {
      plain: new Agent(keep),
      tls: new TlsAgent({ ...keep, ...(tlsCa === undefined ? {} : { ca: tlsCa }) }),
    };
    const keepAliveMs = options.keepAliveMs ?? KEEP_ALIVE_MS;
    const starts = new Map<string, string>();
    this.#agents = agents;
    this.#socketsMax = options.socketsMax;
    this.#link = {
      prover,
      tlsCa,
      answerBytesMax: options.answerBytesMax,
      keepAliveMs,
      urlOf: options.urlOf,
      startOf: (nodeId) => starts.get(nodeId) ?? '',
      setStart(nodeId, start) {
        if (starts.size >= STARTS_MAX && !starts.has(nodeId)) starts.clear();
        starts.set(nodeId, start);
      },
      agentOf: (isTls) => (isTls ? agents.tls : agents.plain),
    };
    this.endpoint = new PeerEndpoint({
      prover,
      bodyBytesMax: options.bodyBytesMax + FACTS_BYTES_MAX,
      heldBytesMax: options.answerBytesMax,
      keepAliveMs,
      refused: (status) => this.onRefused?.(status),
    });
  }

  /** The nodes have another secret. What is under way goes on. */
  use(secret: string): void {
    this.#prover.use(secret);
  }

  ask(nodeId: string, request: PeerRequest): Promise<PeerAnswer> {
    return new Promise((resolve, reject) => {
      const exchange = this.#begin(nodeId, request, {
        whole: (status, body) => resolve({ status, body }),
        begun: () => {
          exchange?.cancel();
          reject(new PeerUnavailable(nodeId, `node ${nodeId} answers ${request.path} in parts`, true));
        },
        frame: () => undefined,
        ended: () => undefined,
        failed: reject,
      });
    });
  }

  stream(nodeId: string, request: PeerRequest, sink: PeerStreamSink): PeerStream {
    const exchange = this.#begin(nodeId, request, new Streaming(sink));
    return { cancel: () => exchange?.cancel() };
  }

  /** Null: it fails in the next turn. */
  #begin(nodeId: string, request: PeerRequest, hearing: Hearing): Exchange | null {
    let busy = this.#underWay.get(nodeId);
    if (this.#closed || (busy?.size ?? 0) >= this.#socketsMax) {
      const why = this.#closed ? 'is not asked any more' : `has ${this.#socketsMax} messages of this node under way`;
      process.nextTick(() => hearing.failed(new PeerUnavailable(nodeId, `node ${nodeId} ${why}`, false)));
      return null;
    }
    if (busy === undefined) {
      busy = new Set();
      this.#underWay.set(nodeId, busy);
    }
    const mine = busy;
    const exchange = new Exchange(this.#link, nodeId, request, hearing, () => {
      mine.delete(exchange);
      if (mine.size === 0 && this.#underWay.get(nodeId) === mine) this.#underWay.delete(nodeId);
    });
    mine.add(exchange);
    exchange.start();
    return exchange;
  }

  serve(path: string, handler: PeerHandler): void {
    this.endpoint.serve(path, handler);
  }

  /** Messages under way fail. */
  close(): void {
    this.#closed = true;
    for (const busy of [...this.#underWay.values()]) for (const exchange of [...busy]) exchange.giveUp();
    this.#agents.plain.destroy();
    this.#agents.tls.destroy();
    this.endpoint.close();
  }
}

/** A whole answer and one in parts, told the same way. */
class Streaming implements Hearing {
  readonly #sink: PeerStreamSink;

  constructor(sink: PeerStreamSink) {
    this.#sink = sink;
  }

  whole(status: number, body: Uint8Array): void {
    this.#sink.answered(status, body);
    this.#sink.ended(null);
  }

  begun(): void {
    this.#sink.answered(200, NOTHING);
  }

  frame(frame: PeerFrame): void {
    this.#sink.frame(frame);
  }

  ended(): void {
    this.#sink.ended(null);
  }

  failed(error: PeerUnavailable): void {
    this.#sink.ended(error);
  }
}
