/**
 * `subscriptions/listen`: a request whose answer stays open. Its filter and its stream are the subscriptions' own.
 */
import { fault } from '../faults.ts';
import { answerFault, idJsonIn } from './answers.ts';
import type { MethodHandler } from './method-deps.ts';
import { paramsOf } from './params.ts';

const NO_STREAM = fault('notAcceptable', 'Accept must list text/event-stream to listen');

export const listen: MethodHandler = (deps, caller, envelope, channel) => {
  if (!channel.canStream) return answerFault(deps, caller.revision, envelope, channel, NO_STREAM);
  const found = paramsOf(envelope);
  if (found.wrong !== null) return answerFault(deps, caller.revision, envelope, channel, found.wrong);
  return deps.listen.open(caller, idJsonIn(envelope), found.params, channel);
};
