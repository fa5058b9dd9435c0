/**
 * What a client's notifications and responses do to its session.
 *
 * Role: the same for HTTP, WebSocket and stdio. Notifications that are unknown here are accepted and do nothing, as
 * the protocol wants of extensible peers.
 */
import type { JsonObject } from '../channel.ts';
import { isJsonObject } from '../message-shape.ts';
import type { CallList } from './call-list.ts';
import { paramsOf } from './request-params.ts';
import type { SessionState } from './session-state.ts';

/** Characters of a cancellation's reason that are handed on. */
const REASON_CHARS_MAX = 256;

export function notified(state: SessionState, method: string, message: unknown): void {
  if (method === 'notifications/initialized') state.session.initialized = true;
  else if (method === 'notifications/cancelled') cancelled(state.calls, message);
}

/** `notifications/cancelled`. False when no such request is in flight in `calls`. */
export function cancelled(calls: CallList, message: unknown): boolean {
  const params = paramsOf(message);
  if (params === null) return false;
  const reason = params['reason'];
  const text = typeof reason === 'string' ? reason.slice(0, REASON_CHARS_MAX) : 'cancelled by the client';
  return calls.cancel(params['requestId'], text);
}

/** A posted response. False when it answers nothing that was ever asked here. */
export function answered(state: SessionState, message: unknown): boolean {
  return isJsonObject(message) && state.asks.answer(message as JsonObject) !== 'unknown';
}
