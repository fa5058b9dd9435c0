/**
 * How a message, and an answer in parts, stand on the wire.
 *
 *     message:  facts length, u32 big endian │ facts, JSON │ body
 *     frame:    event: {name}⏎ data: {line}⏎ … ⏎      lines that begin with `:` only keep the connection alive
 *
 * Role: both ends are this file. Facts stand in the body, not in a header: front ends bound headers to a few KiB, and
 * the claims of a principal may need more. Only a line feed ends a line; a carriage return is an ordinary character.
 */
import type { PeerFrame } from './port.ts';

export const INTERNAL_PREFIX = '/internal/';
export const FACTS_BYTES_MAX = 256 * 1024;
/** One frame; the largest holds a whole result. */
export const FRAME_BYTES_MAX = 272 * 1024 * 1024;

export const HEADER = {
  from: 'millrace-node',
  fromStart: 'millrace-start',
  toStart: 'millrace-for-start',
  proof: 'millrace-proof',
  /** On every answer of a handler; without it, somebody in between has answered. */
  answer: 'millrace-answer',
  /** Why a message was not taken: `stale`, `seen`, `forged`. */
  refused: 'millrace-refused',
} as const;

const LENGTH_BYTES = 4;

/** Null when the facts are too large. */
export function encodeMessage(facts: object, body: Uint8Array | string): Buffer | null {
  const json = Buffer.from(JSON.stringify(facts));
  if (json.length > FACTS_BYTES_MAX) return null;
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  const message = Buffer.allocUnsafe(LENGTH_BYTES + json.length + bytes.byteLength);
  message.writeUInt32BE(json.length, 0);
  json.copy(message, LENGTH_BYTES);
  message.set(bytes, LENGTH_BYTES + json.length);
  return message;
}

/** Null when it is none. The body is a view. */
export function decodeMessage(
  message: Uint8Array,
): { readonly facts: { readonly [member: string]: unknown }; readonly body: Uint8Array } | null {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
  if (bytes.length < LENGTH_BYTES) return null;
  const bodyAt = LENGTH_BYTES + bytes.readUInt32BE(0);
  if (bodyAt > bytes.length) return null;
  try {
    const facts: unknown = JSON.parse(bytes.toString('utf8', LENGTH_BYTES, bodyAt));
    if (typeof facts !== 'object' || facts === null || Array.isArray(facts)) return null;
    return { facts: facts as { readonly [member: string]: unknown }, body: message.subarray(bodyAt) };
  } catch {
    // Not JSON: the sender is of another version.
    return null;
  }
}

export function encodeFrame(frame: PeerFrame): string {
  const data = frame.data.includes('\n') ? frame.data.replaceAll('\n', '\ndata: ') : frame.data;
  return `event: ${frame.event}\ndata: ${data}\n\n`;
}

const LINE_FEED = 10;

/** Cuts a stream of bytes into frames. */
export class FrameReader {
  readonly #frame: (frame: PeerFrame) => void;
  #parts: Buffer[] = [];
  #heldBytes = 0;

  constructor(frame: (frame: PeerFrame) => void) {
    this.#frame = frame;
  }

  /** False when a frame is longer than any node writes. */
  push(chunk: Buffer): boolean {
    let rest = chunk;
    while (rest.length > 0) {
      const end = this.#endOf(rest);
      if (end === -1) {
        this.#parts.push(rest);
        this.#heldBytes += rest.length;
        return this.#heldBytes <= FRAME_BYTES_MAX;
      }
      const whole = Buffer.concat([...this.#parts, rest.subarray(0, end)]).toString('utf8');
      this.#parts = [];
      this.#heldBytes = 0;
      rest = rest.subarray(end);
      this.#tell(whole);
    }
    return true;
  }

  /** Behind the blank line that ends the frame; its two line feeds may have come in two chunks. */
  #endOf(chunk: Buffer): number {
    const before = this.#parts.at(-1);
    if (before !== undefined && before[before.length - 1] === LINE_FEED && chunk[0] === LINE_FEED) return 1;
    const at = chunk.indexOf('\n\n');
    return at === -1 ? -1 : at + 2;
  }

  #tell(text: string): void {
    let event = '';
    let data: string | null = null;
    for (const line of text.split('\n')) {
      if (line.startsWith('event: ')) event = line.slice(7);
      else if (line.startsWith('data: ')) data = data === null ? line.slice(6) : `${data}\n${line.slice(6)}`;
    }
    if (event !== '') this.#frame({ event, data: data ?? '' });
  }
}
