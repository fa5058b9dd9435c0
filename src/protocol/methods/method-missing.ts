/**
 * The answer to a method this server does not have, in the manner of the caller's era.
 */
import type { Caller, Channel, RequestEnvelope } from '../channel.ts';
import { encodeFault, FAULTS, fault } from '../faults.ts';
import { idJsonIn } from './answers.ts';
import type { MethodDeps } from './method-deps.ts';

/** Characters of an unknown method that the answer repeats. */
const SHOWN_MAX = 64;

export function methodMissing(deps: MethodDeps, caller: Caller, envelope: RequestEnvelope, channel: Channel): null {
  const { method } = envelope;
  const shown = method.length > SHOWN_MAX ? `${method.slice(0, SHOWN_MAX)}…` : method;
  const name = caller.revision.era === 'stateless' ? 'methodNotFound' : 'methodNotFoundInBand';
  // Whatever a client made up must not become a label of a metric.
  deps.meters.requestFinished('other', 'invalid', 0);
  const refusal = fault(name, `method not found: ${shown}`);
  channel.respond(FAULTS[name].status, encodeFault(idJsonIn(envelope), refusal), 0);
  return null;
}
