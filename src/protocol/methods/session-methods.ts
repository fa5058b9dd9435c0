/**
 * The methods that only sessions have: `ping`, `logging/setLevel`, `resources/subscribe` and `resources/unsubscribe`.
 *
 * Role: small changes of the session's own state. Its store and its streams see them; nothing else is told. A change that
 * other nodes have to learn of is answered once it is stored, or with why it could not be.
 */

import type { Session } from '../../sessions/port.ts';
import type { Caller, Channel, OpenRequest, RequestEnvelope } from '../channel.ts';
import { isLogLevel } from '../envelope-check.ts';
import { type Fault, fault, faultFrom } from '../faults.ts';
import { answerFault, answerResult, idJsonIn } from './answers.ts';
import type { MethodDeps, MethodHandler } from './method-deps.ts';
import { methodMissing } from './method-missing.ts';
import { paramsOf } from './params.ts';
import { resourceMissing } from './resource-missing.ts';

const EMPTY = '{}';
const BAD_LEVEL = fault('invalidParams', 'params.level must be a log level');
const BAD_URI = fault('invalidParams', 'params.uri must be a string');

export const ping: MethodHandler = (deps, _caller, envelope, channel) => answerResult(deps, envelope, channel, EMPTY);

export const setLogLevel: MethodHandler = (deps, caller, envelope, channel) => {
  const found = paramsOf(envelope);
  if (found.wrong !== null) return answerFault(deps, caller.revision, envelope, channel, found.wrong);
  const level = found.params['level'];
  if (!isLogLevel(level)) return answerFault(deps, caller.revision, envelope, channel, BAD_LEVEL);
  if (caller.session === null) return answerResult(deps, envelope, channel, EMPTY);
  caller.session.logLevel = level;
  return answerSaved(deps, caller, caller.session, envelope, channel);
};

export const subscribe: MethodHandler = (deps, caller, envelope, channel) => {
  const catalogue = deps.catalogue.current;
  const { session, revision } = caller;
  if (!catalogue.has.resources || session === null) return methodMissing(deps, caller, envelope, channel);
  const found = paramsOf(envelope);
  if (found.wrong !== null) return answerFault(deps, revision, envelope, channel, found.wrong);
  const uri = found.params['uri'];
  if (typeof uri !== 'string') return answerFault(deps, revision, envelope, channel, BAD_URI);
  if (catalogue.resource(uri) === undefined) {
    return answerFault(deps, revision, envelope, channel, resourceMissing(revision, uri));
  }
  const full = subscriptionsFull(session.subscriptions, uri, deps.settings.sessions.subscriptionsMax);
  if (full !== null) return answerFault(deps, revision, envelope, channel, full);
  session.subscriptions.add(uri);
  return answerSaved(deps, caller, session, envelope, channel);
};

function subscriptionsFull(subscriptions: ReadonlySet<string>, uri: string, max: number): Fault | null {
  if (subscriptions.size < max || subscriptions.has(uri)) return null;
  return fault('invalidParams', `this session has ${max} subscriptions, the most it may have`);
}

export const unsubscribe: MethodHandler = (deps, caller, envelope, channel) => {
  const { session, revision } = caller;
  if (!deps.catalogue.current.has.resources || session === null) {
    return methodMissing(deps, caller, envelope, channel);
  }
  const found = paramsOf(envelope);
  if (found.wrong !== null) return answerFault(deps, revision, envelope, channel, found.wrong);
  const uri = found.params['uri'];
  if (typeof uri !== 'string') return answerFault(deps, revision, envelope, channel, BAD_URI);
  session.subscriptions.delete(uri);
  return answerSaved(deps, caller, session, envelope, channel);
};

/** What has been stored cannot be taken back: the answer comes all the same. */
const STORING: OpenRequest = { cancel: () => undefined };

function answerSaved(
  deps: MethodDeps,
  caller: Caller,
  session: Session,
  envelope: RequestEnvelope,
  channel: Channel,
): OpenRequest | null {
  const saved = session.save();
  if (!(saved instanceof Promise)) return answerResult(deps, envelope, channel, EMPTY);
  // The body is only lent, and an envelope that stays must not need it.
  const kept: RequestEnvelope = { ...envelope, idJson: idJsonIn(envelope) };
  saved.then(
    () => answerResult(deps, kept, channel, EMPTY),
    (cause: unknown) => {
      const why = faultFrom(cause);
      if (why.name === 'internal') deps.log.error({ err: cause, method: kept.method }, 'a session could not be saved');
      answerFault(deps, caller.revision, kept, channel, why);
    },
  );
  return STORING;
}
