/**
 * A sink that takes results as bytes, as files do, and counts them: what the engine makes is measured, not what someone
 * does with it.
 */
import { countOf } from '../../src/streams/sinks/line-batch.ts';
import type { SinkKind } from '../../src/streams/sinks/port.ts';

/** `counted` is told how many results have come. */
export function countingSink(counted: (results: number) => void): SinkKind {
  return {
    type: 'count',
    guarantee: 'at-least-once',
    options: [],
    create: () => ({
      open: () => Promise.resolve(0),
      write(batch) {
        counted(countOf(batch));
        return Promise.resolve();
      },
      close: () => Promise.resolve(),
    }),
  };
}
