/**
 * Delivers results to one sink: in order, one batch at a time, again until it is taken or refused for good.
 *
 * Role: between the engine, which must not wait for the outside, and a sink, which may be slow or away. What is not
 * delivered yet is part of the checkpoint, so that the log need not be kept for it.
 * A sink that is away when it is opened is opened later; until then batches wait as they came, since only the sink knows
 * which of them it has. What a sink refuses for good is left out, counted and said in the log: those behind it go on.
 * Bounds: `PENDING_BYTES_MAX` bytes wait; then `room` makes the pipeline wait, and sources with it. Retries pause
 * `RETRY_MS` doubled up to `RETRY_MS_MAX`, or as long as the sink asks, up to `RETRY_AFTER_MS_MAX`.
 */
import { LineBatch } from '../sinks/line-batch.ts';
import { type Sink, SinkAway, type SinkBatch, SinkRefusal } from '../sinks/port.ts';

export const PENDING_BYTES_MAX = 32 * 1024 * 1024;
const BATCH_LINES_MAX = 10_000;
const RETRY_MS = 100;
const RETRY_MS_MAX = 10_000;
export const RETRY_AFTER_MS_MAX = 300_000;

export interface DeliveryLog {
  error(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  info(fields: object, message: string): void;
}

export class Delivery {
  readonly name: string;
  readonly #sink: Sink;
  readonly #log: DeliveryLog;
  #queue: LineBatch[] = [];
  #bytes = 0;
  /** Results up to here are in the sink already. */
  #cursor = 0;
  #failures = 0;
  #refused = 0;
  #opened = false;
  /** Newest record of the log when the sink was to be opened. */
  #lastSeq = 0;
  #running = false;
  #closed = false;
  #timer: NodeJS.Timeout | null = null;
  #waiters: (() => void)[] = [];

  constructor(name: string, sink: Sink, log: DeliveryLog) {
    this.name = name;
    this.#sink = sink;
    this.#log = log;
  }

  get failing(): boolean {
    return this.#failures > 0;
  }

  /** Results that the sink refused for good, since the start. */
  get refused(): number {
    return this.#refused;
  }

  get cursor(): number {
    return this.#cursor;
  }

  /**
   * `pending`: of the checkpoint, not delivered by then as far as this side knew. `lastSeq`: newest record of the log. A
   * sink that is further is from another log, of a `memory` stream before a restart say: its place means nothing here.
   */
  async open(cursor: number, pending: readonly SinkBatch[], lastSeq: number): Promise<void> {
    this.#cursor = cursor;
    this.#lastSeq = lastSeq;
    try {
      await this.#open();
    } catch (error) {
      if (!(error instanceof SinkAway)) throw error;
      this.#fail(error, 'the sink cannot be opened; it is tried again');
    }
    for (const batch of pending) this.push(batch);
  }

  async #open(): Promise<void> {
    const place = await this.#sink.open();
    const isOfThisLog = Math.floor(place) <= this.#lastSeq;
    if (!isOfThisLog) {
      const facts = { sink: this.name, sinkSeq: place, logSeq: this.#lastSeq };
      this.#log.info(facts, "the sink holds results of another log; this one's follow them");
    }
    this.#opened = true;
    this.#cursor = Math.max(this.#cursor, isOfThisLog ? place : 0);
    while ((this.#queue[0]?.seq ?? Number.POSITIVE_INFINITY) <= this.#cursor) this.#shift();
  }

  /** A `LineBatch` is this side's from here on. */
  push(given: SinkBatch): void {
    if (given.seq <= this.#cursor || this.#closed) return;
    const batch = given instanceof LineBatch ? given : LineBatch.of(given);
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
    while (this.#bytes > PENDING_BYTES_MAX && !this.#closed) await this.#change();
  }

  /** Resolves when nothing waits, or at the first failure. */
  async settled(): Promise<void> {
    while (this.#queue.length > 0 && !this.failing && !this.#closed) await this.#change();
  }

  pending(): readonly SinkBatch[] {
    return this.#queue.map(({ seq, lines }) => ({ seq, lines }));
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#changed();
    await this.#sink.close();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
    });
  }

  #changed(): void {
    for (const waiter of this.#waiters.splice(0)) waiter();
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
        this.#changed();
      }
    }
    this.#running = false;
    this.#changed();
  }

  #shift(): void {
    this.#bytes -= this.#queue.shift()?.byteLength ?? 0;
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
