/**
 * A client over a connection of messages (WebSocket, or the lines of a child process), written by hand.
 *
 * Role: pairs requests with responses, keeps everything else until it is asked for, and shows all of it to a
 * `Conversation`. Both eras can be spoken on one connection.
 */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { metaOf } from './raw-clients.ts';
import type { Conversation, Json, WireCheck } from './wire-check.ts';

interface Waiting {
  readonly wanted: (message: Json) => boolean;
  readonly resolve: (message: Json) => void;
  readonly reject: (cause: Error) => void;
}

export class MessageClient {
  /** Everything that came, in order. */
  readonly heard: Json[] = [];
  readonly #write: (text: string) => void;
  readonly #conversation: Conversation | null;
  /** Heard, but not yet taken. */
  #kept: Json[] = [];
  readonly #waiting = new Set<Waiting>();
  #nextId = 0;

  constructor(write: (text: string) => void, check: WireCheck | null) {
    this.#write = write;
    this.#conversation = check === null ? null : check.conversation();
  }

  received(text: string): void {
    const message = JSON.parse(text) as Json;
    this.#conversation?.received(message);
    this.heard.push(message);
    for (const waiting of this.#waiting) {
      if (!waiting.wanted(message)) continue;
      this.#waiting.delete(waiting);
      waiting.resolve(message);
      return;
    }
    this.#kept.push(message);
  }

  /** The connection is gone: nobody waits any longer. */
  closed(why: string): void {
    for (const waiting of this.#waiting) waiting.reject(new Error(`closed: ${why}`));
    this.#waiting.clear();
  }

  send(message: Json): void {
    this.#conversation?.sent(message);
    this.#write(JSON.stringify({ jsonrpc: '2.0', ...message }));
  }

  /** Sends text as it is. */
  raw(text: string): void {
    this.#write(text);
  }

  /** The next message that is wanted, which may have come already. */
  take(wanted: (message: Json) => boolean): Promise<Json> {
    const kept = this.#kept.find(wanted);
    if (kept !== undefined) {
      this.#kept = this.#kept.filter((message) => message !== kept);
      return Promise.resolve(kept);
    }
    return new Promise((resolve, reject) => this.#waiting.add({ wanted, resolve, reject }));
  }

  takeMethod(method: string): Promise<Json> {
    return this.take((message) => message['method'] === method);
  }

  request(method: string, params: Json = {}, id: number | string = this.#nextId++): Promise<Json> {
    const response = this.take((message) => message['id'] === id && message['method'] === undefined);
    this.send({ id, method, params });
    return response;
  }

  /** The same as 2026-07-28 has it. */
  stateless(method: string, params: Json = {}, id: number | string = this.#nextId++): Promise<Json> {
    return this.request(method, { _meta: metaOf(), ...params }, id);
  }

  async initialize(protocolVersion: string, capabilities: object = {}): Promise<Json> {
    const clientInfo = { name: 'raw', version: '1' };
    const response = await this.request('initialize', { protocolVersion, capabilities, clientInfo });
    this.send({ method: 'notifications/initialized' });
    return response;
  }

  abandon(id: number | string): void {
    this.#conversation?.abandoned(id);
    this.send({ method: 'notifications/cancelled', params: { requestId: id } });
  }
}

export interface SocketClient {
  readonly client: MessageClient;
  readonly socket: WebSocket;
  /** Close code and reason, once closed. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
}

/** Opens a WebSocket on the endpoint at `url` (http). */
export async function openSocket(
  url: string,
  check: WireCheck | null = null,
  headers: Readonly<Record<string, string>> = {},
): Promise<SocketClient> {
  const socket = new WebSocket(url.replace(/^http/, 'ws'), 'mcp', { headers });
  const client = new MessageClient((text) => socket.send(text), check);
  socket.on('message', (data) => client.received(String(data)));
  socket.on('error', () => client.closed('error'));
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.on('close', (code, reason) => {
      client.closed(String(code));
      resolve({ code, reason: String(reason) });
    });
  });
  await once(socket, 'open');
  return { client, socket, closed };
}
