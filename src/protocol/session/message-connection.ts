// HOT PATH
/**
 * MCP over a connection of messages: WebSocket and stdio, both eras on one connection.
 *
 * Role: classifies every message by itself. A request that claims a stateless revision is served without a session
 * (there are no headers to check, and `notifications/cancelled` is how it is cancelled); `initialize` opens a session
 * that lives with the connection and speaks on it: answers, questions, changes. One connection, one session.
 *
 *   message ─┬ stateless request ─────► Methods          (calls of the connection)
 *            ├ initialize ────────────► session
 *            └ request, response, … ──► that session     (calls of the session)
 *
 * Invariants: when the connection goes, everything in flight on it is cancelled and its session ends; when the
 * session ends for another reason (evicted), the connection is closed, so that the client begins anew.
 */

import type { Principal } from '../../catalogue/define.ts';
import type { CatalogueHolder } from '../../catalogue/entry.ts';
import type { MessageConnection, MessagePeer } from '../../frontend/port.ts';
import type { MaybePromise, SessionEnd } from '../../sessions/port.ts';
import type { JsonObject, Methods, RequestEnvelope } from '../channel.ts';
import { classify } from '../classify.ts';
import type { Envelope } from '../envelope.ts';
import { encodeFault, type Fault, fault, faultFrom, outcomeOf } from '../faults.ts';
import { envelopeOf, isBatchFault, readBatch, takeOthers } from './batch.ts';
import { BatchSlot } from './batch-call.ts';
import { CallList } from './call-list.ts';
import { ConnectionBatch } from './connection-batch.ts';
import { type CallOwner, ConnectionCall } from './connection-call.ts';
import { dispatchCall } from './dispatch-call.ts';
import { encodeInitialized, readInitialize } from './initialize.ts';
import { type Beating, NO_SLOT } from './keep-alive.ts';
import type { Outlet } from './notices.ts';
import { answeredUnheard, cancelled, notified } from './notifications.ts';
import { isFault, paramsOf, requestEnvelope, subscribedUri } from './request-params.ts';
import type { SessionHub } from './session-hub.ts';
import type { SessionState } from './session-state.ts';
import { callerOf, type StatelessCaller } from './stateless-caller.ts';

export interface ConnectionServices {
  readonly hub: SessionHub;
  readonly methods: Methods;
  readonly catalogue: CatalogueHolder;
  /** Used for one message at a time, by all connections. */
  readonly envelope: Envelope;
}

const NOT_INITIALIZED = fault(
  'badRequest',
  'the first request must be initialize, or name a protocol version in _meta',
);
const TWICE = fault('invalidRequest', 'the session is initialized already');

/** WebSocket close codes. */
const NORMAL = 1000;
const GOING_AWAY = 1001;

export class Connection implements MessageConnection, CallOwner, Beating, Outlet {
  keepAliveSlot = NO_SLOT;
  readonly peer: MessagePeer;
  readonly #services: ConnectionServices;
  readonly #principal: Principal | null;
  /** Requests of the stateless era. */
  readonly #calls = new CallList();
  /** `subscriptions/listen`: answered only at their end. */
  readonly #listens = new CallList();
  #caller: StatelessCaller | null = null;
  #state: SessionState | null = null;
  #opening = false;
  #inputOver = false;
  #gone = false;

  constructor(services: ConnectionServices, peer: MessagePeer, principal: Principal | null) {
    this.#services = services;
    this.peer = peer;
    this.#principal = principal;
  }

  get ready(): boolean {
    return this.peer.open && !this.peer.congested;
  }

  send(message: Uint8Array | string): void {
    this.peer.send(message, true);
  }

  message(bytes: Uint8Array): void {
    const { envelope } = this.#services;
    const verdict = classify(bytes, null, envelope);
    switch (verdict.kind) {
      case 'session':
        this.#sessionMessage(envelope, bytes);
        return;
      case 'stateless':
        this.#statelessRequest(verdict.message, envelope, bytes);
        return;
      case 'accepted':
        this.#notification(envelope.method, envelope.parsed);
        return;
      case 'refused':
        this.peer.send(encodeFault(verdict.idJson, verdict.fault));
    }
  }

  drained(): void {
    this.#state?.flush();
    this.#state?.calls.drained();
    this.#calls.drained();
    this.#listens.drained();
  }

  ended(): void {
    this.#inputOver = true;
    this.#listens.endAll('end of input', null);
    this.#state?.asks.close();
    this.settled();
  }

  closed(): void {
    this.#gone = true;
    this.#listens.endAll('connection closed', null);
    this.#calls.endAll('connection closed', null);
    const state = this.#state;
    if (state === null) return;
    state.calls.endAll('connection closed', null);
    this.#services.hub.keepAlive.remove(this);
    this.#services.hub.end(state.session);
  }

  /** A call is over: at the end of input the last one closes the connection. */
  settled(): void {
    if (!this.#inputOver || this.#gone || this.#opening) return;
    if (this.#calls.size === 0 && (this.#state === null || this.#state.calls.size === 0)) this.peer.close(NORMAL, '');
  }

  /** The connection itself says that it lives; the session is told. */
  beat(): void {
    if (this.#state !== null) this.#services.hub.touch(this.#state.session);
  }

  #statelessRequest(message: JsonObject, envelope: Envelope, body: Uint8Array): void {
    const calls = envelope.method === 'subscriptions/listen' ? this.#listens : this.#calls;
    const request: RequestEnvelope = {
      idJson: envelope.idJson,
      method: envelope.method,
      name: envelope.name,
      params: paramsOf(message),
      body,
      checkHeaders: false,
      trace: null,
      correlationId: '',
      idempotencyKey: '',
      paramHeaders: null,
    };
    const call = new ConnectionCall(envelope.idJson, this, calls, null, '');
    dispatchCall(this.#services.methods, this.#statelessCaller(message), request, call, this.#services.hub.log);
  }

  #statelessCaller(message: JsonObject): StatelessCaller {
    this.#caller = callerOf(message, this.#caller, this.#principal, this.peer);
    return this.#caller;
  }

  #sessionMessage(envelope: Envelope, body: Uint8Array): void {
    const state = this.#state;
    switch (envelope.kind) {
      case 'request':
        if (envelope.method === 'initialize') this.#initialize(envelope, body);
        else if (state === null) this.#withoutSession(envelope);
        else this.#sessionRequest(state, envelope, body);
        return;
      case 'notification':
        this.#notification(envelope.method, envelope.parsed);
        return;
      case 'response':
        // One that answers nothing has nobody to be told: responses have no answer.
        if (state !== null) answeredUnheard(state, envelope.parsed);
        return;
      default:
        if (state === null) this.peer.send(encodeFault('', NOT_INITIALIZED));
        else this.#batch(state, envelope.parsed);
    }
  }

  #withoutSession(envelope: Envelope): void {
    // The one request a client may send before the handshake.
    if (envelope.method !== 'ping') {
      this.#refuse(envelope.method, envelope.idJson, NOT_INITIALIZED);
      return;
    }
    this.#services.hub.meters.requestFinished('ping', 'ok', 0);
    this.peer.send(`{"jsonrpc":"2.0","id":${envelope.idJson},"result":{}}`);
  }

  #sessionRequest(state: SessionState, envelope: Envelope, body: Uint8Array): void {
    const { hub, methods } = this.#services;
    hub.touch(state.session);
    const request = requestEnvelope(envelope, body, null, '', '');
    if (isFault(request)) {
      this.peer.send(encodeFault('', request));
      return;
    }
    const uri = subscribedUri(request.method, request.name);
    const call = new ConnectionCall(envelope.idJson, this, state.calls, state, uri);
    dispatchCall(methods, state.caller, request, call, hub.log);
  }

  #notification(method: string, message: unknown): void {
    if (
      method === 'notifications/cancelled' &&
      (cancelled(this.#calls, message) || cancelled(this.#listens, message))
    ) {
      return;
    }
    if (this.#state !== null) notified(this.#state, method, message);
  }

  #batch(state: SessionState, parsed: unknown): void {
    const messages = readBatch(state, parsed);
    if (isBatchFault(messages)) {
      this.peer.send(encodeFault('', messages));
      return;
    }
    const requests = takeOthers(state, messages);
    const batch = new ConnectionBatch(state, this, requests.length);
    for (const message of requests) {
      const request = envelopeOf(message, { trace: null, correlationId: '' });
      const slot = new BatchSlot(request.idJson, batch, subscribedUri(request.method, request.name));
      dispatchCall(this.#services.methods, state.caller, request, slot, this.#services.hub.log);
    }
  }

  #initialize(envelope: Envelope, body: Uint8Array): void {
    const { idJson } = envelope;
    const request = requestEnvelope(envelope, body, null, '', '');
    const principalId = this.#principal === null ? null : this.#principal.id;
    const init = isFault(request) ? request : readInitialize(request.params, principalId);
    if (this.#state !== null || this.#opening) this.#refuse('initialize', idJson, TWICE);
    else if ('message' in init) this.#refuse('initialize', idJson, init);
    else this.#opened(this.#services.hub.create(init, this.#principal), idJson);
  }

  #refuse(method: string, idJson: string, why: Fault): void {
    this.#services.hub.meters.requestFinished(method, outcomeOf(why.name), 0);
    this.peer.send(encodeFault(idJson, why));
  }

  #opened(made: MaybePromise<SessionState>, idJson: string): void {
    if (!(made instanceof Promise)) {
      this.#initialized(made, idJson);
      return;
    }
    this.#opening = true;
    made
      .then((state) => {
        this.#opening = false;
        if (this.#gone) this.#services.hub.end(state.session);
        else this.#initialized(state, idJson);
      })
      .catch((cause: unknown) => {
        this.#opening = false;
        this.#services.hub.log.error({ err: cause }, 'a session could not be opened');
        this.#refuse('initialize', idJson, faultFrom(cause));
      });
  }

  #initialized(state: SessionState, idJson: string): void {
    const { hub, catalogue } = this.#services;
    this.#state = state;
    state.connection = this;
    state.onEnd = (why) => this.#sessionEnded(why);
    hub.keepAlive.add(this);
    hub.meters.requestFinished('initialize', 'ok', 0);
    this.peer.send(encodeInitialized(idJson, state.session.revision, catalogue.current));
    this.settled();
  }

  #sessionEnded(why: SessionEnd): void {
    this.#services.hub.keepAlive.remove(this);
    this.#state = null;
    if (!this.#gone) this.peer.close(GOING_AWAY, `session ${why}`);
  }
}
