/**
 * The stream engine: accepts batches, keeps the log, drives the pipeline, and gives results to whoever wants them.
 *
 * Role: the composition of one node's streams on the front-end thread; it never looks into an event. What follows from a
 * record (watermarks, results, derived events) is computed in log order and depends on the log alone; what reaches the
 * outside is cut off at what has reached it before. `intake.ts` is its way in; `lifecycle.ts` starts it, checkpoints it
 * and changes its plan; `service.ts` answers questions about it.
 */
import type { Log } from '../../observe/port.ts';
import type { DeadLetterStore } from '../dead-letters/port.ts';
import { TICK } from '../feeds.ts';
import { type EventLog, type LogRecord, LogUnavailable } from '../log/port.ts';
import type { Plan } from '../plan.ts';
import type { Accepted, IncomingBatch } from '../sources/port.ts';
import { StreamBook } from './intake/books.ts';
import { BufferPool } from './intake/buffer-pool.ts';
import { Burials } from './intake/burials.ts';
import { DecodeTasks } from './intake/decode-tasks.ts';
import { EventsEntry } from './intake/events-entry.ts';
import { Intake, refusalOf } from './intake/intake.ts';
import { LeftOut } from './intake/left-out.ts';
import { LogWriter } from './intake/log-writer.ts';
import { MissedSteps } from './intake/missed-steps.ts';
import { originalsOf } from './intake/originals.ts';
import { PlanGate } from './intake/plan-gate.ts';
import { Pipeline } from './pipeline.ts';
import type { Entry } from './pipeline-entry.ts';
import { type OriginalEvent, StreamRefusal } from './port.ts';
import { type DerivedEvents, recordOf } from './results/derived-body.ts';
import type { Outcomes } from './results/outcomes.ts';
import type { RoundOutcome } from './shards/round-outcome.ts';
import type { ShardSet } from './shards/shard-set.ts';
import { RESULTS_AT_ONCE, recordOfPart, TimeParts } from './shards/time-parts.ts';
import type { DecodeTask, QueryRows, ResultChunk, ShardReport, Step, StreamThreads, Unasked } from './task.ts';
import { tickSteps } from './tick-steps.ts';

const RETRY_AFTER_MS = 1000;
/** As much as the redo of the shards lets go of at once, and bodies. */
const BUFFER_BYTES_MAX = 96 * 1024 * 1024;
const DURABLE = Promise.resolve();
/** Records that wait to be written when a process ends: a longer gap has another cause. */
const LOST_MAX = 100_000;

export type EventsRecord = Extract<LogRecord, { kind: 'events' }>;
export type TickRecord = Extract<LogRecord, { kind: 'tick' }>;
export type TimeRecord = Extract<LogRecord, { kind: 'time' }>;

/** To a question. */
export interface Answer {
  readonly rows: readonly QueryRows[];
  readonly unasked: readonly Unasked[];
}

export type EngineLog = Pick<Log, 'error' | 'info' | 'warn'>;

export interface EngineParts {
  readonly threads: StreamThreads;
  readonly eventLog: EventLog;
  readonly deadLetters: DeadLetterStore;
  readonly log: EngineLog;
  /** Wall clock, ms. */
  readonly now: () => number;
  /** Clock that nobody sets, ms. */
  readonly monotonic: () => number;
  /** Default `RESULTS_AT_ONCE`. */
  readonly resultsAtOnce?: number | undefined;
}

export class StreamEngine {
  readonly parts: EngineParts;
  readonly pipeline: Pipeline;
  readonly buffers = new BufferPool(BUFFER_BYTES_MAX);
  readonly decodeTasks = new DecodeTasks(this.buffers);
  readonly planGate = new PlanGate();
  /** All that is appended to the log goes through it. */
  readonly writer: LogWriter;
  /** Records that no thread could decode, or apply. */
  readonly leftOut: LeftOut;
  readonly missed: MissedSteps;
  plan: Plan;
  shards: ShardSet;
  timeParts: TimeParts;
  outcomes: Outcomes;
  /** By stream index. */
  books: StreamBook[];
  state: 'starting' | 'running' | 'stopped' | 'broken' = 'starting';
  /** Newest record applied. */
  appliedSeq = 0;
  /** Why what the log holds cannot be applied; null while it can. */
  #failure: Error | null = null;
  readonly #intake = new Intake(this);
  readonly #queries = new Map<number, (answer: Answer | StreamRefusal | null) => void>();
  #queryId = 0;
  /** Poison events on their way to where they are kept. */
  readonly burials: Burials;
  /** Arrival of the records of the round under way, by sequence number. */
  readonly #arrivals = new Map<number, number>();

  constructor(parts: EngineParts, plan: Plan, shards: ShardSet, outcomes: Outcomes) {
    this.parts = parts;
    this.plan = plan;
    this.shards = shards;
    this.timeParts = this.#timePartsOf();
    this.outcomes = outcomes;
    this.books = plan.streams.map((stream) => new StreamBook(stream));
    this.writer = new LogWriter(parts.eventLog);
    this.leftOut = new LeftOut(parts.deadLetters);
    this.burials = new Burials({
      store: parts.deadLetters,
      log: parts.log,
      held: () => outcomes.held(),
      ended: () => this.pipeline.stopped,
    });
    this.missed = new MissedSteps(plan, this.leftOut, this.burials);
    this.pipeline = new Pipeline({
      threads: parts.threads,
      rounds: () => this.shards,
      timeParts: () => this.timeParts,
      apart: (stream) => this.outcomes.derivations.graph.apart(stream),
      results: (chunks, reports) => this.#results(chunks, reports),
      answered: (outcome, asked) => this.#answered(outcome, asked),
      now: parts.monotonic,
      broken: (error) => {
        this.state = 'broken';
        const why = error instanceof Error ? error.message : String(error);
        this.#failure = new Error(`what the log holds cannot be applied: ${why}`, { cause: error });
        parts.log.error({ err: error }, 'the streams cannot go on');
      },
    });
  }

  /** Throws when its start cannot be gone on with: what broke it, or `StreamRefusal` when it was stopped. */
  checkStarting(): void {
    if (this.#failure !== null) throw this.#failure;
    if (this.state !== 'starting') throw new StreamRefusal('stopped', `the streams are ${this.state}`, RETRY_AFTER_MS);
  }

  /** Between rounds. */
  usePlan(plan: Plan, books: StreamBook[], shards: ShardSet): void {
    this.plan = plan;
    this.books = books;
    this.shards = shards;
    this.timeParts = this.#timePartsOf();
    this.outcomes.usePlan(plan);
    this.missed.usePlan(plan);
    this.pipeline.dropQuestions();
  }

  #timePartsOf(): TimeParts {
    return new TimeParts(this.plan, this.shards, this.parts.resultsAtOnce ?? RESULTS_AT_ONCE);
  }

  bookNamed(stream: string): StreamBook {
    const book = this.books.find(({ plan }) => plan.name === stream);
    if (book !== undefined) return book;
    const names = this.books.map(({ plan }) => plan.name);
    throw StreamRefusal.noStream(stream, names);
  }

  /**
   * Resolves when the batch is durable at its stream's level and applied. Rejects with `StreamRefusal`; with `unread`, why
   * no thread is to decode it, always: it is kept as a dead letter.
   */
  accept(stream: string, source: string, batch: IncomingBatch, unread = ''): Promise<Accepted> {
    return this.#intake.accept(stream, source, batch, unread);
  }

  /** Of the log, now or replayed. */
  enterTime(record: TimeRecord, seq: number, durable: Promise<void>): Promise<void> {
    const { arrivalMs, partition, stream, tsMs } = record;
    const book = this.books.find(({ plan }) => plan.name === stream);
    const index = book?.plan.index ?? TICK;
    const its = this.missed.of(seq);
    return new Promise((resolve, reject) => {
      this.pipeline.push({
        seq,
        stream: index,
        task: null,
        durable,
        steps: () => {
          this.arrived(seq, arrivalMs);
          if (book === undefined) return [];
          const before = book.watermark;
          book.brings(partition, tsMs, arrivalMs, this.parts.monotonic());
          const { watermark } = book;
          return its.begin(watermark > before ? [{ kind: 'advance', seq, stream: index, watermark }] : []);
        },
        refused: (steps) => its.refuse(steps),
        keep: () => its.keep(arrivalMs),
        applied: () => {
          its.applied();
          this.appliedSeq = Math.max(this.appliedSeq, seq);
          this.derive(seq, arrivalMs);
          resolve();
        },
        failed: (error) => reject(refusalOf(error)),
      });
    });
  }

  /** A record of the log, now or replayed, goes its way. The last `contextBytes` of its body are contexts of its events. */
  enter(
    book: StreamBook,
    record: EventsRecord,
    seq: number,
    durable: Promise<void>,
    contextBytes = 0,
  ): Promise<Accepted> {
    const entry = new EventsEntry(this, book, record, { seq, durable, contextBytes });
    this.pipeline.push(entry);
    return entry.outcome;
  }

  taskOf(book: StreamBook, record: EventsRecord, seq: number, contextBytes: number): DecodeTask {
    return this.decodeTasks.of(this.plan.epoch, book, record, seq, contextBytes);
  }

  /** Resolves when the poison events of all that was applied are kept: the log is then not needed for them. Else rejects. */
  buried(): Promise<void> {
    return this.burials.buried();
  }

  /** Records of `memory` streams may have been lost with the process that had applied them, and left letters. */
  async passOverLost(makeRoom: () => Promise<void>): Promise<void> {
    const { deadLetters, eventLog, log } = this.parts;
    const [last, newest] = [eventLog.last, deadLetters.newestSeq()];
    if (newest - last > LOST_MAX) log.error({ last, newest }, 'dead letters are of another log: some may get no place');
    if (newest <= last || newest - last > LOST_MAX) return;
    try {
      this.writer.passOver(newest);
    } catch (error) {
      if (!(error instanceof LogUnavailable)) throw error;
      await makeRoom();
      this.writer.passOver(newest);
    }
  }

  /** Time passes for windows of processing time, and for partitions that are silent. */
  tick(record: TickRecord, seq: number, durable: Promise<void>): void {
    const its = this.missed.of(seq);
    this.pipeline.push({
      seq,
      stream: TICK,
      task: null,
      durable,
      steps: () => {
        this.arrived(seq, record.nowMs);
        return its.begin(tickSteps(this.plan, this.books, record, { seq, clockMs: this.parts.monotonic() }));
      },
      refused: (steps) => its.refuse(steps),
      keep: () => its.keep(record.nowMs),
      applied: () => {
        its.applied();
        this.appliedSeq = Math.max(this.appliedSeq, seq);
        this.derive(seq, record.nowMs);
      },
      failed: (error) => this.parts.log.warn({ err: error }, 'a tick could not be logged'),
    } satisfies Entry);
  }

  /** What follows from the results of a record, or of a batch made of them, before anything later is looked at. */
  derive(seq: number, arrivalMs: number): void {
    this.#arrivals.delete(Math.floor(seq));
    if (this.pipeline.stopped) return;
    this.outcomes.derivations.done(seq, {
      derive: (target, at, events) => this.#enterDerived(target, at, arrivalMs, events),
      leftOut: (target, record, results) => {
        const { counters, plan } = this.books[target] as StreamBook;
        counters.rejected += results;
        const facts = { stream: plan.name, seq: record, results };
        this.parts.log.error(
          facts,
          'one record led to more results than can become events; the last ones are left out',
        );
      },
    });
  }

  /** Results as events of a stream: they follow from the log and are not in it. */
  #enterDerived(index: number, seq: number, arrivalMs: number, events: DerivedEvents): void {
    const book = this.books[index] as StreamBook;
    const stream = book.plan.name;
    const derived = recordOf(stream, arrivalMs, events);
    this.outcomes.derived.add(seq, derived, this.plan);
    this.enter(book, derived.record, seq, DURABLE, derived.contextBytes).catch((error: unknown) => {
      this.parts.log.warn({ err: error, stream }, 'results could not become events of this stream');
    });
  }

  /** A record of the round under way. */
  arrived(seq: number, arrivalMs: number): void {
    this.#arrivals.set(Math.floor(seq), arrivalMs);
  }

  /** When the record came that results of this number follow from; of the round under way. */
  arrivalMs(seq: number): number {
    return this.#arrivals.get(Math.floor(recordOfPart(seq))) ?? 0;
  }

  /** Results of a stream were given out. */
  counted(stream: number, results: number): void {
    const book = this.books[stream];
    if (book !== undefined) book.counters.results += results;
  }

  async #results(chunks: readonly ResultChunk[], reports: readonly ShardReport[]): Promise<void> {
    this.outcomes.evictions.count(this.plan, reports);
    for (const facts of this.outcomes.failed.count(this.plan, chunks, reports)) {
      this.parts.log.error(facts, 'a reducer threw: results are told without its values');
    }
    await this.outcomes.take(chunks);
  }

  /** Of `seq:row` ids, of records the log still has. */
  originals(ids: readonly string[]): Promise<OriginalEvent[]> {
    return originalsOf(this, ids);
  }

  /**
   * Rows of open windows, from all shards; null when the plan has changed before the look, or the streams have ended.
   * Rejects with `StreamRefusal` when too much is asked.
   */
  async ask(operator: number, query: Extract<Step, { kind: 'query' }>['query']): Promise<Answer | null> {
    if (this.state !== 'running') throw new StreamRefusal('stopped', `the streams are ${this.state}`, RETRY_AFTER_MS);
    this.#queryId += 1;
    const id = this.#queryId;
    const answer = await new Promise<Answer | StreamRefusal | null>((resolve) => {
      this.#queries.set(id, resolve);
      this.pipeline.ask({ kind: 'query', id, operator, query });
    });
    if (answer instanceof StreamRefusal) throw answer;
    return answer;
  }

  #answered(outcome: Pick<RoundOutcome, 'queries' | 'unasked'> | StreamRefusal | null, asked: readonly number[]): void {
    for (const id of asked) {
      const isOf = (each: { readonly id: number }): boolean => each.id === id;
      const answer =
        outcome === null || outcome instanceof StreamRefusal
          ? outcome
          : { rows: outcome.queries.filter(isOf), unasked: outcome.unasked.filter(isOf) };
      this.#queries.get(id)?.(answer);
      this.#queries.delete(id);
    }
  }
}
