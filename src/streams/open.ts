/**
 * Opens the streams of a node: stores, engine, connectors, clock; and closes them.
 *
 * Role: the composition root of `src/streams`. What is `fsync` needs a folder; without any such stream everything is in
 * memory and nothing is written. The clock logs a tick when something waits for processing time (windows of processing
 * time, early results, missing data) or when a partition has become idle, and makes a checkpoint from time to time.
 */
import { loadReducers } from './aggregates/load-reducers.ts';
import type { Reducer } from './aggregates/reducer.ts';
import { AlertBook } from './alerts/alert-book.ts';
import { compilePlan } from './define/compile.ts';
import type { StreamDefinition } from './define/definition.ts';
import { checkConnectors } from './engine/connectors/check-connectors.ts';
import { type ConnectorKinds, Connectors } from './engine/connectors/connectors.ts';
import { Definitions } from './engine/definitions.ts';
import { type EngineLog, StreamEngine } from './engine/engine.ts';
import { HeldStart } from './engine/held-start.ts';
import { NotBuried } from './engine/intake/burials.ts';
import { Lifecycle } from './engine/lifecycle.ts';
import { LogRecovery } from './engine/log-recovery.ts';
import { Outcomes } from './engine/results/outcomes.ts';
import { StreamService } from './engine/service.ts';
import { OperatorParts } from './engine/shards/operators.ts';
import type { ShardParts } from './engine/shards/shard.ts';
import { ShardSet } from './engine/shards/shard-set.ts';
import { SpillFolder } from './engine/spill/spill-folder.ts';
import type { StreamThreads } from './engine/task.ts';
import type { Plan } from './plan.ts';
import type { Stores } from './stores.ts';

export interface StreamsOptions {
  readonly definitions: readonly StreamDefinition[];
  /** What of them is declared; the rest was defined at run time, where they were in force before. Default: all. */
  readonly declared?: readonly StreamDefinition[];
  /** Where a stream is declared, for people. Default: its name. */
  readonly placeOf?: ((stream: string) => string) | undefined;
  /** Power of two. */
  readonly shards: number;
  readonly logBytesMax: number;
  readonly checkpointMs: number;
  readonly tickMs: number;
  readonly kinds: ConnectorKinds;
  /** Where log, checkpoints and dead letters are; `openStores` makes them. */
  readonly stores: () => Promise<Stores>;
  readonly threads: (parts: ShardParts) => StreamThreads;
  readonly log: EngineLog;
  /** Wall clock, ms. */
  readonly now: () => number;
  /** Clock that nobody sets, ms: for how long a source has been silent. */
  readonly monotonic: () => number;
  /** Results of a shard that one step of time may have at once. Default `RESULTS_AT_ONCE`. */
  readonly resultsAtOnce?: number | undefined;
  /** It is open though its start waits for a sink that has to catch up: it refuses batches meanwhile, and says why. */
  readonly goesOnBehindSinks?: boolean;
  /** Aborted: it need not be opened any more. Then nothing is waited for, and opening rejects. */
  readonly unwanted?: AbortSignal;
}

export interface OpenStreams {
  readonly service: StreamService;
  /** Logs a tick now; the clock does it by itself. */
  tick(): void;
  checkpoint(): Promise<void>;
  /** Resolves when what was accepted is applied, with what follows from it, and sinks that do not fail have it. */
  settled(): Promise<void>;
  /** Ends at once: nothing is waited for, nothing is saved. What a crash leaves, for tests. */
  abandon(): Promise<void>;
  /** What was accepted is applied, sinks get their results, the state is saved, everything closes. */
  close(): Promise<void>;
}

/** For webhooks of alerts when all is to be settled; what was not taken by then is part of the checkpoint. */
const CALLS_MS_MAX = 5000;
/** For showing the events behind results, and too few to be worth a checkpoint. A short log is written to the same pages. */
const LOG_BYTES_KEPT = 64 * 1024 * 1024;

const NO_PLAN: Plan = { epoch: 0, shards: 1, streams: [], groups: [], operators: [] };

/** Rejects with `DefinitionProblem`, or when a store or a connector cannot be opened. */
export async function openStreams(options: StreamsOptions): Promise<OpenStreams> {
  const { checkpointMs, log, logBytesMax, monotonic, now, resultsAtOnce, shards, tickMs } = options;
  const reducers = new Map<string, Reducer>();
  const parts = new OperatorParts(reducers);
  const threads = options.threads(parts);
  const stores = await options.stores();
  const folder = new SpillFolder(stores.dataDir);
  const alerts = new AlertBook({ log });
  const { deadLetters, eventLog } = stores;
  const engineParts = { threads, eventLog, deadLetters, log, now, monotonic, resultsAtOnce };
  const outcomes = new Outcomes(NO_PLAN, {
    alerts,
    counted: (stream, results) => engine.counted(stream, results),
    changed: (change) => service.tell(change),
    held: () => held.begin(),
    arrivalMs: (seq) => engine.arrivalMs(seq),
  });
  const engine: StreamEngine = new StreamEngine(engineParts, NO_PLAN, nothingYet(parts, threads, folder), outcomes);
  const connectors = new Connectors({
    kinds: options.kinds,
    log,
    now,
    accept: (stream, source, batch) => engine.accept(stream, source, batch),
    lastSeq: () => stores.eventLog.last,
    positions: (stream, source) => positionsOf(engine, stream, source),
  });
  const lifecycle = new Lifecycle({
    engine,
    shardParts: parts,
    store: stores.checkpoints,
    folder,
    shards,
    compile: (given, epoch, shardsNow) => compilePlan(given, { epoch, shards: shardsNow }),
    prepare: async (given, plan, before) => {
      checkConnectors(given, options.kinds);
      await loadReducers(plan, reducers);
      routes = await connectors.useSinks(given, before);
    },
    planUsed: () => outcomes.useRoutes(routes),
    log,
  });
  let routes: Awaited<ReturnType<Connectors['useSinks']>> = [];
  const held = new HeldStart(options.goesOnBehindSinks === true);
  const { placeOf = (stream) => stream } = options;
  const definitions = new Definitions(engine, lifecycle, { placeOf, changed: () => service.tellDefined() });
  const service: StreamService = new StreamService(engine, definitions, alerts, connectors);
  const ending = new AbortController();
  const all = { service, engine, lifecycle, connectors, outcomes, alerts, folder, stores, log, ending };
  const started = start(options, all).then(
    () => new Clock(engine, lifecycle, { checkpointMs, tickMs, logBytesMax, log, now }),
  );
  const isStarted = await Promise.race([started.then(() => true), held.tooLong]).finally(() => held.end());
  if (!isStarted) void goOn(started, all);
  return handleOf(all, started, isStarted ? await started : null);
}

async function start(options: StreamsOptions, parts: Parts): Promise<void> {
  const { connectors, engine, lifecycle } = parts;
  const opened = endWhenUnwanted(options, parts);
  try {
    await lifecycle.start(options.definitions, options.declared);
    await connectors.useSources(lifecycle.definitions);
  } catch (error) {
    engine.state = 'stopped';
    await letGo(parts);
    throw error;
  } finally {
    opened();
  }
}

/** Behind its sinks. */
async function goOn(started: Promise<unknown>, { ending, engine, log, outcomes, service }: Parts): Promise<void> {
  const letters = engine.burials.isHeld;
  log.warn({ sinks: outcomes.full, letters }, 'the streams wait for sinks or dead letters and refuse batches');
  try {
    await started;
    service.tellDefined();
    log.info({}, 'the streams have started');
  } catch (error) {
    if (ending.signal.aborted) return;
    engine.state = 'broken';
    log.error({ err: error }, 'the streams could not be started');
  }
}

/** Until what it gives is called. */
function endWhenUnwanted({ unwanted }: StreamsOptions, { connectors, ending, engine, log }: Parts): () => void {
  const end = (): void => {
    engine.state = 'stopped';
    engine.pipeline.stop();
    // The replay may be waiting for one of them to have room.
    connectors.closeSinks().catch((error: unknown) => log.warn({ err: error }, 'a sink could not be closed'));
  };
  if (unwanted?.aborted === true) end();
  for (const signal of [unwanted, ending.signal]) signal?.addEventListener('abort', end);
  return () => {
    for (const signal of [unwanted, ending.signal]) signal?.removeEventListener('abort', end);
  };
}

interface Parts {
  readonly service: StreamService;
  readonly engine: StreamEngine;
  readonly lifecycle: Lifecycle;
  readonly connectors: Connectors;
  readonly outcomes: Outcomes;
  readonly alerts: AlertBook;
  readonly folder: SpillFolder;
  readonly stores: Stores;
  readonly log: EngineLog;
  /** Ends a start that goes on. */
  readonly ending: AbortController;
}

/** A start that goes on is ended: the log and the newest checkpoint have it all. */
async function ended(parts: Parts, started: Promise<Clock>): Promise<Clock | null> {
  const { engine, ending } = parts;
  if (engine.state === 'starting') ending.abort();
  return started.catch(() => null);
}

/** `now`: null while the start goes on. */
function handleOf(parts: Parts, started: Promise<Clock>, now: Clock | null): OpenStreams {
  const { alerts, connectors, engine, lifecycle, service } = parts;
  return {
    service,
    tick: () => now?.tick(),
    checkpoint: () => lifecycle.checkpoint(),
    async settled() {
      await started;
      await engine.pipeline.idle();
      await connectors.settled();
      await alerts.settled(CALLS_MS_MAX);
    },
    async abandon() {
      const clock = await ended(parts, started);
      if (clock === null) return;
      clock.stop();
      engine.state = 'stopped';
      alerts.close();
      await letGo(parts);
    },
    async close() {
      const clock = await ended(parts, started);
      // What has not started has let everything go.
      if (clock === null) return alerts.close();
      clock.stop();
      try {
        engine.burials.leave();
        await connectors.stopSources();
        await finish(engine, lifecycle, connectors, alerts);
      } finally {
        // A state that cannot be saved is in the log. What it was to be saved to is let go all the same.
        alerts.close();
        await letGo(parts);
      }
    },
  };
}

async function letGo(parts: Pick<Parts, 'engine' | 'connectors' | 'folder' | 'stores'>): Promise<void> {
  const { connectors, engine, folder, stores } = parts;
  engine.pipeline.stop();
  await connectors.stopSources();
  await connectors.closeSinks();
  await folder.close();
  await stores.close();
}

/** Before the first plan. */
function nothingYet(parts: ShardParts, threads: StreamThreads, folder: SpillFolder): ShardSet {
  const nobody = (): void => undefined;
  const deaf = {
    released: nobody,
    stepFailed: nobody,
    threadLost: nobody,
    spillDamaged: nobody,
    notStored: nobody,
    notCopied: nobody,
  };
  return new ShardSet(NO_PLAN, parts, threads, deaf, null, 0, folder);
}

/** Everything is applied, given out and saved, as far as that goes. */
async function finish(
  engine: StreamEngine,
  lifecycle: Lifecycle,
  connectors: Connectors,
  alerts: AlertBook,
): Promise<void> {
  const broken = engine.state === 'broken';
  engine.state = 'stopped';
  if (!broken) {
    await engine.pipeline.idle();
    // It broke meanwhile, which was told: the log has it all.
    if (engine.pipeline.stopped) return;
    await connectors.settled();
    await alerts.settled(CALLS_MS_MAX);
    await lifecycle.checkpoint().catch((error: unknown) => {
      if (!(error instanceof NotBuried)) throw error;
      engine.parts.log.error({ err: error }, 'the streams end without a checkpoint: the next start reads the log');
    });
  }
}

function positionsOf(engine: StreamEngine, stream: string, source: string): ReadonlyMap<string, string> {
  const positions = new Map<string, string>();
  for (const [name, position] of engine.bookNamed(stream).positions) {
    if (name.startsWith(`${source}|`)) positions.set(name.slice(source.length + 1), position);
  }
  return positions;
}

interface ClockOptions {
  readonly checkpointMs: number;
  readonly tickMs: number;
  readonly logBytesMax: number;
  readonly log: EngineLog;
  readonly now: () => number;
}

/** Processing time, as records of the log. */
class Clock {
  readonly #engine: StreamEngine;
  readonly #lifecycle: Lifecycle;
  readonly #options: ClockOptions;
  readonly #ticks: NodeJS.Timeout;
  readonly #checkpoints: NodeJS.Timeout;
  readonly #recovery: LogRecovery;
  #savedSeq = -1;
  #storing = false;

  constructor(engine: StreamEngine, lifecycle: Lifecycle, options: ClockOptions) {
    this.#engine = engine;
    this.#lifecycle = lifecycle;
    this.#options = options;
    this.#recovery = new LogRecovery(engine.parts.eventLog, options.log);
    this.#ticks = setInterval(() => this.#maybeTick(), options.tickMs);
    this.#checkpoints = setInterval(() => this.#save(), options.checkpointMs);
  }

  stop(): void {
    clearInterval(this.#ticks);
    clearInterval(this.#checkpoints);
  }

  #maybeTick(): void {
    if (this.#engine.state !== 'running') return;
    if (!this.#engine.parts.eventLog.available) {
      void this.#recovery.try(performance.now());
      return;
    }
    if (this.#idle().length > 0 || waitsForTime(this.#engine.plan)) this.tick();
    const { shards } = this.#engine;
    if (shards.notStored !== '') this.#storeAgain();
    if (this.#logIsLong) this.#save();
  }

  #idle(): { stream: string; partition: string }[] {
    const clockMs = this.#engine.parts.monotonic();
    return this.#engine.books.flatMap((book) =>
      book.silent(clockMs).map((partition) => ({ stream: book.plan.name, partition })),
    );
  }

  /**
   * A checkpoint is due, which makes room: the log is half full, or longer than the state. That is no reason to save more
   * state than memory holds.
   */
  get #logIsLong(): boolean {
    const { parts, shards } = this.#engine;
    const most = shards.anyAway ? Number.POSITIVE_INFINITY : Math.max(LOG_BYTES_KEPT, shards.bytes);
    return parts.eventLog.bytes > Math.min(this.#options.logBytesMax / 2, most);
  }

  /** A round of nothing: what memory has no room for is written, if the disk takes it now. */
  #storeAgain(): void {
    if (this.#storing) return;
    this.#storing = true;
    const { pipeline, shards } = this.#engine;
    pipeline
      .barrier(() => shards.round([], 0))
      .catch((error: unknown) => this.#options.log.error({ err: error }, 'state could not be written to disk'))
      .finally(() => {
        this.#storing = false;
      });
  }

  /** Not while a plan gets its place in the log; there will be another one. */
  tick(): void {
    if (this.#engine.planGate.isClosed) return;
    const record = { kind: 'tick', nowMs: this.#options.now(), idle: this.#idle() } as const;
    try {
      const { durable, seq } = this.#engine.writer.append(record);
      this.#engine.tick(record, seq, durable);
    } catch (error) {
      this.#options.log.warn({ err: error }, 'a tick could not be logged');
    }
  }

  #save(): void {
    const { appliedSeq, state } = this.#engine;
    // Unchanged state is worth saving again when the log is long: the oldest checkpoint goes, and its part of the log.
    if (state !== 'running' || (appliedSeq === this.#savedSeq && !this.#logIsLong)) return;
    this.#lifecycle.checkpoint().then(
      () => {
        this.#savedSeq = appliedSeq;
      },
      (error: unknown) => this.#options.log.error({ err: error }, 'the checkpoint could not be saved'),
    );
  }
}

function waitsForTime(plan: Plan): boolean {
  return plan.operators.some(
    (operator) =>
      (operator.kind === 'window' && (operator.time === 'processing' || operator.earlyMs > 0)) ||
      (operator.kind === 'anomaly' && operator.type === 'missing'),
  );
}
