/**
 * `POST /internal/{path}`: what other nodes ask of this one.
 *
 * Role: the server's half of `Peers`, behind the front end's router. It answers for itself who may come in, since a
 * node is addressed by a name that clients need not be allowed to use: nothing without a valid proof, nothing with an
 * `Origin` header, whatever the lists of hosts and origins say.
 * Invariants: no body is read before its head is proven; a handler is called once per message, with the body that was
 * signed; a path that nobody serves looks the same as a wrong proof to whoever has none.
 */
import type { EventStream, HeaderPairs, HttpCall, Reply, RequestHead } from '../../frontend/port.ts';
import { refusePath } from '../../frontend/refusal.ts';
import type { UngatedEndpoint } from '../../frontend/router.ts';
import { fault } from '../../protocol/faults.ts';
import { OVERFLOW_EVENT } from './exchange.ts';
import type { PeerCall, PeerFrame, PeerHandler, PeerReply } from './port.ts';
import type { Prover, Ticket } from './proof.ts';
import { decodeMessage, encodeFrame, HEADER, INTERNAL_PREFIX } from './wire.ts';

const ANSWERED = [HEADER.answer, '1'] as const;
const BODY_TYPE = 'application/octet-stream';
const COMMENT = ':\n\n';
const FORBIDDEN = fault('forbidden', 'only nodes of this cluster may ask');

export interface EndpointOptions {
  readonly prover: Prover;
  readonly bodyBytesMax: number;
  /** Frames held for one node that reads slowly. */
  readonly heldBytesMax: number;
  /** Between two comment frames of an open answer. */
  readonly keepAliveMs: number;
  /** Told of what was refused without a proof. */
  readonly refused: (status: number) => void;
}

export class PeerEndpoint implements UngatedEndpoint {
  readonly ungated = true;
  readonly #options: EndpointOptions;
  readonly #handlers = new Map<string, PeerHandler>();
  readonly #streams = new Set<FrameWriter>();
  #keepAlive: NodeJS.Timeout | null = null;

  constructor(options: EndpointOptions) {
    this.#options = options;
  }

  serve(path: string, handler: PeerHandler): void {
    if (this.#handlers.has(path)) throw new Error(`two handlers for ${INTERNAL_PREFIX}${path}`);
    this.#handlers.set(path, handler);
  }

  head(head: RequestHead, reply: Reply): HttpCall | null {
    const path = head.path.slice(INTERNAL_PREFIX.length);
    if (head.method !== 'POST' || head.header('origin') !== '') return this.#refuse(reply, 'forged');
    const verdict = this.#options.prover.check(path, {
      from: head.header(HEADER.from),
      fromStart: head.header(HEADER.fromStart),
      toStart: head.header(HEADER.toStart),
      proof: head.header(HEADER.proof),
    });
    if (typeof verdict === 'string') return this.#refuse(reply, verdict);
    const handler = this.#handlers.get(path);
    if (handler !== undefined) return new ProvenCall(this.#options, verdict, handler, reply, this);
    refusePath(reply, fault('badRequest', 'nothing is served here'));
    return null;
  }

  #refuse(reply: Reply, why: 'forged' | 'stale' | 'seen'): null {
    const headers: [string, string][] = [[HEADER.refused, why]];
    // Only who has proven that it is a node is told which start of this one it should name.
    if (why === 'stale') headers.push([HEADER.toStart, this.#options.prover.start]);
    else this.#options.refused(403);
    reply.send(403, 'application/json', JSON.stringify({ error: FORBIDDEN.message }), headers);
    return null;
  }

  opened(stream: FrameWriter): void {
    this.#streams.add(stream);
    this.#keepAlive ??= setInterval(() => this.#comment(), this.#options.keepAliveMs).unref();
  }

  #comment(): void {
    for (const stream of this.#streams) if (!stream.keepAlive()) this.#streams.delete(stream);
    if (this.#streams.size > 0 || this.#keepAlive === null) return;
    clearInterval(this.#keepAlive);
    this.#keepAlive = null;
  }

  close(): void {
    if (this.#keepAlive !== null) clearInterval(this.#keepAlive);
    this.#keepAlive = null;
    this.#streams.clear();
  }
}

/** A message whose head is proven, until its answer has ended. */
class ProvenCall implements HttpCall, PeerReply {
  readonly bodyBytesMax: number;
  readonly #options: EndpointOptions;
  readonly #ticket: Ticket;
  readonly #handler: PeerHandler;
  readonly #reply: Reply;
  readonly #endpoint: PeerEndpoint;
  #call: PeerCall | null = null;

  constructor(options: EndpointOptions, ticket: Ticket, handler: PeerHandler, reply: Reply, endpoint: PeerEndpoint) {
    this.bodyBytesMax = options.bodyBytesMax;
    this.#options = options;
    this.#ticket = ticket;
    this.#handler = handler;
    this.#reply = reply;
    this.#endpoint = endpoint;
  }

  body(bytes: Uint8Array): void {
    const { from, number, window } = this.#ticket;
    const message = this.#options.prover.matches(this.#ticket, bytes) ? decodeMessage(bytes) : null;
    if (message === null) this.#refuse('forged');
    else if (!window.take(number)) this.#refuse('seen');
    else this.#call = this.#handler({ from, facts: message.facts, body: message.body }, this);
  }

  #refuse(why: 'forged' | 'seen'): void {
    this.#options.refused(403);
    const body = JSON.stringify({ error: FORBIDDEN.message });
    this.#reply.send(403, 'application/json', body, [[HEADER.refused, why]]);
  }

  aborted(): void {
    this.#call?.aborted();
    this.#call = null;
  }

  get open(): boolean {
    return this.#reply.open;
  }

  send(status: number, body: Uint8Array | string, headers: HeaderPairs = []): void {
    this.#reply.send(status, BODY_TYPE, body, [ANSWERED, ...headers]);
  }

  openFrames(): FrameWriter {
    const writer = new FrameWriter(this.#reply.openStream([ANSWERED]), this.#options.heldBytesMax);
    this.#endpoint.opened(writer);
    return writer;
  }
}

/** Writes the frames of one answer; what a slow reader does not take waits here, so that a large one fits behind it. */
class FrameWriter {
  readonly #stream: EventStream;
  readonly #heldBytesMax: number;
  #held: string[] = [];
  #heldBytes = 0;
  #ending = false;

  constructor(stream: EventStream, heldBytesMax: number) {
    this.#stream = stream;
    this.#heldBytesMax = heldBytesMax;
    stream.onDrain = () => this.#drain();
  }

  get open(): boolean {
    return this.#stream.open && !this.#ending;
  }

  write(frame: PeerFrame): void {
    if (!this.open) return;
    const text = encodeFrame(frame);
    if (!this.#stream.congested && this.#held.length === 0) {
      this.#stream.write(text);
      return;
    }
    this.#heldBytes += text.length;
    if (this.#heldBytes <= this.#heldBytesMax) {
      this.#held.push(text);
      return;
    }
    this.#held = [encodeFrame({ event: OVERFLOW_EVENT, data: '' })];
    this.end();
  }

  end(): void {
    if (!this.open) return;
    this.#ending = true;
    if (this.#held.length === 0) this.#stream.end();
  }

  /** False when it is over. */
  keepAlive(): boolean {
    if (this.open && !this.#stream.congested) this.#stream.write(COMMENT);
    return this.#stream.open;
  }

  #drain(): void {
    while (this.#held.length > 0 && this.#stream.open && !this.#stream.congested) {
      const text = this.#held.shift() as string;
      this.#heldBytes -= text.length;
      this.#stream.write(text);
    }
    if (this.#held.length === 0 && this.#ending) this.#stream.end();
  }
}
