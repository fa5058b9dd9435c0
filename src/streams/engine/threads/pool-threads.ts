/**
 * Stream tasks on the worker pool, beside tool calls.
 *
 * Role: chooses a worker for each task (the one with the fewest of them, then the least busy), charges the expected time
 * to that worker's load so that cheap calls are sent elsewhere, and ends a worker whose task does not end. While no
 * worker can take one, tasks wait here; the pipeline bounds how many there are. A worker is given a plan before its first
 * task of it; a plan whose modules do not load there is tried again, on whatever worker is next.
 */
import type { Plan } from '../../plan.ts';
import {
  type ApplyResult,
  type ApplyTask,
  type DecodeResult,
  type DecodeTask,
  type LeftShard,
  PlanNotLoaded,
  PROGRESS_BYTES,
  PROGRESS_DISK,
  PROGRESS_STEPS,
  type SentShard,
  SpillProblem,
  type SplitResult,
  type SplitTask,
  type StreamAnswer,
  type StreamMessage,
  type StreamTask,
  type StreamTaskResult,
  type StreamThreads,
  ThreadLost,
  ThreadsStopping,
} from '../task.ts';
import { KeptShards } from './kept-shards.ts';

const TASKS_PER_WORKER = 2;
/** A step of a task takes milliseconds; one that takes this long is in an endless loop. */
export const TASK_MS_MAX = 10_000;

/** Loading the code of the streams and the modules of a plan, in a thread that is new. */
const LOAD_MS_MAX = 30_000;
const LOAD_TRIES_MAX = 6;
const LOAD_RETRY_MS = 100;

/** So often within the limit a task is looked at. */
const CHECKS_PER_LIMIT = 4;
const NO_THREAD = -1;
const NO_PROGRESS = new Int32Array(PROGRESS_BYTES / Int32Array.BYTES_PER_ELEMENT);

/** A worker as the dispatcher knows it. */
export interface StreamWorker {
  readonly worker: { readonly index: number; readonly threadId: number };
  readonly retiring: string;
  readonly stuck: boolean;
  /** Blocking time it is expected to need. */
  readonly expectedUs: number;
  charge(us: number): void;
  discharge(us: number): void;
}

export interface PoolPorts {
  readonly size: number;
  workers(): readonly StreamWorker[];
  run(worker: StreamWorker, message: StreamMessage): Promise<StreamAnswer>;
  /** A call has the thread: it is looked after by others, and a task behind it has not begun. */
  isInCall(worker: StreamWorker): boolean;
  kill(worker: StreamWorker): void;
}

/** One engine's place among the threads: its plan, and which of them have it. */
interface Seat {
  readonly engine: number;
  /** Rises with each engine that takes the place. */
  readonly life: number;
  plan: Plan | null;
  /** Plan each thread was given, by thread id, and whether it has taken it. */
  readonly given: Map<number, { readonly epoch: number; readonly taken: Promise<void> }>;
  readonly kept: KeptShards;
}

/** Threads of an engine that ends before the node does; they cut batches for other engines, too. */
export interface EngineThreads extends StreamThreads {
  split(task: SplitTask): Promise<SplitResult>;
  /** What threads keep of its memory is let go. */
  release(): void;
}

interface Waiting {
  readonly seat: Seat;
  readonly task: StreamTask;
  readonly resolve: (answer: WholeAnswer) => void;
  readonly reject: (error: unknown) => void;
}

type Failed = Extract<StreamAnswer, { ok: false }>;
type WholeAnswer = Failed | { readonly ok: true; readonly result: StreamTaskResult };

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
  readonly #own: Seat = newSeat(0, 0);
  #lives = 0;
  /** Tasks on each thread, in the order it takes them. */
  readonly #running = new Map<number, Running[]>();
  readonly #taskMsMax: number;
  readonly #waiting: Waiting[] = [];
  readonly #paces = { decode: new Pace(), split: new Pace(), apply: new Pace() };
  #closed = false;

  /** `taskMsMax`: a worker that takes longer for a batch, or for a step of a task, is ended. */
  constructor(ports: PoolPorts, taskMsMax = TASK_MS_MAX) {
    this.#ports = ports;
    this.#taskMsMax = taskMsMax;
    this.size = ports.size;
  }

  usePlan(plan: Plan): void {
    this.#own.plan = plan;
  }

  decode(task: DecodeTask): Promise<DecodeResult> {
    return this.#run(this.#own, task) as Promise<DecodeResult>;
  }

  apply(task: ApplyTask): Promise<ApplyResult> {
    return this.#run(this.#own, task) as Promise<ApplyResult>;
  }

  /**
   * The same threads for another engine. `engine`: a number from 1, unique among live engines; an engine that takes a
   * number ends the one that had it before.
   */
  forEngine(engine: number): EngineThreads {
    this.#lives += 1;
    const seat = newSeat(engine, this.#lives);
    return {
      size: this.size,
      usePlan: (plan) => {
        seat.plan = plan;
      },
      decode: (task) => this.#run(seat, task) as Promise<DecodeResult>,
      split: (task) => this.#run(seat, task) as Promise<SplitResult>,
      apply: (task) => this.#run(seat, task) as Promise<ApplyResult>,
      release: () => this.#release(seat),
    };
  }

  /** A plan without anything makes a thread let go of the shards it holds. */
  #release({ engine, given, life, plan }: Seat): void {
    if (plan === null || this.#closed) return;
    const nothing: Plan = { epoch: plan.epoch + 1, shards: 1, streams: [], groups: [], operators: [] };
    for (const worker of this.#ports.workers()) {
      if (!given.has(worker.worker.threadId)) continue;
      // A thread that has ended holds nothing.
      this.#ports.run(worker, { engine, life, plan: nothing, task: null }).catch(() => undefined);
    }
  }

  /** A worker has come up, one has room, or a call does not have it any more. */
  pump(): void {
    while (this.#waiting.length > 0) {
      const { reject, resolve, seat, task } = this.#waiting[0] as Waiting;
      const worker = this.#choose(task.kind === 'apply' ? seat.kept.keeperOf(task) : NO_THREAD);
      if (worker === null) return;
      this.#waiting.shift();
      this.#start(worker, seat, task).then(resolve, reject);
    }
  }

  close(): void {
    this.#closed = true;
    for (const { reject } of this.#waiting.splice(0)) reject(new ThreadsStopping());
  }

  async #run(seat: Seat, task: StreamTask): Promise<unknown> {
    for (let tries = 1; ; tries++) {
      if (this.#closed) throw new ThreadsStopping();
      try {
        const answer = await new Promise<WholeAnswer>((resolve, reject) => {
          this.#waiting.push({ seat, task, resolve, reject });
          this.pump();
        });
        if (answer.ok) return answer.result;
        throw failedThere(answer);
      } catch (error) {
        if (!(error instanceof PlanNotLoaded) || tries >= LOAD_TRIES_MAX) throw error;
        await new Promise((resolve) => setTimeout(resolve, LOAD_RETRY_MS * 2 ** (tries - 1)));
      }
    }
  }

  /** Resolves when the thread has the plan. */
  #give(worker: StreamWorker, seat: Seat, plan: Plan): Promise<void> {
    const { threadId } = worker.worker;
    const known = seat.given.get(threadId);
    if (known?.epoch === plan.epoch) return known.taken;
    // A thread that gets a plan attaches all shards anew.
    seat.kept.forget(threadId);
    const taken = this.#load(worker, seat, plan);
    const given = { epoch: plan.epoch, taken };
    seat.given.set(threadId, given);
    taken.catch(() => {
      if (seat.given.get(threadId) === given) seat.given.delete(threadId);
    });
    return taken;
  }

  async #load(worker: StreamWorker, { engine, life }: Seat, plan: Plan): Promise<void> {
    const watch = setTimeout(() => this.#ports.kill(worker), LOAD_MS_MAX);
    try {
      const answer = await this.#ports.run(worker, { engine, life, plan, task: null });
      if (!answer.ok) throw new PlanNotLoaded(answer.message);
    } finally {
      clearTimeout(watch);
    }
  }

  /** Of those with the fewest tasks the one that has kept what the task is about, or is the least busy. */
  #choose(keeper: number): StreamWorker | null {
    let best: StreamWorker | null = null;
    let fewest = TASKS_PER_WORKER;
    for (const candidate of this.#ports.workers()) {
      if (candidate.retiring !== '' || candidate.stuck) continue;
      const running = this.#running.get(candidate.worker.threadId)?.length ?? 0;
      if (running > fewest || running >= TASKS_PER_WORKER) continue;
      if (best !== null && running === fewest) {
        if (best.worker.threadId === keeper) continue;
        if (candidate.worker.threadId !== keeper && candidate.expectedUs >= best.expectedUs) continue;
      }
      best = candidate;
      fewest = running;
    }
    return best;
  }

  async #start(worker: StreamWorker, seat: Seat, task: StreamTask): Promise<WholeAnswer> {
    const { threadId } = worker.worker;
    const { plan } = seat;
    const running: Running = { hung: false };
    this.#running.set(threadId, [...(this.#running.get(threadId) ?? []), running]);
    const pace = this.#paces[task.kind];
    const expectedUs = pace.us;
    worker.charge(expectedUs);
    let watch: NodeJS.Timeout | undefined;
    try {
      if (plan !== null) await this.#give(worker, seat, plan);
      const begun = performance.now();
      watch = this.#watch(worker, running, task);
      const answer = await this.#send(worker, seat, task);
      pace.observe((performance.now() - begun) * 1000);
      return answer;
    } catch (error) {
      if (error instanceof PlanNotLoaded) throw error;
      if (this.#closed) throw new ThreadsStopping();
      seat.given.delete(threadId);
      seat.kept.forget(threadId);
      throw new ThreadLost(error instanceof Error ? error.message : String(error), running.hung);
    } finally {
      clearInterval(watch);
      worker.discharge(expectedUs);
      const left = (this.#running.get(threadId) ?? []).filter((each) => each !== running);
      if (left.length === 0) this.#running.delete(threadId);
      else this.#running.set(threadId, left);
      this.pump();
    }
  }

  async #send(worker: StreamWorker, { engine, kept, life }: Seat, task: StreamTask): Promise<WholeAnswer> {
    const { threadId } = worker.worker;
    const ask = (sent: StreamTask<SentShard>): Promise<StreamAnswer> =>
      this.#ports.run(worker, { engine, life, plan: null, task: sent });
    if (task.kind !== 'apply') return (await ask(task)) as WholeAnswer;
    let answer = await ask(kept.forThread(task, threadId));
    if (!answer.ok && answer.isNotKept) {
      kept.forget(threadId);
      answer = await ask(task);
    }
    if (!answer.ok) return answer;
    return { ok: true, result: kept.whole(task, threadId, answer.result as ApplyResult<LeftShard>) };
  }

  /** Ends the worker when the task does not go on. Those behind the first one have not begun. */
  #watch(worker: StreamWorker, running: Running, task: StreamTask): NodeJS.Timeout {
    const progress = task.kind === 'apply' ? new Int32Array(task.progress) : NO_PROGRESS;
    let before = 0;
    let checks = 0;
    return setInterval(() => {
      const now = Atomics.load(progress, PROGRESS_STEPS) + Atomics.load(progress, PROGRESS_DISK);
      const isFirst = this.#running.get(worker.worker.threadId)?.[0] === running;
      checks = isFirst && now === before && !this.#ports.isInCall(worker) ? checks + 1 : 0;
      before = now;
      if (checks < CHECKS_PER_LIMIT || running.hung) return;
      running.hung = true;
      this.#ports.kill(worker);
    }, this.#taskMsMax / CHECKS_PER_LIMIT);
  }
}

/** What a task has thrown on its thread. */
function failedThere({ message, spill, stack }: Extract<StreamAnswer, { ok: false }>): Error {
  const error = spill === null ? new Error(message) : new SpillProblem(message, spill);
  if (stack !== '') error.stack = stack;
  return error;
}

const newSeat = (engine: number, life: number): Seat => ({
  engine,
  life,
  plan: null,
  given: new Map(),
  kept: new KeptShards(),
});
