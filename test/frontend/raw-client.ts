/**
 * A client of bare sockets: sends bytes as they are and reads responses as they come.
 *
 * Role: real HTTP clients hide what the contract is about (segments, pipelining, broken framing). This one understands
 * responses with a length or in chunks, and nothing else.
 */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export interface RawResponse {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

/** What was waited for did not come before the connection closed. */
export class ClosedEarly extends Error {}

export class RawClient {
  readonly socket: Socket;
  /** Resolves when the connection has closed, for whatever reason. */
  readonly closed: Promise<void>;
  #received = Buffer.alloc(0);
  #isClosed = false;
  #wake: (() => void) | null = null;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (part) => {
      this.#received = Buffer.concat([this.#received, part]);
      this.#wake?.();
    });
    socket.on('error', () => socket.destroy());
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#isClosed = true;
        this.#wake?.();
        resolve();
      });
    });
  }

  static async open(port: number, tls = false): Promise<RawClient> {
    const socket = tls
      ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
      : connect({ port, host: '127.0.0.1' });
    const client = new RawClient(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once(tls ? 'secureConnect' : 'connect', resolve);
      socket.once('close', () => reject(new ClosedEarly('could not connect')));
    });
    return client;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  write(data: string | Uint8Array): void {
    if (!this.socket.destroyed) this.socket.write(data);
  }

  destroy(): void {
    this.socket.destroy();
  }

  /** The next response, whole. `head`: an answer to HEAD, which has no body. */
  async response(head = false): Promise<RawResponse> {
    for (;;) {
      const found = parseResponse(this.#received, head);
      if (found !== null) {
        this.#received = this.#received.subarray(found.end);
        return found.response;
      }
      await this.#more();
    }
  }

  /** Waits until what has come so far, as text, contains `text`. */
  async until(text: string): Promise<string> {
    while (!this.#received.includes(text)) await this.#more();
    return this.#received.toString('utf8');
  }

  /** The next response, or `closed`. */
  async responseOrClosed(): Promise<RawResponse | 'closed'> {
    try {
      return await this.response();
    } catch (error) {
      if (error instanceof ClosedEarly) return 'closed';
      throw error;
    }
  }

  async #more(): Promise<void> {
    if (this.#isClosed) throw new ClosedEarly(`closed after: ${this.#received.toString('latin1').slice(0, 200)}`);
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = null;
  }
}

function parseResponse(bytes: Buffer, head: boolean): { response: RawResponse; end: number } | null {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) return null;
  const lines = bytes.toString('latin1', 0, headEnd).split('\r\n');
  const status = Number((lines[0] ?? '').split(' ')[1]);
  const headers = new Map<string, string>();
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(':');
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  const start = headEnd + 4;
  if (head || status < 200 || status === 204)
    return { response: { status, headers, body: Buffer.alloc(0) }, end: start };
  if (headers.get('transfer-encoding') === 'chunked') {
    const body = parseChunks(bytes, start);
    return body === null ? null : { response: { status, headers, body: body.bytes }, end: body.end };
  }
  const end = start + Number(headers.get('content-length') ?? 0);
  if (bytes.length < end) return null;
  return { response: { status, headers, body: bytes.subarray(start, end) }, end };
}

function parseChunks(bytes: Buffer, start: number): { bytes: Buffer; end: number } | null {
  const parts: Buffer[] = [];
  let at = start;
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return null;
    const length = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16);
    const next = lineEnd + 2 + length + 2;
    if (bytes.length < next) return null;
    if (length === 0) return { bytes: Buffer.concat(parts), end: next };
    parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + length));
    at = next;
  }
}

/** A request as text. A body gets its Content-Length unless the headers say otherwise. */
export function request(method: string, path: string, body = '', headers: readonly string[] = []): string {
  const framed = headers.some((line) => /^(content-length|transfer-encoding):/i.test(line));
  const hosted = headers.some((line) => /^host:/i.test(line));
  const lines = [`${method} ${path} HTTP/1.1`, ...(hosted ? [] : ['Host: localhost']), ...headers];
  if (!framed && (body !== '' || method === 'POST')) lines.push(`Content-Length: ${Buffer.byteLength(body)}`);
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}
