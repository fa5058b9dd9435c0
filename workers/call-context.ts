/**
 * The context a handler is given: one object per call, everything costly made on first use.
 *
 * Role: translates what handlers ask for (`progress`, `elicit`, `startTask` …) into events of the job's slot.
 * Invariants: after `end()` nothing is sent any more, whatever the handler still does; a question of a 2026-07-28
 * call that is not a task is never sent but collected, and rejects with `InputRequired` so that the handler unwinds.
 */
import type { Principal } from '../src/catalogue/define.ts';
import {
  type ElicitResult,
  type HandlerContext,
  type JsonSchema,
  type LogLevel,
  MissingCapabilityError,
  ProtocolError,
} from '../src/catalogue/define.ts';
import type { RpcError } from '../src/dispatch/job.ts';
import { JOB_FLAG, type JobExtras } from '../src/dispatch/job.ts';
import { CANCEL, type JobBoard } from '../src/dispatch/job-board.ts';
import { CAPABILITIES_KEY, LOG_LEVEL_KEY, LOG_LEVELS } from '../src/protocol/envelope-check.ts';
import type { Revision } from '../src/protocol/revisions.ts';
import { TASKS_EXTENSION } from '../src/tasks/port.ts';
import { type Deferred, deferred } from '../src/waiting.ts';
import {
  checkChange,
  checkElicit,
  checkProgress,
  checkSample,
  checkText,
  loggedJson,
  questionJson,
} from './context-arguments.ts';
import type { LoadedEntry } from './load-entry.ts';
import type { RunnerPort } from './port.ts';
import { answerProblem, filledInProblem, missingCapability, type Question } from './questions.ts';

type Meta = Record<string, unknown>;

const EMPTY: JobExtras = Object.freeze({});
const NO_META: Meta = Object.freeze({});

/** Unwinds a handler whose question has to be answered by a retry. Not an error of anybody's. */
class InputRequired extends Error {
  constructor(key: string) {
    super(`waiting for the client's answer to "${key}"`);
    this.name = 'InputRequired';
  }
}

/** An answer of the right shape, unless the form does not allow what was filled in. */
function checkedAnswer(question: Question, answer: unknown): Promise<unknown> {
  const problem = filledInProblem(question, answer as Meta);
  if (problem === null) return Promise.resolve(answer);
  return Promise.reject(new Error(`the client's answer to ${question.method} is not what its form allows: ${problem}`));
}

interface Waiting {
  readonly question: Question;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export class CallContext implements HandlerContext {
  readonly slot: number;
  readonly sequence: number;
  readonly revision: Revision;
  readonly entry: LoadedEntry;
  readonly params: Meta;
  /** The request's id as JSON. */
  readonly idJson: string;
  readonly meta: Meta;
  /** When the handler was called, as `performance.now()`. */
  readonly calledAtMs: number = performance.now();
  /** The request, where it did not fit its slot. */
  largeBody: Uint8Array | null = null;
  /** Answers of earlier rounds, by key (2026-07-28). */
  answers: Record<string, unknown> | null = null;
  /** Questions of this round, by key (2026-07-28). */
  questions: Map<string, Question> | null = null;
  readonly #board: JobBoard;
  readonly #port: RunnerPort;
  readonly #flags: number;
  readonly #extras: JobExtras;
  #controller: AbortController | null = null;
  #state: Map<string, unknown> | null = null;
  #waiting: Map<number, Waiting> | null = null;
  #task: Deferred<void> | null = null;
  #isTask: boolean;
  #askCount = 0;
  #asked: Set<string> | null = null;
  #lastProgress = Number.NEGATIVE_INFINITY;
  #ended = false;

  constructor(
    board: JobBoard,
    port: RunnerPort,
    slot: number,
    revision: Revision,
    entry: LoadedEntry,
    idJson: string,
    params: Meta,
    extras: JobExtras | null,
  ) {
    this.#board = board;
    this.#port = port;
    this.slot = slot;
    this.sequence = board.sequence(slot);
    this.revision = revision;
    this.entry = entry;
    this.idJson = idJson;
    this.params = params;
    this.meta = (params['_meta'] as Meta | undefined) ?? NO_META;
    this.#flags = board.flags(slot);
    this.#extras = extras ?? EMPTY;
    this.#isTask = this.#extras.taskId !== undefined;
  }

  /** The request as it came: `params` has been in the handler's hands. */
  get body(): Uint8Array {
    const at = this.#board.requestAt(this.slot);
    return this.largeBody ?? this.#board.bytes.subarray(at, at + this.#board.bodyBytes(this.slot));
  }

  get principal(): Principal | null {
    return this.#extras.principal ?? null;
  }

  get isTask(): boolean {
    return this.#isTask;
  }

  get state(): Map<string, unknown> {
    this.#state ??= new Map();
    return this.#state;
  }

  /** Whether the handler ever touched `state`. */
  get usedState(): Map<string, unknown> | null {
    return this.#state;
  }

  get clientCapabilities(): Meta {
    const declared = this.revision.era === 'stateless' ? this.meta[CAPABILITIES_KEY] : this.#extras.clientCapabilities;
    return typeof declared === 'object' && declared !== null ? (declared as Meta) : {};
  }

  get trace(): { traceparent: string; tracestate: string; baggage: string } {
    const header = this.#extras.trace;
    const pick = (name: 'traceparent' | 'tracestate' | 'baggage'): string => {
      const inMeta = this.meta[name];
      return typeof inMeta === 'string' ? inMeta : (header?.[name] ?? '');
    };
    return { traceparent: pick('traceparent'), tracestate: pick('tracestate'), baggage: pick('baggage') };
  }

  get correlationId(): string {
    if (this.#extras.correlationId !== undefined) return this.#extras.correlationId;
    const traceId = this.trace.traceparent.split('-')[1];
    return traceId ?? `job-${this.sequence.toString(36)}`;
  }

  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.cancelled()) this.abort('cancelled');
    }
    return this.#controller.signal;
  }

  cancelled(): boolean {
    return this.#ended || this.#board.cancelled(this.slot) !== CANCEL.NONE;
  }

  abort(reason: string): void {
    this.#controller?.abort(new DOMException(reason, 'AbortError'));
    this.#task?.resolve();
    this.#task = null;
    if (this.#waiting === null) return;
    for (const waiting of this.#waiting.values()) waiting.reject(new DOMException(reason, 'AbortError'));
    this.#waiting.clear();
  }

  progress(progress: number, total?: number, message?: string): void {
    checkProgress(progress, message);
    const token = this.meta['progressToken'];
    if (token === undefined || this.#isTask || this.#ended) return;
    // JSON has no other numbers, and after Infinity nothing could rise any more.
    if (!Number.isFinite(progress) || progress <= this.#lastProgress) return;
    this.#lastProgress = progress;
    const known = Number.isFinite(total) ? total : undefined;
    const text = this.revision.annotations ? message : undefined;
    this.#emit('notifications/progress', { progressToken: token, progress, total: known, message: text }, progress);
  }

  log(level: LogLevel, data: unknown, logger?: string): void {
    if (this.#ended) return;
    const json = loggedJson(level, data);
    const text = typeof data === 'string' ? data : data === undefined ? '' : json;
    this.#port.log(level, this.entry.name, this.correlationId, text);
    const stateless = this.revision.era === 'stateless';
    const wanted = stateless ? this.meta[LOG_LEVEL_KEY] : (this.#extras.logLevel ?? 'info');
    const threshold = LOG_LEVELS.indexOf(wanted as LogLevel);
    if (threshold === -1 || LOG_LEVELS.indexOf(level) < threshold || this.#isTask) return;
    this.#emit('notifications/message', { level, logger, data: json === 'null' ? null : data }, null);
  }

  #emit(method: string, params: object, progress: number | null): void {
    if ((this.#flags & JOB_FLAG.CAN_STREAM) === 0) return;
    this.#port.emit(this.slot, this.sequence, JSON.stringify({ jsonrpc: '2.0', method, params }), progress);
  }

  changed(what: 'tools' | 'resources' | 'prompts'): void {
    checkChange(what);
    this.#port.publish({ kind: what });
  }

  invalidate(tool: string): void {
    checkText('invalidate: tool', tool);
    this.#port.forget(tool);
  }

  resourceUpdated(uri: string): void {
    checkText('resourceUpdated: uri', uri);
    this.#port.publish({ kind: 'resource', uri });
  }

  releaseConnection(retryMs = 1000): void {
    if (!this.#ended) this.#port.release(this.slot, this.sequence, retryMs);
  }

  async elicit(request: { message: string; schema?: JsonSchema; url?: string; key?: string }): Promise<ElicitResult> {
    checkElicit(request);
    const requestedSchema = request.schema ?? { type: 'object', properties: {} };
    const form = { message: request.message, requestedSchema };
    const url = { mode: 'url', message: request.message, url: request.url };
    const stateless = this.revision.era === 'stateless';
    const params =
      request.url === undefined
        ? stateless
          ? { mode: 'form', ...form }
          : form
        : stateless
          ? url
          : { ...url, elicitationId: `${this.sequence}-${this.#askCount}` };
    return (await this.#ask({ method: 'elicitation/create', params }, request.key ?? 'elicitation')) as ElicitResult;
  }

  async sample(params: { messages: unknown[]; maxTokens: number; key?: string }): Promise<Record<string, unknown>> {
    checkSample(params);
    const { key, ...rest } = params;
    return (await this.#ask({ method: 'sampling/createMessage', params: rest }, key ?? 'sampling')) as Record<
      string,
      unknown
    >;
  }

  async roots(options?: { key?: string }): Promise<{ roots: { uri: string; name?: string }[] }> {
    return (await this.#ask({ method: 'roots/list', params: {} }, options?.key ?? 'roots')) as {
      roots: { uri: string }[];
    };
  }

  /** Keys are made unique within the call: the second question without a key of its own gets `-2`. */
  #ask(question: Question, wish: string): Promise<unknown> {
    if (this.#ended) return Promise.reject(new Error('the call has ended: nobody is left to ask'));
    // Nobody would answer: the front end has let go of the call.
    if (this.cancelled()) return Promise.reject(new DOMException('cancelled', 'AbortError'));
    const missing = missingCapability(question, this.clientCapabilities, this.revision);
    if (missing !== null) return Promise.reject(new MissingCapabilityError(missing));
    // A task is on its way: whether the question is sent or collected is known when it is there, or refused.
    if (this.#task !== null) return this.#task.promise.then(() => this.#ask(question, wish));
    const paramsJson = questionJson(question.method, question.params);
    this.#askCount += 1;
    if (this.revision.era === 'stateless' && !this.#isTask) return this.#collect(question, wish);
    const askId = this.#askCount;
    this.#waiting ??= new Map();
    const waiting = this.#waiting;
    return new Promise((resolve, reject) => {
      waiting.set(askId, { question, resolve, reject });
      this.#port.ask(this.slot, this.sequence, askId, question.method, paramsJson, wish);
    });
  }

  #collect(question: Question, wish: string): Promise<unknown> {
    this.#asked ??= new Set();
    let key = wish;
    for (let n = 2; this.#asked.has(key); n++) key = `${wish}-${n}`;
    this.#asked.add(key);
    const answer = this.answers?.[key];
    if (answer !== undefined && answerProblem(question, answer) === null) return checkedAnswer(question, answer);
    this.questions ??= new Map();
    this.questions.set(key, question);
    return Promise.reject(new InputRequired(key));
  }

  /** Whether a key of `answers` was a question of this call: extra keys a client sends are not carried on. */
  wasAnswered(key: string): boolean {
    return this.#asked?.has(key) === true && this.questions?.has(key) !== true;
  }

  /** The client's answer to a question that was sent. */
  answer(askId: number, resultJson: string | null, error: RpcError | null): void {
    const waiting = this.#waiting?.get(askId);
    if (waiting === undefined) return;
    this.#waiting?.delete(askId);
    const { question, reject, resolve } = waiting;
    const result = error === null ? JSON.parse(resultJson ?? 'null') : null;
    const problem = error === null ? answerProblem(question, result) : null;
    if (error !== null) reject(new ProtocolError(error.code, error.message));
    else if (problem === null) checkedAnswer(question, result).then(resolve, reject);
    else reject(new Error(`the client's answer to ${question.method} is not one to that question: ${problem}`));
  }

  startTask(wish?: { ttlMs?: number | null; pollIntervalMs?: number }): Promise<void> {
    // Of a call that was cancelled nobody would make one.
    if (this.#isTask || this.cancelled() || !this.#canBeTask()) return Promise.resolve();
    const asked = this.questions?.keys().next().value;
    // A question of this round was caught: the call ends with it, and is repeated before anything may become a task.
    if (asked !== undefined) return Promise.reject(new InputRequired(asked));
    if (this.#task !== null) return this.#task.promise;
    const task = deferred();
    this.#task = task;
    this.#port.task(this.slot, this.sequence, wish?.ttlMs === undefined ? 0 : wish.ttlMs, wish?.pollIntervalMs ?? 0);
    return task.promise;
  }

  #canBeTask(): boolean {
    if (this.revision.era !== 'stateless' || this.entry.tool === null) return false;
    const extensions = this.clientCapabilities['extensions'];
    return typeof extensions === 'object' && extensions !== null && TASKS_EXTENSION in extensions;
  }

  /** `taskId` '' : refused, the call goes on as it was. */
  taskStarted(taskId: string): void {
    this.#isTask = taskId !== '';
    this.#task?.resolve();
    this.#task = null;
  }

  end(): void {
    this.#ended = true;
    this.#waiting?.clear();
  }
}

/**
 * Handlers take what they need out of their context, `({ n }, { log, progress }) => …`: methods are bound when they are
 * asked for (80 ns), so that a call that uses none pays for none.
 */
const TAKEN_OUT = [
  'cancelled',
  'progress',
  'log',
  'elicit',
  'sample',
  'roots',
  'startTask',
  'changed',
  'resourceUpdated',
  'invalidate',
  'releaseConnection',
] as const satisfies readonly (keyof HandlerContext)[];
for (const name of TAKEN_OUT) {
  const method: (...args: never[]) => unknown = CallContext.prototype[name];
  const get = function (this: CallContext): unknown {
    return method.bind(this);
  };
  Object.defineProperty(CallContext.prototype, name, { get });
}
