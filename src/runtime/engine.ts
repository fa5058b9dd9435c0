/**
 * Builds the engine: job board, admission, worker pool, dispatcher and supervisor, joined.
 *
 * Role: the composition of everything between the protocol and the threads. The sum of the bounds is computed here:
 * a board slot exists for every job that can be accepted at once, so that no accepted job can be without one.
 */
import { ResultEncoder } from '../../workers/encode-result.ts';
import { Admission, CALLER_RUNS_MAX } from '../admission/admission.ts';
import { ServiceTimes } from '../admission/service-times.ts';
import type { CatalogueHolder } from '../catalogue/entry.ts';
import { serverInfoFor } from '../catalogue/server-facts.ts';
import type { Settings } from '../config/settings.ts';
import { CallerThread } from '../dispatch/caller-thread.ts';
import { JobDispatcher } from '../dispatch/dispatcher.ts';
import { Flights, WorkerLoad } from '../dispatch/flights.ts';
import { HEAP_ROOM_MIB, HeapWatch } from '../dispatch/heap-watch.ts';
import type { Job } from '../dispatch/job.ts';
import { JobBoard } from '../dispatch/job-board.ts';
import { Losses } from '../dispatch/losses.ts';
import { Quarantine } from '../dispatch/quarantine.ts';
import { Sender } from '../dispatch/sender.ts';
import { ABANDONED_MAX, Supervisor } from '../dispatch/supervisor.ts';
import type { Log, Meters } from '../observe/port.ts';
import { openHeapProbe } from '../pool/heap-probe.ts';
import { PiscinaPool } from '../pool/piscina.ts';
import type { PoolEvents, StreamCarrier, WorkerPool, WorkerSetup } from '../pool/port.ts';
import { JSON_DEPTH_MAX } from '../protocol/json.ts';
import { RequestStateCodec } from '../protocol/request-state.ts';
import { REVISION_2026_07_28 } from '../protocol/revisions.ts';
import type { SharedSecret } from '../protocol/shared-secret.ts';
import type { PoolPorts } from '../streams/engine/threads/pool-threads.ts';
import type { Bus } from '../subscriptions/port.ts';
import { atMost } from '../waiting.ts';

export interface EngineOptions {
  readonly settings: Settings;
  readonly catalogue: CatalogueHolder;
  readonly bus: Bus;
  readonly log: Log;
  readonly meters: Meters;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly stateSecret: SharedSecret;
}

export interface Engine {
  readonly dispatcher: JobDispatcher;
  readonly admission: Admission<Job>;
  readonly flights: Flights;
  readonly pool: WorkerPool;
  /** Workers that can take jobs now. */
  liveWorkers(): number;
  /** Resolves when `count` workers have come up. */
  readonly ready: Promise<void>;
  /** Busy part of a worker's time since the last call, 0…1. */
  utilization(index: number): number;
  /** What stream tasks need of the workers. */
  streamPorts(): PoolPorts;
  /** Called when a worker may take more than before: it has come up, or a call that had it for a while has ended. */
  onWorker(listener: () => void): void;
  /** Waits for the jobs in flight, at most `graceMs`. New ones are taken until `stop`. */
  drain(graceMs: number): Promise<void>;
  /** What is still in flight, and what comes, is refused. */
  stop(): void;
  close(): Promise<void>;
}

/**
 * Jobs that can hold a slot at once: waiting, with a permit, without one because they have asked their clients, run by
 * the caller, inline (those that run, and as many abandoned by their clients), abandoned on each worker.
 */
export function slotsFor(settings: Pick<Settings, 'maxConcurrent' | 'queueSize' | 'workers'>): number {
  const { maxConcurrent, queueSize } = settings;
  const abandoned = settings.workers * (ABANDONED_MAX + 1);
  return queueSize + 2 * maxConcurrent + CALLER_RUNS_MAX + 2 * maxConcurrent + abandoned;
}

function processCpuMs(): number {
  const { system, user } = process.cpuUsage();
  return (system + user) / 1000;
}

export function createEngine(options: EngineOptions): Engine {
  return new JoinedEngine(options);
}

/** The order of the constructor is the order of dependence; what points back is a function, called later. */
class JoinedEngine implements Engine {
  readonly ready: Promise<void>;
  readonly flights: Flights;
  readonly admission: Admission<Job>;
  readonly pool: WorkerPool & StreamCarrier;
  readonly dispatcher: JobDispatcher;
  readonly #options: EngineOptions;
  readonly #callerIndex: number;
  readonly #board: JobBoard;
  readonly #times = new ServiceTimes();
  readonly #quarantine: Quarantine;
  readonly #losses: Losses;
  readonly #supervisor: Supervisor;
  /** Null: V8 alone keeps the heaps within their limit. */
  readonly #probe = openHeapProbe();
  #allUp: () => void = () => undefined;
  #noneUp: (error: Error) => void = () => undefined;
  readonly #workerListeners: (() => void)[] = [];

  constructor(options: EngineOptions) {
    const { catalogue, now, settings } = options;
    this.#options = options;
    this.ready = new Promise<void>((resolve, reject) => {
      this.#allUp = resolve;
      this.#noneUp = reject;
    });
    this.#callerIndex = settings.workers;
    this.#board = JobBoard.create(settings.workers + 1, slotsFor(settings));
    this.flights = new Flights(this.#board);
    this.flights.loads[this.#callerIndex] = new WorkerLoad({ index: this.#callerIndex, threadId: 0 }, now());
    this.admission = new Admission(settings, this.#times, Math.max(1, settings.workers - 1));
    this.#quarantine = new Quarantine(settings.quarantineAfter, settings.quarantineMs);
    this.#losses = this.#makeLosses();
    this.pool = new PiscinaPool({
      workers: settings.workers,
      heapMiB: settings.workerHeapMiB + (this.#probe === null ? 0 : HEAP_ROOM_MIB),
      setup: this.#setup(),
      events: this.#poolEvents(),
    });
    this.dispatcher = this.#makeDispatcher();
    this.#supervisor = this.#makeSupervisor();
    catalogue.onChange(() => {
      this.#times.retain(catalogue.current.entries);
      this.#quarantine.retain(new Set(catalogue.current.entries.map((entry) => entry.key)));
    });
  }

  #setup(): WorkerSetup {
    return {
      board: this.#board.shared,
      boardWorkers: this.#board.workers,
      boardSlots: this.#board.slots,
      server: serverInfoFor(this.#options.settings.server, REVISION_2026_07_28),
      stateSecret: this.#options.stateSecret.shared,
      resultBytesMax: this.#options.settings.resultBytesMax,
      jsonDepthMax: JSON_DEPTH_MAX,
      heapBytesMax: this.#heapBytesMax(),
    };
  }

  /** 0: not watched from here. */
  #heapBytesMax(): number {
    return this.#probe === null ? 0 : this.#options.settings.workerHeapMiB * 1048576;
  }

  #makeLosses(): Losses {
    const { catalogue, log, meters, now } = this.#options;
    return new Losses({
      admission: this.admission,
      times: this.#times,
      flights: this.flights,
      quarantine: this.#quarantine,
      log,
      meters,
      now,
      entryName: (key) => catalogue.current.entries.find((entry) => entry.key === key)?.name ?? '',
      dispatcher: () => this.dispatcher,
      pool: () => this.pool,
      wake: () => this.#supervisor.wake(),
    });
  }

  #poolEvents(): PoolEvents {
    const { log, meters, now, settings } = this.#options;
    const { loads } = this.flights;
    return {
      ready: (worker) => {
        this.#board.resetWorker(worker.index);
        loads[worker.index] = new WorkerLoad(worker, now());
        meters.workerStarted();
        if (this.liveWorkers() === settings.workers) this.#allUp();
        this.dispatcher.pump();
      },
      lost: (worker, cause, message) => {
        const load = loads[worker.index];
        if (load !== null && load !== undefined) this.#losses.lost(load, cause, message);
      },
      control: (worker, message) => this.dispatcher.control(loads[worker.index] ?? null, message),
      trouble: (error) => log.warn({ err: error }, 'a worker failed outside a call'),
      unable: (error) => {
        log.error({ err: error }, 'no worker thread comes up');
        this.#noneUp(error);
      },
    };
  }

  #makeDispatcher(): JobDispatcher {
    const { bus, catalogue, log, meters, now, settings } = this.#options;
    const { admission, flights, pool } = this;
    const times = this.#times;
    const sender = new Sender({
      pool,
      flights,
      times,
      catalogue,
      meters,
      now,
      batching: settings.batching,
      batchDone: (load, slots, sequences, overflow) => this.dispatcher.batchDone(load, slots, sequences, overflow),
    });
    return new JobDispatcher({
      admission,
      times,
      flights,
      pool,
      sender,
      caller: this.#makeCaller(),
      callerIndex: this.#callerIndex,
      quarantine: this.#quarantine,
      bus,
      log,
      meters,
      now,
      wake: () => this.#supervisor.wake(),
      full: (load) => this.#supervisor.full(load),
      stray: (load, message) => this.#losses.stray(load, message),
      inlineMax: settings.maxConcurrent,
      restingMax: settings.maxConcurrent,
      requestTimeoutMs: settings.requestTimeoutMs,
      pumped: () => {
        for (const listener of this.#workerListeners) listener();
      },
    });
  }

  #makeCaller(): CallerThread {
    const { catalogue, settings, stateSecret } = this.#options;
    return new CallerThread({
      board: this.#board,
      worker: this.#callerIndex,
      catalogue,
      encoder: new ResultEncoder(serverInfoFor(this.#options.settings.server, REVISION_2026_07_28)),
      codec: new RequestStateCodec(stateSecret),
      resultBytesMax: settings.resultBytesMax,
      jsonDepthMax: JSON_DEPTH_MAX,
      control: (message) => this.dispatcher.control(null, message),
    });
  }

  #makeSupervisor(): Supervisor {
    const { now, settings } = this.#options;
    const { admission, dispatcher, flights } = this;
    return new Supervisor(
      {
        admission,
        dispatcher,
        flights,
        losses: this.#losses,
        heaps: this.#makeHeapWatch(),
        now,
        cpuMs: processCpuMs,
        residentBytes: () => process.memoryUsage.rss(),
      },
      {
        killGraceMs: settings.killGraceMs,
        residentBytesMax: settings.residentMiBMax * 1048576,
        callerIndex: this.#callerIndex,
      },
    );
  }

  #makeHeapWatch(): HeapWatch | null {
    if (this.#probe === null) return null;
    const { now } = this.#options;
    return new HeapWatch(
      { flights: this.flights, losses: this.#losses, probe: this.#probe, now },
      this.#heapBytesMax(),
    );
  }

  streamPorts(): PoolPorts {
    const { flights, pool } = this;
    return {
      size: pool.size,
      workers: () => flights.loads.filter((load): load is WorkerLoad => load !== null && load.worker.threadId !== 0),
      run: (load, message) => pool.runStream(load.worker, message),
      isInCall: (load) => flights.board.current(load.worker.index) !== -1,
      kill: (load) => pool.kill(load.worker),
    };
  }

  onWorker(listener: () => void): void {
    this.#workerListeners.push(listener);
  }

  liveWorkers(): number {
    return this.flights.loads.filter((load) => load !== null && load.worker.threadId !== 0).length;
  }

  utilization(index: number): number {
    const load = this.flights.loads[index];
    return load === null || load === undefined ? 0 : this.pool.utilization(load.worker);
  }

  async drain(graceMs: number): Promise<void> {
    await atMost(this.dispatcher.idle(), graceMs);
  }

  stop(): void {
    this.dispatcher.stop();
  }

  async close(): Promise<void> {
    this.#supervisor.stop();
    await this.pool.close();
  }
}
