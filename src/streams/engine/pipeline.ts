/**
 * The order of things: records go in by sequence number, are decoded side by side, and are applied in that order.
 *
 * Role: keeps threads busy with decoding while rounds of steps are applied, and decides nothing: `StreamBooks` turns a
 * decoded record into steps (watermarks), `ShardSet` applies them.
 * Invariants: a record's steps follow those of all earlier ones; a record is decoded (which remembers ids) and applied
 * only when it is durable; between rounds no shard is being worked on, so a barrier is: decode nothing more, wait until all that was decoded is applied.
 * Records derived from one that was applied go before those after it, and a barrier waits for them: they are not in the
 * log, so a checkpoint that has their origin without them would lose them. A record that sees what may be derived from
 * another one is not in a round with it.
 */
import { StreamRefusal } from './port.ts';
import type { QueryRows, ResultChunk, ShardReport, Step } from './task.ts';
import { type DecodeResult, type DecodeTask, PlanNotLoaded, type StreamThreads, ThreadLost } from './task.ts';

const DECODES_PER_THREAD = 2;
const ENTRIES_PER_ROUND = 64;
/** While every round has to bring state from disk and back. */
const ENTRIES_PER_LONG_ROUND = 8192;
const DECODE_TRIES_MAX = 6;
const RETRY_AFTER_MS = 1000;

/** A record on its way. `task` null: nothing to decode. */
export interface Entry {
  readonly seq: number;
  /** By index; `TICK` for time that passes. */
  readonly stream: number;
  readonly task: DecodeTask | null;
  /** Resolves when the log has it. Rejects: it is left out. */
  readonly durable: Promise<void>;
  /** The steps it becomes; called once, in order. */
  steps(decoded: DecodeResult | null): readonly Step[];
  /** Its steps have been applied, with everything that follows from them. */
  applied(decoded: DecodeResult | null, reports: readonly ShardReport[]): void;
  /** It was left out. */
  failed(error: unknown): void;
}

interface Moving {
  readonly entry: Entry;
  /** `logging`: not durable yet; then it waits to be decoded. */
  state: 'logging' | 'waiting' | 'working' | 'ready' | 'failed';
  decoded: DecodeResult | null;
  error: unknown;
}

export interface Rounds {
  /** Part of the state is on disk: the more records a round has, the less the way there and back costs each. */
  readonly anyAway: boolean;
  round(
    steps: readonly Step[],
    rows: number,
  ): Promise<{
    readonly results: readonly ResultChunk[];
    readonly queries: readonly QueryRows[];
    readonly reports: readonly ShardReport[];
  }>;
}

const NOTHING = { results: [], queries: [], reports: [] };

type QueryStep = Extract<Step, { kind: 'query' }>;

export interface PipelinePorts {
  readonly threads: StreamThreads;
  readonly rounds: () => Rounds;
  /** Streams whose records see what is derived from those of this one (`FeedGraph`). */
  apart(stream: number): ReadonlySet<number>;
  /** Results of a round, in order; resolves when there is room for more. */
  results(chunks: readonly ResultChunk[], seq: number): Promise<void>;
  /** `asked`: ids of the queries that were to be answered, whatever became of them. */
  answered(rows: readonly QueryRows[], asked: readonly number[]): void;
  /** The shards can no longer be worked on. */
  broken(error: unknown): void;
}

export class Pipeline {
  readonly #ports: PipelinePorts;
  #queue: Moving[] = [];
  #decoding = 0;
  #applying = false;
  #held = false;
  /** The work of a barrier is under way: not even questions are answered. */
  #working = false;
  #stopped = false;
  #queries: QueryStep[] = [];
  #gatherUntilMs = 0;
  #waiters: (() => void)[] = [];

  constructor(ports: PipelinePorts) {
    this.#ports = ports;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Records not applied yet. */
  get length(): number {
    return this.#queue.length;
  }

  push(entry: Entry): void {
    const moving: Moving = { entry, state: 'logging', decoded: null, error: null };
    if (isDerived(moving)) this.#insert(moving);
    else this.#queue.push(moving);
    entry.durable.then(
      () => this.#turn(moving, 'waiting'),
      (error: unknown) => {
        moving.error = error;
        this.#turn(moving, 'failed');
      },
    );
  }

  /** Behind those of the same record, before those of later ones. */
  #insert(moving: Moving): void {
    const at = this.#queue.findIndex(({ entry }) => entry.seq > moving.entry.seq);
    this.#queue.splice(at < 0 ? this.#queue.length : at, 0, moving);
  }

  #turn(moving: Moving, state: Moving['state']): void {
    moving.state = state;
    this.#changed();
    this.#pump();
  }

  /** Answered from the state after the records applied so far. */
  ask(step: QueryStep): void {
    this.#queries.push(step);
    this.#pump();
  }

  /** Runs `work` when everything begun is applied and nothing else is; records that come meanwhile wait. */
  async barrier<T>(work: () => Promise<T>): Promise<T> {
    while (this.#held) await this.#change();
    this.#held = true;
    try {
      while (this.#applying || this.#decoding > 0 || this.#queue.some(isBegun)) {
        await this.#change();
      }
      this.#working = true;
      return await work();
    } finally {
      this.#working = false;
      this.#held = false;
      this.#changed();
      this.#pump();
    }
  }

  /** Resolves when nothing is on its way. */
  async idle(): Promise<void> {
    while (this.#queue.length > 0 || this.#applying) await this.#change();
  }

  stop(): void {
    this.#stopped = true;
    const refusal = new StreamRefusal('stopped', 'the streams are stopping', RETRY_AFTER_MS);
    for (const { entry } of this.#queue.splice(0)) entry.failed(refusal);
    this.#ports.answered([], idsOf(this.#queries.splice(0)));
    this.#changed();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
    });
  }

  #changed(): void {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }

  #pump(): void {
    if (this.#stopped) return;
    this.#decodeMore();
    if (!this.#applying && !this.#working) void this.#apply();
  }

  #decodeMore(): void {
    const max = this.#ports.threads.size * DECODES_PER_THREAD;
    for (const moving of this.#queue) {
      // In order: nothing may be decoded, and remember ids, before a record that has not even been begun.
      if (this.#decoding >= max || moving.state === 'logging') return;
      if (moving.state !== 'waiting') continue;
      if (this.#held && !isDerived(moving)) return;
      moving.state = 'working';
      this.#decoding += 1;
      void this.#prepare(moving);
    }
  }

  async #prepare(moving: Moving): Promise<void> {
    const { task } = moving.entry;
    let state: Moving['state'] = 'ready';
    try {
      moving.decoded = task === null ? null : await this.#decode(task);
    } catch (error) {
      moving.error = error;
      state = 'failed';
      // It is in the log and could be decoded another day: to go on would be to leave it out.
      if (error instanceof PlanNotLoaded && !this.#stopped) {
        this.#ports.broken(error);
        this.stop();
      }
    }
    this.#decoding -= 1;
    this.#turn(moving, state);
  }

  async #decode(task: DecodeTask): Promise<DecodeResult> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#ports.threads.decode(task);
      } catch (error) {
        if (!(error instanceof ThreadLost) || tries >= DECODE_TRIES_MAX) throw error;
      }
    }
  }

  async #apply(): Promise<void> {
    this.#applying = true;
    try {
      while (!this.#stopped && (await this.#round()));
    } catch (error) {
      this.#ports.broken(error);
      this.stop();
    } finally {
      this.#applying = false;
      this.#changed();
    }
  }

  /** False when there is nothing to do, or not yet. */
  async #round(): Promise<boolean> {
    if (this.#gathers()) return false;
    const beganMs = performance.now();
    const entries = this.#takeReady();
    const queries = this.#queries.splice(0);
    if (entries.length === 0 && queries.length === 0) return false;
    const steps: Step[] = [];
    let rows = 0;
    let seq = 0;
    for (const { entry, state, decoded } of entries) {
      if (state === 'failed') continue;
      steps.push(...entry.steps(decoded));
      rows += decoded?.accepted ?? 0;
      seq = entry.seq;
    }
    steps.push(...queries);
    const size = Math.max(rows, queries.length > 0 ? 1 : 0);
    const outcome = await this.#roundOf(steps, size, seq).catch((error: unknown) => {
      // Whoever waits for these is told; the log has them.
      for (const { entry } of entries) entry.failed(error);
      this.#ports.answered([], idsOf(queries));
      throw error;
    });
    if (queries.length > 0) this.#ports.answered(outcome.queries, idsOf(queries));
    for (const { entry, state, decoded, error } of entries) {
      if (state === 'failed') entry.failed(error);
      else entry.applied(decoded, outcome.reports);
    }
    this.#gatherUntilMs = 2 * performance.now() - beganMs;
    this.#pump();
    return true;
  }

  /** A long round is worth waiting for what is being decoded, as long as the last one took. Each decoded record asks anew. */
  #gathers(): boolean {
    if (this.#decoding === 0 || !this.#ports.rounds().anyAway) return false;
    const last = this.#queue[ENTRIES_PER_LONG_ROUND - 1];
    return (last === undefined || last.state !== 'ready') && performance.now() < this.#gatherUntilMs;
  }

  async #roundOf(steps: readonly Step[], rows: number, seq: number): ReturnType<Rounds['round']> {
    const outcome = steps.length === 0 ? NOTHING : await this.#ports.rounds().round(steps, rows);
    if (outcome.results.length > 0 || seq > 0) await this.#ports.results(outcome.results, seq);
    return outcome;
  }

  #takeReady(): readonly Moving[] {
    const most = this.#ports.rounds().anyAway ? ENTRIES_PER_LONG_ROUND : ENTRIES_PER_ROUND;
    const apart = new Set<number>();
    let count = 0;
    while (count < most && count < this.#queue.length) {
      const { entry, state } = this.#queue[count] as Moving;
      if ((state !== 'ready' && state !== 'failed') || apart.has(entry.stream)) break;
      for (const stream of this.#ports.apart(entry.stream)) apart.add(stream);
      count += 1;
    }
    return this.#queue.splice(0, count);
  }
}

const idsOf = (queries: readonly QueryStep[]): number[] => queries.map(({ id }) => id);

/** Their numbers are between those of the log. */
const isDerived = ({ entry }: Moving): boolean => !Number.isInteger(entry.seq);

function isBegun(moving: Moving): boolean {
  const { state } = moving;
  return state === 'working' || state === 'ready' || state === 'failed' || isDerived(moving);
}
