/**
 * One decision per message: which era it belongs to, and whether it is a message at all.
 *
 * Role: the fork in the road. Behind it nothing asks for the era again. The body is the source of truth: `_meta` with
 * a protocol version claims the stateless era, whatever the headers say; a header alone only makes the missing claim
 * an error. Calls whose headers name revision, method and tool never come here: the worker that parses them checks
 * them (`stateless-exchange.ts`).
 * Session calls are decided from the scanned envelope; everything else is parsed here once.
 */
import type { JsonObject } from './channel.ts';
import { type Envelope, VERSION_KEY } from './envelope.ts';
import { checkStatelessEnvelope, type StatelessHeaders } from './envelope-check.ts';
import { type Fault, fault } from './faults.ts';
import { parseJson } from './json.ts';
import { idJsonOf, isJsonObject, shapeFault } from './message-shape.ts';
import { claimsStatelessEra } from './revisions.ts';

export type Verdict =
  /** Session era; `envelope` says what it is and, for anything but a request, holds the parsed body. */
  | { readonly kind: 'session' }
  /** A checked request of the stateless era; `envelope` is filled, too. */
  | { readonly kind: 'stateless'; readonly message: JsonObject }
  /** A notification of the stateless era: nothing to do. */
  | { readonly kind: 'accepted' }
  | { readonly kind: 'refused'; readonly idJson: string; readonly fault: Fault };

const SESSION: Verdict = Object.freeze({ kind: 'session' });
const ACCEPTED: Verdict = Object.freeze({ kind: 'accepted' });

const DUPLICATE = fault('invalidRequest', 'a member of the message occurs twice');
const EMPTY_BATCH = fault('invalidRequest', 'the batch is empty');
const NO_BATCH = fault('invalidRequest', 'this protocol version has no batches: send one message');
const NO_RESPONSE = fault('invalidRequest', 'this protocol version has no responses from clients');
const STATELESS_IN_BATCH = fault('invalidRequest', 'a message of a batch names a protocol version that has no batches');
const INITIALIZE = fault('headerMismatch', 'initialize belongs to a session version, the header names another');

/**
 * `headers` are the mirroring headers of an HTTP request, null where the transport has none. `envelope` is filled for
 * the caller.
 */
export function classify(body: Uint8Array, headers: StatelessHeaders | null, envelope: Envelope): Verdict {
  const headerClaims =
    headers !== null && headers.protocolVersion !== '' && claimsStatelessEra(headers.protocolVersion);
  if (!headerClaims) {
    const kind = envelope.scan(body);
    if (kind === 'request' && !envelope.claimsStateless) return SESSION;
    if (kind === 'duplicate') return refused('', DUPLICATE);
  }
  const parsed = parseJson(body);
  if (!parsed.ok) return refused('', fault('parse', parsed.reason));
  const value = parsed.value;
  if (Array.isArray(value)) return classifyBatch(value, headerClaims, envelope);
  const wrong = envelope.adopt(value);
  if (wrong !== null) return refused(idJsonOf(value), wrong);
  return classifyMessage(value as JsonObject, headerClaims, headers, envelope);
}

function classifyMessage(
  message: JsonObject,
  headerClaims: boolean,
  headers: StatelessHeaders | null,
  envelope: Envelope,
): Verdict {
  if (envelope.kind === 'response') return headerClaims ? refused('', NO_RESPONSE) : SESSION;
  const stateless = headerClaims || envelope.claimsStateless;
  if (!stateless) return SESSION;
  if (envelope.kind === 'notification') return ACCEPTED;
  const idJson = envelope.idJson;
  if (envelope.method === 'initialize' && !hasFullMeta(message)) {
    return headerClaims ? refused(idJson, INITIALIZE) : SESSION;
  }
  const wrong = checkStatelessEnvelope(message, headers);
  return wrong === null ? { kind: 'stateless', message } : refused(idJson, wrong);
}

/** Whether `_meta` has all that the stateless era requires, whatever version it names. */
function hasFullMeta(message: JsonObject): boolean {
  const wrong = checkStatelessEnvelope(message, null);
  return wrong === null || wrong.name === 'unsupportedVersion';
}

/** Whether the session's revision has batches is for the session to say. */
function classifyBatch(messages: readonly unknown[], headerClaims: boolean, envelope: Envelope): Verdict {
  if (headerClaims) return refused('', NO_BATCH);
  if (messages.length === 0) return refused('', EMPTY_BATCH);
  for (const message of messages) {
    const wrong = shapeFault(message);
    if (wrong !== null) return refused('', wrong);
    if (claims(message)) return refused('', STATELESS_IN_BATCH);
  }
  envelope.adoptBatch(messages);
  return SESSION;
}

function claims(message: unknown): boolean {
  const params = isJsonObject(message) ? message['params'] : undefined;
  const meta = isJsonObject(params) ? params['_meta'] : undefined;
  return isJsonObject(meta) && Object.hasOwn(meta, VERSION_KEY);
}

function refused(idJson: string, why: Fault): Verdict {
  return { kind: 'refused', idJson, fault: why };
}
