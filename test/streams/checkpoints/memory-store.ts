/**
 * Checkpoints in memory, for tests of what outlives an engine.
 *
 * Copies going in and coming out: nobody's later writes reach what is kept. Nothing here can be damaged.
 */
import {
  CHECKPOINTS_KEPT,
  type Checkpoint,
  type CheckpointStore,
  type CheckpointToSave,
  type TakeChunk,
} from '../../../src/streams/checkpoints/port.ts';

const takesNone: TakeChunk = () => false;

export class MemoryCheckpointStore implements CheckpointStore {
  readonly #keep: number;
  #kept: Checkpoint[] = [];

  constructor(keep: number = CHECKPOINTS_KEPT) {
    this.#keep = keep;
  }

  save(checkpoint: CheckpointToSave): Promise<void> {
    this.#kept.push(copyOf(checkpoint, takesNone));
    this.#kept = this.#kept.slice(-this.#keep);
    return Promise.resolve();
  }

  newest(_damaged: unknown, take: TakeChunk = takesNone): Promise<Checkpoint | null> {
    const newest = this.#kept.at(-1);
    return Promise.resolve(newest === undefined ? null : copyOf(newest, take));
  }

  oldestSeq(): number {
    return this.#kept[0]?.seq ?? 0;
  }

  close(): Promise<void> {
    this.#kept = [];
    return Promise.resolve();
  }
}

function copyOf(checkpoint: CheckpointToSave, take: TakeChunk): Checkpoint {
  const chunks = new Map<string, Uint8Array>();
  for (const [name, bytes] of checkpoint.chunks) {
    const copy = new Uint8Array(new SharedArrayBuffer(bytes.byteLength));
    copy.set(bytes);
    if (!take(name, copy)) chunks.set(name, copy);
  }
  return { ...checkpoint, chunks };
}
