/**
 * The engine's side of a source, as tests steer it: what is accepted is a log, and an accept can be held or refused.
 */
import { EventEmitter, once } from 'node:events';
import { inWorkingDirectory } from '../../../src/streams/connector-options.ts';
import { StreamRefusal } from '../../../src/streams/engine/port.ts';
import type { Accepted, IncomingBatch, SourceHost } from '../../../src/streams/sources/port.ts';

const TAKEN: Accepted = { accepted: 1, rejected: 0, late: 0 };

export class TestHost implements SourceHost {
  /** As in a log: what is in here survives the source. */
  readonly logged: IncomingBatch[] = [];
  readonly offered: IncomingBatch[] = [];
  readonly warnings: string[] = [];
  /** Errors the next offers meet, in order. */
  readonly refusals: Error[] = [];
  readonly log = {
    warn: (_fields: object, message: string): void => void this.warnings.push(message),
    info: (): void => undefined,
  };
  concurrentMax = 0;
  /** Offers are logged, but their answers wait for `release`. */
  holding = false;
  /** From so many batches on. */
  holdFrom = Number.POSITIVE_INFINITY;
  #concurrent = 0;
  #released: (() => void)[] = [];
  readonly #events = new EventEmitter();
  readonly #ids = new Set<string>();

  readonly fileAt = inWorkingDirectory;

  now(): number {
    return Date.now();
  }

  async accept(batch: IncomingBatch): Promise<Accepted> {
    this.#concurrent += 1;
    this.concurrentMax = Math.max(this.concurrentMax, this.#concurrent);
    try {
      this.offered.push(batch);
      this.#events.emit('changed');
      const refusal = this.refusals.shift();
      if (refusal !== undefined) throw refusal;
      // As the engine does with batch ids.
      if (batch.batchId !== '' && this.#ids.has(batch.batchId)) return TAKEN;
      if (batch.batchId !== '') this.#ids.add(batch.batchId);
      this.logged.push(batch);
      this.#events.emit('changed');
      if (this.holding || this.logged.length > this.holdFrom) {
        await new Promise<void>((resolve) => this.#released.push(resolve));
      }
      return TAKEN;
    } finally {
      this.#concurrent -= 1;
      this.#events.emit('changed');
    }
  }

  release(): void {
    this.holding = false;
    this.holdFrom = Number.POSITIVE_INFINITY;
    for (const resolve of this.#released.splice(0)) resolve();
  }

  lines(): string[] {
    return this.logged.flatMap(linesOf);
  }

  /** Positions by partition, as the engine has them after a restart. */
  positions(): ReadonlyMap<string, string> {
    return new Map(this.logged.filter(({ position }) => position !== '').map((b) => [b.partition, b.position]));
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await once(this.#events, 'changed');
  }

  /** What a restart begins with: the same log. */
  successor(): TestHost {
    const next = new TestHost();
    next.logged.push(...this.logged);
    for (const { batchId } of this.logged) if (batchId !== '') next.#ids.add(batchId);
    return next;
  }
}

export function linesOf({ body }: IncomingBatch): string[] {
  return Buffer.from(body)
    .toString()
    .split('\n')
    .filter((line) => line !== '');
}

export const overload = (): Error => new StreamRefusal('pending', 'too many bytes wait', 10);
export const refusalForGood = (): Error => new StreamRefusal('unknown', 'no such stream');
