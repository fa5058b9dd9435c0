/**
 * The sinks there are, by the `type` of their declaration. `stream` is not one of them: the engine does that itself.
 *
 * What each promises for results of `fsync` streams, when the process ends at any moment and starts again. Of `memory`
 * streams alone nothing is computed again after a restart: their new results follow the old ones, with the same
 * identities for windows that are computed anew. Beside an `fsync` stream they share its log, of which their newest
 * records may be lost.
 *
 *   stream    exactly once    derived events follow from the log and are computed again with it
 *   file      exactly once    a batch and its place in the log are one append; what is torn is cut off at the start
 *   parquet   exactly once    as `file`, then a rename; the place is in the file's name
 *   redis     exactly once    entries and the place are one script of Redis, as durable as that Redis is
 *   webhook   at least once   batches are cut anew after a crash: the receiver tells by the results' `id`s; within one
 *                             process a call that is repeated has the same `Idempotency-Key`
 *
 * A sink further than the log belongs to another log, and is followed from there (see `engine/results/delivery.ts`).
 */
import { fileSinkKind } from './file-sink.ts';
import { parquetSinkKind } from './parquet-sink.ts';
import type { SinkKind } from './port.ts';
import { redisSinkKind } from './redis-sink.ts';
import { webhookSinkKind } from './webhook-sink.ts';

const KINDS: readonly SinkKind[] = [fileSinkKind, parquetSinkKind, redisSinkKind, webhookSinkKind];

export const SINK_KINDS: ReadonlyMap<string, SinkKind> = new Map(KINDS.map((kind) => [kind.type, kind]));
