/**
 * The tasks extension's server side: turns a job into a task and answers `tasks/get`, `tasks/update`, `tasks/cancel`.
 *
 * Role: joins a job of this node (`RunningTask`), its record in the store, and the bus that tells of each change.
 * Invariants: a task is stored before its id is known to anyone; a status only changes by the table in
 * `transitions.ts`; a task of another principal, an expired and an unknown one look the same; every change is stored
 * first and published then; a job whose task has ended is forgotten or cancelled, never both.
 * A record without a job here (other node, lost process) can be read and cancelled, not answered.
 */
import type { Settings } from '../config/settings.ts';
import type { Ask, Dispatcher, Job, JobSink, TaskWish } from '../dispatch/job.ts';
import type { Log } from '../observe/port.ts';
import { type Fault, fault, faultFrom } from '../protocol/faults.ts';
import type { MaybePromise } from '../sessions/port.ts';
import type { Bus } from '../subscriptions/port.ts';
import type { TaskRecord, TaskStore, Tasks } from './port.ts';
import { RunningTask } from './running-task.ts';
import { acknowledgementJson, createTaskResultJson, detailedTaskJson, getTaskResultJson } from './task-json.ts';
import { type TaskEnds, TaskSink } from './task-sink.ts';
import { isExpired, nextStatus, type TaskEvent } from './transitions.ts';

export interface TaskManagerOptions {
  readonly store: TaskStore;
  readonly bus: Bus;
  /** Asked at each use: the engine is built after the manager. */
  readonly dispatcher: () => Pick<Dispatcher, 'answer' | 'cancel' | 'taskStarted'>;
  readonly settings: Settings['tasks'];
  readonly log: Pick<Log, 'error' | 'warn'>;
  /** `_meta` of the results, as JSON; `''` leaves it out. */
  readonly metaJson: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** At least 128 bits of randomness, as text. */
  readonly randomId: () => string;
}

export class TaskManager implements Tasks, TaskEnds {
  readonly #options: TaskManagerOptions;
  /** Jobs of tasks that have not ended, by task id. Bounded by the store. */
  readonly #running = new Map<string, RunningTask>();

  constructor(options: TaskManagerOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#options.store.size;
  }

  create(
    job: Job,
    principalId: string | null,
    wish: TaskWish,
  ): MaybePromise<{ taskId: string; resultJson: string; sink: JobSink } | Fault> {
    const record = this.#newRecord(principalId, wish);
    return andThen(this.#options.store.put(record), (stored) => {
      if (!stored) return fault('limitReached', 'too many tasks are running', { limit: this.#options.settings.max });
      const task = new RunningTask(job, record);
      this.#running.set(record.taskId, task);
      const resultJson = createTaskResultJson(record, this.#options.metaJson);
      return { taskId: record.taskId, resultJson, sink: new TaskSink(task, this) };
    });
  }

  get(taskId: string, principalId: string | null): MaybePromise<string | Fault> {
    return this.#withRecord(taskId, principalId, (record) => getTaskResultJson(record, this.#options.metaJson));
  }

  update(
    taskId: string,
    principalId: string | null,
    inputResponses: Record<string, unknown>,
  ): MaybePromise<string | Fault> {
    return this.#withRecord(taskId, principalId, () => {
      const task = this.#running.get(taskId);
      if (task !== undefined) this.#answer(task, inputResponses);
      return acknowledgementJson(this.#options.metaJson);
    });
  }

  cancel(taskId: string, principalId: string | null): MaybePromise<string | Fault> {
    return this.#withRecord(taskId, principalId, (record) => {
      const task = this.#running.get(taskId);
      if (task !== undefined) {
        this.#apply(task, 'cancelled', 'cancelled by the client');
        this.#options.dispatcher().cancel(task.job, 'the task was cancelled');
      } else {
        this.#cancelStored(record);
      }
      return acknowledgementJson(this.#options.metaJson);
    });
  }

  sweep(nowMs: number): void {
    for (const [taskId, task] of this.#running) {
      if (!isExpired(task.record, nowMs)) continue;
      this.#running.delete(taskId);
      this.#options.dispatcher().cancel(task.job, 'the task has expired');
    }
    this.#options.store.sweep(nowMs);
  }

  asked(task: RunningTask, ask: Ask): void {
    if (!this.#running.has(task.record.taskId)) return;
    if (task.open(ask)) {
      this.#apply(task, 'asked', '');
      return;
    }
    const error = { code: -32603, message: 'the task has asked too many questions' };
    this.#options.dispatcher().answer(task.job, ask.askId, null, error);
  }

  ended(task: RunningTask, responseJson: string): void {
    if (!this.#running.has(task.record.taskId)) return;
    const response = outcomeOf(responseJson);
    if (response === null) {
      this.#options.log.error({ taskId: task.record.taskId }, 'a task ended with bytes that are no JSON-RPC response');
    }
    const { result, error } = response ?? { error: { code: -32603, message: faultFrom(null).message } };
    if (result !== undefined) {
      task.record.resultJson = JSON.stringify(result);
      this.#apply(task, 'completed', '');
      return;
    }
    task.record.errorJson = JSON.stringify(error);
    this.#apply(task, 'failed', error?.message ?? '');
  }

  again(task: RunningTask): void {
    const { deadlineMs } = this.#options.settings;
    this.#options.dispatcher().taskStarted(task.job, task.record.taskId, deadlineMs);
  }

  #newRecord(principalId: string | null, wish: TaskWish): TaskRecord {
    const { ttlMsMax, pollIntervalMs } = this.#options.settings;
    const now = this.#options.now();
    return {
      taskId: this.#options.randomId(),
      principalId,
      status: 'working',
      statusMessage: '',
      createdAt: now,
      lastUpdatedAt: now,
      ttlMs: wish.ttlMs === null ? ttlMsMax : Math.min(positive(wish.ttlMs, ttlMsMax), ttlMsMax),
      pollIntervalMs: positive(wish.pollIntervalMs, pollIntervalMs),
      inputRequests: new Map(),
      resultJson: '',
      errorJson: '',
    };
  }

  #withRecord(
    taskId: string,
    principalId: string | null,
    use: (record: TaskRecord) => string,
  ): MaybePromise<string | Fault> {
    return andThen(this.#options.store.get(taskId), (record) => {
      const known =
        record !== undefined && record.principalId === principalId && !isExpired(record, this.#options.now());
      return known ? use(record) : fault('invalidParams', 'unknown task');
    });
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
    if (event !== 'asked' && event !== 'answered') {
      record.inputRequests.clear();
      this.#running.delete(record.taskId);
    }
    this.#touch(task);
  }

  #touch(task: RunningTask): void {
    const { record } = task;
    record.lastUpdatedAt = Math.max(record.lastUpdatedAt, this.#options.now());
    const change = { kind: 'task', taskId: record.taskId, taskJson: detailedTaskJson(record) } as const;
    if (task.writing === null) {
      const stored = this.#options.store.put(record);
      if (!(stored instanceof Promise)) {
        this.#options.bus.publish(change);
        return;
      }
      this.#follow(task, stored, change);
      return;
    }
    this.#follow(
      task,
      task.writing.then(() => this.#options.store.put(record)),
      change,
    );
  }

  #follow(task: RunningTask, stored: Promise<boolean>, change: Parameters<Bus['publish']>[0]): void {
    const { taskId } = task.record;
    const writing: Promise<void> = stored
      .then(
        () => this.#options.bus.publish(change),
        (cause: unknown) => this.#options.log.error({ err: cause, taskId }, 'a task could not be stored'),
      )
      .finally(() => {
        if (task.writing === writing) task.writing = null;
      });
    task.writing = writing;
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
    const publish = (): void => this.#options.bus.publish({ kind: 'task', taskId, taskJson: detailedTaskJson(record) });
    if (!(stored instanceof Promise)) publish();
    else
      stored.then(publish, (cause: unknown) =>
        this.#options.log.error({ err: cause, taskId }, 'a task could not be stored'),
      );
  }
}

/** Keeps the embedded path synchronous. */
function andThen<T, U>(value: MaybePromise<T>, use: (value: T) => U): MaybePromise<U> {
  return value instanceof Promise ? value.then(use) : use(value);
}

/** Whole milliseconds of at least one; `otherwise` for what is no such number. */
function positive(ms: number, otherwise: number): number {
  return Number.isFinite(ms) && ms > 0 ? Math.max(1, Math.round(ms)) : otherwise;
}

type Outcome = { result?: object; error?: { code: number; message: string } };

function outcomeOf(responseJson: string): Outcome | null {
  try {
    const response: unknown = JSON.parse(responseJson);
    if (typeof response !== 'object' || response === null) return null;
    const { result, error } = response as { result?: unknown; error?: unknown };
    if (typeof result === 'object' && result !== null) return { result };
    return typeof error === 'object' && error !== null ? { error: error as { code: number; message: string } } : null;
  } catch {
    // Only a bug of an encoder gets here; the caller logs it.
    return null;
  }
}
