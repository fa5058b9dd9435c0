/**
 * A batch in the log on its way to its end: decoded, made into steps, counted or left out, and what is kept of it.
 *
 * Role: for the engine, which puts it into the pipeline, now or replayed. The books of its stream go on by it in its turn
 * alone, in the order of the log.
 * Invariants: what its sender is told is kept before it is told; what is left out anew is noted before anything of its
 * round is told, so that a replay leaves out the same.
 */
import { DedupSet } from '../../decode/dedup-set.ts';
import type { Accepted } from '../../sources/port.ts';
import type { EventsRecord, StreamEngine } from '../engine.ts';
import { eventSteps } from '../event-steps.ts';
import { DECODE_TRIES_MAX } from '../pipeline.ts';
import type { Entry } from '../pipeline-entry.ts';
import { type DecodeResult, type DecodeTask, type ShardReport, type Step, ThreadLost } from '../task.ts';
import { type KnownBatch, lateOf, type StreamBook } from './books.ts';
import { digestOf, refusalOf } from './intake.ts';
import type { LeftOutBatch } from './left-out.ts';
import { letterOfBatch, lettersLeft } from './letters.ts';
import type { StepsOfRecord } from './missed-steps.ts';

const NOTHING = Promise.resolve();

export class EventsEntry implements Entry {
  readonly seq: number;
  readonly stream: number;
  readonly task: DecodeTask | null;
  readonly durable: Promise<void>;
  /** What its sender is told. */
  readonly outcome: Promise<Accepted>;
  readonly #engine: StreamEngine;
  readonly #book: StreamBook;
  readonly #record: EventsRecord;
  readonly #ofTime: StepsOfRecord;
  readonly #batch: KnownBatch | null;
  #resolve: (accepted: Accepted) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;
  #leftOut: LeftOutBatch | null;
  /** No replay knows yet that it is left out. */
  #isNew = false;
  /** An earlier one of the same batch counts. */
  #isRepeated = false;
  #kept: Promise<void> | null = null;

  /** The last `contextBytes` of its body are contexts of its events. */
  constructor(
    engine: StreamEngine,
    book: StreamBook,
    record: EventsRecord,
    at: { readonly seq: number; readonly durable: Promise<void>; readonly contextBytes: number },
  ) {
    const { contextBytes, durable, seq } = at;
    this.#engine = engine;
    this.#book = book;
    this.#record = record;
    this.seq = seq;
    this.stream = book.plan.index;
    this.durable = durable;
    this.#leftOut = record.unread === '' ? engine.leftOut.of(seq) : { why: record.unread, isDecoded: false };
    const looksOnly = this.#leftOut !== null;
    const isRead = this.#leftOut === null || this.#leftOut.isDecoded;
    this.task = isRead ? { ...engine.taskOf(book, record, seq, contextBytes), looksOnly } : null;
    this.#ofTime = engine.missed.of(seq);
    this.outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    book.pendingBytes += record.body.byteLength;
    const { arrivalMs, batchId } = record;
    this.#batch = batchId === '' ? null : book.remember(batchId, arrivalMs, digestOf(record), this.outcome);
  }

  lost(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    const threads = `${DECODE_TRIES_MAX} threads in a row were lost over decoding it`;
    const why = `${error instanceof ThreadLost ? threads : 'it cannot be decoded'}: ${message}`;
    this.#leaveOut(why, false);
    this.#engine.parts.log.error({ seq: this.seq, stream: this.#record.stream, why }, 'a batch is left out');
  }

  #leaveOut(why: string, isDecoded: boolean): void {
    this.#leftOut = { why, isDecoded };
    this.#isNew = true;
    this.#forgetIds();
  }

  /** Sent again, in another batch, its events count. */
  #forgetIds(): void {
    if (this.task !== null && this.task.dedup !== null) new DedupSet(this.task.dedup).forget(this.seq);
  }

  steps(decoded: DecodeResult | null): readonly Step[] {
    const book = this.#book;
    const record = this.#record;
    this.#isRepeated = this.#batch !== null && book.repeats(this.#batch);
    const counts = this.#leftOut === null && record.setAside === '';
    if (this.task !== null) {
      this.#engine.decodeTasks.reuse(book, this.task, decoded, this.#isRepeated || !counts);
    }
    if (this.#isRepeated) return [];
    this.#engine.arrived(this.seq, record.arrivalMs);
    const at = { seq: this.seq, counts, clockMs: this.#engine.parts.monotonic() };
    return this.#ofTime.begin(eventSteps(this.#engine.plan, book, record, decoded, at));
  }

  refused(steps: ReadonlyMap<Step, string>): void {
    for (const [{ kind }, why] of steps) if (kind === 'events') this.#leaveOut(why, true);
    this.#ofTime.refuse(steps);
  }

  async keep(decoded: DecodeResult | null): Promise<void> {
    this.#kept ??= this.#keep(decoded);
    await this.#kept;
    await this.#ofTime.keep(this.#record.arrivalMs);
  }

  /** What is left out anew is waited for; other letters are kept later where they cannot be now: never rejects then. */
  #keep(decoded: DecodeResult | null): Promise<void> {
    const { burials, leftOut: notes } = this.#engine;
    const record = this.#record;
    const leftOut = this.#leftOut;
    if (this.#isRepeated) return NOTHING;
    if (leftOut === null) {
      const letters = decoded === null ? [] : lettersLeft(record, this.seq, decoded, this.#book.plan.fields);
      return letters.length === 0 ? NOTHING : burials.add(letters);
    }
    const letter = letterOfBatch(record, this.seq, leftOut.why);
    return this.#isNew ? burials.keep(notes.add(letter, this.seq, leftOut), letter) : burials.add([letter]);
  }

  applied(decoded: DecodeResult | null, reports: readonly ShardReport[]): void {
    this.#book.pendingBytes -= this.#record.body.byteLength;
    this.#ofTime.applied();
    this.#conclude(decoded, lateOf(this.seq, reports)).then(this.#resolve, this.#reject);
    this.#engine.derive(this.seq, this.#record.arrivalMs);
  }

  /** Its turn in the order of the log is over. Resolves, or rejects, with what its sender is told, once that is kept. */
  async #conclude(decoded: DecodeResult | null, late: number): Promise<Accepted> {
    const { seq } = this;
    const engine = this.#engine;
    const batch = this.#batch;
    const { setAside, stream } = this.#record;
    engine.appliedSeq = Math.max(engine.appliedSeq, Math.floor(seq));
    const left = this.#isRepeated ? null : this.#leftOut;
    const earlier = this.#isRepeated ? (batch?.earlier ?? null) : null;
    const refusal = left === null ? (earlier?.refusal ?? null) : engine.leftOut.refusal(stream, seq, left.why);
    const accepted = earlier?.accepted ?? this.#book.count(left !== null || setAside !== '', decoded, late);
    // In this turn: a checkpoint that has the events has the id as well.
    if (batch !== null) Object.assign(batch, { accepted, refusal, earlier: null });
    this.#kept ??= this.#keep(decoded);
    await this.#kept;
    if (refusal !== null) throw refusal;
    return accepted;
  }

  failed(error: unknown): void {
    const { seq } = this;
    this.#book.pendingBytes -= this.#record.body.byteLength;
    // A start that reads this record first takes those that come again for the repetition.
    this.#forgetIds();
    // Others wait for what is derived. Of a record of the log nothing is; one that was refused may share its number.
    if (!Number.isInteger(seq)) this.#engine.derive(seq, this.#record.arrivalMs);
    this.#reject(refusalOf(error));
  }
}
