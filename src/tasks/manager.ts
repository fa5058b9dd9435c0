/**
 * The tasks extension's server side: turns a job into a task and answers `tasks/get`, `tasks/update`, `tasks/cancel`.
 *
 * Role: joins a job of this node (`RunningTask`), its record in the store, and the bus that tells of each change.
 * Invariants: a task is stored before its id is known to anyone; a status only changes by the table in
 * `transitions.ts`; a task of another principal, an expired and an unknown one look the same; every change is stored
 * first and published then; a job whose task has ended is forgotten or cancelled, never both.
 * With a shared store any node answers for any task: what concerns a task that another node runs is left in the store,
 * and `task-keeper.ts` finds it there. A change that cannot be stored is kept until it can, and read from here. A task that
 * may be repeated does not end with a refusal that asks to come back: it rests (`resting-tasks.ts`) and is tried again.
 */
import type { CatalogueHolder } from '../catalogue/entry.ts';
import type { Settings } from '../config/settings.ts';
import type { Ask, Dispatcher, Job, TaskWish } from '../dispatch/job.ts';
import type { Log } from '../observe/port.ts';
import { type Fault, fault, faultFrom, UNAVAILABLE } from '../protocol/faults.ts';
import { isJsonObject } from '../protocol/message-shape.ts';
import { RedisUnavailable } from '../redis/unavailable.ts';
import type { MaybePromise } from '../sessions/port.ts';
import type { Bus } from '../subscriptions/port.ts';
import { atMost } from '../waiting.ts';
import { callOf, jobAgain, NODES_LOST_MAX } from './call-again.ts';
import { outcomeOf } from './job-outcome.ts';
import { newRecord } from './new-record.ts';
import type { Created, Orphan, PutAnswer, SharedTaskStore, TaskRecord, TaskStore, Tasks } from './port.ts';
import { isForLater, RestingTasks } from './resting-tasks.ts';
import { RunningTask } from './running-task.ts';
import { acknowledgementJson, createTaskResultJson, getTaskResultJson } from './task-json.ts';
import { TaskKeeper } from './task-keeper.ts';
import { type TaskEnds, TaskSink } from './task-sink.ts';
import { TaskWrites } from './task-writes.ts';
import { isExpired, isTerminal, nextStatus, type TaskEvent } from './transitions.ts';

export interface TaskManagerOptions {
  /** A shared one when tasks are those of all nodes. */
  readonly store: TaskStore | SharedTaskStore;
  readonly bus: Bus;
  /** Asked at each use: the engine is built after the manager. */
  readonly dispatcher: () => Pick<Dispatcher, 'submit' | 'answer' | 'cancel' | 'taskStarted'>;
  readonly catalogue: CatalogueHolder;
  readonly settings: Settings['tasks'];
  readonly log: Pick<Log, 'error' | 'warn' | 'info'>;
  /** `_meta` of the results, as JSON; `''` leaves it out. */
  readonly metaJson: string;
  /** Milliseconds since the epoch: for what clients are told. */
  readonly now: () => number;
  readonly monotonicMs: () => number;
  /** At least 128 bits of randomness, as text. */
  readonly randomId: () => string;
}

/** Characters of a result that a shared store is given. */
const SHARED_RESULT_CHARS_MAX = 8 * 1024 * 1024;
/** For writes under way when the node stops. */
const CLOSE_MS_MAX = 2_000;
const UNKNOWN_TASK = fault('invalidParams', 'unknown task');
const NODE_LOST = { code: -32603, message: 'the server that ran this task is gone' };
const TOO_OFTEN = { code: -32603, message: 'the task has asked too many questions' };

export class TaskManager implements Tasks, TaskEnds {
  readonly #options: TaskManagerOptions;
  readonly #shared: SharedTaskStore | null;
  readonly #keeper: TaskKeeper | null;
  readonly #writes: TaskWrites;
  readonly #resting: RestingTasks;
  /** Tasks of this node that have not ended or whose end is not stored, by task id. Bounded by the store. */
  readonly #running = new Map<string, RunningTask>();

  constructor(options: TaskManagerOptions) {
    this.#options = options;
    this.#shared = 'claimMs' in options.store ? options.store : null;
    this.#keeper = this.#shared === null ? null : new TaskKeeper(this.#shared, this, options.log);
    const { bus, log, store } = options;
    this.#resting = new RestingTasks({ release: (taskId) => this.#keeper?.release(taskId), now: options.monotonicMs });
    this.#writes = new TaskWrites({ store, bus, log, written: (task, answer) => this.#written(task, answer) });
  }

  get size(): number {
    return this.#options.store.size;
  }

  create(job: Job, principalId: string | null, wish: TaskWish, body: Uint8Array | null): MaybePromise<Created> {
    const { monotonicMs, now, randomId, settings } = this.#options;
    const record = newRecord(randomId(), principalId, wish, settings, now(), monotonicMs());
    const call = this.#shared === null ? undefined : callOf(job, body);
    const stored = this.#options.store.put(record, call);
    if (!(stored instanceof Promise)) return this.#created(job, record, stored);
    return stored.then(
      (answer) => this.#created(job, record, answer, call !== undefined),
      (cause: unknown) => this.#unavailable(cause),
    );
  }

  get(taskId: string, principalId: string | null): MaybePromise<string | Fault> {
    return this.#withRecord(taskId, principalId, (record) => getTaskResultJson(record, this.#options.metaJson));
  }

  update(
    taskId: string,
    principalId: string | null,
    inputResponses: Record<string, unknown>,
  ): MaybePromise<string | Fault> {
    return this.#withRecord(taskId, principalId, (record) => {
      const task = this.#running.get(taskId);
      const acknowledged = acknowledgementJson(this.#options.metaJson);
      if (task !== undefined) this.#answer(task, inputResponses);
      else if (this.#shared !== null) {
        return this.#shared.leaveAnswers(taskId, answersTo(record, inputResponses)).then(() => acknowledged);
      }
      return acknowledged;
    });
  }

  cancel(taskId: string, principalId: string | null): MaybePromise<string | Fault> {
    return this.#withRecord(taskId, principalId, (record) => {
      const task = this.#running.get(taskId);
      const acknowledged = acknowledgementJson(this.#options.metaJson);
      if (task !== undefined && !isTerminal(task.record.status)) {
        this.#apply(task, 'cancelled', 'cancelled by the client');
        this.#options.dispatcher().cancel(task.job, 'the task was cancelled');
        return task.writing === null ? acknowledged : task.writing.then(() => acknowledged);
      }
      if (this.#shared !== null) return this.#cancelElsewhere(this.#shared, taskId, acknowledged);
      this.#cancelStored(record);
      return acknowledged;
    });
  }

  drop(taskId: string): MaybePromise<void> {
    const gone = this.#options.store.delete(taskId);
    if (!(gone instanceof Promise)) {
      this.#running.delete(taskId);
      return;
    }
    return gone.then(
      () => void this.#running.delete(taskId),
      (cause: unknown) => {
        const task = this.#running.get(taskId);
        if (task !== undefined) this.#apply(task, 'cancelled', 'its client was never told of it');
        if (!(cause instanceof RedisUnavailable)) throw cause;
      },
    );
  }

  sweep(nowMs: number): void {
    for (const [taskId, task] of this.#running) {
      if (!isExpired(task.record, nowMs) || this.#shared !== null) continue;
      this.#running.delete(taskId);
      this.#options.dispatcher().cancel(task.job, 'the task has expired');
    }
    this.#options.store.sweep(nowMs);
  }

  async close(): Promise<void> {
    this.#keeper?.close();
    this.#resting.close();
    const writing = [...this.#running.values()].map((task) => task.writing);
    await atMost(Promise.all([...writing, this.#keeper?.quiet()]), CLOSE_MS_MAX);
  }

  asked(task: RunningTask, ask: Ask): void {
    if (!this.#isLive(task)) return;
    if (task.open(ask)) {
      this.#apply(task, 'asked', '');
      return;
    }
    this.#options.dispatcher().answer(task.job, ask.askId, null, TOO_OFTEN);
  }

  ended(task: RunningTask, responseJson: string): void {
    if (!this.#isLive(task)) return;
    const response = outcomeOf(responseJson);
    if (response === null) {
      this.#options.log.error({ taskId: task.record.taskId }, 'a task ended with bytes that are no JSON-RPC response');
    }
    const { result, error } = response ?? { error: { code: -32603, message: faultFrom(null).message } };
    const resultJson = result === undefined ? '' : JSON.stringify(result);
    if (result !== undefined && (this.#shared === null || resultJson.length <= SHARED_RESULT_CHARS_MAX)) {
      task.record.resultJson = resultJson;
      this.#apply(task, 'completed', '');
      return;
    }
    const why = error ?? { code: -32603, message: 'the result is too large to be kept' };
    task.record.errorJson = JSON.stringify(why);
    this.#apply(task, 'failed', why.message);
  }

  again(task: RunningTask): void {
    const { deadlineMs } = this.#options.settings;
    this.#options.dispatcher().taskStarted(task.job, task.record.taskId, deadlineMs);
  }

  handedOver(task: RunningTask, refusal: Fault): boolean {
    if (this.#shared === null || !task.canRunAgain || !this.#isLive(task)) return false;
    const { taskId } = task.record;
    // A server that stops has no time to wait.
    const isNow = refusal.name === 'draining';
    if (!isNow && !(isForLater(refusal.name) && this.#resting.rest(taskId, task.writing))) return false;
    this.#running.delete(taskId);
    if (isNow) this.#keeper?.release(taskId);
    return true;
  }

  /** The task is no longer this node's. */
  lost(taskId: string): void {
    const task = this.#running.get(taskId);
    if (task === undefined) return;
    this.#running.delete(taskId);
    if (isTerminal(task.record.status)) {
      this.#options.log.warn({ taskId }, 'the end of a task came too late: another node had taken or ended it');
    } else this.#options.dispatcher().cancel(task.job, 'the task has ended elsewhere');
  }

  /** A client left answers for it in the store. */
  answered(taskId: string, answers: ReadonlyMap<string, string>): void {
    const task = this.#running.get(taskId);
    if (task === undefined) return;
    const responses: Record<string, unknown> = Object.create(null);
    for (const [key, json] of answers) responses[key] = JSON.parse(json);
    this.#answer(task, responses);
  }

  runs(taskId: string): boolean {
    return this.#running.has(taskId);
  }

  /** Stores anew what Redis has forgotten, and what it could not be told. */
  saveAgain(missing: readonly string[]): void {
    const gone = new Set(missing);
    for (const [taskId, task] of this.#running) {
      if ((task.unsaved || gone.has(taskId)) && task.writing === null) this.#writes.save(task);
    }
  }

  /**
   * Runs a task again whose node has gone, under the same id; or ends it, when its tool must not be repeated. A tool that
   * is not known here may be learnt, or be known to another node.
   */
  adopt(orphan: Orphan): void {
    const { catalogue, dispatcher, log, settings } = this.#options;
    const { call, lostNodes, record } = orphan;
    const { taskId } = record;
    const sink = new TaskSink(this);
    const again =
      call !== null && lostNodes <= NODES_LOST_MAX ? jobAgain(call, taskId, catalogue, settings, sink) : 'once';
    if (again === 'unknown' && this.#resting.rest(taskId, null)) return;
    record.inputRequests.clear();
    if (call === null || typeof again === 'string') {
      log.warn({ taskId, lostNodes }, 'the node that ran a task has gone: the task has failed');
      record.status = 'failed';
      record.statusMessage = NODE_LOST.message;
      record.errorJson = JSON.stringify(NODE_LOST);
      this.#keeper?.store(record, () => this.#writes.publish(record));
      return;
    }
    log.info({ taskId, tool: call.tool, lostNodes }, 'the node that ran a task has gone: it is run again here');
    record.status = 'working';
    const task = new RunningTask(again, record, true);
    sink.task = task;
    this.#running.set(taskId, task);
    this.#touch(task);
    dispatcher().submit(again, call.body);
  }

  #created(job: Job, record: TaskRecord, stored: PutAnswer, canRunAgain = false): Created {
    const { metaJson, settings } = this.#options;
    if (stored !== 'stored') return fault('limitReached', 'too many tasks are running', { limit: settings.max });
    const sink = new TaskSink(this);
    const task = new RunningTask(job, record, canRunAgain);
    sink.task = task;
    this.#running.set(record.taskId, task);
    return { taskId: record.taskId, resultJson: createTaskResultJson(record, metaJson), sink };
  }

  #isLive(task: RunningTask): boolean {
    return this.#running.get(task.record.taskId) === task && !isTerminal(task.record.status);
  }

  #withRecord(
    taskId: string,
    principalId: string | null,
    use: (record: TaskRecord) => MaybePromise<string | Fault>,
  ): MaybePromise<string | Fault> {
    if (this.#shared !== null) {
      return this.#sharedRecord(this.#shared, taskId)
        .then((record) => (record?.principalId === principalId ? use(record) : UNKNOWN_TASK))
        .catch((cause: unknown) => this.#unavailable(cause));
    }
    return andThen(this.#options.store.get(taskId), (record) => {
      const known =
        record !== undefined && record.principalId === principalId && !isExpired(record, this.#options.monotonicMs());
      return known ? use(record) : UNKNOWN_TASK;
    });
  }

  /** Of a task of this node what is known here stands in while the store cannot be read, or does not know it yet. */
  async #sharedRecord(store: SharedTaskStore, taskId: string): Promise<TaskRecord | undefined> {
    const task = this.#running.get(taskId);
    if (task === undefined) return store.get(taskId);
    if (task.writing !== null) await task.writing;
    if (task.unsaved) return task.record;
    try {
      return await store.get(taskId);
    } catch (cause) {
      if (!(cause instanceof RedisUnavailable)) throw cause;
      return task.record;
    }
  }

  #unavailable(cause: unknown): Fault {
    if (cause instanceof RedisUnavailable) return UNAVAILABLE;
    throw cause;
  }

  #answer(task: RunningTask, inputResponses: Record<string, unknown>): void {
    const answers = task.close(inputResponses);
    if (answers.length === 0) return;
    if (task.waiting) this.#touch(task);
    else this.#apply(task, 'answered', '');
    for (const { askId, resultJson } of answers) {
      this.#options.dispatcher().answer(task.job, askId, resultJson, null);
    }
  }

  /** Moves the task on if the table lets it; a late event of an ended task changes nothing. */
  #apply(task: RunningTask, event: TaskEvent, statusMessage: string): void {
    const { record } = task;
    const status = this.#running.has(record.taskId) ? nextStatus(record.status, event) : null;
    if (status === null) return;
    record.status = status;
    record.statusMessage = statusMessage;
    if (isTerminal(status)) record.inputRequests.clear();
    this.#touch(task);
  }

  #touch(task: RunningTask): void {
    const { record } = task;
    record.lastUpdatedAt = Math.max(record.lastUpdatedAt, this.#options.now());
    this.#writes.save(task);
  }

  /** The end of a task is known here until it is stored. */
  #written(task: RunningTask, answer: PutAnswer): boolean {
    const { taskId } = task.record;
    if (answer === 'lost') {
      this.lost(taskId);
      return false;
    }
    if (isTerminal(task.record.status) && this.#running.get(taskId) === task) this.#running.delete(taskId);
    return true;
  }

  async #cancelElsewhere(store: SharedTaskStore, taskId: string, acknowledged: string): Promise<string | Fault> {
    const record = await store.end(taskId, 'cancelled', 'cancelled by the client');
    if (record === undefined) return UNKNOWN_TASK;
    if (record.status === 'cancelled') this.#writes.publish(record);
    return acknowledged;
  }

  /** The job is not here: whoever runs it finds its task ended. */
  #cancelStored(record: TaskRecord): void {
    const status = nextStatus(record.status, 'cancelled');
    if (status === null) return;
    const { taskId } = record;
    this.#options.log.warn({ taskId }, 'a task without a job on this node was cancelled');
    record.status = status;
    record.lastUpdatedAt = Math.max(record.lastUpdatedAt, this.#options.now());
    record.inputRequests.clear();
    const stored = this.#options.store.put(record);
    if (!(stored instanceof Promise)) this.#writes.publish(record);
    else
      stored.then(
        () => this.#writes.publish(record),
        (cause: unknown) => this.#options.log.error({ err: cause, taskId }, 'a task could not be stored'),
      );
  }
}

/** Those that answer an open question, as JSON by key. */
function answersTo(record: TaskRecord, responses: Record<string, unknown>): ReadonlyMap<string, string> {
  const answers = new Map<string, string>();
  for (const key of record.inputRequests.keys()) {
    const response = Object.hasOwn(responses, key) ? responses[key] : undefined;
    if (isJsonObject(response)) answers.set(key, JSON.stringify(response));
  }
  return answers;
}

/** Keeps the embedded path synchronous. */
function andThen<T, U>(value: MaybePromise<T>, use: (value: T) => MaybePromise<U>): MaybePromise<U> {
  return value instanceof Promise ? value.then(use) : use(value);
}
