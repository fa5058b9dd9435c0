/**
 * What a client's notifications and responses do to its session.
 *
 * Role: the same for HTTP, WebSocket and stdio. Notifications that are unknown here are accepted and do nothing, as
 * the protocol wants of extensible peers. What concerns no request of this node is handed to those that may run it.
 */
import type { MaybePromise } from '../../sessions/port.ts';
import type { JsonObject } from '../channel.ts';
import { isJsonObject } from '../message-shape.ts';
import { type AnswerOutcome, askingNode } from './ask-router.ts';
import type { CallList } from './call-list.ts';
import { paramsOf } from './request-params.ts';
import type { SessionState } from './session-state.ts';

/** Characters of a cancellation's reason that are handed on. */
const REASON_CHARS_MAX = 256;

export function notified(state: SessionState, method: string, message: unknown): void {
  if (method === 'notifications/initialized') initialized(state);
  else if (method === 'notifications/cancelled' && !cancelled(state.calls, message)) {
    state.host.relay?.broadcastKept('cancel', state.session.id, cancellationOf(message));
  }
}

function initialized(state: SessionState): void {
  state.session.initialized = true;
  const saved = state.session.save();
  if (!(saved instanceof Promise)) return;
  saved.catch((cause: unknown) => state.host.log.warn({ err: cause }, 'a session could not be marked as initialized'));
}

/** What another node needs of it. */
function cancellationOf(message: unknown): string {
  const params = paramsOf(message);
  const reason = params?.['reason'];
  const short = typeof reason === 'string' ? reason.slice(0, REASON_CHARS_MAX) : undefined;
  return JSON.stringify({ params: { requestId: params?.['requestId'], reason: short } });
}

/** `notifications/cancelled`. False when no such request is in flight in `calls`. */
export function cancelled(calls: CallList, message: unknown): boolean {
  const params = paramsOf(message);
  if (params === null) return false;
  const reason = params['reason'];
  const text = typeof reason === 'string' ? reason.slice(0, REASON_CHARS_MAX) : 'cancelled by the client';
  return calls.cancel(params['requestId'], text);
}

/** `gone`: the node that asked is not there any more, or cannot be reached. */
export type PostedAnswer = Exclude<AnswerOutcome, 'elsewhere'> | 'gone';

/** A posted response. A question of another node is answered there. */
export function answered(state: SessionState, message: unknown): MaybePromise<PostedAnswer> {
  if (!isJsonObject(message)) return 'unknown';
  const outcome = state.asks.answer(message);
  return outcome === 'elsewhere' ? answeredElsewhere(state, message) : outcome;
}

async function answeredElsewhere(state: SessionState, message: JsonObject): Promise<PostedAnswer> {
  const { relay } = state.host;
  if (relay === null) return 'unknown';
  const outcome = await relay.ask(askingNode(message), 'answer', state.session.id, JSON.stringify(message));
  return outcome === null ? 'gone' : outcome === 'answered' || outcome === 'late' ? outcome : 'unknown';
}

/** The same where nobody waits to hear what became of it. */
export function answeredUnheard(state: SessionState, message: unknown): void {
  const outcome = answered(state, message);
  if (!(outcome instanceof Promise)) return;
  outcome.catch((cause: unknown) => state.host.log.warn({ err: cause }, 'an answer could not be handed on'));
}
