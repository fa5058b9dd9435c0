// HOT PATH
/**
 * One HTTP request whose headers do not claim the stateless era, up to the point where the session code takes over.
 *
 * Role: keeps the header values until the body is there, classifies the body, and hands it to the `SessionEndpoint`.
 * A body that claims the stateless era after all contradicts its headers and is refused here.
 */
import type { Principal } from '../catalogue/define.ts';
import type { TraceHeaders } from '../dispatch/job.ts';
import type { Reply, RequestHead } from '../frontend/port.ts';
import type { Meters } from '../observe/port.ts';
import type { GatedCall } from './auth-gate.ts';
import { classify } from './classify.ts';
import type { Envelope } from './envelope.ts';
import { encodeFault, FAULTS, type Fault, fault } from './faults.ts';
import { accepts, JSON_TYPE, readCorrelationId, readTrace, STREAM_TYPE } from './request-headers.ts';
import type { OpenExchange, SessionEndpoint, SessionFacts } from './session-endpoint.ts';

export interface SessionHost {
  readonly sessions: SessionEndpoint;
  readonly meters: Meters;
  readonly requestBytesMax: number;
  readonly envelope: Envelope;
}

export const POST_ACCEPT = fault('notAcceptable', 'Accept must list application/json and text/event-stream');
export const GET_ACCEPT = fault('notAcceptable', 'Accept must list text/event-stream');
const HEADERS_CONTRADICT = fault('headerMismatch', 'params._meta names a protocol version, the headers do not');

class Facts implements SessionFacts {
  readonly sessionId: string;
  readonly protocolVersion: string;
  readonly lastEventId: string;
  readonly accept: string;
  principal: Principal | null = null;
  readonly trace: TraceHeaders | null;
  readonly correlationId: string;
  readonly idempotencyKey: string;

  constructor(head: RequestHead, protocolVersion: string) {
    this.sessionId = head.header('mcp-session-id');
    this.protocolVersion = protocolVersion;
    this.lastEventId = head.method === 'GET' ? head.header('last-event-id') : '';
    this.accept = head.header('accept');
    this.trace = readTrace(head);
    this.correlationId = readCorrelationId(head);
    this.idempotencyKey = head.header('idempotency-key');
  }
}

export class SessionPost implements GatedCall {
  readonly bodyBytesMax: number;
  readonly #host: SessionHost;
  readonly #reply: Reply;
  readonly #facts: Facts;
  #open: OpenExchange | null = null;

  constructor(host: SessionHost, head: RequestHead, reply: Reply, protocolVersion: string) {
    this.#host = host;
    this.#reply = reply;
    this.bodyBytesMax = host.requestBytesMax;
    this.#facts = new Facts(head, protocolVersion);
  }

  admit(principal: Principal | null): void {
    this.#facts.principal = principal;
  }

  body(bytes: Uint8Array): void {
    const facts = this.#facts;
    const envelope = this.#host.envelope;
    const headers = { protocolVersion: facts.protocolVersion, method: '', name: null };
    const verdict = classify(bytes, headers, envelope);
    switch (verdict.kind) {
      case 'session':
        if (!accepts(facts.accept, JSON_TYPE) || !accepts(facts.accept, STREAM_TYPE)) {
          this.#refuse(envelope.idJson, POST_ACCEPT);
          return;
        }
        this.#open = this.#host.sessions.post(facts, envelope, bytes, this.#reply);
        return;
      case 'accepted':
        this.#reply.send(202, '', '');
        return;
      case 'refused':
        this.#refuse(verdict.idJson, verdict.fault);
        return;
      case 'stateless':
        this.#refuse(envelope.idJson, HEADERS_CONTRADICT);
    }
  }

  aborted(): void {
    this.#open?.aborted();
  }

  #refuse(idJson: string, refusal: Fault): void {
    const status = FAULTS[refusal.name].status;
    this.#host.meters.httpRefused(status);
    this.#reply.send(status, JSON_TYPE, encodeFault(idJson, refusal));
  }
}

/** GET and DELETE: there is no body to wait for. */
export class SessionBodiless implements GatedCall {
  readonly bodyBytesMax = 0;
  readonly #host: SessionHost;
  readonly #reply: Reply;
  readonly #facts: Facts;
  readonly #method: 'GET' | 'DELETE';
  #open: OpenExchange | null = null;

  constructor(host: SessionHost, head: RequestHead, reply: Reply, protocolVersion: string) {
    this.#host = host;
    this.#reply = reply;
    this.#facts = new Facts(head, protocolVersion);
    this.#method = head.method === 'GET' ? 'GET' : 'DELETE';
  }

  /** Nothing is left to be called for. */
  get answered(): boolean {
    return this.#open === null;
  }

  admit(principal: Principal | null): void {
    this.#facts.principal = principal;
    const { sessions } = this.#host;
    if (this.#method === 'GET') this.#open = sessions.get(this.#facts, this.#reply);
    else this.#open = sessions.delete(this.#facts, this.#reply);
  }

  /** Whatever stands in the body of such a request means nothing. */
  body(_bytes: Uint8Array): void {
    return;
  }

  aborted(): void {
    this.#open?.aborted();
  }
}
