/**
 * What the engine may use of a case: accepted events in order, each with its stream's watermark before its batch.
 *
 * Role: the rules of arrival, restated plainly and slowly. An event is rejected when its time is further ahead of its
 * arrival than `maxFutureMs`; repeated when its source and id were accepted before. A partition's progress is the
 * highest accepted time − outOfOrderMs − 1; the watermark is the lowest progress of the partitions that have sent
 * something and are not idle, the highest of all when all are idle, and never falls.
 */
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { type OracleBatch, type OracleCase, type OracleEvent, timeOf } from './case.ts';

const MAX_FUTURE_MS = 300_000;

export interface AdmittedEvent {
  /** Position of the batch among the steps of the case, and of the event in its batch. */
  readonly step: number;
  readonly row: number;
  readonly ts: number;
  /** Watermark of the stream before the batch. */
  readonly watermark: number;
  readonly fields: OracleEvent['fields'];
}

export interface Admitted {
  readonly events: readonly AdmittedEvent[];
  readonly rejected: number;
  readonly duplicates: number;
  /** After each step of the case. */
  readonly watermarks: readonly number[];
  /** After the last one. */
  readonly watermark: number;
}

class Arrivals {
  readonly events: AdmittedEvent[] = [];
  rejected = 0;
  duplicates = 0;
  watermark = Number.NEGATIVE_INFINITY;
  readonly #stream: StreamDefinition;
  readonly #seen = new Set<string>();
  readonly #progress = new Map<string, number>();
  readonly #idle = new Set<string>();

  constructor(stream: StreamDefinition) {
    this.#stream = stream;
  }

  take(batch: OracleBatch, step: number): void {
    const { schema, time } = this.#stream;
    const maxFutureMs = time?.maxFutureMs ?? MAX_FUTURE_MS;
    let tsMax = Number.NEGATIVE_INFINITY;
    batch.events.forEach((event, row) => {
      const ts = timeOf(schema, event, batch.arrivalMs);
      if (maxFutureMs > 0 && ts > batch.arrivalMs + maxFutureMs) {
        this.rejected++;
        return;
      }
      const identity = JSON.stringify([batch.source, event.id]);
      if (event.id !== '' && this.#seen.has(identity)) {
        this.duplicates++;
        return;
      }
      this.#seen.add(identity);
      this.events.push({ step, row, ts, watermark: this.watermark, fields: event.fields });
      tsMax = Math.max(tsMax, ts);
    });
    if (tsMax === Number.NEGATIVE_INFINITY) return;
    const progress = tsMax - (time?.outOfOrderMs ?? 0) - 1;
    const before = this.#progress.get(batch.partition) ?? Number.NEGATIVE_INFINITY;
    this.#progress.set(batch.partition, Math.max(before, progress));
    this.#idle.delete(batch.partition);
    this.#advance();
  }

  idle(partition: string): void {
    this.#idle.add(partition);
    this.#advance();
  }

  #advance(): void {
    const active = [...this.#progress].filter(([partition]) => !this.#idle.has(partition));
    const allIdle = active.length === 0;
    const progress = allIdle ? Math.max(...this.#progress.values()) : Math.min(...active.map(([, each]) => each));
    this.watermark = Math.max(this.watermark, progress);
  }
}

export function admit(given: OracleCase, stream: StreamDefinition): Admitted {
  const arrivals = new Arrivals(stream);
  const watermarks: number[] = [];
  given.steps.forEach((step, index) => {
    if (step.stream === stream.name) {
      if ('idle' in step) arrivals.idle(step.idle);
      else arrivals.take(step, index);
    }
    watermarks.push(arrivals.watermark);
  });
  const { events, rejected, duplicates, watermark } = arrivals;
  return { events, rejected, duplicates, watermarks, watermark };
}
