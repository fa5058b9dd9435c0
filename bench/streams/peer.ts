/**
 * What a peer is to the comparison: a way to do a job, made ready outside of what is timed.
 *
 * Role: the port between `peer-process.ts`, which measures, and the ways there are. millrace's own row implements it too.
 */
import type { Job, Totals } from './job.ts';

export interface Peer {
  readonly name: string;
  /** What it starts from: `ndjson` or `msgpack` bytes, parsed `rows`, or typed `columns`. */
  readonly input: 'ndjson' | 'msgpack' | 'rows' | 'columns';
  /** Why it does not do this job at this size; `''`: it does. */
  refuses(job: Job): string;
  /** Events it is timed with, at most; the job's own number for most. */
  eventsMax(job: Job): number;
  /** Makes the input. The run may be called again and again. */
  prepare(job: Job): PeerRun;
}

export interface PeerRun {
  run(): Totals | Promise<Totals>;
  /** Microseconds that tasks of the latest run took: what a worker thread does of it. Absent: all of it is one. */
  taskUs?(): number;
}

/** Windows of all keys that are open at a time, when each window has its own state. */
export function openGroups(job: Job): number {
  const active = Math.min(job.keys, Math.ceil((job.ratePerS * job.sizeMs) / 1000));
  return active * (job.sizeMs / job.slideMs);
}

/** More than this many objects say more about the garbage collector than about the way. */
export const OPEN_GROUPS_MAX = 2_000_000;

export function tooManyGroups(job: Job): string {
  const open = openGroups(job);
  return open > OPEN_GROUPS_MAX ? `${open.toLocaleString('en')} windows open at a time` : '';
}
