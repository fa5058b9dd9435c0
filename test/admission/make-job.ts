/** Entries and jobs as admission sees them: nothing of them is ever run. */
import type { Entry } from '../../src/catalogue/entry.ts';
import { Job, type JobSink } from '../../src/dispatch/job.ts';
import { REVISION_2026_07_28 } from '../../src/protocol/revisions.ts';

const silent = (): void => undefined;
const SINK: JobSink = {
  completed: silent,
  refused: silent,
  emitted: silent,
  asked: silent,
  becameTask: silent,
  releasedConnection: silent,
};

export function makeEntry(key: number, concurrency = Number.POSITIVE_INFINITY, callerRuns = true): Entry {
  return {
    key,
    kind: 'tool',
    name: `tool-${key}`,
    run: 'pool',
    module: null,
    definition: { kind: 'tool', name: `tool-${key}`, handler: () => '' },
    concurrency,
    timeoutMs: 0,
    callerRuns,
    repeatable: false,
    cacheTtlMs: 0,
    cacheScope: 'private',
    paramHeaders: [],
    task: 'never',
  };
}

export function makeJob(entry: Entry, share: string, timeoutMs = 5000): Job {
  return new Job(entry, REVISION_2026_07_28, 0, share, null, SINK, timeoutMs);
}
