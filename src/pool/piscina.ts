/**
 * The pool on Piscina: the only file that imports it.
 *
 * Role: Piscina starts, replaces and feeds the threads. Admission owns every bound, so Piscina's own queue is never
 * used: each batch is handed to a chosen, ready worker by a load balancer that returns exactly that worker.
 * `atomics: 'disabled'` because a worker that blocks in Atomics.wait between batches could neither serve its
 * control port nor let asynchronous tools go on.
 * Each thread says hello with a port of its own; that port carries cancellations, progress and questions. Its index on
 * the board travels with each batch, since the thread cannot know which index a lost one has given back.
 */
import { type MessagePort, receiveMessageOnPort, type Worker } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type {
  Batch,
  ControlIn,
  ControlOut,
  LossCause,
  OverflowResult,
  PoolEvents,
  PoolWorker,
  WorkerPool,
  WorkerSetup,
} from './port.ts';

/** Batches one worker may hold at once; dispatch stays far below it. */
const BATCHES_PER_WORKER_MAX = 100_000;

export interface PiscinaPoolOptions {
  readonly workers: number;
  readonly heapMiB: number;
  readonly setup: WorkerSetup;
  readonly events: PoolEvents;
}

/** What `run` answers for a thread that has ended; its losses are dealt with when `lost` is told. */
const GONE: Promise<never> = Promise.reject(new Error('the worker has ended'));
GONE.catch(() => undefined);

interface Hello {
  readonly millrace: 'hello';
  readonly threadId: number;
  readonly port: MessagePort;
}

interface Live extends PoolWorker {
  readonly thread: Worker;
  readonly port: MessagePort;
  utilizationAt: ReturnType<Worker['performance']['eventLoopUtilization']>;
  failure: Error | null;
  /** Control messages delivered. */
  received: number;
  killed: boolean;
}

/** Compiled code runs `worker.js`; a checkout run through a TypeScript loader hands that loader on. */
const fromSource = import.meta.url.endsWith('.ts');
const workerUrl = new URL(fromSource ? '../../workers/worker.ts' : '../../workers/worker.js', import.meta.url);

export class PiscinaPool implements WorkerPool {
  readonly size: number;
  readonly #events: PoolEvents;
  readonly #piscina: Piscina;
  readonly #live = new Map<number, Live>();
  readonly #freeIndexes: number[];
  #target = -1;
  #closing = false;

  constructor(options: PiscinaPoolOptions) {
    this.size = options.workers;
    this.#events = options.events;
    this.#freeIndexes = Array.from({ length: options.workers }, (_, i) => options.workers - 1 - i);
    this.#piscina = new Piscina({
      filename: workerUrl.href,
      minThreads: options.workers,
      maxThreads: options.workers,
      concurrentTasksPerWorker: BATCHES_PER_WORKER_MAX,
      atomics: 'disabled',
      recordTiming: false,
      trackUnmanagedFds: true,
      resourceLimits: { maxOldGenerationSizeMb: options.heapMiB, stackSizeMb: 4 },
      workerData: options.setup,
      loadBalancer: (_task, workers) => workers.find((worker) => worker.id === this.#target) ?? null,
      ...(fromSource ? { execArgv: ['--import', import.meta.resolve('tsx')] } : {}),
    });
    this.#piscina.on('message', (message: Hello) => this.#attach(message));
    // Piscina reports here what happened to a thread that had no batch, or that never came up.
    this.#piscina.on('error', (error: Error) => this.#events.trouble(error));
  }

  run(worker: PoolWorker, batch: Batch): Promise<readonly OverflowResult[] | null> {
    const live = this.#live.get(worker.index);
    // Without its worker the batch would land in Piscina's own queue, and later on any other worker.
    if (live === undefined || live.threadId !== worker.threadId || live.killed || live.failure !== null) return GONE;
    this.#target = worker.threadId;
    return this.#piscina.run(batch);
  }

  post(worker: PoolWorker, message: ControlIn): void {
    this.#live.get(worker.index)?.port.postMessage(message);
  }

  catchUp(worker: PoolWorker, posted: number): void {
    const live = this.#live.get(worker.index);
    if (live === undefined || live.received === posted) return;
    for (let next = receiveMessageOnPort(live.port); next !== undefined; next = receiveMessageOnPort(live.port)) {
      this.#deliver(live, next.message);
    }
  }

  #deliver(live: Live, message: ControlOut): void {
    live.received += 1;
    this.#events.control(live, message);
  }

  kill(worker: PoolWorker): void {
    const live = this.#live.get(worker.index);
    if (live === undefined || live.threadId !== worker.threadId || live.killed) return;
    live.killed = true;
    void live.thread.terminate();
  }

  utilization(worker: PoolWorker): number {
    const live = this.#live.get(worker.index);
    if (live === undefined) return 0;
    const now = live.thread.performance.eventLoopUtilization();
    const span = live.thread.performance.eventLoopUtilization(now, live.utilizationAt);
    live.utilizationAt = now;
    return span.utilization;
  }

  async close(): Promise<void> {
    this.#closing = true;
    for (const live of this.#live.values()) live.port.close();
    await this.#piscina.destroy();
    this.#live.clear();
  }

  /** A thread that has loaded its code. Its index is one that no live thread has. */
  #attach(hello: Hello): void {
    const thread = this.#piscina.threads.find((candidate) => candidate.threadId === hello.threadId);
    if (this.#closing || thread === undefined) return;
    const index = this.#freeIndexes.pop();
    if (index === undefined) throw new Error(`more live workers than the ${this.size} the pool may have`);
    const live: Live = {
      index,
      threadId: hello.threadId,
      thread,
      port: hello.port,
      utilizationAt: thread.performance.eventLoopUtilization(),
      failure: null,
      received: 0,
      killed: false,
    };
    this.#live.set(index, live);
    live.port.on('message', (message: ControlOut) => this.#deliver(live, message));
    live.port.unref();
    thread.on('error', (error: Error) => {
      live.failure = error;
    });
    thread.once('exit', (code) => this.#detach(live, code));
    this.#events.ready(live);
  }

  #detach(live: Live, code: number): void {
    live.port.close();
    this.#live.delete(live.index);
    this.#freeIndexes.push(live.index);
    if (this.#closing) return;
    const memory = live.failure !== null && 'code' in live.failure && live.failure.code === 'ERR_WORKER_OUT_OF_MEMORY';
    const cause: LossCause = live.killed ? 'killed' : memory ? 'memory' : live.failure !== null ? 'error' : 'exit';
    this.#events.lost(live, cause, live.failure?.message ?? `exit code ${code}`);
  }
}
