/**
 * A client that sends its batches in order to any of the nodes, each until it is taken, under one batch id; one that nobody
 * takes for two minutes is an error that says why.
 */
import type { Accepted } from '../../../src/streams/sources/port.ts';
import type { Reading } from './sensor-case.ts';

const PATIENCE_MS = 120_000;

export interface Target {
  accept(stream: string, events: readonly object[], heading: { batchId: string; partition: string }): Promise<Accepted>;
}

export interface SenderOptions {
  readonly stream: string;
  readonly name: string;
  readonly batches: readonly (readonly Reading[])[];
  /** Those that are there now, in turn. */
  readonly targets: () => readonly Target[];
  /** Of an error: whether the same batch may be taken later. Default: always. */
  readonly mayRetry?: (error: unknown) => boolean;
}

export class Sender {
  readonly #options: SenderOptions;
  #turn = 0;
  taken = 0;
  retries = 0;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** The first so many; the rest when called without. */
  async send(count = Number.POSITIVE_INFINITY): Promise<void> {
    const { batches } = this.#options;
    const end = Math.min(batches.length, this.taken + count);
    while (this.taken < end) {
      await this.#sendOne(this.taken);
      this.taken += 1;
    }
  }

  async #sendOne(n: number): Promise<void> {
    const { batches, mayRetry = () => true, name, stream, targets } = this.#options;
    const batch = batches[n] as readonly Reading[];
    const endMs = Date.now() + PATIENCE_MS;
    for (;;) {
      const all = targets();
      const target = all[this.#turn++ % Math.max(1, all.length)];
      try {
        if (target === undefined) throw new Error('no node is there');
        const accepted = await target.accept(stream, batch, { batchId: `${name}/${n}`, partition: name });
        if (accepted.accepted !== batch.length || accepted.late > 0) {
          throw new Unexpected(`batch ${name}/${n}: ${JSON.stringify(accepted)} of ${batch.length} events`);
        }
        return;
      } catch (error) {
        if (error instanceof Unexpected || !mayRetry(error)) throw error;
        if (Date.now() > endMs) throw new Error(`nobody takes batch ${name}/${n}`, { cause: error });
        this.retries += 1;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }
}

class Unexpected extends Error {}
