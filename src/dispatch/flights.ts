// HOT PATH
/**
 * Who is where: the job of each board slot, and what each worker has been given.
 *
 * Role: the front-end thread's books over the job board. `jobs[slot]` is the job that owns a slot from acceptance to
 * its release; a `WorkerLoad` sums the blocking time its worker is still expected to need.
 * Invariants: `load.jobs` is the number of slots whose job has `worker === load.index`; `load.expectedUs` is the sum of
 * `expectedUs` over those that have not run yet, and of what tasks of the live streams are charged. An asynchronous job
 * that only waits costs its worker nothing.
 */
import { Buffer } from 'node:buffer';
import type { PoolWorker } from '../pool/port.ts';
import { FOLDED_AHEAD_MS_MAX, foldedAfter, foldedNow } from './folded-time.ts';
import type { Job } from './job.ts';
import { FreeSlots, type JobBoard, SEQUENCE_MASK } from './job-board.ts';
import { Pulse } from './pulse.ts';

/** Far less than any call takes. */
const REST_US = 0.5;

export class WorkerLoad {
  readonly worker: PoolWorker;
  jobs = 0;
  expectedUs = 0;
  /** Catalogue epoch the worker has been told of. */
  epoch = -1;
  /** The same, and it has answered since: what comes to it by whatever way is known to it. */
  epochHeard = -1;
  /** Why it gets no new jobs and is ended when what it runs has ended; '' while it is in service. */
  retiring = '';
  /** Monotonic milliseconds at which it began to retire. */
  retiringAtMs = 0;
  /** Its end has been asked for and not come yet. */
  ending = false;
  /** The isolated job that runs on it, or that waits for it to be empty. */
  reservedFor: Job | null = null;
  /** Its loop stands in one call: gets nothing new meanwhile. */
  stuck = false;
  /** Jobs whose clients were answered while the handler goes on. */
  abandoned = 0;
  /** Control messages of the worker that have been delivered when it was last asked for them. */
  heard = 0;
  readonly pulse: Pulse;
  /** Chosen in this flush, not sent yet. */
  outbox: Job[] = [];

  constructor(worker: PoolWorker, nowMs: number) {
    this.worker = worker;
    this.pulse = new Pulse(nowMs);
  }

  charge(us: number): void {
    this.expectedUs += us;
  }

  /** What sums of fractions leave over is nothing: a worker with nothing left to run is known by its 0. */
  discharge(us: number): void {
    this.expectedUs -= us;
    if (this.expectedUs < REST_US) this.expectedUs = 0;
  }

  retire(reason: string, nowMs: number): void {
    if (this.retiring !== '') return;
    this.retiring = reason;
    this.retiringAtMs = nowMs;
  }
}

/** A reading of the threads' clock is used again for so long. */
const FOLDED_MS_MAX = 1;

export class Flights {
  readonly board: JobBoard;
  /** By slot. */
  readonly jobs: (Job | null)[];
  /** By worker index; the last is the front-end thread itself. */
  readonly loads: (WorkerLoad | null)[];
  readonly #expectedUs: Float64Array;
  readonly #free: FreeSlots;
  #sequence = 0;
  /** The threads' clock at `#foldedFor`: one reading for all jobs of about the same time. */
  #folded = 0;
  #foldedFor = Number.NaN;

  constructor(board: JobBoard) {
    this.board = board;
    this.jobs = new Array<Job | null>(board.slots).fill(null);
    this.loads = new Array<WorkerLoad | null>(board.workers).fill(null);
    this.#expectedUs = new Float64Array(board.slots);
    this.#free = new FreeSlots(board.slots);
  }

  get count(): number {
    return this.board.slots - this.#free.count;
  }

  /** Gives the job a slot and keeps its body there. False when no slot is free: the bounds were broken. */
  place(job: Job, body: Uint8Array): boolean {
    const slot = this.#free.take();
    if (slot === -1) return false;
    const extras = job.extras === null ? '' : JSON.stringify(job.extras);
    if (!this.board.writeBody(slot, body, extras)) job.overflow = Buffer.from(body);
    job.slot = slot;
    this.jobs[slot] = job;
    return true;
  }

  /** Makes the job runnable by the worker it is charged to. */
  assign(job: Job, load: WorkerLoad, expectedUs: number, nowMs: number): void {
    // It may have turned unseen since it was last watched.
    if (load.jobs === 0) load.pulse.restart(nowMs);
    job.worker = load.worker.index;
    load.jobs += 1;
    load.charge(expectedUs);
    this.#expectedUs[job.slot] = expectedUs;
    this.#sequence = (this.#sequence + 1) & SEQUENCE_MASK;
    job.sequence = this.#sequence;
    const aheadMs = Math.min(FOLDED_AHEAD_MS_MAX, Math.max(0, Math.round(job.deadlineAtMs - nowMs)));
    const sinceMs = nowMs - this.#foldedFor;
    if (!(sinceMs >= 0 && sinceMs < FOLDED_MS_MAX)) {
      this.#foldedFor = nowMs;
      this.#folded = foldedNow();
    }
    const deadlineAt = foldedAfter(this.#folded, aheadMs);
    this.board.publish(job.slot, job.entry.key, job.revision.index, job.flags, deadlineAt, this.#sequence);
  }

  /** The job's blocking part has run; it only waits now. */
  discharge(job: Job): void {
    const load = this.loads[job.worker];
    if (load === null || load === undefined) return;
    load.discharge(this.#expectedUs[job.slot] as number);
    this.#expectedUs[job.slot] = 0;
  }

  /** Takes a job off its worker; it keeps its slot. */
  unassign(job: Job): void {
    this.discharge(job);
    const load = this.loads[job.worker];
    if (load !== null && load !== undefined) {
      load.jobs -= 1;
      if (load.reservedFor === job) load.reservedFor = null;
    }
    job.worker = -1;
    job.sequence = -1;
  }

  /** An abandoned job has ended after all. */
  forgive(job: Job): void {
    const load = this.loads[job.worker];
    if (load !== null && load !== undefined) load.abandoned -= 1;
  }

  /** The end of a job's stay: off its worker, slot free. */
  release(job: Job): void {
    if (job.worker !== -1) this.unassign(job);
    if (job.slot === -1) return;
    this.board.vacate(job.slot);
    this.jobs[job.slot] = null;
    this.#free.give(job.slot);
    job.slot = -1;
    job.overflow = null;
  }

  /** Request bytes of a job that has a slot. */
  bodyOf(job: Job): Uint8Array | null {
    if (job.overflow !== null) return job.overflow;
    if (job.slot === -1) return null;
    const at = this.board.requestAt(job.slot);
    return this.board.bytes.subarray(at, at + this.board.bodyBytes(job.slot));
  }

  /** The job a worker's message speaks of; null when it has ended or was taken from that worker. */
  named(slot: number, sequence: number): Job | null {
    const job = this.jobs[slot];
    return job !== null && job !== undefined && job.sequence === sequence ? job : null;
  }
}
