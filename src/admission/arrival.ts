/**
 * What admission knows of a job, and what it writes there: `dispatch/job.ts` makes a whole job of it.
 *
 * Role: keeps admission free of what jobs carry. The links are members of the job, so that waiting and running allocate
 * nothing: an arrival stands in at most one `JobList` (`list`, `prev`, `next`), and, while it waits, among the arrivals of
 * its share in order (`backlog`, `older`, `newer`).
 * Leaves to others: everything about the job's content and ending.
 */
import type { Entry } from '../catalogue/entry.ts';
import type { Lane } from './entry-lanes.ts';
import type { Backlog } from './fair-queue.ts';
import type { JobList } from './job-list.ts';

export interface Arrival {
  readonly entry: Entry;
  readonly timeoutMs: number;
  /** Fair-share key. */
  readonly share: string;
  /** Monotonic milliseconds; set by `Admission.arrive`. */
  acceptedAtMs: number;
  deadlineAtMs: number;

  // Of this folder alone.
  /** One of `STAGE` in admission.ts; at first 0. */
  stage: number;
  list: JobList | null;
  prev: Arrival | null;
  next: Arrival | null;
  backlog: Backlog | null;
  older: Arrival | null;
  newer: Arrival | null;
  /** Set while it holds one of its entry's concurrency slots. */
  lane: Lane | null;
}
