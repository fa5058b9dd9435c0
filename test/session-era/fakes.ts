/**
 * Stand-ins at the seams of the session era: sockets on the one side, methods and dispatcher on the other. They record
 * what reaches them and do nothing by themselves.
 */

import type { Principal } from '../../src/catalogue/define.ts';
import type { Catalogue, CatalogueHolder } from '../../src/catalogue/entry.ts';
import type { Ask, Dispatcher, Job } from '../../src/dispatch/job.ts';
import type { EventStream, HeaderPairs, MessagePeer, Reply } from '../../src/frontend/port.ts';
import type { Log } from '../../src/observe/port.ts';
import type { Caller, Channel, Methods, OpenRequest, RequestEnvelope } from '../../src/protocol/channel.ts';
import { classify } from '../../src/protocol/classify.ts';
import { Envelope } from '../../src/protocol/envelope.ts';
import { HttpSessions } from '../../src/protocol/session/endpoint.ts';
import { SLOTS } from '../../src/protocol/session/keep-alive.ts';
import { SessionHub } from '../../src/protocol/session/session-hub.ts';
import type { OpenExchange, SessionFacts } from '../../src/protocol/session-endpoint.ts';
import { MemoryEventLog } from '../../src/sessions/memory-event-log.ts';
import { MemorySessionStore } from '../../src/sessions/memory-store.ts';
import type { EventLog, SessionRelay, SessionStore } from '../../src/sessions/port.ts';
import type { Bus, Change } from '../../src/subscriptions/port.ts';
import { FakeMeters } from '../protocol/fakes.ts';

export class FakeStream implements EventStream {
  open = true;
  congested = false;
  ended = false;
  onDrain: (() => void) | null = null;
  text = '';

  write(frames: Uint8Array | string): boolean {
    if (!this.open) return false;
    this.text += typeof frames === 'string' ? frames : Buffer.from(frames).toString('utf8');
    return true;
  }

  end(): void {
    this.open = false;
    this.ended = true;
  }

  drain(): void {
    this.congested = false;
    this.onDrain?.();
  }

  /** Events in order; a comment is none. */
  get events(): { id: string; data: string; retry: string }[] {
    const blocks = this.text.split('\n\n').filter((block) => block !== '' && !block.startsWith(':'));
    return blocks.map((block) => {
      const field = (name: string): string => {
        const line = block.split('\n').find((each) => each.startsWith(`${name}:`));
        return line === undefined ? '' : line.slice(name.length + 1).trimStart();
      };
      return { id: field('id'), data: field('data'), retry: field('retry') };
    });
  }

  /** Messages in order, without priming and retry events. */
  get messages(): string[] {
    return this.events.filter((event) => event.data !== '').map((event) => event.data);
  }
}

export class FakeReply implements Reply {
  open = true;
  status = 0;
  contentType = '';
  body = '';
  headers: HeaderPairs = [];
  stream: FakeStream | null = null;

  send(status: number, contentType: string, body: Uint8Array | string, headers: HeaderPairs = []): void {
    if (!this.open) return;
    this.open = false;
    this.status = status;
    this.contentType = contentType;
    this.body = typeof body === 'string' ? body : Buffer.from(body).toString('utf8');
    this.headers = headers;
  }

  openStream(headers: HeaderPairs = []): EventStream {
    const stream = new FakeStream();
    if (!this.open) {
      stream.open = false;
      return stream;
    }
    this.open = false;
    this.status = 200;
    this.contentType = 'text/event-stream';
    this.headers = headers;
    this.stream = stream;
    return stream;
  }

  remoteAddress(): string {
    return '127.0.0.1';
  }

  header(name: string): string {
    return this.headers.find(([each]) => each.toLowerCase() === name)?.[1] ?? '';
  }

  get json(): { id?: unknown; result?: Record<string, unknown>; error?: { code: number; message: string } } {
    return JSON.parse(this.body);
  }

  /** The event stream, which must have been opened. */
  get events(): FakeStream {
    if (this.stream === null) throw new Error(`no stream was opened; status ${this.status} ${this.body}`);
    return this.stream;
  }
}

export class FakePeer implements MessagePeer {
  open = true;
  congested = false;
  closed: { code: number; reason: string } | null = null;
  sent: string[] = [];

  send(message: Uint8Array | string): boolean {
    if (!this.open) return false;
    this.sent.push(typeof message === 'string' ? message : Buffer.from(message).toString('utf8'));
    return true;
  }

  close(code: number, reason: string): void {
    this.open = false;
    this.closed = { code, reason };
  }

  remoteAddress(): string {
    return '192.0.2.7';
  }

  /** The newest message, parsed. */
  get last(): { id?: unknown; method?: string; result?: Record<string, unknown>; error?: { code: number } } {
    return JSON.parse(this.sent.at(-1) ?? 'null');
  }
}

/** A request that has reached the methods. */
export interface Reached {
  readonly caller: Caller;
  readonly request: RequestEnvelope;
  readonly channel: Channel;
  cancelled: string;
}

/** Keeps every request open until the test answers it; `ping` is answered at once. */
export class FakeMethods implements Methods {
  reached: Reached[] = [];

  request(caller: Caller, request: RequestEnvelope, channel: Channel): OpenRequest | null {
    if (request.method === 'ping') {
      channel.respond(200, `{"jsonrpc":"2.0","id":${request.idJson},"result":{}}`, 0);
      return null;
    }
    if (request.method === 'test/throws') throw new Error('a bug');
    // The body is lent.
    const reached: Reached = {
      caller,
      channel,
      cancelled: '',
      request: { ...request, body: Buffer.from(request.body) },
    };
    this.reached.push(reached);
    return {
      cancel: (reason) => {
        reached.cancelled = reason;
      },
    };
  }

  /** The newest request, or the one with that id. */
  get(idJson?: string): Reached {
    const found =
      idJson === undefined ? this.reached.at(-1) : this.reached.findLast((each) => each.request.idJson === idJson);
    if (found === undefined) throw new Error(`no request ${idJson ?? ''} reached the methods`);
    return found;
  }

  answer(idJson: string, text = 'done'): void {
    this.get(idJson).channel.respond(200, resultOf(idJson, text), 0);
  }
}

export class FakeDispatcher implements Pick<Dispatcher, 'answer'> {
  answers: { job: Job; askId: number; resultJson: string | null; error: { code: number; message: string } | null }[] =
    [];

  answer(job: Job, askId: number, resultJson: string | null, error: { code: number; message: string } | null): void {
    this.answers.push({ job, askId, resultJson, error });
  }
}

export class FakeBus implements Bus {
  listeners = new Set<(change: Change) => void>();

  publish(change: Change): void {
    for (const listener of this.listeners) listener(change);
  }

  subscribe(listener: (change: Change) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

export class FakeLog implements Log {
  errors: string[] = [];
  debug(): void {
    this.#nothing();
  }
  info(): void {
    this.#nothing();
  }
  warn(_fields: object, message: string): void {
    this.errors.push(message);
  }
  error(_fields: object, message: string): void {
    this.errors.push(message);
  }
  #nothing(): void {
    // Only what went wrong is of interest.
  }
}

const catalogue = {
  initializeResult: () => ({ capabilities: { tools: { listChanged: true } }, serverInfo: { name: 's', version: '1' } }),
} as unknown as Catalogue;
export const fakeCatalogue: CatalogueHolder = { current: catalogue, onChange: () => () => undefined };

export const LIMITS = { max: 5, ttlMs: 60_000, eventsMax: 64, eventBytesMax: 1 << 20, streamsMax: 3, asksMax: 2 };

export interface HarnessOptions {
  readonly store?: SessionStore;
  readonly events?: EventLog;
  readonly relay?: SessionRelay;
}

/** Everything of the session era but sockets, methods and time. */
export class Harness {
  readonly methods = new FakeMethods();
  readonly dispatcher = new FakeDispatcher();
  readonly bus = new FakeBus();
  readonly log = new FakeLog();
  readonly meters = new FakeMeters();
  readonly store: SessionStore;
  readonly events: EventLog;
  readonly hub: SessionHub;
  readonly endpoint: HttpSessions;
  nowMs = 1000;
  #tick: (() => void) | null = null;
  readonly #envelope = new Envelope();

  constructor(options: HarnessOptions = {}) {
    this.store = options.store ?? new MemorySessionStore(LIMITS);
    this.events = options.events ?? new MemoryEventLog(LIMITS);
    this.hub = new SessionHub({
      store: this.store,
      events: this.events,
      relay: options.relay ?? null,
      bus: this.bus,
      dispatcher: this.dispatcher,
      limits: { streamsMax: LIMITS.streamsMax, asksMax: LIMITS.asksMax, streamKeepAliveMs: 1600 },
      log: this.log,
      meters: this.meters,
      nowMs: () => this.nowMs,
      repeat: (_ms, tick) => {
        this.#tick = tick;
        return () => {
          this.#tick = null;
        };
      },
    });
    this.endpoint = new HttpSessions({ hub: this.hub, methods: this.methods, catalogue: fakeCatalogue });
  }

  get timerRuns(): boolean {
    return this.#tick !== null;
  }

  /** One whole keep-alive period. */
  keepAlivePeriod(): void {
    for (let i = 0; i < SLOTS; i++) this.#tick?.();
  }

  /** A POST as the endpoint in front would hand it over. */
  post(message: unknown, facts: Partial<SessionFacts> = {}): { reply: FakeReply; exchange: OpenExchange | null } {
    const reply = new FakeReply();
    const body = Buffer.from(typeof message === 'string' ? message : JSON.stringify(message));
    const verdict = classify(body, null, this.#envelope);
    if (verdict.kind !== 'session') throw new Error(`not a session message: ${JSON.stringify(verdict)}`);
    const exchange = this.endpoint.post(factsOf(facts), this.#envelope, body, reply);
    // Both are lent: whoever kept them shall notice.
    body.fill(0x20);
    this.#envelope.scan(body);
    return { reply, exchange };
  }

  get(facts: Partial<SessionFacts>): { reply: FakeReply; exchange: OpenExchange | null } {
    const reply = new FakeReply();
    return { reply, exchange: this.endpoint.get(factsOf(facts), reply) };
  }

  delete(facts: Partial<SessionFacts>): FakeReply {
    const reply = new FakeReply();
    this.endpoint.delete(factsOf(facts), reply);
    return reply;
  }

  /** Opens a session and returns its id. */
  open(revision = '2025-11-25', facts: Partial<SessionFacts> = {}): string {
    const { reply } = this.post(initialize(0, revision), facts);
    const id = reply.header('mcp-session-id');
    if (id === '') throw new Error(`no session: ${reply.status} ${reply.body}`);
    return id;
  }
}

export function factsOf(facts: Partial<SessionFacts>): SessionFacts {
  return {
    sessionId: '',
    protocolVersion: '',
    lastEventId: '',
    accept: 'application/json, text/event-stream',
    principal: null,
    trace: null,
    correlationId: '',
    idempotencyKey: '',
    ...facts,
  };
}

export function principalOf(id: string): Principal {
  return { id, scopes: [] };
}

export function initialize(id: unknown, protocolVersion: string): object {
  const params = { protocolVersion, capabilities: { sampling: {} }, clientInfo: { name: 'c', version: '1' } };
  return { jsonrpc: '2.0', id, method: 'initialize', params };
}

export function call(id: unknown, name = 'echo'): object {
  return { jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: {} } };
}

export function notification(method: string, params: object = {}): object {
  return { jsonrpc: '2.0', method, params };
}

export function resultOf(idJson: string, text = 'done'): string {
  return `{"jsonrpc":"2.0","id":${idJson},"result":{"content":[{"type":"text","text":${JSON.stringify(text)}}]}}`;
}

export function progress(n: number): string {
  return `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":${n}}}`;
}

/** A job is only an identity here. */
export function fakeJob(): Job {
  return {} as Job;
}

export function askOf(askId: number): Ask {
  return { askId, method: 'elicitation/create', paramsJson: '{"message":"?"}', key: `k${askId}` };
}
