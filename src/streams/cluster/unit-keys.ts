/**
 * Where a unit of replicated streams is in Redis: all its keys share the hash tag `{unit}`, so that one script may touch
 * several of them on a Cluster as well.
 *
 * They are the only copy of events that were acknowledged, and must outlast a long weekend without any node: all of them
 * end together, `UNIT_TTL_MS` after the last owner kept them up. So end those of streams that are gone, or are cut into
 * other partitions. What bounds them before is the log's `bytesMax`, the checkpoints kept and the limits of dead letters.
 * Redis must not evict them either: `maxmemory-policy noeviction`.
 */

/** Without an owner. */
export const UNIT_TTL_MS = 30 * 86_400_000;

export interface UnitKeys {
  /** Hash: `token` of the owner, `attempt`, `first` and `last` record of the log, `definitions` in force, as `declared` (packed). */
  readonly head: string;
  /** Redis stream: record n is the entry `n-0`. */
  readonly log: string;
  /** Hash: `{id}:{seq}` → manifest of a checkpoint. */
  readonly manifests: string;
  /** Set: ids of checkpoints whose pieces may be there. */
  readonly begun: string;
  /** Hash: stream → what its dead letters add up to. */
  readonly boxes: string;
  /** Hash: `{content}/{piece}` → bytes. */
  pieces(id: number | ''): string;
  /** Redis stream: the letter at (seq, index) is the entry `seq-index`. */
  letters(stream: string): string;
}

/** `prefix`: of all keys, without braces. */
export function unitKeys(prefix: string, unit: string): UnitKeys {
  const base = `${prefix}stream:{${unit}}:`;
  return {
    head: `${base}head`,
    log: `${base}log`,
    manifests: `${base}checkpoints`,
    begun: `${base}checkpoint-ids`,
    boxes: `${base}dead-letters`,
    pieces: (id) => `${base}checkpoint:${id}`,
    letters: (stream) => `${base}dead-letters:${stream}`,
  };
}
