/**
 * Ports of the tasks extension (`io.modelcontextprotocol/tasks`): the store that keeps tasks, and the manager the
 * protocol speaks to.
 */
import type { Job, JobSink, TaskWish } from '../dispatch/job.ts';
import type { Fault } from '../protocol/faults.ts';
import type { MaybePromise } from '../sessions/port.ts';

export const TASKS_EXTENSION = 'io.modelcontextprotocol/tasks';

export type TaskStatus = 'working' | 'input_required' | 'completed' | 'failed' | 'cancelled';

export interface TaskRecord {
  /** At least 128 bits of randomness. */
  readonly taskId: string;
  readonly principalId: string | null;
  status: TaskStatus;
  statusMessage: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  lastUpdatedAt: number;
  /** Null: kept until evicted. */
  readonly ttlMs: number | null;
  readonly pollIntervalMs: number;
  /** Open questions: key → JSON of `{method, params}`. */
  inputRequests: Map<string, string>;
  /** JSON of the result, or of the error, once terminal. */
  resultJson: string;
  errorJson: string;
}

/** Bounded by count and by each task's TTL. A write is durable, at the store's level, when its answer arrives. */
export interface TaskStore {
  /** Stores or replaces. False: there is no room, and nothing was stored; never for a record that is there already. */
  put(record: TaskRecord): MaybePromise<boolean>;
  get(taskId: string): MaybePromise<TaskRecord | undefined>;
  delete(taskId: string): MaybePromise<void>;
  sweep(nowMs: number): void;
  readonly size: number;
}

export interface Tasks {
  /**
   * Turns a job into a task: the record exists when this answers. From then on the job's events belong to `sink`.
   * `resultJson` is the CreateTaskResult object.
   */
  create(
    job: Job,
    principalId: string | null,
    wish: TaskWish,
  ): MaybePromise<{ taskId: string; resultJson: string; sink: JobSink } | Fault>;
  /** JSON of the result object, or the fault. A task of another principal is unknown. */
  get(taskId: string, principalId: string | null): MaybePromise<string | Fault>;
  update(
    taskId: string,
    principalId: string | null,
    inputResponses: Record<string, unknown>,
  ): MaybePromise<string | Fault>;
  cancel(taskId: string, principalId: string | null): MaybePromise<string | Fault>;
  /** Ends what has expired; called by the runtime's coarse timer. */
  sweep(nowMs: number): void;
  readonly size: number;
}
