/**
 * Stand-ins at the protocol's seams: a socket's two sides, a catalogue, an engine, a task manager, meters.
 */
import type { Catalogue, Entry, EntryKind, ListName, ResultBytes } from '../../src/catalogue/entry.ts';
import type { Settings } from '../../src/config/settings.ts';
import type { Dispatcher, Job, JobSink } from '../../src/dispatch/job.ts';
import type { EventStream, HeaderPairs, Reply, RequestHead } from '../../src/frontend/port.ts';
import type { Log, Meters, Outcome } from '../../src/observe/port.ts';
import type { Caller, Channel, RequestEnvelope } from '../../src/protocol/channel.ts';
import { fault } from '../../src/protocol/faults.ts';
import type { CallGuards } from '../../src/protocol/methods/guarded-calls.ts';
import { createMethods } from '../../src/protocol/methods/method-table.ts';
import { REVISION_2025_11_25, REVISION_2026_07_28, type Revision } from '../../src/protocol/revisions.ts';
import type { Session } from '../../src/sessions/port.ts';
import type { ListenPort } from '../../src/subscriptions/listen-port.ts';
import type { Tasks } from '../../src/tasks/port.ts';

export const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};
export const META_WITH_TASKS = {
  ...META,
  'io.modelcontextprotocol/clientCapabilities': { extensions: { 'io.modelcontextprotocol/tasks': {} } },
};

export const bytesOf = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
export const request = (method: string, params: object, id: unknown = 1): Buffer =>
  bytesOf({ jsonrpc: '2.0', id, method, params });

export function fakeHead(method: string, headers: Record<string, string>): RequestHead {
  const table = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value.trim()]));
  return { method, path: '/mcp', query: '', header: (name) => table.get(name) ?? '' };
}

export class FakeStream implements EventStream {
  open = true;
  congested = false;
  onDrain: (() => void) | null = null;
  written = '';

  write(frames: Uint8Array | string): boolean {
    this.written += Buffer.from(frames as Uint8Array).toString();
    return this.open;
  }

  end(): void {
    this.open = false;
  }

  get messages(): unknown[] {
    return [...this.written.matchAll(/^data: (.*)$/gm)].map((match) => JSON.parse(match[1] as string));
  }
}

export class FakeReply implements Reply {
  open = true;
  status = 0;
  contentType = '';
  text = '';
  headers: HeaderPairs = [];
  answers = 0;
  stream: FakeStream | null = null;

  send(status: number, contentType: string, body: Uint8Array | string, headers: HeaderPairs = []): void {
    this.answers += 1;
    this.open = false;
    this.status = status;
    this.contentType = contentType;
    this.text = Buffer.from(body as Uint8Array).toString();
    this.headers = headers;
  }

  openStream(): EventStream {
    this.answers += 1;
    this.open = false;
    this.stream = new FakeStream();
    return this.stream;
  }

  remoteAddress(): string {
    return '192.0.2.7';
  }

  get json(): { id?: unknown; result?: unknown; error?: { code: number; message: string; data?: unknown } } {
    return JSON.parse(this.text);
  }
}

export class FakeChannel implements Channel {
  canStream = true;
  congested = false;
  onDrain: (() => void) | null = null;
  status = 0;
  text = '';
  answers = 0;
  retryAfterMs = 0;
  released = 0;
  readonly sent: string[] = [];

  respond(status: number, message: Uint8Array | string, retryAfterMs: number): void {
    this.answers += 1;
    this.status = status;
    this.text = Buffer.from(message as Uint8Array).toString();
    this.retryAfterMs = retryAfterMs;
  }

  send(message: Uint8Array | string): void {
    this.sent.push(Buffer.from(message as Uint8Array).toString());
  }

  release(retryMs: number): void {
    this.released = retryMs;
  }

  get json(): { id?: unknown; result?: unknown; error?: { code: number; message: string; data?: unknown } } {
    return JSON.parse(this.text);
  }
}

/** Records what it is given; `onSubmit` plays the engine. */
export class FakeDispatcher implements Dispatcher {
  readonly jobs: Job[] = [];
  readonly bodies: string[] = [];
  readonly cancelled: [Job, string][] = [];
  readonly answered: unknown[] = [];
  readonly tasksStarted: [taskId: string, deadlineMs: number][] = [];
  onSubmit: (job: Job, body: Uint8Array) => void = () => undefined;

  get last(): Job {
    const job = this.jobs.at(-1);
    if (job === undefined) throw new Error('no job was submitted');
    return job;
  }

  submit(job: Job, body: Uint8Array): void {
    this.jobs.push(job);
    this.bodies.push(Buffer.from(body).toString());
    this.onSubmit(job, body);
  }

  cancel(job: Job, reason: string): void {
    this.cancelled.push([job, reason]);
  }

  answer(_job: Job, askId: number, resultJson: string | null, error: object | null): void {
    this.answered.push([askId, resultJson, error]);
  }

  taskStarted(_job: Job, taskId: string, deadlineMs: number): void {
    this.tasksStarted.push([taskId, deadlineMs]);
  }

  bodyOf(job: Job): Uint8Array | null {
    const at = this.jobs.indexOf(job);
    return at < 0 ? null : Buffer.from(this.bodies[at] as string);
  }
}

let keys = 0;
export function entry(kind: EntryKind, name: string, rest: Partial<Entry> = {}): Entry {
  return {
    key: ++keys,
    kind,
    name,
    run: 'pool',
    module: null,
    definition: {} as Entry['definition'],
    concurrency: Number.POSITIVE_INFINITY,
    timeoutMs: 0,
    callerRuns: true,
    repeatable: false,
    cacheTtlMs: 0,
    cacheScope: 'private',
    paramHeaders: [],
    task: 'never',
    ...rest,
  };
}

/** A catalogue of the given entries; its lists and discover are `{"list":…}`. */
export function catalogueOf(entries: readonly Entry[]): Catalogue {
  const find = (kind: EntryKind, name: string): Entry | undefined =>
    entries.find((one) => one.kind === kind && one.name === name);
  const lists = new Map<string, ResultBytes>();
  const has = (...kinds: EntryKind[]): boolean => entries.some((one) => kinds.includes(one.kind));
  return {
    epoch: 1,
    entries,
    tool: (name) => find('tool', name),
    prompt: (name) => find('prompt', name),
    resource: (uri) =>
      find('resource', uri) ?? entries.find((one) => one.kind === 'template' && uri.startsWith('t://')),
    completion: (ref) => find('completion', ref.type === 'ref/prompt' ? `prompt:${ref.name}` : `template:${ref.uri}`),
    list: (list: ListName, revision, cursor) => {
      if (cursor !== undefined && cursor !== 'c1') return null;
      const text = JSON.stringify({ list, revision: revision.name, cursor: cursor ?? '' });
      const known = lists.get(text) ?? Buffer.from(text);
      lists.set(text, known);
      return known;
    },
    discover: () => Buffer.from('{"discover":true}'),
    initializeResult: () => ({ capabilities: {}, serverInfo: {} }),
    has: {
      tools: has('tool'),
      resources: has('resource', 'template'),
      prompts: has('prompt'),
      completions: has('completion'),
    },
    manifest: { epoch: 1, entries: [] },
  };
}

/** For what no test looks at. */
const ignored = (): void => undefined;

export class FakeMeters implements Meters {
  readonly finished: [method: string, outcome: Outcome][] = [];
  readonly refusals: number[] = [];
  requestFinished(method: string, outcome: Outcome): void {
    this.finished.push([method, outcome]);
  }
  httpRefused(status: number): void {
    this.refusals.push(status);
  }
  readonly queueWaited = ignored;
  readonly batchSent = ignored;
  readonly callerRan = ignored;
  readonly shed = ignored;
  readonly workerLost = ignored;
  readonly workerStarted = ignored;
  readonly strayError = ignored;
  readonly quarantined = ignored;
  readonly gauge = ignored;
  readonly counter = ignored;
  render(): Promise<string> {
    return Promise.resolve('');
  }
}

export class FakeLog implements Log {
  readonly errors: string[] = [];
  readonly debug = ignored;
  readonly info = ignored;
  readonly warn = ignored;
  error(_fields: object, message: string): void {
    this.errors.push(message);
  }
}

export class FakeTaskSink implements JobSink {
  readonly events: string[] = [];
  completed(_job: Job, status: number): void {
    this.events.push(`completed ${status}`);
  }
  refused(_job: Job, refusal: { name: string }): void {
    this.events.push(`refused ${refusal.name}`);
  }
  emitted(): void {
    this.events.push('emitted');
  }
  asked(): void {
    this.events.push('asked');
  }
  becameTask(): void {
    this.events.push('becameTask');
  }
  releasedConnection(): void {
    this.events.push('releasedConnection');
  }
}

type Created = Awaited<ReturnType<Tasks['create']>>;

export class FakeTasks implements Tasks {
  readonly sink = new FakeTaskSink();
  readonly calls: unknown[] = [];
  readonly size = 0;
  /** What `create` answers; a promise to make it wait. */
  created: Created | Promise<Created> = {
    taskId: 'task-1',
    resultJson: '{"resultType":"task","taskId":"task-1"}',
    sink: this.sink,
  };

  create(_job: Job, principalId: string | null, wish: object): Created | Promise<Created> {
    this.calls.push(['create', principalId, wish]);
    return this.created;
  }
  get(taskId: string, principalId: string | null): string | ReturnType<typeof fault> | Promise<string> {
    this.calls.push(['get', taskId, principalId]);
    if (taskId === 'slow') return Promise.resolve('{"slow":true}');
    return taskId === 'task-1' ? '{"status":"working"}' : fault('invalidParams', 'unknown task');
  }
  update(taskId: string, principalId: string | null, inputResponses: object): string {
    this.calls.push(['update', taskId, principalId, inputResponses]);
    return '{"updated":true}';
  }
  cancel(taskId: string, principalId: string | null): string {
    this.calls.push(['cancel', taskId, principalId]);
    return '{"cancelled":true}';
  }
  drop(taskId: string): void {
    this.calls.push(['drop', taskId]);
  }
  async close(): Promise<void> {
    return;
  }
  readonly sweep = ignored;
}

export const SETTINGS = {
  requestTimeoutMs: 5000,
  requestBytesMax: 1024 * 1024,
  sessions: { subscriptionsMax: 2 },
  tasks: { deadlineMs: 60_000 },
  server: { name: 'test', version: '1.0.0', title: '', instructions: '' },
} as unknown as Settings;

/** The method table with everything behind it. */
export function methodsWith(entries: readonly Entry[]) {
  const dispatcher = new FakeDispatcher();
  const tasks = new FakeTasks();
  const meters = new FakeMeters();
  const log = new FakeLog();
  const opened: unknown[] = [];
  const listen: ListenPort = {
    open: (_caller, idJson, params) => {
      opened.push([idJson, params]);
      return { cancel: () => opened.push('cancelled') };
    },
    size: 0,
    closeAll: () => undefined,
  };
  const catalogue = { current: catalogueOf(entries), onChange: () => () => undefined };
  const methods = createMethods({
    catalogue,
    dispatcher,
    tasks,
    listen,
    log,
    meters,
    settings: SETTINGS,
    guards: NO_GUARDS,
    knowsAllTools: () => true,
  });
  return { methods, catalogue, dispatcher, tasks, meters, log, opened };
}

/** Nothing here is kept, keyed or limited: such calls have tests of their own. */
const NO_GUARDS: CallGuards = {
  rates: null,
  keyed: { call: (entry, caller, envelope, _params, _key, channel, run) => run(entry, caller, envelope, channel, 0) },
  cached: { call: (entry, caller, envelope, _params, channel, run) => run(entry, caller, envelope, channel, 0) },
};

export function sessionOf(rest: Partial<Session> = {}): Session {
  return {
    id: 's1',
    revision: REVISION_2025_11_25,
    principalId: null,
    clientCapabilities: {},
    clientInfo: { name: 'c', version: '1' },
    logLevel: '',
    subscriptions: new Set(),
    initialized: true,
    lastSeenAtMs: 0,
    save: () => undefined,
    ...rest,
  };
}

export function callerOf(revision: Revision = REVISION_2026_07_28, rest: Partial<Caller> = {}): Caller {
  const session = revision.era === 'session' ? sessionOf({ revision }) : null;
  return { revision, principal: null, session, asks: null, share: () => 'someone', ...rest };
}

/** As the classifier leaves a request it had to parse. */
export function envelopeOf(method: string, params: object, rest: Partial<RequestEnvelope> = {}): RequestEnvelope {
  const { name, uri } = params as { name?: string; uri?: string };
  return {
    idJson: '1',
    method,
    name: uri ?? name ?? '',
    params: params as RequestEnvelope['params'],
    body: request(method, params),
    checkHeaders: true,
    trace: null,
    correlationId: '',
    paramHeaders: null,
    idempotencyKey: '',
    ...rest,
  };
}
