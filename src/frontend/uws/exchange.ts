// HOT PATH
/**
 * One HTTP request on uWebSockets.js, from its headers to the end of its answer.
 *
 * Role: the `Reply` that the protocol holds, and the only owner of the native response. Per request there is this object
 * and two callbacks; uWebSockets.js hands callbacks no context, so those cannot be shared.
 *
 *     receiving ──▶ answering ──▶ (flushing: the socket took a part of the body) ──▶ ended
 *                        └──▶ streaming (`UwsEventStream`) ──▶ ended
 *     any of them ──▶ ended when the connection goes
 *
 * Invariants: `#res` is not touched once `#ended`. What is written outside a callback of the same socket is corked, or
 * each header would be a packet.
 * A whole answer goes out with `tryEnd`: while a body is held back the response stays pending, and uWebSockets.js then
 * closes a connection that asks for more, instead of buffering answers without bound for a client that does not read.
 * For small bodies it does so once in `1 / CHECKED_SHARE` answers, at random: `tryEnd` costs 5 % of an echo, and what
 * gathers up to the next check is a few times `UNCHECKED_LENGTH_MAX`.
 */
import type { Fault } from '../../protocol/faults.ts';
import { crossOriginHeaders } from '../cross-origin.ts';
import type { EdgeReply, EventStream, HeaderPairs, HttpCall } from '../port.ts';
import { isSafeHeaderValue, refuse, refuseBody } from '../refusal.ts';
import { ClosedStream, COMMENT_FRAME, SSE_HEADERS, SSE_TYPE } from '../sse.ts';
import type { UwsEdge } from './edge.ts';
import { UwsEventStream } from './event-stream.ts';
import type { NativeResponse } from './native.ts';
import type { Receiving } from './receive-deadlines.ts';
import { statusLine } from './status.ts';

const NOTHING = new Uint8Array(0);
/** First allocation for a body that comes in parts; doubles up to the limit of the call. */
const PARTS_BYTES_MIN = 16 * 1024;
/** Once one part in this many of a declared body has come, there is room made for all of it. */
const DECLARED_PARTS = 8;
/** Memory for a body that is fuller than this is given away with it. */
const FULL = 7 / 8;
/** Answers up to this length are not all checked for a reader that has stopped. */
const UNCHECKED_LENGTH_MAX = 4096;
const CHECKED_SHARE = 0.125;

export class UwsExchange implements EdgeReply, Receiving {
  open = true;
  earlier: Receiving | null = null;
  later: Receiving | null = null;
  joinedTick = -1;

  readonly #res: NativeResponse;
  readonly #edge: UwsEdge;
  readonly #headOnly: boolean;
  /** Inside a callback of this socket: uWebSockets.js has corked it. */
  #inTurn = true;
  #ended = false;
  #origin = '';
  #listening = false;
  #bodyDone = true;
  #closing = false;
  #call: HttpCall | null = null;
  #stream: UwsEventStream | null = null;
  /** Parts of a body that did not come at once: `#parts[0…#received)`. */
  #parts: Uint8Array = NOTHING;
  #received = 0;
  #declaredBytes = 0;
  /** The answer's body while the socket has not taken all of it. */
  #rest: Uint8Array = NOTHING;

  constructor(res: NativeResponse, edge: UwsEdge, headOnly: boolean) {
    this.#res = res;
    this.#edge = edge;
    this.#headOnly = headOnly;
    edge.exchanges++;
  }

  /** After the handler saw the headers. `call` null: the reply has been used, or is a stream now. */
  settle(call: HttpCall | null, declaredBytes: number): void {
    if (call !== null && this.open && declaredBytes > call.bodyBytesMax) {
      // The parser skips the body, so the client can read this before it has sent everything.
      refuseBody(this, call.bodyBytesMax);
      this.#tellAborted(call);
    }
    this.#call = call;
    this.#declaredBytes = declaredBytes;
    if (!this.#ended) {
      this.#listen();
      if (call !== null && this.open) {
        this.#bodyDone = false;
        this.#edge.deadlines.join(this);
        this.#res.onData((chunk, isLast) => this.#data(chunk, isLast));
      }
    }
    this.#inTurn = false;
  }

  /** For requests after which the connection cannot be trusted, or is not wanted. */
  refuseAndClose(f: Fault): void {
    this.#closing = true;
    refuse(this, f);
  }

  send(status: number, contentType: string, body: Uint8Array | string, headers?: HeaderPairs): void {
    if (!this.open) return;
    this.open = false;
    if (this.#inTurn) {
      this.#write(status, contentType, body, headers);
      return;
    }
    corked.exchange = this;
    corked.status = status;
    corked.contentType = contentType;
    corked.body = body;
    corked.headers = headers;
    this.#res.cork(writeCorked);
  }

  openStream(headers?: HeaderPairs): EventStream {
    if (!this.open) return new ClosedStream();
    this.open = false;
    const stream = new UwsEventStream(this.#res, this.#edge.limits.streamBufferBytesMax, this);
    this.#stream = stream;
    this.#res.cork(() => {
      this.#res.writeHeader('Content-Type', SSE_TYPE);
      this.#writeHeaders(SSE_HEADERS);
      if (headers !== undefined) this.#writeHeaders(headers);
      if (this.#origin !== '') this.#writeHeaders(crossOriginHeaders(this.#origin));
      if (this.#edge.draining) this.#res.writeHeader('Connection', 'close');
      // The blank line after the headers leaves with the first chunk only, and clients wait for it.
      this.#res.write(COMMENT_FRAME);
    });
    return stream;
  }

  allowOrigin(origin: string): void {
    this.#origin = origin;
  }

  remoteAddress(): string {
    return this.#ended ? '' : this.#edge.addresses.textOf(this.#res);
  }

  /** The stream ended normally, or has been closed for a slow reader. */
  streamEnded(): void {
    this.#finish();
  }

  receiveTimedOut(): void {
    if (!this.#ended) this.#res.close();
  }

  /** The handler threw: a bug. */
  broke(cause: unknown): void {
    this.#edge.log.error({ err: cause }, 'request handler threw');
    this.send(500, 'application/json', this.#edge.internalError);
  }

  /** Called by `writeCorked`, which keeps the arguments of one answer at a time. */
  static write(exchange: UwsExchange, answer: typeof corked): void {
    exchange.#write(answer.status, answer.contentType, answer.body, answer.headers);
  }

  #write(status: number, contentType: string, body: Uint8Array | string, headers: HeaderPairs | undefined): void {
    const res = this.#res;
    if (status !== 200) res.writeStatus(statusLine(status));
    if (contentType !== '') res.writeHeader('Content-Type', contentType);
    if (headers !== undefined) this.#writeHeaders(headers);
    if (this.#origin !== '') this.#writeHeaders(crossOriginHeaders(this.#origin));
    // Answered before the body was read: what still comes of it must not be taken for the next request's time.
    const closing = this.#closing || !this.#bodyDone || this.#edge.draining;
    if (this.#headOnly || status === 204 || status === 304) {
      if (this.#headOnly) res.writeHeader('Content-Length', String(lengthOf(body)));
      if (closing) res.writeHeader('Connection', 'close');
      res.endWithoutBody();
    } else if (closing || body.length === 0 || (body.length <= UNCHECKED_LENGTH_MAX && Math.random() > CHECKED_SHARE)) {
      res.end(body, closing);
    } else if (!res.tryEnd(body, 0)[1]) {
      this.#holdRest(body);
      return;
    }
    this.#finish();
  }

  #writeHeaders(headers: HeaderPairs): void {
    for (let i = 0; i < headers.length; i++) {
      const pair = headers[i] as readonly [string, string];
      if (isSafeHeaderValue(pair[1])) this.#res.writeHeader(pair[0], pair[1]);
      else this.#edge.log.error({ header: pair[0] }, 'header value with a line break left out');
    }
  }

  /** The body is lent, so its rest is copied; uWebSockets.js asks for more from `offset` on. */
  #holdRest(body: Uint8Array | string): void {
    const from = this.#res.getWriteOffset();
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    this.#rest = Uint8Array.prototype.slice.call(bytes, from);
    const total = bytes.byteLength;
    this.#res.onWritable((offset) => {
      const outcome = this.#res.tryEnd(this.#rest.subarray(offset - from), total);
      if (outcome[1]) this.#finish();
      return outcome[0];
    });
    this.#listen();
  }

  #listen(): void {
    if (this.#listening) return;
    this.#listening = true;
    this.#res.onAborted(() => this.#aborted());
  }

  #data(chunk: ArrayBuffer, isLast: boolean): void {
    // Answered already: the rest of the body has no reader.
    const call = this.#call;
    if (!this.open || call === null) return;
    this.#inTurn = true;
    if (isLast && this.#received === 0 && chunk.byteLength <= call.bodyBytesMax) {
      this.#whole(call, new Uint8Array(chunk), true);
    } else if (this.#received + chunk.byteLength > call.bodyBytesMax) {
      refuseBody(this, call.bodyBytesMax);
      this.#call = null;
      this.#tellAborted(call);
    } else {
      this.#keep(new Uint8Array(chunk), call.bodyBytesMax);
      const isLent = this.#received < FULL * this.#parts.byteLength;
      if (isLast) this.#whole(call, this.#parts.subarray(0, this.#received), isLent);
    }
    this.#inTurn = false;
  }

  #whole(call: HttpCall, body: Uint8Array, isLent: boolean): void {
    this.#bodyDone = true;
    this.#edge.deadlines.leave(this);
    if (this.#edge.intake.paused) this.#hold(body, isLent);
    else this.#handOn(call, body, isLent);
  }

  #hold(body: Uint8Array, isLent: boolean): void {
    this.#parts = isLent ? body.slice() : body;
    this.#edge.intake.hold(this);
    this.#res.pause();
  }

  /** Held by `block`, and there is room again. */
  release(): void {
    const call = this.#call;
    if (this.#ended || call === null) return;
    this.#res.resume();
    this.#handOn(call, this.#parts, false);
  }

  #handOn(call: HttpCall, body: Uint8Array, isLent: boolean): void {
    try {
      call.body(body, isLent);
    } catch (cause) {
      this.broke(cause);
    }
    this.#parts = NOTHING;
  }

  #keep(part: Uint8Array, bytesMax: number): void {
    const needed = this.#received + part.byteLength;
    if (needed > this.#parts.byteLength) {
      const room = Math.min(bytesMax, Math.max(PARTS_BYTES_MIN, needed, 2 * this.#parts.byteLength));
      const isDeclared = this.#declaredBytes >= needed && this.#declaredBytes <= DECLARED_PARTS * needed;
      const grown = Buffer.allocUnsafeSlow(isDeclared ? this.#declaredBytes : room);
      grown.set(this.#parts.subarray(0, this.#received));
      this.#parts = grown;
    }
    this.#parts.set(part, this.#received);
    this.#received = needed;
  }

  #aborted(): void {
    const streaming = this.#stream !== null;
    const answered = !this.open && !streaming;
    this.#finish();
    this.open = false;
    this.#stream?.lost();
    const call = this.#call;
    this.#call = null;
    if (!answered && call !== null) this.#tellAborted(call);
  }

  #tellAborted(call: HttpCall): void {
    try {
      call.aborted();
    } catch (cause) {
      this.#edge.log.error({ err: cause }, 'abort handler threw');
    }
  }

  #finish(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#edge.exchanges--;
    this.#edge.deadlines.leave(this);
    this.#edge.intake.drop(this);
    this.#parts = NOTHING;
    this.#rest = NOTHING;
  }
}

function lengthOf(body: Uint8Array | string): number {
  return typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength;
}

/** Arguments of the answer being corked: `cork` calls back before it returns, so one record does for all. */
const corked = {
  exchange: null as UwsExchange | null,
  status: 0,
  contentType: '',
  body: '' as Uint8Array | string,
  headers: undefined as HeaderPairs | undefined,
};

function writeCorked(): void {
  const exchange = corked.exchange;
  corked.exchange = null;
  if (exchange !== null) UwsExchange.write(exchange, corked);
  corked.body = '';
  corked.headers = undefined;
}
