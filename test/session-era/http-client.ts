/**
 * A client of the session era that sends each request to a node of the test's choice, and reads event streams event by
 * event. It keeps to the protocol, and checks nothing.
 */
import { eventually } from '../clients/eventually.ts';

const PATIENCE_MS = 60_000;

export interface Message {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: { readonly [member: string]: unknown };
  readonly result?: { readonly [member: string]: unknown };
  readonly error?: { readonly code: number; readonly message: string };
}

export interface SseEvent {
  readonly id: string;
  /** Null for an event without a message. */
  readonly message: Message | null;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Null for a stream or an empty body. */
  readonly message: Message | null;
  /** Null unless it is an event stream. */
  readonly stream: EventReader | null;
}

/** Collects the events of a stream until it ends or is left. */
export class EventReader {
  readonly events: SseEvent[] = [];
  ended = false;
  readonly #leaving: AbortController;

  constructor(body: ReadableStream<Uint8Array>, leaving: AbortController) {
    this.#leaving = leaving;
    this.#read(body).then(
      () => (this.ended = true),
      // Broken off, by this side or the other.
      () => (this.ended = true),
    );
  }

  get messages(): readonly Message[] {
    return this.events.flatMap(({ message }) => (message === null ? [] : [message]));
  }

  get lastEventId(): string {
    return this.events.at(-1)?.id ?? '';
  }

  leave(): void {
    this.#leaving.abort();
  }

  until(what: string, wanted: (reader: EventReader) => boolean): Promise<EventReader> {
    return eventually(what, () => this, wanted, PATIENCE_MS);
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let text = '';
    for await (const chunk of body) {
      text += decoder.decode(chunk, { stream: true });
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        this.#block(text.slice(0, end));
        text = text.slice(end + 2);
      }
    }
  }

  #block(block: string): void {
    const field = (name: string): string =>
      block
        .split('\n')
        .find((line) => line.startsWith(`${name}:`))
        ?.slice(name.length + 1)
        .trim() ?? '';
    if (field('id') === '') return;
    const data = field('data');
    this.events.push({ id: field('id'), message: data === '' ? null : (JSON.parse(data) as Message) });
  }
}

export class SessionClient {
  sessionId = '';
  readonly #revision: string;
  readonly #readers: EventReader[] = [];
  #nextId = 1;

  constructor(revision = '2025-11-25') {
    this.#revision = revision;
  }

  async initialize(url: string): Promise<this> {
    const params = {
      protocolVersion: this.#revision,
      capabilities: { elicitation: {}, sampling: {}, roots: {} },
      clientInfo: { name: 'test', version: '1' },
    };
    const answer = await this.post(url, { jsonrpc: '2.0', id: 0, method: 'initialize', params });
    if (answer.status !== 200) throw new Error(`initialize: ${answer.status} ${JSON.stringify(answer.message)}`);
    this.sessionId = answer.headers.get('mcp-session-id') ?? '';
    await this.notify(url, 'notifications/initialized', {});
    return this;
  }

  post(url: string, message: object): Promise<Answer> {
    return this.#send(url, 'POST', { 'content-type': 'application/json' }, JSON.stringify(message));
  }

  /** A request with a new id. */
  request(url: string, method: string, params: object): Promise<Answer> {
    return this.post(url, { jsonrpc: '2.0', id: this.#nextId++, method, params });
  }

  call(url: string, name: string, args: object = {}): Promise<Answer> {
    const params = { name, arguments: args, _meta: { progressToken: `p${this.#nextId}` } };
    return this.request(url, 'tools/call', params);
  }

  /** The id that the next request will have. */
  get nextId(): number {
    return this.#nextId;
  }

  notify(url: string, method: string, params: object): Promise<Answer> {
    return this.post(url, { jsonrpc: '2.0', method, params });
  }

  get(url: string, lastEventId = ''): Promise<Answer> {
    return this.#send(url, 'GET', lastEventId === '' ? {} : { 'last-event-id': lastEventId }, null);
  }

  /** The same, again when it is told to come again: who stood still did not hear the other nodes in time. */
  resume(url: string, lastEventId = ''): Promise<Answer> {
    return eventually(
      'an answer but to come again',
      () => this.get(url, lastEventId),
      ({ status }) => status !== 503,
      PATIENCE_MS,
    );
  }

  /** A GET that must open a stream. */
  async listen(url: string, lastEventId = ''): Promise<EventReader> {
    const { message, status, stream } = await this.resume(url, lastEventId);
    if (stream === null) throw new Error(`no stream: ${status} ${JSON.stringify(message)}`);
    return stream;
  }

  delete(url: string): Promise<Answer> {
    return this.#send(url, 'DELETE', {}, null);
  }

  /** Leaves every stream. */
  close(): void {
    for (const reader of this.#readers) reader.leave();
  }

  async #send(url: string, method: string, more: Record<string, string>, body: string | null): Promise<Answer> {
    const leaving = new AbortController();
    const headers: Record<string, string> = {
      accept: method === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream',
      ...(this.sessionId === '' ? {} : { 'mcp-session-id': this.sessionId, 'mcp-protocol-version': this.#revision }),
      ...more,
    };
    const response = await fetch(url, { method, headers, body, signal: leaving.signal });
    const base = { status: response.status, headers: response.headers };
    if (response.headers.get('content-type') === 'text/event-stream' && response.body !== null) {
      const stream = new EventReader(response.body, leaving);
      this.#readers.push(stream);
      return { ...base, message: null, stream };
    }
    const text = await response.text();
    return { ...base, message: text === '' ? null : (JSON.parse(text) as Message), stream: null };
  }
}

/** Text of a tool's result. */
export function textOf(message: Message | null | undefined): string {
  const content = message?.result?.['content'] as readonly { readonly text?: string }[] | undefined;
  return content?.[0]?.text ?? '';
}

export const progressOf = (messages: readonly Message[]): number[] =>
  messages
    .filter(({ method }) => method === 'notifications/progress')
    .map(({ params }) => Number(params?.['progress']));
