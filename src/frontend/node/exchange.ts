/**
 * One HTTP request on node:http, from its headers to the end of its answer.
 *
 * Role: the `Reply` of this adapter. Node.js queues the answers of pipelined requests itself, in order.
 * Invariants: lent bytes are copied, since Node.js keeps them until the socket has taken them; after the end, or after
 * the connection has gone, nothing reaches the response.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Log } from '../../observe/port.ts';
import { encodeFault, type Fault, faultFrom } from '../../protocol/faults.ts';
import { crossOriginHeaders } from '../cross-origin.ts';
import type { Intake } from '../intake.ts';
import type { EdgeReply, EventStream, FrontEndLimits, HeaderPairs, HttpCall } from '../port.ts';
import { isSafeHeaderValue, JSON_TYPE, refuse, refuseBody } from '../refusal.ts';
import { ClosedStream, COMMENT_FRAME, SSE_HEADERS, SSE_TYPE } from '../sse.ts';
import { NodeEventStream } from './event-stream.ts';
import type { OpenExchange, ParseErrors } from './parse-errors.ts';

const INTERNAL_ERROR = encodeFault('', faultFrom(null));
const NOTHING = new Uint8Array(0);

/** What all exchanges of one front end share. */
export interface NodeEdge {
  readonly intake: Intake;
  draining: boolean;
  /** Cleared once, with the listener: connections that are open get no WebSocket any more. */
  accepting: boolean;
  /** Requests that have not been answered to the end, streams included. */
  exchanges: number;
  /** Connections past the limit: their first request is refused. */
  readonly surplus: WeakSet<object>;
  readonly parseErrors: ParseErrors;
  readonly limits: FrontEndLimits;
  readonly log: Log;
}

export class NodeExchange implements EdgeReply, OpenExchange {
  open = true;
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  readonly #edge: NodeEdge;
  #closing = false;
  #origin = '';
  #call: HttpCall | null = null;
  #stream: NodeEventStream | null = null;
  #parts: Uint8Array[] = [];
  #received = 0;

  constructor(req: IncomingMessage, res: ServerResponse, edge: NodeEdge) {
    this.#req = req;
    this.#res = res;
    this.#edge = edge;
    // Errors of the socket end in 'close', which is the one ending looked at.
    res.on('error', (cause) => edge.log.debug({ err: cause }, 'response error'));
    req.on('error', (cause) => edge.log.debug({ err: cause }, 'request error'));
    res.on('close', () => this.#closed());
    edge.parseErrors.began(req.socket, this);
    edge.exchanges++;
  }

  /** Known before the end of the body is announced. */
  get answerable(): boolean {
    return this.#req.complete;
  }

  /** After the handler saw the headers. */
  settle(call: HttpCall | null, declaredBytes: number): void {
    this.#call = call;
    if (call === null || !this.open) {
      this.#req.resume();
    } else if (declaredBytes > call.bodyBytesMax) {
      this.#tooLarge(call);
    } else {
      this.#req.on('data', (part: Buffer) => this.#data(call, part));
      this.#req.on('end', () => this.#whole(call));
    }
  }

  send(status: number, contentType: string, body: Uint8Array | string, headers?: HeaderPairs): void {
    if (!this.open) return;
    this.open = false;
    const res = this.#res;
    res.statusCode = status;
    if (contentType !== '') res.setHeader('Content-Type', contentType);
    if (headers !== undefined) this.#setHeaders(headers);
    if (this.#origin !== '') this.#setHeaders(crossOriginHeaders(this.#origin));
    if (this.#closing || this.#edge.draining) res.setHeader('Connection', 'close');
    const copy = Buffer.from(body);
    if (status !== 204 && status !== 304) res.setHeader('Content-Length', copy.byteLength);
    res.end(copy);
  }

  openStream(headers?: HeaderPairs): EventStream {
    if (!this.open) return new ClosedStream();
    this.open = false;
    const res = this.#res;
    res.setHeader('Content-Type', SSE_TYPE);
    this.#setHeaders(SSE_HEADERS);
    if (headers !== undefined) this.#setHeaders(headers);
    if (this.#origin !== '') this.#setHeaders(crossOriginHeaders(this.#origin));
    if (this.#edge.draining) res.setHeader('Connection', 'close');
    res.write(COMMENT_FRAME);
    this.#stream = new NodeEventStream(res, this.#edge.limits.streamBufferBytesMax);
    return this.#stream;
  }

  allowOrigin(origin: string): void {
    this.#origin = origin;
  }

  remoteAddress(): string {
    return this.#req.socket.remoteAddress ?? '';
  }

  /** For requests after which the connection cannot be trusted, or is not wanted. */
  refuseAndClose(f: Fault): void {
    this.#closing = true;
    refuse(this, f);
  }

  /** The handler threw: a bug. */
  broke(cause: unknown): void {
    this.#edge.log.error({ err: cause }, 'request handler threw');
    this.send(500, JSON_TYPE, INTERNAL_ERROR);
  }

  #setHeaders(headers: HeaderPairs): void {
    for (const [name, value] of headers) {
      if (isSafeHeaderValue(value)) this.#res.setHeader(name, value);
      else this.#edge.log.error({ header: name }, 'header value with a line break left out');
    }
  }

  #data(call: HttpCall, part: Buffer): void {
    if (!this.open) return;
    this.#received += part.byteLength;
    if (this.#received > call.bodyBytesMax) this.#tooLarge(call);
    else this.#parts.push(part);
  }

  #whole(call: HttpCall): void {
    if (!this.open) return;
    const parts = this.#parts;
    this.#parts = [];
    const body = parts.length === 1 ? parts[0] : Buffer.concat(parts);
    if (this.#edge.intake.paused) this.#hold(body ?? NOTHING);
    else this.#handOn(call, body ?? NOTHING, parts.length === 1);
  }

  #hold(body: Uint8Array): void {
    this.#parts = [body];
    this.#edge.intake.hold(this);
    this.#req.socket.pause();
  }

  /** Held by `block`, and there is room again. */
  release(): void {
    const [body] = this.#parts;
    const call = this.#call;
    if (!this.open || call === null) return;
    this.#parts = [];
    this.#req.socket.resume();
    this.#handOn(call, body ?? NOTHING, true);
  }

  #handOn(call: HttpCall, body: Uint8Array, isLent: boolean): void {
    try {
      call.body(body, isLent);
    } catch (cause) {
      this.broke(cause);
    }
  }

  /** What still comes is read and forgotten, within the time a request has, so that the client can read the answer. */
  #tooLarge(call: HttpCall): void {
    this.#parts = [];
    refuseBody(this, call.bodyBytesMax);
    this.#req.resume();
    this.#tellAborted(call);
  }

  #closed(): void {
    this.#edge.parseErrors.over(this.#req.socket, this);
    this.#edge.intake.drop(this);
    this.#edge.exchanges--;
    const call = this.#call;
    const unanswered = this.open || (this.#stream !== null && !this.#res.writableEnded);
    this.open = false;
    this.#call = null;
    this.#parts = [];
    this.#stream?.lost();
    if (unanswered && call !== null) this.#tellAborted(call);
  }

  #tellAborted(call: HttpCall): void {
    this.#call = null;
    try {
      call.aborted();
    } catch (cause) {
      this.#edge.log.error({ err: cause }, 'abort handler threw');
    }
  }
}
