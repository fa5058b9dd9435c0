/**
 * A source that makes its own batches, one after the other, waiting for each to be accepted.
 *
 * Role: the loop every generating or replaying source shares: `next` gives the bytes of the next batch and when they are
 * due, null at the end. A refusal that may pass (overload, log not available) is tried again with the same batch; while
 * one is pending nothing further is made (backpressure).
 */
import type { IncomingBatch, Source, SourceHost } from './port.ts';

const RETRY_MS = 200;

export interface PacedBatch extends Pick<IncomingBatch, 'format' | 'body' | 'position'> {
  /** Clock of the host, ms: not before this. */
  readonly dueMs: number;
}

/** Makes batches from where `position` says, `''` for the beginning. */
export interface BatchMaker {
  /** Clock of the host, ms: the next batch is not made before this. */
  readonly notBeforeMs: number;
  next(): Promise<PacedBatch | null>;
  close(): Promise<void>;
}

export class PacedSource implements Source {
  readonly done: Promise<void>;
  readonly #host: SourceHost;
  readonly #partition: string;
  readonly #open: (position: string) => Promise<BatchMaker>;
  #finish: () => void = () => undefined;
  #fail: (error: unknown) => void = () => undefined;
  #stopped = false;
  #wake: () => void = () => undefined;
  #loop: Promise<void> = Promise.resolve();

  constructor(host: SourceHost, partition: string, open: (position: string) => Promise<BatchMaker>) {
    this.#host = host;
    this.#partition = partition;
    this.#open = open;
    this.done = new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
    });
  }

  async start(positions: ReadonlyMap<string, string>): Promise<void> {
    const maker = await this.#open(positions.get(this.#partition) ?? '');
    this.#loop = this.#run(maker).then(this.#finish, this.#fail);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake();
    await this.#loop;
  }

  async #run(maker: BatchMaker): Promise<void> {
    try {
      while (!this.#stopped) {
        await this.#until(maker.notBeforeMs);
        const batch = this.#stopped ? null : await maker.next();
        if (batch === null) return;
        await this.#until(batch.dueMs);
        await this.#accept(batch);
      }
    } finally {
      await maker.close();
    }
  }

  async #accept({ body, format, position }: PacedBatch): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#host.accept({
          format,
          partition: this.#partition,
          body,
          position,
          batchId: '',
          traceparent: '',
          correlationId: '',
        });
        return;
      } catch (error) {
        if (!mayPass(error) || this.#stopped) throw error;
        await this.#until(this.#host.now() + RETRY_MS);
      }
    }
  }

  /** Returns early when the source is stopped. */
  async #until(atMs: number): Promise<void> {
    const waitMs = atMs - this.#host.now();
    if (waitMs <= 0 || this.#stopped) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, waitMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** Overload and an unavailable log pass. */
function mayPass(error: unknown): boolean {
  return error instanceof Error && 'retryAfterMs' in error && (error.retryAfterMs as number) > 0;
}
