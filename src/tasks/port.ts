/**
 * Ports of the tasks extension (`io.modelcontextprotocol/tasks`): the store that keeps tasks, and the manager the
 * protocol speaks to.
 */
import type { Job, JobExtras, JobSink, TaskWish } from '../dispatch/job.ts';
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
  /** Monotonic milliseconds of the process that made it; 0 of one that was read from a store outside of it. */
  readonly bornAtMs: number;
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

/** What it takes to run a task again. Kept for tools that may be repeated only. */
export interface TaskCall {
  readonly tool: string;
  /** Name of the protocol revision. */
  readonly revision: string;
  /** Of the job. */
  readonly flags: number;
  readonly share: string;
  readonly extras: JobExtras | null;
  readonly body: Uint8Array;
}

/** `lost`: another node has taken or ended the task, or it has expired: nothing was stored, nor will be. */
export type PutAnswer = 'stored' | 'full' | 'lost';

/**
 * Bounded by count and by each task's TTL. A write is durable, at the store's level, when its answer arrives. Rejects
 * with `RedisUnavailable` when the store cannot be reached.
 */
export interface TaskStore {
  /**
   * Stores a new task, which this node runs from then on, or replaces one that it runs. `full`: there is no room, and
   * nothing was stored; never for a task that is there already. `call` counts for new tasks only.
   */
  put(record: TaskRecord, call?: TaskCall): MaybePromise<PutAnswer>;
  get(taskId: string): MaybePromise<TaskRecord | undefined>;
  delete(taskId: string): MaybePromise<void>;
  /** Drops what has expired; `nowMs`: monotonic. A store with a clock of its own does not look at it. */
  sweep(nowMs: number): void;
  readonly size: number;
}

/** A task whose node has gone, and which this node has claimed. */
export interface Orphan {
  readonly record: TaskRecord;
  /** Null: it must not be run again. */
  readonly call: TaskCall | null;
  /** Nodes that have run it so far and are gone. */
  readonly lostNodes: number;
}

/** State of the tasks that a node runs, as others left it. */
export interface TaskNews {
  /** No longer this node's: their jobs have to be stopped. */
  readonly lost: readonly string[];
  /** A client left answers for them with another node. */
  readonly answered: readonly string[];
  /** The store was emptied: they have to be stored anew. */
  readonly missing: readonly string[];
}

/**
 * The same store, as several nodes share it: each task that has not ended is claimed by the node that runs it, for
 * `claimMs` at a time; every write proves its claim. All methods reject with `RedisUnavailable` when the store is away.
 */
export interface SharedTaskStore extends TaskStore {
  readonly claimMs: number;
  /** Renews the claims of this node. */
  renew(): Promise<TaskNews>;
  /**
   * Claims tasks whose claims have run out, a few at a time; for a while not those of nodes that are there and do not
   * renew: they stand still, and their workers go on. For a while after the store was away none but those given back:
   * nobody could renew meanwhile.
   */
  takeOrphans(): Promise<readonly Orphan[]>;
  /** Lets another node have the task at once. */
  release(taskId: string): Promise<void>;
  /** Ends a task that another node runs. Undefined: it is not there. Otherwise the record as it is then. */
  end(taskId: string, status: 'cancelled', statusMessage: string): Promise<TaskRecord | undefined>;
  /** Leaves answers (key → JSON) for the node that runs the task. */
  leaveAnswers(taskId: string, answers: ReadonlyMap<string, string>): Promise<void>;
  /** Null: the task is no longer this node's. */
  takeAnswers(taskId: string): Promise<ReadonlyMap<string, string> | null>;
  /** Called when another node has done something to a task that may run here; `''`: there may be orphans. */
  onNews: ((taskId: string) => void) | null;
}

/** `resultJson` is the CreateTaskResult object; from then on the job's events belong to `sink`. */
export type Created = { readonly taskId: string; readonly resultJson: string; readonly sink: JobSink } | Fault;

export interface Tasks {
  /**
   * Turns a job into a task: the record exists when this answers. `body`: of the request, lent; null when it is not
   * known any more.
   */
  create(job: Job, principalId: string | null, wish: TaskWish, body: Uint8Array | null): MaybePromise<Created>;
  /** JSON of the result object, or the fault. A task of another principal is unknown. */
  get(taskId: string, principalId: string | null): MaybePromise<string | Fault>;
  update(
    taskId: string,
    principalId: string | null,
    inputResponses: Record<string, unknown>,
  ): MaybePromise<string | Fault>;
  cancel(taskId: string, principalId: string | null): MaybePromise<string | Fault>;
  /**
   * Forgets a task whose id nobody was told and whose job is over: it takes no room from results that somebody may still
   * ask for. While the store is away it is marked as cancelled instead, once that can be stored.
   */
  drop(taskId: string): MaybePromise<void>;
  /** Ends what has expired; called by the runtime's coarse timer. */
  sweep(nowMs: number): void;
  readonly size: number;
  /** Waits for what is being stored, a moment at most. */
  close(): Promise<void>;
}
