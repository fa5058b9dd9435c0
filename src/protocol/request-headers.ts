// HOT PATH
/**
 * What the endpoint reads from request headers beside the protocol's own: media types, trace context, correlation id.
 *
 * Role: small readings of untrusted text. What is malformed or too long is treated as absent, since none of it is
 * needed to serve the request; media types are the exception, and their caller refuses.
 * Source: RFC 9110 (media types, Accept), W3C Trace Context and Baggage.
 */
import type { TraceHeaders } from '../dispatch/job.ts';
import type { RequestHead } from '../frontend/port.ts';

const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;
const TRACESTATE_LENGTH_MAX = 512;
const BAGGAGE_LENGTH_MAX = 8192;
const CORRELATION_ID_LENGTH_MAX = 128;

export const JSON_TYPE = 'application/json';
export const STREAM_TYPE = 'text/event-stream';

/** Whether a Content-Type says JSON; parameters do not matter. */
export function isJsonContentType(value: string): boolean {
  return value === JSON_TYPE || mediaTypeOf(value) === JSON_TYPE;
}

/** Whether an Accept header that is present lets `type` through, by name or by range. */
export function accepts(accept: string, type: string): boolean {
  return accept.includes(type) ? !accept.includes('q=0') || acceptsListed(accept, type) : acceptsListed(accept, type);
}

function acceptsListed(accept: string, type: string): boolean {
  const range = `${type.slice(0, type.indexOf('/'))}/*`;
  let accepted = false;
  for (const part of accept.split(',')) {
    const media = mediaTypeOf(part);
    if (media !== type && media !== range && media !== '*/*') continue;
    const refused = /;\s*q=0(\.0*)?\s*(;|$)/i.test(part);
    // What is said of the type itself outweighs what is said of its range.
    if (media === type) return !refused;
    accepted = !refused;
  }
  return accepted;
}

function mediaTypeOf(value: string): string {
  const end = value.indexOf(';');
  return (end < 0 ? value : value.slice(0, end)).trim().toLowerCase();
}

/** W3C trace context, null when there is none. */
export function readTrace(head: RequestHead): TraceHeaders | null {
  const traceparent = head.header('traceparent');
  const baggage = head.header('baggage');
  if (traceparent === '' && baggage === '') return null;
  const trace: TraceHeaders = {};
  if (TRACEPARENT.test(traceparent)) {
    trace.traceparent = traceparent;
    const tracestate = head.header('tracestate');
    if (tracestate !== '' && tracestate.length <= TRACESTATE_LENGTH_MAX) trace.tracestate = tracestate;
  }
  if (baggage !== '' && baggage.length <= BAGGAGE_LENGTH_MAX) trace.baggage = baggage;
  return trace;
}

export function readCorrelationId(head: RequestHead): string {
  const own = head.header('x-correlation-id');
  const id = own === '' ? head.header('x-request-id') : own;
  return id.length > CORRELATION_ID_LENGTH_MAX ? '' : id;
}
