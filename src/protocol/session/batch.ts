/**
 * Takes a JSON-RPC batch of revision 2025-03-26 apart.
 *
 * Role: checks what a batch may hold (requests and notifications, or responses; no `initialize`), handles each message
 * as if it had come by itself, and joins the answers again (`batch-call.ts`). The classifier has made sure that it is
 * not empty and that each element is a message.
 */
import type { Reply } from '../../frontend/port.ts';
import type { JsonObject, Methods, RequestEnvelope } from '../channel.ts';
import { encodeFault, FAULTS, type Fault, fault } from '../faults.ts';
import { idJsonOf, isJsonObject, messageKind } from '../message-shape.ts';
import type { OpenExchange, SessionFacts } from '../session-endpoint.ts';
import { BATCH_MESSAGES_MAX, BatchExchange, BatchSlot } from './batch-call.ts';
import { dispatchCall } from './dispatch-call.ts';
import { answeredUnheard, notified } from './notifications.ts';
import { paramsOf, subscribedUri } from './request-params.ts';
import type { SessionState } from './session-state.ts';

const NO_BATCHES = fault('invalidRequest', 'the revision of this session has no batches: send one message');
const EMPTY = fault('invalidRequest', 'the batch is empty');
const TOO_LONG = fault('invalidRequest', `a batch may hold ${BATCH_MESSAGES_MAX} messages`);
const NOT_ALONE = fault('invalidRequest', 'initialize must not be in a batch');
const MIXED = fault('invalidRequest', 'a batch holds requests and notifications, or responses');

/** What a batch is, checked as a whole before anything of it is done. */
export function readBatch(state: SessionState, parsed: unknown): readonly JsonObject[] | Fault {
  if (!state.session.revision.batching) return NO_BATCHES;
  if (!Array.isArray(parsed) || parsed.length === 0) return EMPTY;
  if (parsed.length > BATCH_MESSAGES_MAX) return TOO_LONG;
  const messages = parsed.filter(isJsonObject);
  const responses = messages.filter((message) => messageKind(message) === 'response').length;
  if (responses !== 0 && responses !== parsed.length) return MIXED;
  return messages.some((message) => message['method'] === 'initialize') ? NOT_ALONE : messages;
}

export function isBatchFault(value: readonly JsonObject[] | Fault): value is Fault {
  return 'name' in value;
}

export function postBatch(
  state: SessionState,
  methods: Methods,
  facts: SessionFacts,
  parsed: unknown,
  reply: Reply,
): OpenExchange | null {
  const messages = readBatch(state, parsed);
  if (isBatchFault(messages)) {
    reply.send(FAULTS[messages.name].status, 'application/json', encodeFault('', messages));
    return null;
  }
  const requests = takeOthers(state, messages);
  if (requests.length === 0) {
    reply.send(202, '', '');
    return null;
  }
  const exchange = new BatchExchange(state, reply, requests.length);
  for (const message of requests) {
    const request = envelopeOf(message, facts);
    const slot = new BatchSlot(request.idJson, exchange, subscribedUri(request.method, request.name));
    dispatchCall(methods, state.caller, request, slot, state.host.log);
  }
  return exchange.done ? null : exchange;
}

/** Handles notifications and responses; returns the requests. */
export function takeOthers(state: SessionState, messages: readonly JsonObject[]): readonly JsonObject[] {
  return messages.filter((message) => {
    const kind = messageKind(message);
    if (kind === 'notification') notified(state, String(message['method']), message);
    else if (kind === 'response') answeredUnheard(state, message);
    return kind === 'request';
  });
}

/** The envelope of a request that was parsed out of a batch: its body is written anew. */
export function envelopeOf(message: JsonObject, facts: Pick<SessionFacts, 'trace' | 'correlationId'>): RequestEnvelope {
  const method = String(message['method']);
  const params = paramsOf(message) ?? {};
  const name = params[method.startsWith('resources/') ? 'uri' : 'name'];
  return {
    idJson: idJsonOf(message),
    method,
    name: typeof name === 'string' ? name : '',
    params,
    body: Buffer.from(JSON.stringify(message)),
    checkHeaders: false,
    trace: facts.trace,
    correlationId: facts.correlationId,
    paramHeaders: null,
    // One header cannot be the key of several calls: each may carry its own in `_meta`.
    idempotencyKey: '',
  };
}
