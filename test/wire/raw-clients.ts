/**
 * Minimal clients written by hand: one request, exactly the headers a revision asks for, the answer as it came.
 *
 * Role: for tests that go where real clients do not. `Stateless` speaks 2026-07-28, `Session` an earlier revision;
 * both take a `fetch`, so that everything they hear can be checked on the way.
 */
import assert from 'node:assert/strict';
import { REVISION_2025_06_18, type Revision } from '../../src/protocol/revisions.ts';
import { EventReader } from './event-reader.ts';
import type { Fetch } from './tap-fetch.ts';
import type { Json } from './wire-check.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Everything before the last message. */
  readonly before: readonly Json[];
  /** The response; undefined when the body was empty. */
  readonly last: Json | undefined;
  readonly result: Json;
  readonly error: { readonly code: number; readonly message: string; readonly data?: unknown };
}

const MIRRORED: Readonly<Record<string, string>> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
  'tasks/get': 'taskId',
  'tasks/update': 'taskId',
  'tasks/cancel': 'taskId',
};
export const POST_HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

export function metaOf(capabilities: object = {}, more: object = {}): object {
  return {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': capabilities,
    ...more,
  };
}

/** A value as a header takes it: as it is, or in base64 when it would not survive. */
export function headerValue(value: string): string {
  const plain = /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(value) && !/^=\?base64\?.*\?=$/.test(value);
  return plain ? value : `=?base64?${Buffer.from(value).toString('base64')}?=`;
}

export function statelessHeaders(method: string, params: Json): Record<string, string> {
  const mirrored = MIRRORED[method];
  const name = mirrored === undefined ? undefined : params[mirrored];
  return {
    ...POST_HEADERS,
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': method,
    ...(typeof name === 'string' ? { 'mcp-name': headerValue(name) } : {}),
  };
}

export async function answerOf(response: Response): Promise<Answer> {
  const messages: Json[] = [];
  const type = response.headers.get('content-type') ?? '';
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (type.startsWith('text/event-stream')) {
    const reader = new EventReader((event) => {
      if (event.data !== '') messages.push(JSON.parse(event.data) as Json);
    });
    reader.push(bytes);
  } else if (bytes.byteLength > 0) messages.push(JSON.parse(Buffer.from(bytes).toString('utf8')) as Json);
  const last = messages.pop();
  return {
    status: response.status,
    headers: response.headers,
    before: messages,
    last,
    result: (last?.['result'] ?? {}) as Json,
    error: (last?.['error'] ?? { code: 0, message: '' }) as Answer['error'],
  };
}

export class Stateless {
  readonly #url: string;
  readonly #fetch: Fetch;
  readonly #headers: Readonly<Record<string, string>>;
  #nextId = 0;

  constructor(url: string, fetchLike: Fetch = fetch, headers: Readonly<Record<string, string>> = {}) {
    this.#url = url;
    this.#fetch = fetchLike;
    this.#headers = headers;
  }

  async request(method: string, params: Json = {}, headers: Record<string, string> = {}): Promise<Answer> {
    return answerOf(await this.open(method, params, headers));
  }

  /** The response as soon as its head is there. */
  open(
    method: string,
    params: Json = {},
    headers: Record<string, string> = {},
    signal?: AbortSignal,
  ): Promise<Response> {
    const full = { _meta: metaOf(), ...params };
    return this.#fetch(this.#url, {
      method: 'POST',
      headers: { ...statelessHeaders(method, params), ...this.#headers, ...headers },
      body: JSON.stringify({ jsonrpc: '2.0', id: this.#nextId++, method, params: full }),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  call(name: string, args: object = {}, params: Json = {}): Promise<Answer> {
    return this.request('tools/call', { name, arguments: args, ...params });
  }
}

export class Session {
  readonly id: string;
  readonly url: string;
  readonly #fetch: Fetch;
  readonly #headers: Readonly<Record<string, string>>;
  #nextId = 1;

  private constructor(id: string, url: string, fetchLike: Fetch, headers: Readonly<Record<string, string>>) {
    this.id = id;
    this.url = url;
    this.#fetch = fetchLike;
    this.#headers = headers;
  }

  static async begin(
    url: string,
    revision: Revision,
    capabilities: object = {},
    fetchLike: Fetch = fetch,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Session> {
    const clientInfo = { name: 'raw', version: '1' };
    const params = { protocolVersion: revision.name, capabilities, clientInfo };
    const response = await fetchLike(url, {
      method: 'POST',
      headers: { ...POST_HEADERS, ...headers },
      body: JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }),
    });
    const { result } = await answerOf(response);
    assert.equal(result['protocolVersion'], revision.name);
    const id = response.headers.get('mcp-session-id');
    assert.ok(id !== null && /^[\x21-\x7e]{22,}$/.test(id), 'a session has an id that cannot be guessed');
    const versioned: Record<string, string> =
      revision.index >= REVISION_2025_06_18.index ? { 'mcp-protocol-version': revision.name } : {};
    const session = new Session(id, url, fetchLike, { ...headers, ...versioned });
    await session.notify('notifications/initialized');
    return session;
  }

  get headers(): Record<string, string> {
    return { ...POST_HEADERS, 'mcp-session-id': this.id, ...this.#headers };
  }

  async request(method: string, params: Json = {}, headers: Record<string, string> = {}): Promise<Answer> {
    return answerOf(await this.post({ jsonrpc: '2.0', id: this.#nextId++, method, params }, headers));
  }

  async notify(method: string, params: Json = {}): Promise<void> {
    assert.equal((await this.post({ jsonrpc: '2.0', method, params })).status, 202);
  }

  post(message: unknown, headers: Record<string, string> = {}, signal?: AbortSignal): Promise<Response> {
    return this.#fetch(this.url, {
      method: 'POST',
      headers: { ...this.headers, ...headers },
      body: typeof message === 'string' ? message : JSON.stringify(message),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  call(name: string, args: object = {}, params: Json = {}): Promise<Answer> {
    return this.request('tools/call', { name, arguments: args, ...params });
  }

  /** The session's own stream, or the rest of another after `lastEventId`. */
  listen(signal: AbortSignal, lastEventId = ''): Promise<Response> {
    const resumption: Record<string, string> = lastEventId === '' ? {} : { 'last-event-id': lastEventId };
    return this.#fetch(this.url, { headers: { ...this.headers, ...resumption }, signal });
  }

  end(): Promise<Response> {
    return this.#fetch(this.url, { method: 'DELETE', headers: this.headers });
  }
}
