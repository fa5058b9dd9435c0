/**
 * A sink of type `lines`: results as NDJSON in a file, for another program to read while the test lasts.
 *
 * Role: bytes as the engine writes them, a million lines without one string. Nothing is flushed, no mark is set: `file` is
 * the sink for that, and has tests of its own.
 */
import { appendFileSync, closeSync, openSync } from 'node:fs';
import { chunksOf } from '../../../src/streams/sinks/line-batch.ts';
import type { Sink, SinkBatch, SinkKind } from '../../../src/streams/sinks/port.ts';

export const linesSinkKind: SinkKind = {
  type: 'lines',
  guarantee: 'at-least-once',
  options: ['path'],
  create: ({ path }) => new LinesSink(String(path)),
};

class LinesSink implements Sink {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, 'w');
  }

  open(): Promise<number> {
    return Promise.resolve(0);
  }

  write(batch: SinkBatch): Promise<void> {
    for (const chunk of chunksOf(batch)) appendFileSync(this.#file, chunk);
    return Promise.resolve();
  }

  close(): Promise<void> {
    closeSync(this.#file);
    return Promise.resolve();
  }
}
