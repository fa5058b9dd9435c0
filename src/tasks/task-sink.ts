/**
 * What a job's events mean once it runs as a task.
 *
 * Role: the `JobSink` that `TaskManager.create` hands out. It translates; the manager decides. Progress and log
 * records are dropped, since the extension has no place for them; a connection cannot be released, since none waits.
 */
import type { Ask, Job, JobSink } from '../dispatch/job.ts';
import { encodeFault, type Fault } from '../protocol/faults.ts';
import type { RunningTask } from './running-task.ts';

export interface TaskEnds {
  asked(task: RunningTask, ask: Ask): void;
  /** Text of the JSON-RPC response: it holds `result` or `error`. */
  ended(task: RunningTask, responseJson: string): void;
  /** It was not run to its end. True: the task is tried again, by this server or another one. */
  handedOver(task: RunningTask, refusal: Fault): boolean;
  /** The tool asked again to become a task. */
  again(task: RunningTask): void;
}

export class TaskSink implements JobSink {
  /** Set before the first event. */
  task: RunningTask | null = null;
  readonly #ends: TaskEnds;

  constructor(ends: TaskEnds) {
    this.#ends = ends;
  }

  get #task(): RunningTask {
    if (this.task === null) throw new Error('an event of a job whose task was not made');
    return this.task;
  }

  completed(_job: Job, _status: number, bytes: Uint8Array): void {
    this.#ends.ended(this.#task, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
  }

  refused(_job: Job, refusal: Fault): void {
    if (this.#ends.handedOver(this.#task, refusal)) return;
    this.#ends.ended(this.#task, encodeFault('', refusal));
  }

  emitted(): void {
    // No progress or log for tasks.
  }

  asked(_job: Job, ask: Ask): void {
    this.#ends.asked(this.#task, ask);
  }

  becameTask(): void {
    this.#ends.again(this.#task);
  }

  releasedConnection(): void {
    // The connection was answered when the task was made.
  }
}
