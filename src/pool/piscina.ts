/**
 * The pool on Piscina: the only file that imports it.
 *
 * Role: Piscina starts, replaces and feeds the threads. Admission owns every bound, so Piscina's own queue is never
 * used: each batch is handed to a chosen, ready worker by a load balancer that returns exactly that worker.
 * `atomics: 'disabled'` because a worker that blocks in Atomics.wait between batches could neither serve its
 * control port nor let asynchronous tools go on.
 * Each thread says hello with a port of its own; that port carries cancellations, progress and questions. Its index on
 * the board travels with each batch, since the thread cannot know which index a lost one has given back. It is in
 * service once it has said hello, Piscina hands it tasks, and there is an index for it.
 */
import { type MessagePort, receiveMessageOnPort, type Worker } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type { StreamAnswer, StreamMessage } from '../streams/engine/task.ts';
import { atMost } from '../waiting.ts';
import { keepLoopsEndable } from './endable-loops.ts';
import type {
  Batch,
  ControlIn,
  ControlOut,
  LossCause,
  OverflowResult,
  PoolEvents,
  PoolWorker,
  StreamCarrier,
  WorkerPool,
  WorkerSetup,
} from './port.ts';

/** Batches one worker may hold at once; dispatch stays far below it. */
const BATCHES_PER_WORKER_MAX = 100_000;
/** A thread id no worker has. */
const NOBODY = 0;
/** Piscina has replaced a lost thread long before that, if it does; doubled with each start that fails. */
const RESTART_MS = 50;
const RESTART_MS_MAX = 5000;
/** A thread in native code cannot be ended before that returns. After this it is replaced while it still exists. */
const END_MS_MAX = 1000;
/** Then it is told that none will come up. */
const FAILED_STARTS_MAX = 6;

export interface PiscinaPoolOptions {
  readonly workers: number;
  /** V8's own limit. */
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

function isHello(message: unknown): message is Hello {
  return typeof message === 'object' && message !== null && (message as Partial<Hello>).millrace === 'hello';
}

interface Live extends PoolWorker {
  readonly thread: Worker;
  readonly port: MessagePort;
  utilizationAt: ReturnType<Worker['performance']['eventLoopUtilization']>;
  failure: Error | null;
  /** Control messages delivered. */
  received: number;
  killed: boolean;
  /** Runs from `kill` on, until it is written off or its time is over. */
  patience: NodeJS.Timeout | null;
}

/** A checkout run through a TypeScript loader hands that loader on, which in a thread knows `require` only. */
const fromSource = import.meta.url.endsWith('.ts');
const workerUrl = new URL(fromSource ? '../../workers/worker.ts' : '../../workers/entry.cjs', import.meta.url);

export class PiscinaPool implements WorkerPool, StreamCarrier {
  readonly size: number;
  readonly #events: PoolEvents;
  readonly #piscina: Piscina;
  readonly #live = new Map<number, Live>();
  readonly #freeIndexes: number[];
  /** Threads that said hello and are not in service yet, by thread id. At most two per worker. */
  readonly #arrived = new Map<number, Hello>();
  /** Thread ids Piscina hands tasks to: a task for any other would stay in its queue. */
  readonly #accepted = new Set<number>();
  #target = NOBODY;
  #closing = false;
  #restart: NodeJS.Timeout | null = null;
  /** Starts in a row that failed. */
  #failedStarts = 0;
  /** Threads that were written off and have not ended. At most one per worker. */
  #stale = 0;

  constructor(options: PiscinaPoolOptions) {
    this.size = options.workers;
    this.#events = options.events;
    this.#freeIndexes = Array.from({ length: options.workers }, (_, i) => options.workers - 1 - i);
    keepLoopsEndable();
    this.#piscina = new Piscina({
      filename: workerUrl.href,
      name: 'runTask',
      minThreads: options.workers,
      // The others stand in for threads that do not end.
      maxThreads: 2 * options.workers,
      idleTimeout: Number.POSITIVE_INFINITY,
      concurrentTasksPerWorker: BATCHES_PER_WORKER_MAX,
      atomics: 'disabled',
      recordTiming: false,
      trackUnmanagedFds: true,
      resourceLimits: { maxOldGenerationSizeMb: options.heapMiB, stackSizeMb: 4 },
      workerData: options.setup,
      loadBalancer: (_task, workers) => workers.find((worker) => worker.id === this.#target) ?? null,
      ...(fromSource ? { execArgv: ['--import', import.meta.resolve('tsx')] } : {}),
    });
    this.#piscina.on('message', (message: unknown) => {
      // A tool may post whatever it likes to its parent port.
      if (!isHello(message)) return;
      this.#arrived.set(message.threadId, message);
      this.#takeIn();
    });
    // Told while Piscina is about to hand it tasks: in the next turn it does.
    this.#piscina.on('workerCreate', ({ id }: { id: number }) => queueMicrotask(() => this.#accept(id)));
    this.#piscina.on('workerDestroy', () => this.#restartSoon());
    // Piscina reports here what happened to a thread that had no batch, or that never came up.
    this.#piscina.on('error', (error: Error) => this.#events.trouble(error));
  }

  run(worker: PoolWorker, batch: Batch): Promise<readonly OverflowResult[] | null> {
    if (!this.#serves(worker)) return GONE;
    this.#target = worker.threadId;
    const answer = this.#piscina.run(batch);
    this.#target = NOBODY;
    return answer;
  }

  runStream(worker: PoolWorker, message: StreamMessage): Promise<StreamAnswer> {
    if (!this.#serves(worker)) return GONE;
    this.#target = worker.threadId;
    const answer = this.#piscina.run(message);
    this.#target = NOBODY;
    return answer;
  }

  /** Without its worker a task would land in Piscina's own queue, and later on any other worker. */
  #serves(worker: PoolWorker): boolean {
    const live = this.#of(worker);
    return live !== null && !live.killed && live.failure === null;
  }

  post(worker: PoolWorker, message: ControlIn): void {
    this.#of(worker)?.port.postMessage(message);
  }

  catchUp(worker: PoolWorker, posted: number): void {
    const live = this.#of(worker);
    if (live !== null && live.received !== posted) this.#drain(live);
  }

  /** Null when that thread has ended, whoever has its index now. */
  #of(worker: PoolWorker): Live | null {
    const live = this.#live.get(worker.index);
    return live !== undefined && live.threadId === worker.threadId ? live : null;
  }

  #drain(live: Live): void {
    for (let next = receiveMessageOnPort(live.port); next !== undefined; next = receiveMessageOnPort(live.port)) {
      this.#deliver(live, next.message);
    }
  }

  #deliver(live: Live, message: ControlOut): void {
    live.received += 1;
    this.#events.control(live, message);
  }

  kill(worker: PoolWorker): void {
    const live = this.#of(worker);
    if (live === null || live.killed) return;
    live.killed = true;
    live.patience = setTimeout(() => this.#writeOff(live), END_MS_MAX);
    void live.thread.terminate();
  }

  /** Its calls are lost now; it comes to no code of ours any more when its native call returns. */
  #writeOff(live: Live): void {
    live.patience = null;
    if (this.#stale >= this.size) {
      this.#events.trouble(new Error('a thread does not end, and as many as there are workers have not before it'));
      return;
    }
    this.#stale += 1;
    live.thread.once('exit', () => {
      this.#stale -= 1;
      this.#writeOffNext();
    });
    this.#retire(live, 'it is in native code that does not return');
    this.#start();
  }

  /** There was no room to write it off when its time was over. */
  #writeOffNext(): void {
    if (this.#closing) return;
    for (const live of this.#live.values()) {
      if (!live.killed || live.patience !== null) continue;
      this.#writeOff(live);
      return;
    }
  }

  utilization(worker: PoolWorker): number {
    const live = this.#of(worker);
    if (live === null) return 0;
    const now = live.thread.performance.eventLoopUtilization();
    const span = live.thread.performance.eventLoopUtilization(now, live.utilizationAt);
    live.utilizationAt = now;
    return span.utilization;
  }

  async close(): Promise<void> {
    this.#closing = true;
    if (this.#restart !== null) clearTimeout(this.#restart);
    for (const { port } of [...this.#live.values(), ...this.#arrived.values()]) port.close();
    for (const { patience } of this.#live.values()) if (patience !== null) clearTimeout(patience);
    await atMost(this.#piscina.destroy(), END_MS_MAX);
    this.#live.clear();
    this.#arrived.clear();
  }

  #accept(threadId: number): void {
    this.#accepted.add(threadId);
    this.#takeIn();
  }

  /** Takes threads into service that have loaded their code, each under an index that no live thread has. */
  #takeIn(): void {
    for (const hello of [...this.#arrived.values()]) {
      const { threadId } = hello;
      if (!this.#accepted.has(threadId) || this.#closing) continue;
      const thread = this.#piscina.threads.find((candidate) => candidate.threadId === threadId);
      // Its predecessor may take a while to end: then that one's index comes when it has.
      const index = thread === undefined ? undefined : this.#freeIndexes.pop();
      if (thread !== undefined && index === undefined) return;
      this.#arrived.delete(threadId);
      if (thread === undefined || index === undefined) this.#accepted.delete(threadId);
      else this.#attach(hello, thread, index);
    }
  }

  #attach(hello: Hello, thread: Worker, index: number): void {
    const live: Live = {
      index,
      threadId: hello.threadId,
      thread,
      port: hello.port,
      utilizationAt: thread.performance.eventLoopUtilization(),
      failure: null,
      received: 0,
      killed: false,
      patience: null,
    };
    this.#live.set(index, live);
    this.#failedStarts = 0;
    live.port.on('message', (message: ControlOut) => this.#deliver(live, message));
    live.port.unref();
    thread.on('error', (error: Error) => {
      live.failure = error;
    });
    thread.once('exit', (code) => this.#detach(live, code));
    this.#events.ready(live);
  }

  #detach(live: Live, code: number): void {
    // Written off before: it is only now that it really ends.
    if (this.#of(live) === null) return;
    this.#retire(live, live.failure?.message ?? `exit code ${code}`);
  }

  #retire(live: Live, message: string): void {
    if (live.patience !== null) clearTimeout(live.patience);
    if (!this.#closing) this.#drain(live);
    live.port.close();
    this.#live.delete(live.index);
    this.#accepted.delete(live.threadId);
    this.#freeIndexes.push(live.index);
    if (this.#closing) return;
    const memory = live.failure !== null && 'code' in live.failure && live.failure.code === 'ERR_WORKER_OUT_OF_MEMORY';
    const cause: LossCause = live.killed ? 'killed' : memory ? 'memory' : live.failure !== null ? 'error' : 'exit';
    this.#events.lost(live, cause, message);
    this.#takeIn();
  }

  /** A thread has ended. Piscina replaces it, except after one ended while it started: then it never does again. */
  #restartSoon(): void {
    if (this.#closing || this.#restart !== null) return;
    const waitMs = Math.min(RESTART_MS_MAX, RESTART_MS * 2 ** this.#failedStarts);
    this.#restart = setTimeout(() => {
      this.#restart = null;
      const missing = this.size - (this.#piscina.threads.length - this.#stale);
      for (let i = 0; i < missing; i++) this.#startAgain();
    }, waitMs);
  }

  #startAgain(): void {
    this.#failedStarts += 1;
    const error = new Error('a worker thread ended while it started');
    this.#events.trouble(error);
    if (this.#live.size === 0 && this.#failedStarts >= FAILED_STARTS_MAX) this.#events.unable(error);
    this.#start();
  }

  #start(): void {
    // A task that suits no worker makes Piscina start one, if it may have more; the task itself is withdrawn.
    const withdrawal = new AbortController();
    try {
      this.#piscina.run(null, { signal: withdrawal.signal }).catch(() => undefined);
      withdrawal.abort();
    } catch (cause) {
      this.#events.trouble(new Error('no worker thread could be started', { cause }));
      this.#restartSoon();
    }
  }
}
