/**
 * The pool port: worker threads that run batches of board slots, and the side channel to each of them.
 *
 * Role: dispatch decides what runs where; the pool only carries it there, starts and ends threads, and tells of lost
 * ones. `piscina.ts` is the implementation. Tasks of the live streams run on the same threads, beside the batches.
 */
import type { LogLevel } from '../catalogue/define.ts';
import type { Manifest } from '../catalogue/entry.ts';
import type { Ask, RpcError, TaskWish } from '../dispatch/job.ts';
import type { StreamAnswer, StreamMessage } from '../streams/engine/task.ts';
import type { Change } from '../subscriptions/port.ts';

/** What a new worker is told. Structured-clonable. */
export interface WorkerSetup {
  readonly board: SharedArrayBuffer;
  readonly boardWorkers: number;
  readonly boardSlots: number;
  readonly server: { readonly name: string; readonly version: string; readonly title?: string };
  /** Of a `SharedSecret`. */
  readonly stateSecret: SharedArrayBuffer;
  readonly resultBytesMax: number;
  readonly jsonDepthMax: number;
  /** The thread says `full` when its heap is larger; 0: never. */
  readonly heapBytesMax: number;
}

/** A body that did not fit its slot. */
export interface OverflowBody {
  readonly slot: number;
  readonly body: Uint8Array;
  readonly extras: string;
}

/** A result that did not fit its slot. */
export interface OverflowResult {
  readonly slot: number;
  readonly sequence: number;
  readonly bytes: Uint8Array;
}

/** One message to a worker: slots to run, in order. */
export interface Batch {
  /** Index the worker's header has on the board. */
  readonly worker: number;
  readonly slots: readonly number[];
  /** Of each slot, the assignment that is meant: what was taken back meanwhile is not run. */
  readonly sequences: readonly number[];
  /** Set when the worker has not seen this catalogue yet. */
  readonly manifest: Manifest | null;
  readonly overflow: readonly OverflowBody[] | null;
}

/** Front end → worker, beside the batches. */
export type ControlIn =
  | { readonly type: 'cancel'; readonly slot: number; readonly sequence: number; readonly reason: string }
  | {
      readonly type: 'answer';
      readonly slot: number;
      readonly sequence: number;
      readonly askId: number;
      readonly resultJson: string | null;
      readonly error: RpcError | null;
    }
  | { readonly type: 'task'; readonly slot: number; readonly sequence: number; readonly taskId: string }
  /** Something lies in its mailbox. It says `looked` when it has dealt with that. */
  | { readonly type: 'look' };

/** Worker → front end, beside the results. What belongs to a job carries its slot and sequence number. */
export type ControlOut =
  | {
      readonly type: 'done';
      readonly slots: readonly number[];
      readonly sequences: readonly number[];
      readonly overflow: readonly OverflowResult[];
    }
  /** The mailbox is empty, or its time is over; results of synchronous calls too large for their slots. */
  | { readonly type: 'looked'; readonly overflow: readonly OverflowResult[] | null }
  | {
      readonly type: 'emit';
      readonly slot: number;
      readonly sequence: number;
      readonly message: string;
      /** The value of a progress notification, else null. */
      readonly progress: number | null;
    }
  | ({ readonly type: 'ask'; readonly slot: number; readonly sequence: number } & Ask)
  | ({ readonly type: 'task'; readonly slot: number; readonly sequence: number } & TaskWish)
  | { readonly type: 'release'; readonly slot: number; readonly sequence: number; readonly retryMs: number }
  | { readonly type: 'publish'; readonly change: Change }
  | { readonly type: 'forget'; readonly tool: string }
  | {
      readonly type: 'log';
      readonly level: LogLevel;
      readonly entry: string;
      readonly correlationId: string;
      readonly message: string;
    }
  /** Its heap is larger than it may be, garbage included. */
  | { readonly type: 'full' }
  /** Something a tool left behind failed, or it changed the language's own objects: the worker should be replaced. */
  | {
      readonly type: 'stray';
      readonly entryKey: number;
      readonly kind: 'error' | 'exit' | 'pollution';
      readonly message: string;
    };

/** What a thread's heap holds, asked from outside. Null when that thread cannot be asked, or has ended. */
export interface HeapProbe {
  usedBytes(worker: PoolWorker): Promise<number | null>;
  /** Resolves when the thread has collected its garbage. */
  collect(worker: PoolWorker): Promise<void>;
  /** Nobody asks for a while. */
  rest(): void;
}

export type LossCause = 'killed' | 'memory' | 'exit' | 'error';

/** One live worker. `index` is its header on the board and is used again after it is lost. */
export interface PoolWorker {
  readonly index: number;
  readonly threadId: number;
}

export interface PoolEvents {
  ready(worker: PoolWorker): void;
  /** The thread has ended; everything RUNNING on it is lost. `message` is for the log. */
  lost(worker: PoolWorker, cause: LossCause, message: string): void;
  control(worker: PoolWorker, message: ControlOut): void;
  /** A thread failed outside a batch, or while starting. For the log. */
  trouble(error: Error): void;
  /** No thread lives, and one after the other has ended while it started. It is tried again all the same. */
  unable(error: Error): void;
}

export interface WorkerPool {
  /** Threads wanted; live ones may be fewer while a lost one is replaced. */
  readonly size: number;
  /** Runs a batch. Resolves with the results too large for their slots; rejects when the worker is lost. */
  run(worker: PoolWorker, batch: Batch): Promise<readonly OverflowResult[] | null>;
  post(worker: PoolWorker, message: ControlIn): void;
  /**
   * Delivers what the worker has posted so far if that is more than has been delivered: results in shared memory can
   * be seen before the messages that were posted ahead of them. `posted` counts the worker's control messages.
   */
  catchUp(worker: PoolWorker, posted: number): void;
  /** Ends a thread at once; what it said before it ended is delivered, then `lost` follows, and a new thread. */
  kill(worker: PoolWorker): void;
  /** Part of the wall time, 0…1, the thread was busy since the last call. */
  utilization(worker: PoolWorker): number;
  close(): Promise<void>;
}

/** The same threads, for the live streams. */
export interface StreamCarrier {
  /** Runs a task. Rejects when the worker is lost. */
  runStream(worker: PoolWorker, message: StreamMessage): Promise<StreamAnswer>;
}
