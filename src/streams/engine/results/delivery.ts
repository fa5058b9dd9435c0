/**
 * Delivers results to one sink: in order, one batch at a time, again until it is taken or refused for good.
 *
 * Role: between the engine, which must not wait for the outside, and a sink, which may be slow or away. What is not
 * delivered yet is part of the checkpoint, so that the log need not be kept for it.
 * A sink that is away when it is opened is opened later; until then batches wait as they came, since only the sink
 * knows which of them it has. What a sink refuses for good is left out, counted and logged: those behind it go on.
 * Bounds: `PENDING_BYTES_MAX` bytes wait; then `room` makes the pipeline wait, and sources with it; while the streams
 * end, only as long as the sink does not fail. Retries pause `RETRY_MS`, doubled up to `RETRY_MS_MAX`, or as long as
 * the sink asks, up to `RETRY_AFTER_MS_MAX`.
 */
import { Changes } from '../../../waiting.ts';
import { BETWEEN_RECORDS } from '../../operator.ts';
import { LineBatch } from '../../sinks/line-batch.ts';
import { type Sink, SinkAway, type SinkBatch, SinkRefusal } from '../../sinks/port.ts';
import type { EngineLog } from '../engine.ts';
import { recordOfPart } from '../shards/time-parts.ts';

export const PENDING_BYTES_MAX = 32 * 1024 * 1024;
const BATCH_LINES_MAX = 10_000;
const RETRY_MS = 100;
const RETRY_MS_MAX = 10_000;
export const RETRY_AFTER_MS_MAX = 300_000;

export class Delivery {
  readonly name: string;
  readonly #sink: Sink;
  readonly #log: EngineLog;
  #queue: LineBatch[] = [];
  #bytes = 0;
  /** Results up to here are in the sink already. */
  #cursor = 0;
  #failures = 0;
  #refused = 0;
  #opened = false;
  /** Newest record of the log when the sink was to be opened. */
  #lastSeq = 0;
  /** A checkpoint of this log knows the sink. */
  #known = false;
  #running = false;
  #closed = false;
  #leaving = false;
  #timer: NodeJS.Timeout | null = null;
  readonly #changes = new Changes();

  constructor(name: string, sink: Sink, log: EngineLog) {
    this.name = name;
    this.#sink = sink;
    this.#log = log;
  }

  get failing(): boolean {
    return this.#failures > 0;
  }

  /** As much waits for it as may. */
  get isFull(): boolean {
    return this.#bytes > PENDING_BYTES_MAX;
  }

  /** Results that the sink refused for good, since the start. */
  get refused(): number {
    return this.#refused;
  }

  get cursor(): number {
    return this.#cursor;
  }

  /**
   * `cursor`: from the checkpoint, null when that does not know the sink; `pending`: what the checkpoint had not seen
   * delivered. `lastSeq`: newest record of the log. An unknown sink that is further belongs to another log, say of a
   * `memory` stream before a restart: its place means nothing here. A known one that is further has everything: the log
   * has lost its newest records.
   */
  async open(cursor: number | null, pending: readonly SinkBatch[], lastSeq: number): Promise<void> {
    this.#cursor = cursor ?? 0;
    this.#known = cursor !== null;
    this.#lastSeq = lastSeq;
    try {
      await this.#open();
    } catch (error) {
      if (!(error instanceof SinkAway)) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new Error(`sink ${this.name}: ${reason}`, { cause: error });
      }
      this.#fail(error, 'the sink cannot be opened; retrying');
    }
    for (const batch of pending) this.push(batch);
  }

  async #open(): Promise<void> {
    const place = await this.#sink.open();
    this.#opened = true;
    this.#cursor = Math.max(this.#cursor, this.#placeHere(place));
    while ((this.#queue[0]?.seq ?? Number.POSITIVE_INFINITY) <= this.#cursor) this.#shift();
  }

  /** How far in this log a sink is that says so. Derived results of the newest record are not past it. */
  #placeHere(place: number): number {
    if (Math.floor(recordOfPart(place)) <= this.#lastSeq) return place;
    const facts = { sink: this.name, sinkSeq: place, logSeq: this.#lastSeq };
    if (this.#known) {
      this.#log.warn(facts, 'the sink holds results of records that the log has lost');
      return this.#lastSeq + 1 - 1 / BETWEEN_RECORDS;
    }
    this.#log.info(facts, "the sink holds results of another log; this one's follow them");
    return 0;
  }

  /** A `LineBatch` is this side's from here on. */
  push(given: SinkBatch): void {
    const batch = given instanceof LineBatch ? given : LineBatch.of(given);
    if (given.seq <= this.#cursor || this.#closed) {
      batch.letGo();
      return;
    }
    const newest = this.#queue.at(-1);
    // The first one may be on its way: it stays as it is.
    const merges = this.#opened && this.#queue.length > 1;
    if (newest !== undefined && merges && newest.count + batch.count <= BATCH_LINES_MAX) newest.absorb(batch);
    else if (batch.count > 0) this.#queue.push(batch);
    this.#bytes += batch.byteLength;
    void this.#run();
  }

  /** Resolves when there is room again. */
  async room(): Promise<void> {
    while (this.isFull && !this.#closed && !(this.#leaving && this.failing)) await this.#changes.next();
  }

  /** The streams end: nobody waits any more for room in a sink that fails. */
  leave(): void {
    this.#leaving = true;
    this.#changes.tell();
  }

  /** Resolves when nothing waits, or at the first failure. */
  async settled(): Promise<void> {
    while (this.#queue.length > 0 && !this.failing && !this.#closed) await this.#changes.next();
  }

  pending(): readonly SinkBatch[] {
    return this.#queue.map(({ seq, lines }) => ({ seq, lines }));
  }

  async close(): Promise<void> {
    this.#end();
    await this.#sink.close();
  }

  /** As `close`, for another one that goes on from what this one has under way: that is waited for. */
  async handOver(): Promise<void> {
    this.#end();
    while (this.#running) await this.#changes.next();
    await this.#sink.close();
  }

  #end(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#changes.tell();
  }

  async #run(): Promise<void> {
    if (this.#running || this.#closed || this.#timer !== null) return;
    this.#running = true;
    while (!this.#closed) {
      const batch = this.#queue[0];
      if (!this.#opened) {
        if (!(await this.#attempt(() => this.#open()))) break;
      } else if (batch === undefined || !(await this.#attempt(() => this.#sink.write(batch)))) break;
      else {
        this.#shift();
        this.#cursor = batch.seq;
        this.#changes.tell();
      }
    }
    this.#running = false;
    this.#changes.tell();
  }

  #shift(): void {
    const batch = this.#queue.shift();
    this.#bytes -= batch?.byteLength ?? 0;
    batch?.letGo();
  }

  /** False: again later. */
  async #attempt(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
    } catch (error) {
      // Ended by closing: what was not taken comes again after the next start.
      if (this.#closed) return false;
      if (!(error instanceof SinkRefusal)) {
        this.#fail(error, 'the sink did not take results; they are delivered again');
        return false;
      }
      this.#refused += error.results;
      const facts = { err: error, sink: this.name, results: error.results };
      this.#log.error(facts, 'the sink refuses results for good; they are left out');
    }
    if (this.#failures > 0) this.#log.info({ sink: this.name }, 'the sink takes results again');
    this.#failures = 0;
    return true;
  }

  #fail(error: unknown, message: string): void {
    this.#failures += 1;
    const wanted = error instanceof SinkAway ? Math.min(RETRY_AFTER_MS_MAX, error.retryAfterMs) : 0;
    const pauseMs = Math.max(wanted, Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** Math.min(10, this.#failures - 1)));
    this.#log.warn({ err: error, sink: this.name, pauseMs }, message);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#run();
    }, pauseMs);
  }
}
