/**
 * The answer to a method this server does not have, in the manner of the caller's era.
 */
import type { Caller, Channel, RequestEnvelope } from '../channel.ts';
import { encodeFault, FAULTS, fault } from '../faults.ts';
import { idJsonOfBody } from './answers.ts';
import type { MethodDeps } from './method-deps.ts';

/** Characters of an unknown method that are said back. */
const SHOWN_MAX = 64;

export function methodMissing(deps: MethodDeps, caller: Caller, envelope: RequestEnvelope, channel: Channel): null {
  const { method } = envelope;
  const shown = method.length > SHOWN_MAX ? `${method.slice(0, SHOWN_MAX)}…` : method;
  const name = caller.revision.era === 'stateless' ? 'methodNotFound' : 'methodNotFoundInBand';
  const idJson = envelope.idJson === '' ? idJsonOfBody(envelope.body) : envelope.idJson;
  // Whatever a client made up must not become a label of a metric.
  deps.meters.requestFinished('other', 'invalid', 0);
  channel.respond(FAULTS[name].status, encodeFault(idJson, fault(name, `method not found: ${shown}`)), 0);
  return null;
}
