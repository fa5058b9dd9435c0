/**
 * A source that makes its own batches, one after the other, waiting for each to be accepted.
 *
 * Role: the loop every generating or replaying source shares: `next` gives the bytes of the next batch and when they are
 * due, null at the end. A refusal that may pass (overload, log not available) is tried again with the same batch; while
 * one is pending nothing further is made (backpressure). Their pace is of the monotonic clock: the host's may be set.
 */
import { pauseUnless } from '../../waiting.ts';
import type { IncomingBatch, Source, SourceHost } from './port.ts';
import { acceptUntilTaken } from './until-taken.ts';

const PAUSE_MS_MAX = 60_000;

export const monotonic = (): number => performance.now();

export interface PacedBatch extends Pick<IncomingBatch, 'format' | 'body' | 'position'> {
  /** Monotonic ms: not before this. */
  readonly dueMs: number;
}

/** Makes batches from where `position` says, `''` for the beginning. */
export interface BatchMaker {
  /** Monotonic ms: the next batch is not made before this. */
  readonly notBeforeMs: number;
  next(): Promise<PacedBatch | null>;
  /** May come while `next` waits, which then gives null, and again at the end. */
  close(): Promise<void>;
}

/** `positions`: of all partitions that are known, where there is none of its own. */
type OpenAt = (position: string, positions: ReadonlyMap<string, string>) => Promise<BatchMaker>;

export class PacedSource implements Source {
  readonly done: Promise<void>;
  readonly #host: SourceHost;
  readonly #partition: string;
  readonly #open: OpenAt;
  #finish: () => void = () => undefined;
  #fail: (error: unknown) => void = () => undefined;
  readonly #stop = new AbortController();
  #maker: BatchMaker | null = null;
  #loop: Promise<void> = Promise.resolve();

  constructor(host: SourceHost, partition: string, open: OpenAt) {
    this.#host = host;
    this.#partition = partition;
    this.#open = open;
    this.done = new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
    });
  }

  async start(positions: ReadonlyMap<string, string>): Promise<void> {
    const maker = await this.#open(positions.get(this.#partition) ?? '', positions);
    this.#maker = maker;
    this.#loop = this.#run(maker).then(this.#finish, this.#fail);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    // Input that does not come would be waited for without end.
    await this.#maker?.close();
    await this.#loop;
  }

  get #stopped(): boolean {
    return this.#stop.signal.aborted;
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
    const partition = this.#partition;
    const batch = { format, partition, body, position, batchId: '', traceparent: '', correlationId: '' };
    await acceptUntilTaken(this.#host, batch, this.#stop.signal);
  }

  /** Returns early when the source is stopped. */
  async #until(atMs: number): Promise<void> {
    for (let waitMs = atMs - monotonic(); waitMs > 0 && !this.#stopped; waitMs = atMs - monotonic()) {
      await pauseUnless(this.#stop.signal, Math.min(PAUSE_MS_MAX, Math.ceil(waitMs)));
    }
  }
}
