// HOT PATH
/**
 * Round robin over turns: each turn is one share's line of jobs, and the ring hands out one job per turn and round.
 *
 *   current ─► Turn ⇄ Turn ⇄ Turn ─┐      a turn that gets its first job joins behind all others (before `current`);
 *      ▲─────────────────────────────┘      a turn that loses its last job leaves the ring
 *
 * Invariants: every turn in the ring has at least one job, so between shares that always have work the numbers of jobs
 * handed out differ by at most one. Within a turn: `ahead` first, then `jobs`, each in order of joining.
 */
import type { Arrival } from './arrival.ts';
import type { Lane } from './entry-lanes.ts';
import type { Backlog } from './fair-queue.ts';
import { JobList } from './job-list.ts';

export class Turn {
  /** Jobs that had their turn before and were kept from running by their entry's cap. */
  readonly ahead: JobList = new JobList(this);
  readonly jobs: JobList = new JobList(this);
  /** Set while it has jobs. */
  ring: TurnRing | null = null;
  before: Turn = this;
  after: Turn = this;
  /** Whose jobs these are. */
  backlog: Backlog;
  /** The entry whose cap they wait for; null in the main ring. */
  lane: Lane | null;

  constructor(backlog: Backlog, lane: Lane | null) {
    this.backlog = backlog;
    this.lane = lane;
  }
}

export class TurnRing {
  /** Jobs in all turns. */
  length = 0;
  #current: Turn | null = null;

  /** The job that `shift` would take. */
  head(): Arrival | null {
    const turn = this.#current;
    return turn === null ? null : (turn.ahead.head ?? turn.jobs.head);
  }

  push(turn: Turn, job: Arrival): void {
    turn.jobs.push(job);
    this.#joined(turn);
  }

  pushAhead(turn: Turn, job: Arrival): void {
    turn.ahead.push(job);
    this.#joined(turn);
  }

  /** Takes the job whose turn it is and passes the turn on. */
  shift(): Arrival | null {
    const job = this.head();
    const turn = this.#current;
    if (job === null || turn === null) return null;
    const after = turn.after;
    this.remove(job, turn);
    if (this.#current === turn) this.#current = after;
    return job;
  }

  /** Takes a job out without passing the turn on. `turn` is `job.list.turn`. */
  remove(job: Arrival, turn: Turn): void {
    job.list?.remove(job);
    this.length--;
    if (turn.ahead.length === 0 && turn.jobs.length === 0) this.#leave(turn);
  }

  #joined(turn: Turn): void {
    this.length++;
    if (turn.ring !== null) return;
    turn.ring = this;
    const current = this.#current;
    if (current === null) {
      this.#current = turn;
      return;
    }
    turn.before = current.before;
    turn.after = current;
    current.before.after = turn;
    current.before = turn;
  }

  #leave(turn: Turn): void {
    if (this.#current === turn) this.#current = turn.after === turn ? null : turn.after;
    turn.before.after = turn.after;
    turn.after.before = turn.before;
    turn.before = turn;
    turn.after = turn;
    turn.ring = null;
  }
}
