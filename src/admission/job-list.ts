// HOT PATH
/**
 * A first-in first-out list of jobs, linked through the jobs themselves: joining, leaving from anywhere and taking the
 * first are O(1) and allocate nothing. A job stands in at most one list; `job.list` says which.
 *
 *   head ⇄ job ⇄ job ⇄ tail        (`next` towards the tail, `prev` towards the head)
 *
 * Leaves to others: what the order means, and every count beyond its own `length`.
 */
import type { Arrival } from './arrival.ts';
import type { Turn } from './turn-ring.ts';

export class JobList {
  head: Arrival | null = null;
  tail: Arrival | null = null;
  length = 0;
  /** The turn this list is part of; null for a list outside any ring. */
  readonly turn: Turn | null;

  constructor(turn: Turn | null) {
    this.turn = turn;
  }

  push(job: Arrival): void {
    const tail = this.tail;
    job.list = this;
    job.prev = tail;
    job.next = null;
    if (tail === null) this.head = job;
    else tail.next = job;
    this.tail = job;
    this.length++;
  }

  shift(): Arrival | null {
    const job = this.head;
    if (job !== null) this.remove(job);
    return job;
  }

  /** `job.list` must be this list. */
  remove(job: Arrival): void {
    const { prev, next } = job;
    if (prev === null) this.head = next;
    else prev.next = next;
    if (next === null) this.tail = prev;
    else next.prev = prev;
    job.list = null;
    job.prev = null;
    job.next = null;
    this.length--;
  }
}
