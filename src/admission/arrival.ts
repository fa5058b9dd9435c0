/**
 * What admission knows of a job, and where the job stands with it. `dispatch/job.ts` makes a whole job of it.
 *
 * Role: keeps admission free of what jobs carry. The links are part of the job, so that waiting and running allocate
 * nothing: an arrival stands in at most one `JobList` (`list`, `prev`, `next`), and, while it waits, among the arrivals of
 * its share in order (`backlog`, `older`, `newer`).
 * Leaves to others: everything about the job's content and ending.
 */
import type { Entry } from '../catalogue/entry.ts';
import type { Lane } from './entry-lanes.ts';
import type { Backlog } from './fair-queue.ts';
import type { JobList } from './job-list.ts';

export abstract class Arrival {
  abstract readonly entry: Entry;
  abstract readonly timeoutMs: number;
  /** Fair-share key. */
  abstract readonly share: string;

  /** Monotonic milliseconds; set by `Admission.arrive`. */
  acceptedAtMs = 0;
  deadlineAtMs = 0;

  // Written by this folder alone.
  /** One of `STAGE` in admission.ts. */
  stage = 0;
  list: JobList | null = null;
  prev: Arrival | null = null;
  next: Arrival | null = null;
  backlog: Backlog | null = null;
  older: Arrival | null = null;
  newer: Arrival | null = null;
  /** Set while it holds one of its entry's concurrency slots. */
  lane: Lane | null = null;
}
