/**
 * The checkpoint port: state as of one sequence number of the log, several kept, damaged ones recognised.
 *
 * Role: a restart takes the newest good checkpoint and replays the log after its `seq`. State, source positions, sink
 * cursors and what queries may still ask for are in one checkpoint and become visible together or not at all.
 */
export interface CheckpointToSave {
  /** The log record whose effects are the last ones contained. */
  readonly seq: number;
  /** Definitions of the streams, as JSON: memory is only understood with the plan it was made by. */
  readonly definitionsJson: string;
  /** Small facts (watermarks, positions, dedup ids, cursors) as JSON. */
  readonly factsJson: string;
  /** Named contents: buffers of shards, retained results. Gone through once: only one at a time need be in memory. */
  readonly chunks: Iterable<readonly [name: string, bytes: Uint8Array]>;
}

export interface Checkpoint extends CheckpointToSave {
  /** Each over a `SharedArrayBuffer` of exactly its length: it can become a shard's memory without being copied. */
  readonly chunks: ReadonlyMap<string, Uint8Array>;
}

/** True when it has put the content where it is wanted: then it is let go before the next one is read. */
export type TakeChunk = (name: string, bytes: Uint8Array) => boolean;

/** Checkpoints kept. */
export const CHECKPOINTS_KEPT = 3;

export interface CheckpointStore {
  /**
   * Resolves when it is durable and visible. Older ones beyond those kept are removed afterwards, damaged ones first.
   * Rejects, leaving the earlier ones. One at a time; the contents may not change before it settles.
   */
  save(checkpoint: CheckpointToSave): Promise<void>;
  /**
   * The newest one whose checksums match, without the contents that `take` takes; null when there is none. `damaged` is
   * called for each damaged one that is passed over: what was taken of it is to be dropped.
   */
  newest(damaged: (seq: number, reason: string) => void, take?: TakeChunk): Promise<Checkpoint | null>;
  /** Sequence number of the oldest one kept: the log before it can go. 0 for none. */
  oldestSeq(): number;
  close(): Promise<void>;
}
