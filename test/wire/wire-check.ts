/**
 * `WireCheck`: everything a server says is held against the official schema of its revision.
 *
 * Role: taps of fetch, WebSocket and stdio tell a `Conversation` what was sent and received; it remembers which
 * request asked for what in which revision and collects what is wrong. Beyond the shapes it checks what a schema
 * cannot say: one answer per id, requests only to clients that have them, progress that rises and stops at the answer,
 * reserved error codes.
 * Invariant: nothing is skipped silently: a method without a shape is a problem.
 */
import assert from 'node:assert/strict';
import {
  LATEST_SESSION_REVISION,
  REVISION_2025_11_25,
  REVISION_2026_07_28,
  type Revision,
  revisionNamed,
} from '../../src/protocol/revisions.ts';
import { hasShape, shapeProblems } from './official-shapes.ts';
import { CACHEABLE, ERROR_SHAPES, NOTIFICATION_SHAPES, RESULT_SHAPES, SERVER_REQUEST_SHAPES } from './shape-names.ts';
import { taskShapeProblems } from './task-shapes.ts';

export type Json = Readonly<Record<string, unknown>>;

const VERSION_KEY = 'io.modelcontextprotocol/protocolVersion';
const SERVER_INFO_KEY = 'io.modelcontextprotocol/serverInfo';
const SUBSCRIPTION_KEY = 'io.modelcontextprotocol/subscriptionId';

interface Pending {
  readonly method: string;
  /** Null for `initialize`: the answer says it. */
  readonly revision: Revision | null;
  readonly progressToken: unknown;
  lastProgress: number;
}

export function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const member = (value: unknown, name: string): unknown => (isJson(value) ? value[name] : undefined);

export class WireCheck {
  readonly problems: string[] = [];
  /** Messages of the server that were checked. */
  messages = 0;

  conversation(): Conversation {
    return new Conversation(this);
  }

  /** Fails with every problem found; also when nothing was ever checked. */
  assertClean(messagesMin = 1): void {
    assert.deepEqual(this.problems, []);
    assert.ok(this.messages >= messagesMin, `only ${this.messages} messages were checked`);
  }
}

/** One client's exchange with the server, over any number of connections. */
export class Conversation {
  /** Of the session; null before `initialize` was answered. */
  revision: Revision | null = null;
  readonly #check: WireCheck;
  readonly #pending = new Map<string, Pending>();

  constructor(check: WireCheck) {
    this.#check = check;
  }

  sent(message: unknown): void {
    if (Array.isArray(message)) for (const one of message) this.sent(one);
    const method = member(message, 'method');
    const id = member(message, 'id');
    if (id === undefined || typeof method !== 'string') return;
    const meta = member(member(message, 'params'), '_meta');
    const claim = member(meta, VERSION_KEY);
    const modern = claim === undefined ? null : (revisionNamed(String(claim)) ?? REVISION_2026_07_28);
    const stateless = modern?.era === 'stateless' ? modern : null;
    const session = method === 'initialize' ? null : (this.revision ?? LATEST_SESSION_REVISION);
    this.#pending.set(JSON.stringify(id), {
      method,
      revision: claim === undefined ? session : (stateless ?? REVISION_2026_07_28),
      progressToken: member(meta, 'progressToken'),
      lastProgress: Number.NEGATIVE_INFINITY,
    });
  }

  /** The client takes it back, or leaves: no answer is owed, and one is a fault of the server. */
  abandoned(id: unknown): void {
    this.#pending.delete(JSON.stringify(id));
  }

  /** `fallback`: the revision of a message that names no request, such as an error without an id. */
  received(message: unknown, fallback: Revision | null = null): void {
    if (Array.isArray(message)) {
      if (this.revision?.batching !== true) this.#problem('a batch in a revision without batches', message);
      for (const one of message) this.received(one, fallback);
      return;
    }
    this.#check.messages += 1;
    if (!isJson(message)) this.#problem('not an object', message);
    else if (message['jsonrpc'] !== '2.0') this.#problem('jsonrpc is not 2.0', message);
    else if ('method' in message && 'id' in message) this.#serverRequest(message);
    else if ('method' in message) this.#notification(message, fallback);
    else this.#response(message, fallback);
  }

  #response(message: Json, fallback: Revision | null): void {
    const key = JSON.stringify(message['id']);
    const pending = message['id'] === undefined ? undefined : this.#pending.get(key);
    if (message['id'] !== undefined && pending === undefined) {
      this.#problem('a response to nothing that is open', message);
      return;
    }
    this.#pending.delete(key);
    if ('error' in message) this.#error(message, pending?.revision ?? fallback ?? this.revision);
    else if (pending === undefined) this.#problem('a result without an id', message);
    else this.#result(message, pending);
  }

  #error(message: Json, known: Revision | null): void {
    const revision = known ?? REVISION_2025_11_25;
    const code = member(message['error'], 'code');
    if (revision.era === 'stateless' && (code === -32002 || code === -32042)) {
      this.#problem('a code this revision must not use', message);
    }
    const special = revision.era === 'stateless' ? ERROR_SHAPES[Number(code)] : undefined;
    if (special !== undefined) this.#shape(revision, special, message);
    // Before 2025-11-25 the schemas have no way to say that an id could not be read.
    const readable = message['id'] === undefined && revision.index < REVISION_2025_11_25.index;
    const of = readable ? REVISION_2025_11_25 : revision;
    this.#shape(of, hasShape(of, 'JSONRPCErrorResponse') ? 'JSONRPCErrorResponse' : 'JSONRPCError', message);
  }

  #result(message: Json, pending: Pending): void {
    const result = message['result'];
    const { method } = pending;
    let revision = pending.revision;
    if (method === 'initialize') {
      revision = revisionNamed(String(member(result, 'protocolVersion'))) ?? null;
      if (revision === null || revision.era !== 'session') {
        this.#problem('initialize agrees to no session revision', message);
        return;
      }
      this.revision = revision;
    }
    if (revision === null) return;
    if (revision.stampedResults) this.#stamps(message, method);
    const resultType = member(result, 'resultType');
    if (resultType !== undefined && !revision.stampedResults) this.#problem('resultType in an older revision', message);
    if (resultType === 'task') this.#noProblem(taskShapeProblems('CreateTaskResult', result), message);
    else if (method === 'tasks/get') this.#noProblem(taskShapeProblems('GetTaskResult', result), message);
    else if (resultType === 'input_required') {
      if (member(result, 'inputRequests') === undefined && member(result, 'requestState') === undefined) {
        this.#problem('input_required with nothing required', message);
      }
      this.#shape(revision, 'InputRequiredResult', result, message);
    } else if (RESULT_SHAPES[method] === undefined) this.#problem(`no shape for the result of ${method}`, message);
    else this.#shape(revision, RESULT_SHAPES[method], result, message);
  }

  #stamps(message: Json, method: string): void {
    const result = message['result'];
    const resultType = member(result, 'resultType');
    if (typeof resultType !== 'string') this.#problem('no resultType', message);
    if (!isJson(member(member(result, '_meta'), SERVER_INFO_KEY))) this.#problem('no server info', message);
    const hinted = member(result, 'ttlMs') !== undefined && resultType !== 'task' && method !== 'tasks/get';
    const cacheable = CACHEABLE.has(method) && resultType === 'complete';
    if (hinted !== cacheable) this.#problem(cacheable ? 'no cache hints' : 'cache hints where none belong', message);
  }

  #notification(message: Json, fallback: Revision | null): void {
    const method = String(message['method']);
    const params = message['params'];
    const subscribed = member(member(params, '_meta'), SUBSCRIPTION_KEY) !== undefined;
    if (method === 'notifications/tasks') {
      this.#noProblem(taskShapeProblems('TaskNotification', message), message);
      return;
    }
    const shape = NOTIFICATION_SHAPES[method];
    if (shape === undefined) {
      this.#problem('no shape for this notification', message);
      return;
    }
    let revision = subscribed ? REVISION_2026_07_28 : (fallback ?? this.revision);
    if (method === 'notifications/progress') {
      const call = this.#progressed(message);
      if (call === null) return;
      revision = call.revision ?? revision;
    }
    this.#shape(revision ?? LATEST_SESSION_REVISION, shape, message);
  }

  #progressed(message: Json): Pending | null {
    const token = member(message['params'], 'progressToken');
    const progress = Number(member(message['params'], 'progress'));
    const call = [...this.#pending.values()].find((pending) => pending.progressToken === token);
    if (call === undefined || token === undefined) {
      this.#problem('progress of nothing that is open', message);
      return null;
    }
    if (!(progress > call.lastProgress)) this.#problem(`progress fell from ${call.lastProgress}`, message);
    call.lastProgress = progress;
    return call;
  }

  #serverRequest(message: Json): void {
    const shape = SERVER_REQUEST_SHAPES[String(message['method'])];
    if (this.revision === null) this.#problem('a request of the server without a session', message);
    else if (shape === undefined) this.#problem('a request of the server that does not exist', message);
    else {
      this.#shape(this.revision, shape, message);
      this.#shape(this.revision, 'JSONRPCRequest', message);
    }
  }

  #shape(revision: Revision, name: string, value: unknown, whole: unknown = value): void {
    const text = shapeProblems(revision, name, value);
    if (text !== '') this.#problem(`${revision.name} ${text}`, whole);
  }

  #noProblem(text: string, message: unknown): void {
    if (text !== '') this.#problem(text, message);
  }

  #problem(text: string, message: unknown): void {
    this.#check.problems.push(`${text}\n  ${JSON.stringify(message).slice(0, 600)}`);
  }
}
