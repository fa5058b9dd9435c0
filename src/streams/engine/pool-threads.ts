/**
 * Stream tasks on the worker pool, beside tool calls.
 *
 * Role: chooses a worker for each task (the one with the fewest of them, then the least busy), charges the expected time
 * to that worker's load so that cheap calls are sent elsewhere, and ends a worker whose task does not end. While no
 * worker can take one, tasks wait here; the pipeline bounds how many there are.
 */
import type { Plan } from '../plan.ts';
import {
  type ApplyResult,
  type ApplyTask,
  type DecodeResult,
  type DecodeTask,
  type StreamAnswer,
  type StreamMessage,
  type StreamTask,
  type StreamThreads,
  ThreadLost,
} from './task.ts';

const TASKS_PER_WORKER = 2;
/** A task takes milliseconds; one that takes this long is in an endless loop. */
export const TASK_MS_MAX = 10_000;

/** A worker as the dispatcher knows it. */
export interface StreamWorker {
  readonly worker: { readonly index: number; readonly threadId: number };
  readonly retiring: string;
  readonly stuck: boolean;
  /** Blocking time it is expected to need. */
  expectedUs: number;
}

export interface PoolPorts {
  readonly size: number;
  workers(): readonly StreamWorker[];
  run(worker: StreamWorker, message: StreamMessage): Promise<StreamAnswer>;
  kill(worker: StreamWorker): void;
}

interface Waiting {
  readonly task: StreamTask;
  readonly resolve: (answer: StreamAnswer) => void;
  readonly reject: (error: unknown) => void;
}

/** A task on a worker. */
interface Running {
  hung: boolean;
}

/** Expected time of a task, from the last ones of its kind. */
class Pace {
  #us = 1000;
  get us(): number {
    return this.#us;
  }
  observe(us: number): void {
    this.#us += (us - this.#us) / 8;
  }
}

export class PoolThreads implements StreamThreads {
  readonly size: number;
  readonly #ports: PoolPorts;
  #plan: Plan | null = null;
  /** Plan epoch each thread has seen, by thread id. */
  readonly #seen = new Map<number, number>();
  /** Tasks on each thread, in the order it takes them. */
  readonly #running = new Map<number, Running[]>();
  readonly #taskMsMax: number;
  readonly #waiting: Waiting[] = [];
  readonly #paces = { decode: new Pace(), apply: new Pace() };
  #closed = false;

  /** `taskMsMax`: a worker whose task takes longer is ended. */
  constructor(ports: PoolPorts, taskMsMax = TASK_MS_MAX) {
    this.#ports = ports;
    this.#taskMsMax = taskMsMax;
    this.size = ports.size;
  }

  usePlan(plan: Plan): void {
    this.#plan = plan;
  }

  async decode(task: DecodeTask): Promise<DecodeResult> {
    return (await this.#run(task)) as DecodeResult;
  }

  async apply(task: ApplyTask): Promise<ApplyResult> {
    return (await this.#run(task)) as ApplyResult;
  }

  /** A worker has come up, or one has room. */
  pump(): void {
    while (this.#waiting.length > 0) {
      const worker = this.#choose();
      if (worker === null) return;
      const { reject, resolve, task } = this.#waiting.shift() as Waiting;
      this.#start(worker, task).then(resolve, reject);
    }
  }

  close(): void {
    this.#closed = true;
    for (const { reject } of this.#waiting.splice(0)) reject(new Error('the workers are stopping'));
  }

  async #run(task: StreamTask): Promise<unknown> {
    if (this.#closed) throw new Error('the workers are stopping');
    const answer = await new Promise<StreamAnswer>((resolve, reject) => {
      this.#waiting.push({ task, resolve, reject });
      this.pump();
    });
    if (!answer.ok) throw new Error(answer.message);
    return answer.result;
  }

  #choose(): StreamWorker | null {
    let best: StreamWorker | null = null;
    let fewest = TASKS_PER_WORKER;
    for (const candidate of this.#ports.workers()) {
      if (candidate.retiring !== '' || candidate.stuck) continue;
      const running = this.#running.get(candidate.worker.threadId)?.length ?? 0;
      if (running > fewest || running >= TASKS_PER_WORKER) continue;
      if (best !== null && running === fewest && candidate.expectedUs >= best.expectedUs) continue;
      best = candidate;
      fewest = running;
    }
    return best;
  }

  async #start(worker: StreamWorker, task: StreamTask): Promise<StreamAnswer> {
    const { threadId } = worker.worker;
    const plan = this.#plan;
    const unseen = plan !== null && this.#seen.get(threadId) !== plan.epoch;
    if (unseen) this.#seen.set(threadId, plan.epoch);
    const running: Running = { hung: false };
    this.#running.set(threadId, [...(this.#running.get(threadId) ?? []), running]);
    const pace = this.#paces[task.kind];
    const expectedUs = pace.us;
    worker.expectedUs += expectedUs;
    const begun = performance.now();
    const watch = setTimeout(() => this.#end(worker, running), this.#taskMsMax);
    try {
      const answer = await this.#ports.run(worker, { plan: unseen ? plan : null, task });
      pace.observe((performance.now() - begun) * 1000);
      return answer;
    } catch (error) {
      this.#seen.delete(threadId);
      if (this.#closed) throw error;
      throw new ThreadLost(error instanceof Error ? error.message : String(error), running.hung);
    } finally {
      clearTimeout(watch);
      worker.expectedUs = Math.max(0, worker.expectedUs - expectedUs);
      const left = (this.#running.get(threadId) ?? []).filter((each) => each !== running);
      if (left.length === 0) this.#running.delete(threadId);
      else this.#running.set(threadId, left);
      this.pump();
    }
  }

  /** The one that is first there is the one that does not end; those behind it never began. */
  #end(worker: StreamWorker, running: Running): void {
    running.hung = this.#running.get(worker.worker.threadId)?.[0] === running;
    this.#ports.kill(worker);
  }
}
