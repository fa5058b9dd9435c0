// HOT PATH
/**
 * Turns a session message, as the classifier found it, into what the methods take.
 *
 * Role: decides whether this thread has to read a request's params. What runs in a worker is parsed there, so those
 * bodies are only carried along; everything else is small and is parsed here, with the parse as the check.
 */
import type { TraceHeaders } from '../../dispatch/job.ts';
import type { JsonObject, RequestEnvelope } from '../channel.ts';
import type { Envelope } from '../envelope.ts';
import { type Fault, fault } from '../faults.ts';
import { parseJson } from '../json.ts';
import { isJsonObject } from '../message-shape.ts';

/** Parsed by the worker that runs them; `name` is all this thread needs. */
const WORKER_METHODS: ReadonlySet<string> = new Set(['tools/call', 'resources/read', 'prompts/get']);

/** What the scanner or the parser found of a session message. */
export type SessionMessage = Pick<Envelope, 'kind' | 'idJson' | 'method' | 'name' | 'parsed'>;

/** Tells the methods that the body has been read and holds none. */
const NO_PARAMS: JsonObject = Object.freeze({});

export function requestEnvelope(
  envelope: SessionMessage,
  body: Uint8Array,
  trace: TraceHeaders | null,
  correlationId: string,
  idempotencyKey: string,
): RequestEnvelope | Fault {
  const { method } = envelope;
  let params: JsonObject | null = null;
  if (envelope.parsed !== null) {
    params = paramsOf(envelope.parsed) ?? NO_PARAMS;
  } else if (!WORKER_METHODS.has(method)) {
    const parsed = parseJson(body);
    if (!parsed.ok) return fault('parse', parsed.reason);
    params = paramsOf(parsed.value) ?? NO_PARAMS;
  }
  return {
    idJson: envelope.idJson,
    method,
    name: envelope.name,
    params,
    body,
    checkHeaders: false,
    trace,
    correlationId,
    paramHeaders: null,
    idempotencyKey,
  };
}

export function isFault(value: RequestEnvelope | Fault): value is Fault {
  return 'message' in value;
}

/** The `params` object of a parsed message, or null. */
export function paramsOf(message: unknown): JsonObject | null {
  if (!isJsonObject(message)) return null;
  const params = message['params'];
  return isJsonObject(params) ? params : null;
}

/** The resource whose subscription a request changes, `''` for other requests. */
export function subscribedUri(method: string, name: string): string {
  return method === 'resources/subscribe' || method === 'resources/unsubscribe' ? name : '';
}
