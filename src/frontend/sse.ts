/**
 * Server-sent event frames as bytes, and the headers of a stream of them.
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

const MESSAGE_HEAD = 'event: message\n';
const DATA_HEAD = 'data: ';
const FRAME_END = '\n\n';

/** One JSON-RPC message. Without an id it cannot be resumed after. */
export function eventFrame(message: Uint8Array | string, id = ''): Uint8Array {
  const head = id === '' ? `${MESSAGE_HEAD}${DATA_HEAD}` : `${MESSAGE_HEAD}id: ${id}\n${DATA_HEAD}`;
  if (typeof message === 'string') return Buffer.from(head + message + FRAME_END);
  const frame = Buffer.allocUnsafe(head.length + message.byteLength + FRAME_END.length);
  frame.write(head, 0, 'latin1');
  frame.set(message, head.length);
  frame.write(FRAME_END, head.length + message.byteLength, 'latin1');
  return frame;
}

/** Gives the client an id to resume after before there is a message. */
export function primingFrame(id: string): Uint8Array {
  return Buffer.from(`id: ${id}\ndata:\n\n`);
}

/** Tells the client how long to wait before it reconnects. */
export function retryFrame(retryMs: number): Uint8Array {
  return Buffer.from(`retry: ${Math.max(0, Math.trunc(retryMs))}\n\n`);
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
