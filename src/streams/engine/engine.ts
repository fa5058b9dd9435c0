/**
 * The stream engine: accepts batches, keeps the log, drives the pipeline, and gives results to whoever wants them.
 *
 * Role: the composition of one node's streams on the front-end thread; it never looks into an event. What follows from a
 * record (watermarks, results, derived events) is computed in log order and depends on the log alone; what reaches the
 * outside is cut off at what has reached it before. `intake.ts` is its way in; `lifecycle.ts` starts it, checkpoints it
 * and changes its plan; `service.ts` answers questions about it.
 */
import type { DeadLetterStore } from '../dead-letters/port.ts';
import { DedupSet } from '../decode/dedup-set.ts';
import { TICK } from '../feeds.ts';
import type { EventLog, LogRecord } from '../log/port.ts';
import type { Plan } from '../plan.ts';
import type { Accepted, IncomingBatch } from '../sources/port.ts';
import { notePlace } from './connectors/source-places.ts';
import { type KnownBatch, lateOf, StreamBook } from './intake/books.ts';
import { BufferPool } from './intake/buffer-pool.ts';
import { Burials } from './intake/burials.ts';
import { DecodeTasks } from './intake/decode-tasks.ts';
import { digestOf, Intake, partitionOf, refusalOf } from './intake/intake.ts';
import { LeftOut, type LeftOutBatch } from './intake/left-out.ts';
import { letterOfBatch, lettersOf } from './intake/letters.ts';
import { LogWriter } from './intake/log-writer.ts';
import { originalsOf } from './intake/originals.ts';
import { PlanGate } from './intake/plan-gate.ts';
import { DECODE_TRIES_MAX, type Entry, Pipeline } from './pipeline.ts';
import { type OriginalEvent, StreamRefusal } from './port.ts';
import { type DerivedEvents, recordOf } from './results/derived-body.ts';
import type { Outcomes } from './results/outcomes.ts';
import type { ShardSet } from './shards/shard-set.ts';
import type { DecodeResult, DecodeTask, QueryRows, ResultChunk, ShardReport, Step, StreamThreads } from './task.ts';
import { tickSteps } from './tick-steps.ts';

const RETRY_AFTER_MS = 1000;
/** As much as the redo of the shards lets go of at once, and bodies. */
const BUFFER_BYTES_MAX = 96 * 1024 * 1024;
const DURABLE = Promise.resolve();

export type EventsRecord = Extract<LogRecord, { kind: 'events' }>;
export type TickRecord = Extract<LogRecord, { kind: 'tick' }>;
export type TimeRecord = Extract<LogRecord, { kind: 'time' }>;

export interface EngineLog {
  error(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  info(fields: object, message: string): void;
}

export interface EngineParts {
  readonly threads: StreamThreads;
  readonly eventLog: EventLog;
  readonly deadLetters: DeadLetterStore;
  readonly log: EngineLog;
  /** Wall clock, ms. */
  readonly now: () => number;
}

/** What became of a record. */
interface Ending {
  readonly batch: KnownBatch | null;
  readonly decoded: DecodeResult | null;
  /** An earlier one of the same batch counts. */
  readonly isRepeated: boolean;
  readonly late: number;
  readonly leftOut: LeftOutBatch | null;
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
  plan: Plan;
  shards: ShardSet;
  outcomes: Outcomes;
  /** By stream index. */
  books: StreamBook[];
  state: 'starting' | 'running' | 'stopped' | 'broken' = 'starting';
  /** Newest record applied. */
  appliedSeq = 0;
  /** Why what the log holds cannot be applied; null while it can. */
  #failure: Error | null = null;
  readonly #intake = new Intake(this);
  readonly #queries = new Map<number, (rows: readonly QueryRows[]) => void>();
  #queryId = 0;
  /** Poison events on their way to where they are kept. */
  readonly #burials: Burials;
  /** Arrival of the records of the round under way, by sequence number. */
  readonly #arrivals = new Map<number, number>();

  constructor(parts: EngineParts, plan: Plan, shards: ShardSet, outcomes: Outcomes) {
    this.parts = parts;
    this.plan = plan;
    this.shards = shards;
    this.outcomes = outcomes;
    this.books = plan.streams.map((stream) => new StreamBook(stream));
    this.writer = new LogWriter(parts.eventLog);
    this.leftOut = new LeftOut(parts.deadLetters);
    this.#burials = new Burials(parts.deadLetters, parts.log);
    this.pipeline = new Pipeline({
      threads: parts.threads,
      rounds: () => this.shards,
      apart: (stream) => this.outcomes.derivations.graph.apart(stream),
      results: (chunks, reports) => this.#results(chunks, reports),
      answered: (rows, asked) => this.#answered(rows, asked),
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
    this.outcomes.usePlan(plan);
    this.pipeline.dropQuestions();
  }

  bookNamed(stream: string): StreamBook {
    const book = this.books.find(({ plan }) => plan.name === stream);
    if (book === undefined)
      throw new StreamRefusal('unknown', `no stream named ${JSON.stringify(stream.slice(0, 64))}`);
    return book;
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
    return new Promise((resolve, reject) => {
      this.pipeline.push({
        seq,
        stream: index,
        task: null,
        durable,
        steps: () => {
          this.#arrivals.set(seq, arrivalMs);
          if (book === undefined) return [];
          const before = book.watermark;
          book.observe({ kind: 'events', partition, tsMax: tsMs }, arrivalMs);
          const { watermark } = book;
          return watermark > before ? [{ kind: 'advance', seq, stream: book.plan.index, watermark }] : [];
        },
        applied: () => {
          this.appliedSeq = Math.max(this.appliedSeq, seq);
          this.#derive(index, seq, arrivalMs);
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
    const bytes = record.body.byteLength;
    const unread = record.unread === '' ? null : { why: record.unread, isDecoded: false };
    let leftOut = unread ?? this.leftOut.of(seq);
    const looksOnly = leftOut !== null;
    const isRead = leftOut === null || leftOut.isDecoded;
    const task = isRead ? { ...this.taskOf(book, record, seq, contextBytes), looksOnly } : null;
    book.pendingBytes += bytes;
    let batch: KnownBatch | null = null;
    let isRepeated = false;
    const outcome = new Promise<Accepted>((resolve, reject) => {
      this.pipeline.push({
        seq,
        stream: book.plan.index,
        task,
        durable,
        lost: ({ message }) => {
          const why = `${DECODE_TRIES_MAX} threads in a row were lost over decoding it: ${message}`;
          leftOut = { why, isDecoded: false };
          this.parts.log.error({ seq, stream: record.stream, why }, 'a batch is left out');
          // Sent again in another batch, its events count.
          this.#forgetIds(task, seq);
        },
        steps: (decoded) => {
          isRepeated = batch !== null && book.repeats(batch);
          const counts = leftOut === null && record.setAside === '';
          if (task !== null) this.decodeTasks.reuse(book, task, decoded, isRepeated || !counts);
          return isRepeated ? [] : this.#stepsOf(book, record, seq, decoded, counts);
        },
        applied: (decoded, reports, notApplied) => {
          book.pendingBytes -= bytes;
          if (notApplied !== '') {
            leftOut = { why: notApplied, isDecoded: true };
            this.#forgetIds(task, seq);
          }
          const late = lateOf(seq, reports);
          this.#conclude(book, record, seq, { batch, decoded, isRepeated, late, leftOut }).then(resolve, reject);
          this.#derive(book.plan.index, seq, record.arrivalMs);
        },
        failed: (error) => {
          book.pendingBytes -= bytes;
          // Sent again, its events count. A start that reads this record first takes those for the repetition.
          this.#forgetIds(task, seq);
          // Others wait for what is derived. Of a record of the log nothing is; one that was refused may share its number.
          if (!Number.isInteger(seq)) this.#derive(book.plan.index, seq, record.arrivalMs);
          reject(refusalOf(error));
        },
      });
    });
    if (record.batchId !== '') batch = book.remember(record.batchId, record.arrivalMs, digestOf(record), outcome);
    return outcome;
  }

  /** Its turn in the order of the log is over. Resolves, or rejects, with what its sender is told, once that is kept. */
  async #conclude(book: StreamBook, record: EventsRecord, seq: number, end: Ending): Promise<Accepted> {
    const { batch, decoded, isRepeated, late } = end;
    this.appliedSeq = Math.max(this.appliedSeq, Math.floor(seq));
    const left = isRepeated ? null : end.leftOut;
    const earlier = isRepeated ? (batch?.earlier ?? null) : null;
    const refusal = left === null ? (earlier?.refusal ?? null) : this.leftOut.refusal(record.stream, seq, left.why);
    const accepted = earlier?.accepted ?? book.count(left !== null || record.setAside !== '', decoded, late);
    // In this turn: a checkpoint that has the events has the id as well.
    if (batch !== null) Object.assign(batch, { accepted, refusal, earlier: null });
    if (!isRepeated) await this.#bury(book, record, seq, decoded, left);
    if (refusal !== null) throw refusal;
    return accepted;
  }

  taskOf(book: StreamBook, record: EventsRecord, seq: number, contextBytes: number): DecodeTask {
    return this.decodeTasks.of(this.plan.epoch, book, record, seq, contextBytes);
  }

  #forgetIds(task: DecodeTask | null, seq: number): void {
    if (task !== null && task.dedup !== null) new DedupSet(task.dedup).forget(seq);
  }

  /** `counts`: its events do, not its time alone. */
  #stepsOf(
    book: StreamBook,
    record: EventsRecord,
    seq: number,
    decoded: DecodeResult | null,
    counts: boolean,
  ): readonly Step[] {
    this.#arrivals.set(Math.floor(seq), record.arrivalMs);
    if (record.position !== '') notePlace(book.positions, record);
    if (decoded === null || decoded.accepted === 0) return [];
    const { index: stream } = book.plan;
    const { arrivalMs, correlationId, partition, source, traceparent } = record;
    const watermark = book.watermark;
    const provenance = { seq, source, partition, arrivalMs, traceparent, correlationId };
    const { batch, partials } = decoded;
    const steps: Step[] = counts ? [{ kind: 'events', seq, stream, batch, partials, provenance, watermark }] : [];
    book.observe({ kind: 'events', partition: partitionOf(record), tsMax: decoded.tsMax }, arrivalMs);
    if (book.watermark > watermark) steps.push({ kind: 'advance', seq, stream, watermark: book.watermark });
    if (book.plan.onFull === 'evict-idle') {
      const { shards } = this.plan;
      const { keysMax, stateBytesMax } = book.plan;
      const [keys, bytes] = [Math.ceil(keysMax / shards), Math.ceil(stateBytesMax / shards)];
      steps.push({ kind: 'evict', seq, stream, keysMax: keys, bytesMax: bytes });
    }
    return steps;
  }

  /** Never rejects: the other events are counted, so the batch must not be sent again for the sake of these. */
  #bury(
    book: StreamBook,
    record: EventsRecord,
    seq: number,
    decoded: DecodeResult | null,
    left: LeftOutBatch | null,
  ): Promise<void> {
    if (left !== null) return this.#burials.add(this.leftOut.add(record, seq, left));
    if (decoded === null) return DURABLE;
    const { accepted, rejected, rejectedMore } = decoded;
    const isSetAside = record.setAside !== '';
    if (rejected.length === 0 && !isSetAside) return DURABLE;
    const rows = isSetAside
      ? [
          letterOfBatch(
            record,
            seq,
            `${accepted + rejected.length + rejectedMore} events set aside: ${record.setAside}`,
          ),
        ]
      : lettersOf(record, seq, decoded, book.plan.fields);
    return this.#burials.add(rows);
  }

  /** Resolves when the poison events of all that was applied are kept: the log is then not needed for them. */
  async buried(): Promise<void> {
    await this.#burials.settled();
  }

  /** Time passes for windows of processing time, and for partitions that are silent. */
  tick(record: TickRecord, seq: number, durable: Promise<void>): void {
    this.pipeline.push({
      seq,
      stream: TICK,
      task: null,
      durable,
      steps: () => {
        this.#arrivals.set(seq, record.nowMs);
        return tickSteps(this.plan, this.books, record, seq);
      },
      applied: () => {
        this.appliedSeq = Math.max(this.appliedSeq, seq);
        this.#derive(TICK, seq, record.nowMs);
      },
      failed: (error) => this.parts.log.warn({ err: error }, 'a tick could not be logged'),
    } satisfies Entry);
  }

  /** What follows from the results of a record, or of a batch made of them, before anything later is looked at. */
  #derive(stream: number, seq: number, arrivalMs: number): void {
    if (this.pipeline.stopped) return;
    this.outcomes.derivations.done(stream, seq, (target, at, events) =>
      this.#enterDerived(target, at, arrivalMs, events),
    );
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

  /** When the record came that this number follows from; of the round under way. */
  arrivalMs(seq: number): number {
    return this.#arrivals.get(Math.floor(seq)) ?? 0;
  }

  /** Results of a stream were given out. */
  counted(stream: number, results: number): void {
    const book = this.books[stream];
    if (book !== undefined) book.counters.results += results;
  }

  async #results(chunks: readonly ResultChunk[], reports: readonly ShardReport[]): Promise<void> {
    this.outcomes.evictions.count(this.plan, reports);
    await this.outcomes.take(chunks);
    this.#arrivals.clear();
  }

  /** Of `seq:row` ids, of records the log still has. */
  originals(ids: readonly string[]): Promise<OriginalEvent[]> {
    return originalsOf(this, ids);
  }

  /** Rows of open windows, from all shards. */
  async ask(operator: number, query: Extract<Step, { kind: 'query' }>['query']): Promise<readonly QueryRows[]> {
    if (this.state !== 'running') throw new StreamRefusal('stopped', `the streams are ${this.state}`, RETRY_AFTER_MS);
    this.#queryId += 1;
    const id = this.#queryId;
    return new Promise((resolve) => {
      this.#queries.set(id, resolve);
      this.pipeline.ask({ kind: 'query', id, operator, query });
    });
  }

  #answered(rows: readonly QueryRows[], asked: readonly number[]): void {
    for (const id of asked) {
      this.#queries.get(id)?.(rows.filter((row) => row.id === id));
      this.#queries.delete(id);
    }
  }
}
