// HOT PATH
/**
 * The endings of a request that this thread answers itself.
 *
 * Role: result or fault onto the channel, and into the meters. Such requests are answered in the turn they came, so
 * they count as 0 ms.
 */
import type { Channel, RequestEnvelope } from '../channel.ts';
import { Envelope } from '../envelope.ts';
import { encodeFault, FAULTS, type Fault, outcomeOf } from '../faults.ts';
import { idJsonAtEdge } from '../id-at-edge.ts';
import { parseJson } from '../json.ts';
import { idJsonOf } from '../message-shape.ts';
import type { Revision } from '../revisions.ts';
import type { MethodDeps } from './method-deps.ts';

const scanner = new Envelope();

/** The id of a request whose body nobody on this thread has looked at yet; `''` when it has none. */
export function idJsonOfBody(body: Uint8Array | null): string {
  if (body === null) return '';
  if (scanner.scan(body) === 'request') return scanner.idJson;
  const parsed = parseJson(body);
  return parsed.ok ? idJsonOf(parsed.value) : '';
}

/** The id of a request, read from its body only where it is not known yet. */
export function idJsonIn(envelope: RequestEnvelope): string {
  return envelope.idJson === '' ? idJsonOfBody(envelope.body) : envelope.idJson;
}

/** As `idJsonOfBody`, for an answer that says nothing of the body: mostly found without a look at all of it. */
export function idJsonForRefusal(body: Uint8Array | null): string {
  const idJson = body === null ? '' : idJsonAtEdge(body);
  return idJson === '' ? idJsonOfBody(body) : idJson;
}

/** `resultJson` is the result object. */
export function answerResult(deps: MethodDeps, envelope: RequestEnvelope, channel: Channel, resultJson: string): null {
  deps.meters.requestFinished(envelope.method, 'ok', 0);
  channel.respond(200, `{"jsonrpc":"2.0","id":${idJsonIn(envelope)},"result":${resultJson}}`, 0);
  return null;
}

/** `result` holds the encoded result object; it is the same object for every caller. */
export function answerShared(deps: MethodDeps, envelope: RequestEnvelope, channel: Channel, result: Uint8Array): null {
  deps.meters.requestFinished(envelope.method, 'ok', 0);
  channel.respond(200, deps.frames.frame(idJsonIn(envelope), result), 0);
  return null;
}

export function answerFault(
  deps: MethodDeps,
  revision: Revision,
  envelope: RequestEnvelope,
  channel: Channel,
  fault: Fault,
): null {
  deps.meters.requestFinished(envelope.method, outcomeOf(fault.name), 0);
  channel.respond(statusOf(fault, revision), encodeFault(idJsonIn(envelope), fault), retryAfterMsOf(fault));
  return null;
}

/** Session clients read a JSON-RPC error in band; another status would be a broken transport to them. */
export function statusOf(fault: Fault, revision: Revision): number {
  if (revision.era === 'session' && fault.name === 'missingCapability') return 200;
  return FAULTS[fault.name].status;
}

export function retryAfterMsOf(fault: Fault): number {
  const data = fault.data as { readonly retryAfterMs?: unknown } | undefined;
  return typeof data?.retryAfterMs === 'number' ? data.retryAfterMs : 0;
}
