/**
 * The sources there are, by the `type` of their declaration.
 *
 * What each promises, from the outside to the stream's results, when the stream is `fsync` (a `memory` stream begins
 * anew when its process ends, whatever the source; beside an `fsync` one it goes on, but its newest records may be lost):
 *
 *   generator   exactly once   its place is in the log with the batch
 *   file        exactly once   bytes taken are in the log with the batch; a path of `-`: at most once, since standard
 *                              input cannot be read again
 *   machine     at most once   what was not sampled is gone
 *   redis       exactly once   ids taken are in the log with the batch, entries are acknowledged afterwards; see
 *                              `redis-source.ts` for entries that are claimed from other consumers
 *   HTTP, WebSocket            at least once as the sender repeats; exactly once with batch ids (`Idempotency-Key`), or
 *                              ids of CloudEvents, within `dedup.ttlMs` and `dedup.idsMax`
 */
import { fileSourceKind } from './file-source.ts';
import { generatorSourceKind } from './generator-source.ts';
import { machineSourceKind } from './machine-source.ts';
import type { SourceKind } from './port.ts';
import { redisSourceKind } from './redis-source.ts';

const KINDS: readonly SourceKind[] = [fileSourceKind, generatorSourceKind, machineSourceKind, redisSourceKind];

export const SOURCE_KINDS: ReadonlyMap<string, SourceKind> = new Map(KINDS.map((kind) => [kind.type, kind]));
