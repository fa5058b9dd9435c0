// HOT PATH
/**
 * Server-sent event frames of messages that need no event id.
 *
 * Role: the bytes of one `message` event around one JSON-RPC message. JSON text has no line breaks, so one `data` line
 * holds it.
 */
import { Buffer } from 'node:buffer';
import type { HeaderPairs } from '../frontend/port.ts';

export const STREAM_HEADERS: HeaderPairs = Object.freeze([
  ['Cache-Control', 'no-cache, no-transform'],
  ['X-Accel-Buffering', 'no'],
] as const);

/** Says nothing to the client and keeps every proxy on the way from closing a quiet stream. */
export const KEEP_ALIVE_FRAME = ':\n\n';

const HEAD = 'event: message\ndata: ';
const TAIL = '\n\n';

export function sseFrame(message: Uint8Array | string): Uint8Array | string {
  if (typeof message === 'string') return HEAD + message + TAIL;
  const frame = Buffer.allocUnsafe(HEAD.length + message.length + TAIL.length);
  frame.write(HEAD, 0, 'latin1');
  frame.set(message, HEAD.length);
  frame.write(TAIL, HEAD.length + message.length, 'latin1');
  return frame;
}

/** `Retry-After` counts in whole seconds. */
export function retryAfter(retryAfterMs: number): HeaderPairs {
  return [['Retry-After', String(Math.max(1, Math.ceil(retryAfterMs / 1000)))]];
}
