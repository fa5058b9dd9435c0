// HOT PATH
/**
 * Admission owns the bounds: at most `maxConcurrent` permits are out and at most `queueSize` jobs wait, exactly, at
 * every moment. It decides what becomes of each arriving job, and which one is next; it moves no bytes, owns no timer
 * and tells no sink: clock readings come in as arguments, verdicts go out as return values.
 *
 *   arrive ─► run ───────────────────────────► PERMIT ─► release(success | ignore | dropped)
 *          ─► queued ─► WAITING ─► next ──────►  │ ▲
 *          ─► caller-runs ─► CALLER ─► release   ▼ │ next (keeps its permit)
 *          ─► evict (queued, another refused)  RETURNED   (taken back unstarted from a worker)
 *          ─► shed                             WAITING, RETURNED ─► EXPIRED ─► expire, or ─► cancel
 *
 * Acquire and release are paired: every 'run', every 'caller-runs' and every job from `next` is given back with exactly
 * one `release`, unless `takeBack` came first and `next`, `expire` or `cancel` took it from there. Releasing a job that
 * holds nothing is a bug and throws. After `arrive` and `release` the owner calls `next` until it returns null.
 */
import type { Arrival } from './arrival.ts';
import { CallerBudget } from './caller-budget.ts';
import { EntryLanes } from './entry-lanes.ts';
import { FairQueue } from './fair-queue.ts';
import { IntakePause } from './intake-pause.ts';
import { JobList } from './job-list.ts';
import { Pace } from './pace.ts';
import type { ServiceTimes } from './service-times.ts';

export interface AdmissionOptions {
  /** Jobs that may wait. 0: none. */
  readonly queueSize: number;
  /** Permits. At least 1. */
  readonly maxConcurrent: number;
  readonly overload: 'caller-runs' | 'reject' | 'block';
  readonly callerRunsBudgetMs: number;
  readonly callerRunsShare: number;
}

/**
 * `evict`: the newcomer waits, and the job of `takeEvicted()` is to be refused in its place.
 * `caller-runs`: it holds no permit, but is given back with `release` all the same.
 */
export type Decision = 'run' | 'queued' | 'caller-runs' | 'evict' | 'shed';

/**
 * How a permit ends. `success`: the job was done, counts for the pace. `ignore`: it says nothing about the pool (the
 * client left). `dropped`: the pool did not manage it (deadline, lost worker): no progress, so the pace sinks.
 */
export type Ending = 'success' | 'ignore' | 'dropped';

/** Values of `Job.stage`. */
export const STAGE = { OUTSIDE: 0, WAITING: 1, PERMIT: 2, RETURNED: 3, CALLER: 4, EXPIRED: 5 } as const;

/** Jobs run by the caller at once. Synchronous ones never overlap; this bounds those that wait for something. */
export const CALLER_RUNS_MAX = 16;

/** `J`: what arrives, and so what comes out again. */
export class Admission<J extends Arrival> {
  readonly callerBudget: CallerBudget;
  /** Policy 'block' only. */
  readonly intake: IntakePause = new IntakePause();
  /** Set while the workers can take no more at once: permits are then not given out, and who is next stays open. */
  held = false;
  readonly #options: AdmissionOptions;
  readonly #pauseAt: number;
  readonly #resumeAt: number;
  readonly #queue = new FairQueue();
  readonly #lanes: EntryLanes;
  readonly #returned = new JobList(null);
  /** Past their deadline and not yet handed out by `expire`: EXPIRED ones, and RETURNED ones, which keep their permit. */
  readonly #expired = new JobList(null);
  readonly #pace = new Pace();
  #inFlight = 0;
  #expiredWaiting = 0;
  #callerRunning = 0;
  #evicted: Arrival | null = null;
  /** No waiting or returned job has an earlier deadline. */
  #earliestDeadlineMs = Number.POSITIVE_INFINITY;

  /** `isolatedMax`: calls of one isolated entry that may run at once, whatever the entry says. */
  constructor(options: AdmissionOptions, serviceTimes: ServiceTimes, isolatedMax = Number.POSITIVE_INFINITY) {
    this.#options = options;
    this.#lanes = new EntryLanes(isolatedMax);
    this.callerBudget = new CallerBudget(serviceTimes, options.callerRunsBudgetMs, options.callerRunsShare);
    // Room for what is already in the sockets' buffers when reading stops; half the queue before it goes on.
    this.#pauseAt = Math.ceil(options.queueSize * 0.75);
    this.#resumeAt = Math.floor(options.queueSize * 0.5);
  }

  /** Jobs that wait, those whose deadline has passed but that `expire` has not yet handed out included. */
  get waiting(): number {
    return this.#queue.size + this.#expiredWaiting;
  }

  /** Permits out, those of jobs taken back from a worker included. */
  get inFlight(): number {
    return this.#inFlight;
  }

  get callerRunning(): number {
    return this.#callerRunning;
  }

  /** Decides about a new job and sets its `acceptedAtMs` and `deadlineAtMs`. */
  arrive(job: J, nowMs: number): Decision {
    const { queueSize, maxConcurrent, overload } = this.#options;
    job.acceptedAtMs = nowMs;
    job.deadlineAtMs = nowMs + job.timeoutMs;
    const full = this.#lanes.full(job.entry);
    const nothingAhead = this.#queue.ready === 0 && this.#returned.length === 0;
    const held = this.held && queueSize > 0;
    if (full === null && nothingAhead && !held && this.#inFlight < maxConcurrent) {
      this.#lanes.acquire(job);
      job.stage = STAGE.PERMIT;
      this.#inFlight++;
      this.#watchIntake();
      return 'run';
    }
    if (this.waiting < queueSize) {
      this.#wait(job, nowMs);
      return 'queued';
    }
    if (overload === 'caller-runs' && full === null && this.#callerMayRun(job, nowMs)) {
      this.#lanes.acquire(job);
      job.stage = STAGE.CALLER;
      this.#callerRunning++;
      return 'caller-runs';
    }
    // Only when the newcomer's share stays the shorter one: else two equal shares would evict each other for ever.
    const longest = this.#queue.longest();
    if (longest === null || longest.newest === null || longest.count <= this.#queue.countOf(job.share) + 1)
      return 'shed';
    this.#evicted = longest.newest;
    this.#takeOut(longest.newest);
    this.#wait(job, nowMs);
    return 'evict';
  }

  /** The job refused by the last 'evict'. */
  takeEvicted(): J | null {
    const job = this.#evicted;
    this.#evicted = null;
    return job as J | null;
  }

  /** The next job to run, with its permit, or null while there is none or no permit. */
  next(nowMs: number): J | null {
    for (let job = this.#returned.head; job !== null; job = this.#returned.head) {
      this.#returned.shift();
      if (job.deadlineAtMs <= nowMs) {
        this.#expired.push(job);
        continue;
      }
      job.stage = STAGE.PERMIT;
      return job as J;
    }
    if (this.held || this.#inFlight >= this.#options.maxConcurrent) return null;
    for (let job = this.#queue.head(); job !== null; job = this.#queue.head()) {
      if (job.deadlineAtMs <= nowMs) {
        this.#setAside(job);
        continue;
      }
      if (job.lane === null) {
        const full = this.#lanes.full(job.entry);
        if (full !== null) {
          this.#queue.park(job, full);
          continue;
        }
        this.#lanes.acquire(job);
      }
      this.#queue.shift();
      job.stage = STAGE.PERMIT;
      this.#inFlight++;
      this.#watchIntake();
      return job as J;
    }
    return null;
  }

  /** Ends what `run`, `caller-runs` or `next` gave. */
  release(job: J, ending: Ending, nowMs: number): void {
    if (job.stage === STAGE.CALLER) this.#callerRunning--;
    else if (job.stage === STAGE.PERMIT) {
      this.#inFlight--;
      if (ending === 'success' && this.#queue.size > 0) this.#pace.completed(nowMs);
    } else throw new Error(`released a job that holds nothing (stage ${job.stage})`);
    job.stage = STAGE.OUTSIDE;
    this.#releaseSlot(job);
    this.#watchIntake();
  }

  /**
   * Takes a job back that had a permit and was not started. It keeps permit and slot, so neither bound moves, and is
   * what `next` returns before anything else.
   */
  takeBack(job: J): void {
    if (job.stage !== STAGE.PERMIT) throw new Error(`took back a job that has no permit (stage ${job.stage})`);
    job.stage = STAGE.RETURNED;
    this.#returned.push(job);
    this.#earliestDeadlineMs = Math.min(this.#earliestDeadlineMs, job.deadlineAtMs);
  }

  /** Removes a job that waits or was taken back. False when it does neither: then whoever runs it releases it. */
  cancel(job: J): boolean {
    if (job.stage !== STAGE.WAITING && job.stage !== STAGE.RETURNED && job.stage !== STAGE.EXPIRED) return false;
    this.#takeOut(job);
    return true;
  }

  /** Hands out every job whose deadline has passed while it waited; admission knows it no longer. Returns how many. */
  expire(nowMs: number, visit: (job: J) => void): number {
    if (nowMs >= this.#earliestDeadlineMs) this.#sweep(nowMs);
    let count = 0;
    for (let job = this.#expired.head; job !== null; job = this.#expired.head) {
      this.#takeOut(job);
      count++;
      visit(job as J);
    }
    return count;
  }

  /** Whole milliseconds, 50…5000, after which a refused client is likely to find room. */
  retryAfterMs(nowMs: number): number {
    return this.#pace.retryAfterMs(this.waiting + 1, nowMs);
  }

  #wait(job: Arrival, nowMs: number): void {
    if (this.#queue.size === 0) this.#pace.busyFrom(nowMs);
    job.stage = STAGE.WAITING;
    this.#queue.push(job, this.#lanes.full(job.entry));
    this.#earliestDeadlineMs = Math.min(this.#earliestDeadlineMs, job.deadlineAtMs);
    this.#watchIntake();
  }

  /** Takes a job out of admission, wherever it waits, and with it whatever it holds. */
  #takeOut(job: Arrival): void {
    if (job.stage === STAGE.WAITING) this.#queue.remove(job);
    else {
      job.list?.remove(job);
      if (job.stage === STAGE.EXPIRED) this.#expiredWaiting--;
      else this.#inFlight--;
    }
    job.stage = STAGE.OUTSIDE;
    this.#releaseSlot(job);
    this.#watchIntake();
  }

  /** Moves a waiting job past its deadline aside. It counts until handed out: the bound is on what is in memory. */
  #setAside(job: Arrival): void {
    this.#queue.remove(job);
    job.stage = STAGE.EXPIRED;
    this.#expired.push(job);
    this.#expiredWaiting++;
    this.#releaseSlot(job);
  }

  #releaseSlot(job: Arrival): void {
    const heir = this.#lanes.release(job);
    if (heir !== null) this.#queue.unpark(heir);
  }

  #callerMayRun(job: Arrival, nowMs: number): boolean {
    return this.#callerRunning < CALLER_RUNS_MAX && this.callerBudget.allows(job.entry, nowMs);
  }

  /** Moves what has expired to `#expired`, and learns the earliest deadline of the rest. */
  #sweep(nowMs: number): void {
    let earliestMs = Number.POSITIVE_INFINITY;
    for (const backlog of this.#queue.backlogs()) {
      for (let job = backlog.oldest; job !== null; ) {
        const newer: Arrival | null = job.newer;
        if (job.deadlineAtMs <= nowMs) this.#setAside(job);
        else earliestMs = Math.min(earliestMs, job.deadlineAtMs);
        job = newer;
      }
    }
    for (let job = this.#returned.head; job !== null; ) {
      const after: Arrival | null = job.next;
      if (job.deadlineAtMs <= nowMs) {
        this.#returned.remove(job);
        this.#expired.push(job);
      } else earliestMs = Math.min(earliestMs, job.deadlineAtMs);
      job = after;
    }
    this.#earliestDeadlineMs = earliestMs;
  }

  #watchIntake(): void {
    if (this.#options.overload !== 'block') return;
    // Without a queue the permits are all there is to wait for.
    const noPermit = this.#inFlight >= this.#options.maxConcurrent;
    if (this.#pauseAt === 0) {
      if (noPermit) this.intake.pause();
      else this.intake.resume();
    } else if (this.waiting >= this.#pauseAt) this.intake.pause();
    else if (this.waiting <= this.#resumeAt) this.intake.resume();
  }
}
