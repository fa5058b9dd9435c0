// HOT PATH
/**
 * The session era over HTTP: POST, GET and DELETE of revisions before 2026-07-28.
 *
 * Role: finds the session of an exchange, checks what its revision demands of the headers, and hands each message to
 * where it belongs: requests to the methods, notifications and responses to the session. The classifier has made sure
 * that the body is a message of this era; authentication, media types and sizes were checked before.
 *
 *   POST ─┬ initialize ──────► new session ── JSON, Mcp-Session-Id
 *         ├ request ─────────► PostCall ────► Methods
 *         ├ notification, response ─► session ── 202
 *         └ batch (2025-03-26) ─────► BatchExchange
 *   GET ──► resumption            DELETE ──► the session ends
 *
 * Invariants: a session is only ever found for the principal that opened it; a client that goes away cancels nothing.
 * With a store that answers at once, everything happens in the turn of the call; otherwise envelope and body are
 * copied first.
 */
import type { CatalogueHolder } from '../../catalogue/entry.ts';
import type { Reply } from '../../frontend/port.ts';
import { retryAfter } from '../../frontend/refusal.ts';
import type { Session } from '../../sessions/port.ts';
import type { Methods } from '../channel.ts';
import type { Envelope } from '../envelope.ts';
import { encodeFault, FAULTS, type Fault, fault, faultFrom, outcomeOf, UNAVAILABLE } from '../faults.ts';
import { retryAfterMsOf } from '../methods/answers.ts';
import { revisionNamed } from '../revisions.ts';
import type { OpenExchange, SessionEndpoint, SessionFacts } from '../session-endpoint.ts';
import { postBatch } from './batch.ts';
import { dispatchCall } from './dispatch-call.ts';
import { encodeInitialized, readInitialize } from './initialize.ts';
import { answered, notified, type PostedAnswer } from './notifications.ts';
import { PostCall } from './post-call.ts';
import { isFault, requestEnvelope, type SessionMessage, subscribedUri } from './request-params.ts';
import { listen, resume } from './resumption.ts';
import type { SessionHub } from './session-hub.ts';
import type { SessionState } from './session-state.ts';

export interface HttpSessionsOptions {
  readonly hub: SessionHub;
  readonly methods: Methods;
  readonly catalogue: CatalogueHolder;
}

const NO_SESSION = fault('badRequest', 'the Mcp-Session-Id header is missing');
const UNKNOWN_SESSION = fault('sessionNotFound', 'session not found');
const BAD_VERSION = fault('badRequest', 'the MCP-Protocol-Version header names a version that has no sessions here');
const TWICE = fault('invalidRequest', 'the session is initialized already');
const NEVER_ASKED = fault('invalidRequest', 'the response answers no request of this server');

/** An exchange whose session is still being looked up, and what became of it then. */
class PendingExchange implements OpenExchange {
  gone = false;
  exchange: OpenExchange | null = null;

  aborted(): void {
    this.gone = true;
    this.exchange?.aborted();
  }
}

export class HttpSessions implements SessionEndpoint {
  readonly #hub: SessionHub;
  readonly #methods: Methods;
  readonly #catalogue: CatalogueHolder;

  constructor(options: HttpSessionsOptions) {
    this.#hub = options.hub;
    this.#methods = options.methods;
    this.#catalogue = options.catalogue;
  }

  post(facts: SessionFacts, envelope: Envelope, body: Uint8Array, reply: Reply): OpenExchange | null {
    if (facts.sessionId === '') {
      if (envelope.kind === 'request' && envelope.method === 'initialize') {
        return this.#initialize(facts, envelope, body, reply);
      }
      return this.#refused(reply, envelope, NO_SESSION);
    }
    const found = this.#hub.find(facts.sessionId, facts.principal);
    if (!(found instanceof Promise)) return this.#posted(found, facts, envelope, body, reply);
    // Both are lent, and the answer takes time.
    const envelopeKept = keep(envelope);
    const bodyKept = Buffer.from(body);
    return this.#later(found, envelopeKept, reply, (session) =>
      this.#posted(session, facts, envelopeKept, bodyKept, reply),
    );
  }

  get(facts: SessionFacts, reply: Reply): OpenExchange | null {
    if (facts.sessionId === '') return refuse(reply, '', NO_SESSION);
    const found = this.#hub.find(facts.sessionId, facts.principal);
    if (!(found instanceof Promise)) return this.#opened(found, facts, reply);
    return this.#later(found, null, reply, (session) => this.#opened(session, facts, reply));
  }

  delete(facts: SessionFacts, reply: Reply): OpenExchange | null {
    if (facts.sessionId === '') return refuse(reply, '', NO_SESSION);
    const found = this.#hub.find(facts.sessionId, facts.principal);
    if (!(found instanceof Promise)) return this.#deleted(found, facts, reply);
    return this.#later(found, null, reply, (session) => this.#deleted(session, facts, reply));
  }

  #posted(
    session: Session | undefined,
    facts: SessionFacts,
    envelope: SessionMessage,
    body: Uint8Array,
    reply: Reply,
  ): OpenExchange | null {
    const wrong = checkSession(session, facts);
    if (session === undefined || wrong !== null) return this.#refused(reply, envelope, wrong ?? UNKNOWN_SESSION);
    const state = this.#hub.state(session, facts.principal);
    switch (envelope.kind) {
      case 'request':
        return this.#request(state, facts, envelope, body, reply);
      case 'notification':
        notified(state, envelope.method, envelope.parsed);
        reply.send(202, '', '');
        return null;
      case 'response':
        return this.#response(state, envelope.parsed, reply);
      default:
        return postBatch(state, this.#methods, facts, envelope.parsed, reply);
    }
  }

  #response(state: SessionState, message: unknown, reply: Reply): OpenExchange | null {
    const outcome = answered(state, message);
    if (outcome instanceof Promise) return this.#later(outcome, null, reply, (known) => taken(known, reply));
    return taken(outcome, reply);
  }

  #request(
    state: SessionState,
    facts: SessionFacts,
    envelope: SessionMessage,
    body: Uint8Array,
    reply: Reply,
  ): OpenExchange | null {
    if (envelope.method === 'initialize') return this.#refused(reply, envelope, TWICE);
    const request = requestEnvelope(envelope, body, facts.trace, facts.correlationId, facts.idempotencyKey);
    if (isFault(request)) return this.#refused(reply, envelope, request);
    const call = new PostCall(envelope.idJson, state, reply, subscribedUri(request.method, request.name));
    dispatchCall(this.#methods, state.caller, request, call, this.#hub.log);
    return call.done ? null : call;
  }

  #initialize(facts: SessionFacts, envelope: SessionMessage, body: Uint8Array, reply: Reply): OpenExchange | null {
    const request = requestEnvelope(envelope, body, null, '', '');
    if (isFault(request)) return this.#refused(reply, envelope, request);
    const init = readInitialize(request.params, facts.principal === null ? null : facts.principal.id);
    if ('message' in init) return this.#refused(reply, envelope, init);
    const made = this.#hub.create(init, facts.principal);
    if (made instanceof Promise) {
      const kept = keep(envelope);
      return this.#later(made, kept, reply, (state) => this.#initialized(state, kept.idJson, reply));
    }
    return this.#initialized(made, envelope.idJson, reply);
  }

  #initialized(state: SessionState, idJson: string, reply: Reply): null {
    const { session } = state;
    this.#hub.meters.requestFinished('initialize', 'ok', 0);
    const answer = encodeInitialized(idJson, session.revision, this.#catalogue.current);
    reply.send(200, 'application/json', answer, [['Mcp-Session-Id', session.id]]);
    return null;
  }

  #opened(session: Session | undefined, facts: SessionFacts, reply: Reply): OpenExchange | null {
    const wrong = checkSession(session, facts);
    if (session === undefined || wrong !== null) return refuse(reply, '', wrong ?? UNKNOWN_SESSION);
    const state = this.#hub.state(session, facts.principal);
    const resumed = facts.lastEventId === '' ? listen(state, reply) : resume(state, facts.lastEventId, reply);
    if (resumed instanceof Promise) return this.#later(resumed, null, reply, (result) => carried(result, reply));
    return carried(resumed, reply);
  }

  #deleted(session: Session | undefined, facts: SessionFacts, reply: Reply): OpenExchange | null {
    const wrong = checkSession(session, facts);
    if (session === undefined || wrong !== null) return refuse(reply, '', wrong ?? UNKNOWN_SESSION);
    const gone = this.#hub.store.delete(session.id);
    if (gone instanceof Promise) return this.#later(gone, null, reply, () => ended(reply));
    return ended(reply);
  }

  /** What was posted is not handed on. A notification is no request, and a batch is many: they are not counted. */
  #refused(reply: Reply, message: SessionMessage, why: Fault): null {
    if (message.kind === 'request') this.#hub.meters.requestFinished(message.method, outcomeOf(why.name), 0);
    // What is not JSON has no id that could be believed.
    return refuse(reply, why.name === 'parse' ? '' : message.idJson, why);
  }

  /** Goes on with `next` when a store elsewhere has answered. `message`: null where nothing was posted that waits for an answer. */
  #later<T>(
    answer: Promise<T>,
    message: SessionMessage | null,
    reply: Reply,
    next: (value: T) => OpenExchange | null,
  ): OpenExchange {
    const pending = new PendingExchange();
    answer
      .then((value) => {
        const exchange = next(value);
        if (pending.gone) exchange?.aborted();
        else pending.exchange = exchange;
      })
      .catch((cause: unknown) => {
        const why = faultFrom(cause);
        // What is away is told by the connection to it, once.
        if (why.name === 'internal') this.#hub.log.error({ err: cause }, 'a session could not be looked up');
        if (message === null) refuse(reply, '', why);
        else this.#refused(reply, message, why);
      });
    return pending;
  }
}

/**
 * Revisions before 2025-06-18 have no version header and later ones tie it to the session only by a SHOULD: whatever
 * the session's revision, absent is right and so is any revision with sessions; anything else is refused.
 */
function checkSession(session: Session | undefined, facts: SessionFacts): Fault | null {
  if (session === undefined) return UNKNOWN_SESSION;
  if (facts.protocolVersion === '' || facts.protocolVersion === session.revision.name) return null;
  return revisionNamed(facts.protocolVersion)?.era === 'session' ? null : BAD_VERSION;
}

function carried(result: OpenExchange | null | Fault, reply: Reply): OpenExchange | null {
  return result !== null && 'name' in result ? refuse(reply, '', result) : result;
}

function taken(outcome: PostedAnswer, reply: Reply): null {
  if (outcome === 'unknown') return refuse(reply, '', NEVER_ASKED);
  if (outcome === 'gone') return refuse(reply, '', UNAVAILABLE);
  reply.send(202, '', '');
  return null;
}

function ended(reply: Reply): null {
  reply.send(200, '', '');
  return null;
}

function refuse(reply: Reply, idJson: string, why: Fault): null {
  const headers = retryAfter(retryAfterMsOf(why));
  reply.send(FAULTS[why.name].status, 'application/json', encodeFault(idJson, why), headers);
  return null;
}

/** What is needed of an envelope that will be used for the next message before this one is through. */
function keep(envelope: SessionMessage): SessionMessage {
  const { kind, idJson, method, name, parsed } = envelope;
  return { kind, idJson, method, name, parsed };
}
