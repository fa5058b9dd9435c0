// HOT PATH
/**
 * One POST of the stateless era (2026-07-28), from its headers to its answer.
 *
 * Role: caller and channel of the request it carries. When the headers name this revision, a method that runs in the
 * pool and something the catalogue knows, the body is not looked at on this thread: the worker that parses it verifies
 * that the headers told the truth. Everything else is classified and checked here.
 * The answer is JSON; it becomes an event stream when something is to be said before it. A client that goes away
 * cancels its request.
 * Invariants: one answer; nothing is written after it or after the client has gone.
 */
import type { Principal } from '../catalogue/define.ts';
import type { CatalogueHolder, ParamHeader } from '../catalogue/entry.ts';
import type { TraceHeaders } from '../dispatch/job.ts';
import type { EventStream, Reply, RequestHead } from '../frontend/port.ts';
import { retryAfter } from '../frontend/refusal.ts';
import { COMMENT_FRAME, eventFrame } from '../frontend/sse.ts';
import type { Meters } from '../observe/port.ts';
import type { GatedCall } from './auth-gate.ts';
import type { Caller, Channel, JsonObject, Methods, OpenRequest } from './channel.ts';
import { classify } from './classify.ts';
import type { Envelope } from './envelope.ts';
import { mirroredName } from './envelope-check.ts';
import { encodeFault, FAULTS, type Fault, faultFrom } from './faults.ts';
import type { NamedCall, NamedCalls } from './named-calls.ts';
import { JSON_TYPE, readCorrelationId, readTrace } from './request-headers.ts';
import { REVISION_2026_07_28 } from './revisions.ts';
import { type Beating, type KeepAlive, NO_SLOT } from './session/keep-alive.ts';

/** What all exchanges share. */
export interface ExchangeHost {
  readonly methods: Methods;
  readonly catalogue: CatalogueHolder;
  readonly named: NamedCalls;
  readonly keepAlive: KeepAlive;
  readonly meters: Meters;
  readonly requestBytesMax: number;
  /** Used again for every message; nothing keeps it past a call. */
  readonly envelope: Envelope;
}

export class StatelessExchange implements GatedCall, Caller, Channel, Beating {
  readonly revision = REVISION_2026_07_28;
  readonly session = null;
  readonly asks = null;
  principal: Principal | null = null;
  readonly bodyBytesMax: number;
  keepAliveSlot = NO_SLOT;
  readonly #host: ExchangeHost;
  readonly #reply: Reply;
  readonly #named: NamedCall;
  readonly #trace: TraceHeaders | null;
  readonly #correlationId: string;
  readonly #idempotencyKey: string;
  readonly #paramHeaders: Record<string, string> | null;
  #open: OpenRequest | null = null;
  #stream: EventStream | null = null;
  #onDrain: (() => void) | null = null;
  #done = false;

  constructor(host: ExchangeHost, head: RequestHead, reply: Reply, version: string) {
    this.#host = host;
    this.#reply = reply;
    this.bodyBytesMax = host.requestBytesMax;
    this.#named = host.named.read(host.catalogue.current, head, version);
    this.#trace = readTrace(head);
    this.#correlationId = readCorrelationId(head);
    this.#idempotencyKey = head.header('idempotency-key');
    const { entry } = this.#named;
    this.#paramHeaders = entry === undefined ? null : readParamHeaders(head, entry.paramHeaders);
  }

  get canStream(): boolean {
    return this.#named.canStream;
  }

  admit(principal: Principal | null): void {
    this.principal = principal;
  }

  share(): string {
    return this.principal === null ? this.#reply.remoteAddress() : this.principal.id;
  }

  body(bytes: Uint8Array): void {
    const named = this.#named;
    if (named.direct && this.#idempotencyKey === '') this.#request('', named.method, named.name as string, null, bytes);
    else this.#decide(bytes);
  }

  aborted(): void {
    this.#done = true;
    if (this.#stream !== null) this.#host.keepAlive.remove(this);
    this.#open?.cancel('the client closed the connection');
  }

  respond(status: number, message: Uint8Array | string, retryAfterMs: number): void {
    if (this.#done) return;
    this.#done = true;
    const stream = this.#stream;
    if (stream === null) {
      this.#reply.send(status, JSON_TYPE, message, retryAfter(retryAfterMs));
      return;
    }
    this.#host.keepAlive.remove(this);
    stream.write(eventFrame(message));
    stream.end();
  }

  send(message: Uint8Array | string): void {
    if (this.#done || !this.canStream) return;
    let stream = this.#stream;
    if (stream === null) {
      stream = this.#reply.openStream();
      stream.onDrain = this.#onDrain;
      this.#stream = stream;
      this.#host.keepAlive.add(this);
    }
    stream.write(eventFrame(message));
  }

  /** Streams of this era cannot be resumed. */
  release(_retryMs: number): void {
    return;
  }

  get congested(): boolean {
    return this.#stream?.congested === true;
  }

  get onDrain(): (() => void) | null {
    return this.#onDrain;
  }

  set onDrain(listener: (() => void) | null) {
    this.#onDrain = listener;
    if (this.#stream !== null) this.#stream.onDrain = listener;
  }

  beat(): void {
    const stream = this.#stream;
    if (stream !== null && !stream.congested) stream.write(COMMENT_FRAME);
  }

  #decide(bytes: Uint8Array): void {
    const { version, method, name: headerName, nameMalformed } = this.#named;
    const headers = { protocolVersion: version, method, name: headerName, nameMalformed };
    const envelope = this.#host.envelope;
    const verdict = classify(bytes, headers, envelope);
    switch (verdict.kind) {
      case 'stateless': {
        const params = verdict.message['params'] as JsonObject;
        const name = mirroredName(envelope.method, params);
        this.#request(envelope.idJson, envelope.method, typeof name === 'string' ? name : '', params, bytes);
        return;
      }
      case 'accepted':
        this.#done = true;
        this.#reply.send(202, '', '');
        return;
      case 'refused':
        this.#refuse(verdict.idJson, verdict.fault);
        return;
      case 'session':
        // A header of this era never leads to a session.
        this.#refuse('', faultFrom(null));
    }
  }

  #request(idJson: string, method: string, name: string, params: JsonObject | null, body: Uint8Array): void {
    this.#open = this.#host.methods.request(
      this,
      {
        idJson,
        method,
        name,
        params,
        body,
        checkHeaders: true,
        trace: this.#trace,
        correlationId: this.#correlationId,
        paramHeaders: this.#paramHeaders,
        idempotencyKey: this.#idempotencyKey,
      },
      this,
    );
  }

  #refuse(idJson: string, refusal: Fault): void {
    const status = FAULTS[refusal.name].status;
    this.#host.meters.httpRefused(status);
    this.respond(status, encodeFault(idJson, refusal), 0);
  }
}

/** Raw values by lower-case name; null when the entry mirrors no parameter. */
function readParamHeaders(head: RequestHead, wanted: readonly ParamHeader[]): Record<string, string> | null {
  if (wanted.length === 0) return null;
  const values: Record<string, string> = {};
  for (let i = 0; i < wanted.length; i++) {
    const name = (wanted[i] as ParamHeader).header;
    const value = head.header(name);
    if (value !== '') values[name] = value;
  }
  return values;
}
