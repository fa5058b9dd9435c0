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
import type { Settings } from '../config/settings.ts';
import { CallerThread } from '../dispatch/caller-thread.ts';
import { JobDispatcher } from '../dispatch/dispatcher.ts';
import { Flights, WorkerLoad } from '../dispatch/flights.ts';
import { JobBoard } from '../dispatch/job-board.ts';
import { Losses } from '../dispatch/losses.ts';
import { Quarantine } from '../dispatch/quarantine.ts';
import { Sender } from '../dispatch/sender.ts';
import { ABANDONED_MAX, Supervisor } from '../dispatch/supervisor.ts';
import type { Log, Meters } from '../observe/port.ts';
import { PiscinaPool } from '../pool/piscina.ts';
import type { PoolEvents, WorkerPool } from '../pool/port.ts';
import { JSON_DEPTH_MAX } from '../protocol/json.ts';
import { RequestStateCodec } from '../protocol/request-state.ts';
import type { Bus } from '../subscriptions/port.ts';

export interface EngineOptions {
  readonly settings: Settings;
  readonly catalogue: CatalogueHolder;
  readonly bus: Bus;
  readonly log: Log;
  readonly meters: Meters;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly stateSecret: string;
}

export interface Engine {
  readonly dispatcher: JobDispatcher;
  readonly admission: Admission;
  readonly flights: Flights;
  readonly pool: WorkerPool;
  /** Workers that can take jobs now. */
  readonly liveWorkers: () => number;
  /** Resolves when `count` workers have come up. */
  readonly ready: Promise<void>;
  /** Busy part of a worker's time since the last call, 0…1. */
  readonly utilization: (index: number) => number;
  /** Waits for the jobs in flight, at most `graceMs`; what is left then is refused. */
  drain(graceMs: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * Jobs that can hold a slot at once: waiting, with a permit, run by the caller, inline (those that run, and as many
 * abandoned by their clients), abandoned on each worker.
 */
export function slotsFor(settings: Pick<Settings, 'maxConcurrent' | 'queueSize' | 'workers'>): number {
  const inline = 2 * settings.maxConcurrent;
  const abandoned = settings.workers * (ABANDONED_MAX + 1);
  return settings.queueSize + settings.maxConcurrent + CALLER_RUNS_MAX + inline + abandoned;
}

export function createEngine(options: EngineOptions): Engine {
  const { settings, catalogue, log, meters, now } = options;
  const callerIndex = settings.workers;
  const board = JobBoard.create(settings.workers + 1, slotsFor(settings));
  const flights = new Flights(board);
  flights.loads[callerIndex] = new WorkerLoad({ index: callerIndex, threadId: 0 }, now());
  const times = new ServiceTimes();
  const admission = new Admission(settings, times, Math.max(1, settings.workers - 1));
  const quarantine = new Quarantine(settings.quarantineAfter, settings.quarantineMs);
  const server = { name: settings.server.name, version: settings.server.version, title: settings.server.title };
  const identity = {
    name: server.name,
    version: server.version,
    ...(server.title === '' ? {} : { title: server.title }),
  };

  const entryName = (key: number): string => catalogue.current.entries.find((entry) => entry.key === key)?.name ?? '';
  const losses = new Losses({
    admission,
    times,
    flights,
    quarantine,
    log,
    meters,
    now,
    entryName,
    dispatcher: () => dispatcher,
    pool: () => pool,
    wake: () => supervisor.wake(),
  });
  let allUp!: () => void;
  let noneUp!: (error: Error) => void;
  const ready = new Promise<void>((resolve, reject) => {
    allUp = resolve;
    noneUp = reject;
  });
  const events: PoolEvents = {
    ready(worker) {
      board.resetWorker(worker.index);
      flights.loads[worker.index] = new WorkerLoad(worker, now());
      meters.workerStarted();
      if (liveWorkers() === settings.workers) allUp();
      dispatcher.pump();
    },
    lost(worker, cause, message) {
      const load = flights.loads[worker.index];
      if (load !== null && load !== undefined) losses.lost(load, cause, message);
    },
    control: (worker, message) => dispatcher.control(flights.loads[worker.index] ?? null, message),
    trouble: (error) => log.warn({ err: error }, 'a worker failed outside a call'),
    unable: (error) => {
      log.error({ err: error }, 'no worker thread comes up');
      noneUp(error);
    },
  };
  const setup = {
    board: board.shared,
    boardWorkers: board.workers,
    boardSlots: board.slots,
    server: identity,
    stateSecret: options.stateSecret,
    resultBytesMax: settings.resultBytesMax,
    jsonDepthMax: JSON_DEPTH_MAX,
  };
  const pool = new PiscinaPool({ workers: settings.workers, heapMiB: settings.workerHeapMiB, setup, events });
  const sender = new Sender({
    pool,
    flights,
    times,
    catalogue,
    meters,
    now,
    batchDone: (load, slots, sequences, overflow) => dispatcher.batchDone(load, slots, sequences, overflow),
  });
  const caller = new CallerThread({
    board,
    worker: callerIndex,
    catalogue,
    encoder: new ResultEncoder(identity),
    codec: new RequestStateCodec(options.stateSecret),
    resultBytesMax: settings.resultBytesMax,
    jsonDepthMax: JSON_DEPTH_MAX,
    control: (message) => dispatcher.control(null, message),
  });
  const dispatcher: JobDispatcher = new JobDispatcher({
    admission,
    times,
    flights,
    pool,
    sender,
    caller,
    callerIndex,
    quarantine,
    log,
    meters,
    now,
    bus: options.bus,
    wake: () => supervisor.wake(),
    stray: (load, message) => losses.stray(load, message),
    inlineMax: settings.maxConcurrent,
  });
  const supervisor: Supervisor = new Supervisor(
    { admission, dispatcher, flights, losses, now, residentBytes: () => process.memoryUsage.rss() },
    { killGraceMs: settings.killGraceMs, residentBytesMax: settings.residentMiBMax * 1048576, callerIndex },
  );
  const liveWorkers = (): number => flights.loads.filter((load) => load !== null && load.worker.threadId !== 0).length;
  catalogue.onChange(() => {
    times.retain(catalogue.current.entries);
    quarantine.retain(new Set(catalogue.current.entries.map((entry) => entry.key)));
  });
  return {
    dispatcher,
    admission,
    flights,
    pool,
    liveWorkers,
    ready,
    utilization(index) {
      const load = flights.loads[index];
      return load === null || load === undefined ? 0 : pool.utilization(load.worker);
    },
    async drain(graceMs) {
      let timer: NodeJS.Timeout | undefined;
      const patience = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, graceMs);
      });
      await Promise.race([dispatcher.idle(), patience]);
      clearTimeout(timer);
      dispatcher.stop();
    },
    async close() {
      supervisor.stop();
      await pool.close();
    },
  };
}
