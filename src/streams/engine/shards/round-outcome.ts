/**
 * What a round came to, put together from what each part of the shards says.
 *
 * Role: beside `ShardSet`. Invariant: the same order of results whatever thread was first.
 */
import type { QueryRows, ResultChunk, ShardReport, Step, Unasked } from '../task.ts';

export interface RoundOutcome {
  readonly results: readonly ResultChunk[];
  readonly queries: readonly QueryRows[];
  readonly unasked: readonly Unasked[];
  readonly reports: readonly ShardReport[];
  /** Steps that could not be applied and are in no shard, and why. */
  readonly refused: ReadonlyMap<Step, string>;
}

export function mergeReports(before: readonly ShardReport[], after: readonly ShardReport[]): readonly ShardReport[] {
  if (before.length === 0) return after;
  return after.map((report, i) => {
    const earlier = before[i];
    return earlier === undefined
      ? report
      : {
          ...report,
          letGo: [...earlier.letGo, ...report.letGo],
          copy: report.copy ?? earlier.copy,
          reach: report.reach ?? earlier.reach,
        };
  });
}

/** In order of the log, then of the plan, then of the shards: the same whatever thread was first. */
export function byOrigin(a: ResultChunk, b: ResultChunk): number {
  return a.seq - b.seq || a.operator - b.operator || a.output.localeCompare(b.output) || a.shard - b.shard;
}
