/**
 * Delivers results to one sink: in order, one batch at a time, again until it is taken.
 *
 * Role: between the engine, which must not wait for the outside, and a sink, which may be slow or away. What is not
 * delivered yet is part of the checkpoint, so that the log need not be kept for it.
 * Bounds: `PENDING_BYTES_MAX` bytes wait; then `room` makes the pipeline wait, and sources with it. Retries pause
 * `RETRY_MS` doubled up to `RETRY_MS_MAX`.
 */
import type { Sink, SinkBatch } from '../sinks/port.ts';

export const PENDING_BYTES_MAX = 32 * 1024 * 1024;
const BATCH_LINES_MAX = 10_000;
const RETRY_MS = 100;
const RETRY_MS_MAX = 10_000;

export interface DeliveryLog {
  warn(fields: object, message: string): void;
  info(fields: object, message: string): void;
}

export class Delivery {
  readonly name: string;
  readonly #sink: Sink;
  readonly #log: DeliveryLog;
  #queue: { seq: number; lines: string[] }[] = [];
  #bytes = 0;
  /** Results up to here are in the sink already. */
  #cursor = 0;
  #failures = 0;
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

  get cursor(): number {
    return this.#cursor;
  }

  /**
   * `pending`: of the checkpoint, not delivered by then as far as this side knew. `lastSeq`: newest record of the log. A
   * sink that is further is from another log, of a `memory` stream before a restart say: its place means nothing here.
   */
  async open(cursor: number, pending: readonly SinkBatch[], lastSeq: number): Promise<void> {
    const place = await this.#sink.open();
    const isOfThisLog = Math.floor(place) <= lastSeq;
    if (!isOfThisLog) {
      const facts = { sink: this.name, sinkSeq: place, logSeq: lastSeq };
      this.#log.info(facts, "the sink holds results of another log; this one's follow them");
    }
    this.#cursor = Math.max(cursor, isOfThisLog ? place : 0);
    for (const batch of pending) this.push(batch);
  }

  push({ seq, lines }: SinkBatch): void {
    if (seq <= this.#cursor || this.#closed) return;
    const newest = this.#queue.at(-1);
    // The first one may be on its way: it stays as it is.
    if (newest !== undefined && this.#queue.length > 1 && newest.lines.length + lines.length <= BATCH_LINES_MAX) {
      newest.seq = seq;
      newest.lines.push(...lines);
    } else if (lines.length > 0) this.#queue.push({ seq, lines: [...lines] });
    for (const line of lines) this.#bytes += line.length;
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
    return this.#queue.map(({ seq, lines }) => ({ seq, lines: [...lines] }));
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
      if (batch === undefined || !(await this.#deliver(batch))) break;
      this.#queue.shift();
      for (const line of batch.lines) this.#bytes -= line.length;
      this.#cursor = batch.seq;
      this.#changed();
    }
    this.#running = false;
    this.#changed();
  }

  async #deliver(batch: SinkBatch): Promise<boolean> {
    try {
      await this.#sink.write(batch);
      if (this.#failures > 0) this.#log.info({ sink: this.name }, 'the sink takes results again');
      this.#failures = 0;
      return true;
    } catch (error) {
      this.#failures += 1;
      // Ended by closing: what was not taken comes again after the next start.
      if (this.#closed) return false;
      const pauseMs = Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** Math.min(10, this.#failures - 1));
      this.#log.warn(
        { err: error, sink: this.name, pauseMs },
        'the sink did not take results; they are delivered again',
      );
      this.#timer = setTimeout(() => {
        this.#timer = null;
        void this.#run();
      }, pauseMs);
      return false;
    }
  }
}
