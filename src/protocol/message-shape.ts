/**
 * What makes a parsed value a JSON-RPC message of this protocol.
 *
 * Role: the rules that hold whatever the revision: object, `jsonrpc`, `id`, `method`, `params`. Used where a message
 * had to be parsed; `envelope.ts` applies the same rules to raw bytes.
 * An id is a string or a whole number that survives a round trip through a double; anything else could not be echoed.
 */
import type { JsonObject } from './channel.ts';
import { type Fault, fault } from './faults.ts';

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isRequestId(value: unknown): value is string | number {
  return typeof value === 'string' || Number.isSafeInteger(value);
}

/** The id of a message as JSON text, `''` when it has none that can be echoed. */
export function idJsonOf(message: unknown): string {
  if (!isJsonObject(message)) return '';
  const id = message['id'];
  return isRequestId(id) ? JSON.stringify(id) : '';
}

/** `request` and `notification` have a method, `response` a result or an error. */
export type MessageKind = 'request' | 'notification' | 'response';

/** The kind of a message whose `shapeFault` is null. */
export function messageKind(message: JsonObject): MessageKind {
  if (message['method'] === undefined) return 'response';
  return message['id'] === undefined ? 'notification' : 'request';
}

const notMessage = (reason: string): Fault => fault('invalidRequest', `not a JSON-RPC message: ${reason}`);

const NOT_OBJECT = notMessage('it is not an object');
const NO_JSONRPC = notMessage('"jsonrpc" must be "2.0"');
const BAD_METHOD = notMessage('"method" must be a non-empty string');
const BAD_ID = notMessage('"id" must be a string or an integer');
const BAD_PARAMS = notMessage('"params" must be an object');
const BOTH = notMessage('it has a method and a result or an error');
const NEITHER = notMessage('it has neither a method nor a result or an error');
const TWO_ENDINGS = notMessage('it has a result and an error');

/** Null when `value` is a request, a notification or a response. */
export function shapeFault(value: unknown): Fault | null {
  if (!isJsonObject(value)) return NOT_OBJECT;
  if (value['jsonrpc'] !== '2.0') return NO_JSONRPC;
  const method = value['method'];
  const answers = value['result'] !== undefined || value['error'] !== undefined;
  if (method === undefined) return answers ? responseFault(value) : NEITHER;
  if (typeof method !== 'string' || method === '') return BAD_METHOD;
  if (answers) return BOTH;
  const id = value['id'];
  if (id !== undefined && !isRequestId(id)) return BAD_ID;
  const params = value['params'];
  return params === undefined || isJsonObject(params) ? null : BAD_PARAMS;
}

/** An error response may lack an id, or carry null: its sender could not read ours. */
function responseFault(message: JsonObject): Fault | null {
  if (message['result'] !== undefined && message['error'] !== undefined) return TWO_ENDINGS;
  const id = message['id'];
  if (isRequestId(id)) return null;
  return message['error'] !== undefined && (id === undefined || id === null) ? null : BAD_ID;
}
