/**
 * What the engine makes of what happens to its shards: the log is told, memory that is free is used again.
 *
 * Role: between `ShardSet`, which knows nobody, and the engine; `lifecycle.ts` joins them for each plan.
 */
import type { EngineLog, StreamEngine } from '../engine.ts';
import type { ShardSetEvents } from './shard-set.ts';

export function eventsFor(log: EngineLog, engine: StreamEngine): ShardSetEvents {
  return {
    stepFailed: (step, error) =>
      log.error(
        { err: error, step: step.kind, ...('seq' in step && { seq: step.seq }) },
        'a step could not be applied and is left out',
      ),
    released: (batch) => engine.buffers.give(batch),
    threadLost: (error) => log.warn({ err: error }, 'a thread was lost; its shards are restored'),
    spillDamaged: (error) => log.error({ err: error }, 'state on disk is damaged; its shard is restored'),
    notCopied: (error) => log.error({ err: error }, 'the state could not be copied'),
    notStored: (cause) => log.error({ cause }, 'state cannot be written to disk and stays in memory'),
  };
}
