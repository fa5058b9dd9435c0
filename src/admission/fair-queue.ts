// HOT PATH
/**
 * Every job that waits, with exact counts: round robin between shares, first in first out inside one.
 *
 * A job stands in one of two places: in the ring (its turn is to come), or parked in the lane of an entry that is at
 * its cap. Both count, for `size` and for its share's backlog. Shares are ranked by backlog in buckets, so that the
 * longest is known at once: counts move by one, hence a share only ever moves to the bucket beside its own.
 *
 *   buckets[3] ─► Backlog ⇄ Backlog        shares with three waiting jobs
 *
 * Bounds: `size` is bounded by admission; there are never more backlogs than waiting jobs.
 */
import type { Arrival } from './arrival.ts';
import { dropIfEmpty, type Lane, park } from './entry-lanes.ts';
import { Turn, TurnRing } from './turn-ring.ts';

/** Backlogs kept for reuse. */
const SPARE_BACKLOGS_MAX = 256;

/** The waiting jobs of one share. */
export class Backlog {
  share = '';
  /** In the ring and parked. */
  count = 0;
  oldest: Arrival | null = null;
  newest: Arrival | null = null;
  readonly turn: Turn = new Turn(this, null);
  /** Neighbours in the bucket of `count`. */
  prev: Backlog | null = null;
  next: Backlog | null = null;
}

export class FairQueue {
  /** Jobs waiting. */
  size = 0;
  readonly #ring = new TurnRing();
  readonly #backlogs = new Map<string, Backlog>();
  readonly #spare: Backlog[] = [];
  readonly #buckets: (Backlog | null)[] = [null];
  #longestCount = 0;

  /** Jobs whose turn is to come; the others are parked. */
  get ready(): number {
    return this.#ring.length;
  }

  countOf(share: string): number {
    return this.#backlogs.get(share)?.count ?? 0;
  }

  /** A share with the most waiting jobs, or null when nothing waits. */
  longest(): Backlog | null {
    return this.#buckets[this.#longestCount] ?? null;
  }

  /** `full` is the lane of a job whose entry has no free slot: it is parked unless older jobs of its share wait. */
  push(job: Arrival, full: Lane | null): void {
    const backlog = this.#enter(job);
    if (full !== null && backlog.turn.ring === null) park(full, backlog, job);
    else this.#ring.push(backlog.turn, job);
  }

  /** The job whose turn it is. */
  head(): Arrival | null {
    return this.#ring.head();
  }

  /** Takes the job whose turn it is and passes the turn to the next share. */
  shift(): Arrival | null {
    const job = this.#ring.shift();
    if (job !== null) this.#leave(job);
    return job;
  }

  /** Moves a job from the ring to a lane; its share keeps the turn. */
  park(job: Arrival, lane: Lane): void {
    const turn = job.list?.turn;
    if (!turn || job.backlog === null) throw new Error('only a job in the ring can be parked');
    this.#ring.remove(job, turn);
    park(lane, job.backlog, job);
  }

  /** Puts a job that a lane let go back in the ring, before its share's jobs that had no turn yet. */
  unpark(job: Arrival): void {
    if (job.backlog === null) throw new Error('only a waiting job can be unparked');
    this.#ring.pushAhead(job.backlog.turn, job);
  }

  /** Takes a job out, wherever it stands; no turn passes. */
  remove(job: Arrival): void {
    const turn = job.list?.turn;
    if (!turn || turn.ring === null) throw new Error('only a waiting job can be removed');
    turn.ring.remove(job, turn);
    dropIfEmpty(turn);
    this.#leave(job);
  }

  /** Every backlog, for the sweep of deadlines. Jobs may be removed meanwhile, but not added. */
  backlogs(): IterableIterator<Backlog> {
    return this.#backlogs.values();
  }

  #enter(job: Arrival): Backlog {
    let backlog = this.#backlogs.get(job.share);
    if (backlog === undefined) {
      backlog = this.#spare.pop() ?? new Backlog();
      backlog.share = job.share;
      this.#backlogs.set(job.share, backlog);
    }
    job.backlog = backlog;
    job.older = backlog.newest;
    if (backlog.newest === null) backlog.oldest = job;
    else backlog.newest.newer = job;
    backlog.newest = job;
    this.size++;
    this.#rank(backlog, backlog.count + 1);
    return backlog;
  }

  #leave(job: Arrival): void {
    const { backlog, older, newer } = job;
    if (backlog === null) return;
    if (older === null) backlog.oldest = newer;
    else older.newer = newer;
    if (newer === null) backlog.newest = older;
    else newer.older = older;
    job.backlog = null;
    job.older = null;
    job.newer = null;
    this.size--;
    this.#rank(backlog, backlog.count - 1);
    if (backlog.count > 0) return;
    this.#backlogs.delete(backlog.share);
    if (this.#spare.length < SPARE_BACKLOGS_MAX) this.#spare.push(backlog);
  }

  /** Moves a backlog to the bucket of its new count, one above or below the old one. Bucket 0 stays empty. */
  #rank(backlog: Backlog, count: number): void {
    const buckets = this.#buckets;
    const { prev, next } = backlog;
    if (backlog.count > 0) {
      if (prev === null) buckets[backlog.count] = next;
      else prev.next = next;
      if (next !== null) next.prev = prev;
    }
    backlog.prev = null;
    backlog.next = null;
    if (count > 0) {
      if (count === buckets.length) buckets.push(null);
      const first = buckets[count] ?? null;
      backlog.next = first;
      if (first !== null) first.prev = backlog;
      buckets[count] = backlog;
    }
    if (count > this.#longestCount) this.#longestCount = count;
    else if (backlog.count === this.#longestCount && buckets[backlog.count] === null) this.#longestCount = count;
    backlog.count = count;
  }
}
