/**
 * What is kept of a call so that another node can make it again, and the job that it becomes there.
 *
 * Role: only tools that may be repeated (read-only or idempotent), and only bodies of at most `CALL_BYTES_MAX`. The job
 * has no connection: its events belong to the task from the start.
 */
import type { CatalogueHolder } from '../catalogue/entry.ts';
import type { Settings } from '../config/settings.ts';
import { JOB_FLAG, Job, type JobSink } from '../dispatch/job.ts';
import { revisionNamed } from '../protocol/revisions.ts';
import type { TaskCall } from './port.ts';

/** Of the request; a larger one is not kept, and its task fails with its node. */
export const CALL_BYTES_MAX = 256 * 1024;
/** Nodes a task may take with it before it is given up. */
export const NODES_LOST_MAX = 2;

/** `body` is lent. Undefined: nothing is kept. */
export function callOf(job: Job, body: Uint8Array | null): TaskCall | undefined {
  if (!job.entry.repeatable || body === null || body.length > CALL_BYTES_MAX) return undefined;
  return {
    tool: job.entry.name,
    revision: job.revision.name,
    flags: job.flags & ~JOB_FLAG.CAN_STREAM,
    share: job.share,
    extras: job.extras,
    body: Uint8Array.from(body),
  };
}

/** `unknown`: this node does not know the tool, or the revision. `once`: here it must not be repeated. */
export function jobAgain(
  call: TaskCall,
  taskId: string,
  catalogue: CatalogueHolder,
  settings: Settings['tasks'],
  sink: JobSink,
): Job | 'unknown' | 'once' {
  const entry = catalogue.current.tool(call.tool);
  const revision = revisionNamed(call.revision);
  if (entry === undefined || revision === undefined) return 'unknown';
  if (!entry.repeatable) return 'once';
  const extras = { ...call.extras, taskId };
  const timeoutMs = Math.max(entry.timeoutMs, settings.deadlineMs);
  return new Job(entry, revision, call.flags, call.share, extras, sink, timeoutMs);
}
