/**
 * From a batch that is offered to a record of the log, or a refusal.
 *
 * Role: the way in of the engine, for every source. What is refused here has left no trace, but that its source was
 * there; what is not is logged, and the pipeline has it from then on.
 * Bounds: `pendingBytesMax` per stream of what is logged and not applied; state at its limit goes by `when-full.ts`.
 */
import { crc32 } from 'node:zlib';
import { LettersUnavailable } from '../../dead-letters/port.ts';
import { EventBatch } from '../../decode/event-batch.ts';
import { type EventLog, LogUnavailable } from '../../log/port.ts';
import type { Accepted, IncomingBatch } from '../../sources/port.ts';
import type { EventsRecord, StreamEngine } from '../engine.ts';
import { StreamRefusal } from '../port.ts';
import { ThreadLost } from '../task.ts';
import type { StreamBook } from './books.ts';

const RETRY_AFTER_MS = 1000;
const DURABLE = Promise.resolve();

export class Intake {
  readonly #engine: StreamEngine;

  constructor(engine: StreamEngine) {
    this.#engine = engine;
  }

  /** `unread`: why no thread is to decode it. */
  async accept(stream: string, source: string, batch: IncomingBatch, unread: string): Promise<Accepted> {
    if (this.#engine.planGate.holds) await this.#passGate(stream, batch.body.byteLength);
    if (this.#engine.state !== 'running') throw this.#notRunning();
    const book = this.#engine.bookNamed(stream);
    const nowMs = this.#engine.parts.now();
    const known = batch.batchId === '' ? undefined : book.known(batch.batchId, nowMs, () => digestOf(batch));
    if (known !== undefined) return known;
    const record: EventsRecord = {
      kind: 'events',
      stream,
      format: batch.format,
      source,
      partition: batch.partition,
      arrivalMs: nowMs,
      traceparent: batch.traceparent,
      correlationId: batch.correlationId,
      batchId: batch.batchId,
      position: batch.position,
      setAside: '',
      unread,
      body: batch.body,
    };
    const partition = partitionOf(record);
    let isTaken = false;
    book.asks(partition, this.#engine.parts.monotonic());
    try {
      this.#refuseIfPending(book, batch.body.byteLength);
      this.#refuseIfNotStored(book);
      const accepted = await this.#take(book, record);
      isTaken = true;
      return accepted;
    } finally {
      book.answered(partition, this.#engine.parts.monotonic(), isTaken);
    }
  }

  #notRunning(): StreamRefusal {
    const { outcomes, state } = this.#engine;
    const sinks = state === 'starting' ? outcomes.full : [];
    const why = sinks.length === 0 ? '' : `: results wait for sink ${sinks.join(', ')}`;
    return new StreamRefusal('stopped', `the streams are ${state}${why}`, RETRY_AFTER_MS);
  }

  async #passGate(stream: string, bytes: number): Promise<void> {
    const book = this.#engine.bookNamed(stream);
    this.#refuseIfPending(book, bytes);
    book.pendingBytes += bytes;
    await this.#engine.planGate.pass();
    book.pendingBytes -= bytes;
  }

  #take(book: StreamBook, record: EventsRecord): Promise<Accepted> {
    // Of what is not read no state is kept.
    if (record.unread !== '') return this.#append(book, record);
    if (this.#full(book) !== '') return this.#takeWhenFull(book, record);
    book.whenFull.hadRoom();
    return this.#append(book, record);
  }

  #append(book: StreamBook, record: EventsRecord): Promise<Accepted> {
    let appended: ReturnType<EventLog['append']>;
    try {
      appended = this.#engine.writer.append(record);
    } catch (error) {
      throw refusalOf(error);
    }
    const { seq, durable } = appended;
    if (book.plan.durability !== 'memory') return this.#engine.enter(book, record, seq, durable);
    this.#engine.writer.letGo(appended);
    return this.#engine.enter(book, record, seq, DURABLE);
  }

  #refuseIfPending(book: StreamBook, bytes: number): void {
    const { name, pendingBytesMax } = book.plan;
    if (book.pendingBytes === 0 || book.pendingBytes + bytes <= pendingBytesMax) return;
    const text = `${book.pendingBytes} bytes of stream ${name} wait to be applied; at most ${pendingBytesMax}`;
    throw new StreamRefusal('pending', text, RETRY_AFTER_MS);
  }

  /** Nothing is set aside for the disk's sake: state is written again as soon as it takes it. */
  #refuseIfNotStored({ plan: { onFull } }: StreamBook): void {
    const { notStored } = this.#engine.shards;
    if (onFull !== 'spill' || notStored === '') return;
    throw new StreamRefusal('full', `state cannot be written to disk: ${notStored}`, RETRY_AFTER_MS);
  }

  /** One that is looked at since the stream is full comes again rather than waits. */
  #refuseIfHeld(book: StreamBook): void {
    if (!this.#engine.planGate.isClosed) return;
    throw new StreamRefusal('full', `${this.#full(book)}; its definition is being changed`, RETRY_AFTER_MS);
  }

  /** Why the stream takes nothing more; `''` when it does. */
  #full({ plan: { index, keysMax, name, onFull, spillBytesMax, stateBytesMax } }: StreamBook): string {
    const { shards } = this.#engine;
    const { bytes, keys } = shards.held(index);
    if (onFull === 'spill') {
      const storedBytes = shards.storedBytes(index);
      // Files do not shrink when windows close; what is no longer in use in them is used again.
      if (Math.min(storedBytes, bytes) <= spillBytesMax) return '';
      return `${storedBytes} bytes of stream ${name} are on disk, ${bytes} bytes of state in use; at most ${spillBytesMax}`;
    }
    if (onFull !== 'refuse' || (bytes <= stateBytesMax && keys <= keysMax)) return '';
    return `stream ${name} holds ${keys} keys in ${bytes} bytes; at most ${keysMax} keys, ${stateBytesMax} bytes`;
  }

  #takeWhenFull(book: StreamBook, record: EventsRecord): Promise<Accepted> {
    const { batchId } = record;
    return book.whenFull.take(record, this.#engine.parts.now(), RETRY_AFTER_MS, {
      full: () => this.#full(book),
      earliest: () => this.#earliest(book, record),
      timeIs: (tsMs) => this.#timeIs(book, record, tsMs),
      append: (decided) => {
        this.#refuseIfHeld(book);
        if (this.#engine.state !== 'running')
          throw new StreamRefusal('stopped', 'the streams are stopping', RETRY_AFTER_MS);
        // It was looked at meanwhile.
        const known = batchId === '' ? undefined : book.known(batchId, record.arrivalMs, () => digestOf(record));
        return known ?? this.#append(book, decided);
      },
    });
  }

  async #earliest(book: StreamBook, record: EventsRecord): Promise<number> {
    const { parts, plan } = this.#engine;
    const task = { ...this.#engine.taskOf(book, record, 0, 0), dedup: null };
    try {
      const decoded = await parts.threads.decode(task);
      const { count, ts } = new EventBatch(plan, decoded.batch);
      const earliest = ts.subarray(0, count).reduce((least, each) => Math.min(least, each), Number.POSITIVE_INFINITY);
      this.#engine.decodeTasks.reuse(book, task, decoded, true);
      return earliest;
    } catch (error) {
      // The sender comes again, and then there is another thread.
      if (error instanceof ThreadLost) throw new StreamRefusal('full', this.#full(book), RETRY_AFTER_MS);
      throw error;
    }
  }

  #timeIs(book: StreamBook, record: EventsRecord, tsMs: number): Promise<void> {
    const partition = partitionOf(record);
    if (!book.isNews(partition, tsMs)) return DURABLE;
    this.#refuseIfHeld(book);
    const time = { kind: 'time', stream: book.plan.name, partition, tsMs, arrivalMs: record.arrivalMs } as const;
    try {
      const { durable, seq } = this.#engine.writer.append(time);
      return this.#engine.enterTime(time, seq, durable);
    } catch (error) {
      throw refusalOf(error);
    }
  }
}

/** Tells a batch from another one under the same id. */
export const digestOf = ({ body, format }: Pick<IncomingBatch, 'body' | 'format'>): number =>
  crc32(body, crc32(format));

/** As the stream's watermark knows it. */
export const partitionOf = ({ partition, source }: EventsRecord): string => `${source}|${partition}`;

export function refusalOf(error: unknown): unknown {
  const passes = error instanceof LogUnavailable || error instanceof LettersUnavailable;
  return passes ? new StreamRefusal('unavailable', error.message, RETRY_AFTER_MS) : error;
}
