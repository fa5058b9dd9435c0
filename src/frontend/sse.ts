/**
 * Server-sent event frames, and the headers of a stream of them.
 *
 * Role: whoever writes to an `EventStream` encodes here; adapters only move the bytes.
 * Invariant: a message is JSON without raw line breaks (JSON escapes them), so one `data:` line carries it whole; ids
 * are the runtime's own and have no line break either.
 * Source of the format: the HTML standard, section 9.2.
 */
import type { EventStream, HeaderPairs } from './port.ts';

export const SSE_TYPE = 'text/event-stream';

/** Beside Content-Type: no cache, no proxy buffering, no recoding that would hold frames back. */
export const SSE_HEADERS: HeaderPairs = [
  ['Cache-Control', 'no-cache, no-transform'],
  ['X-Accel-Buffering', 'no'],
];

/** Keeps a quiet connection alive; readers skip it. */
export const COMMENT_FRAME: Uint8Array = Buffer.from(':\n\n');

const MESSAGE_HEAD = 'event: message\ndata: ';
const FRAME_END = '\n\n';

/** One JSON-RPC message. There is no resuming after it. */
export function eventFrame(message: Uint8Array | string): Uint8Array {
  if (typeof message === 'string') return Buffer.from(MESSAGE_HEAD + message + FRAME_END);
  const frame = Buffer.allocUnsafe(MESSAGE_HEAD.length + message.byteLength + FRAME_END.length);
  frame.write(MESSAGE_HEAD, 0, 'latin1');
  frame.set(message, MESSAGE_HEAD.length);
  frame.write(FRAME_END, MESSAGE_HEAD.length + message.byteLength, 'latin1');
  return frame;
}

/** One JSON-RPC message under an id to resume after. As text, as are those below: streams of sessions hold them. */
export function resumableFrame(id: string, message: string): string {
  return `event: message\nid: ${id}\ndata: ${message}${FRAME_END}`;
}

/** Gives the client an id to resume after before there is a message. */
export function primingFrame(id: string): string {
  return `id: ${id}\ndata: ${FRAME_END}`;
}

/** Tells the client how long to wait before it reconnects. Readers take digits only. */
export function retryFrame(retryMs: number): string {
  return `retry: ${Math.max(0, Math.trunc(retryMs))}${FRAME_END}`;
}

/** What `openStream` returns once the reply has been used or the client has gone. */
export class ClosedStream implements EventStream {
  readonly open = false;
  readonly congested = false;
  onDrain: (() => void) | null = null;

  write(): boolean {
    return false;
  }

  end(): void {
    this.onDrain = null;
  }
}
