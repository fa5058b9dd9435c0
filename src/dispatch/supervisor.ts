/**
 * Time: deadlines, jobs stuck behind a slow neighbour, tools that do not stop, memory that grows.
 *
 * Role: one coarse timer looks at the board every TICK_MS while there is work, instead of a timer per job. What it
 * finds it hands to the dispatcher (answers), the pool (ends a thread) or the workers (cancellation).
 *
 *   past its deadline, waiting      → refused, never starts
 *   past its deadline, running      → refused now, the tool sees its signal; after the grace:
 *        the worker's loop stands   → the worker is ended, the job was the culprit
 *        the worker's loop turns    → the job is abandoned; too many of those and the worker is replaced
 *   a neighbour runs for STUCK_MS   → finished results behind it are delivered, jobs not started are taken back
 */
import type { Admission } from '../admission/admission.ts';
import type { Meters } from '../observe/port.ts';
import type { WorkerPool } from '../pool/port.ts';
import { fault } from '../protocol/faults.ts';
import type { JobDispatcher } from './dispatcher.ts';
import type { Flights, WorkerLoad } from './flights.ts';
import type { Job } from './job.ts';
import { CANCEL, foldedNow, foldedSince, STATE } from './job-board.ts';
import type { Losses } from './losses.ts';

export const TICK_MS = 10;
const STUCK_MS = 4;
/** A worker whose loop has not turned for this long stands; a busy machine delays it by less. */
const STANDING_MS = 250;
/** Handlers that ignored their deadline and still wait, per worker, before it is replaced. */
export const ABANDONED_MAX = 32;
/** Resident memory is read every so many ticks. */
const MEMORY_TICKS = 5;

export interface SupervisorPorts {
  readonly admission: Admission;
  readonly dispatcher: JobDispatcher;
  readonly flights: Flights;
  readonly pool: WorkerPool;
  readonly losses: Losses;
  readonly meters: Meters;
  readonly now: () => number;
  readonly residentBytes: () => number;
}

export interface SupervisorOptions {
  readonly killGraceMs: number;
  /** 0: memory is not watched. */
  readonly residentBytesMax: number;
  readonly callerIndex: number;
}

export class Supervisor {
  readonly #ports: SupervisorPorts;
  readonly #options: SupervisorOptions;
  #timer: NodeJS.Timeout | null = null;
  #ticks = 0;

  constructor(ports: SupervisorPorts, options: SupervisorOptions) {
    this.#ports = ports;
    this.#options = options;
  }

  /** Starts the timer if it stands still; it stops by itself when nothing is left. */
  wake(): void {
    if (this.#timer === null) this.#timer = setInterval(() => this.tick(), TICK_MS);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  tick(): void {
    const { admission, dispatcher, flights, now } = this.#ports;
    const nowMs = now();
    admission.expire(nowMs, (job) => {
      dispatcher.refuse(job, timeoutFault(job, 'before it could start'));
      flights.release(job);
    });
    for (const load of flights.loads) if (load !== null) this.#watchWorker(load, nowMs);
    for (const job of flights.jobs) if (job !== null && job.deadlineAtMs <= nowMs) this.#overdue(job, nowMs);
    this.#ticks += 1;
    if (this.#ticks % MEMORY_TICKS === 0) this.#watchMemory();
    dispatcher.pump();
    if (dispatcher.active === 0) this.stop();
  }

  #watchWorker(load: WorkerLoad, nowMs: number): void {
    const { flights, pool } = this.#ports;
    const beats = flights.board.beats(load.worker.index);
    if (beats !== load.beats) {
      load.beats = beats;
      load.beatAtMs = nowMs;
    }
    const current = flights.board.current(load.worker.index);
    if (current !== -1 && foldedSince(flights.board.startedAt(current), foldedNow()) >= STUCK_MS)
      this.#freeNeighbours(load, current);
    if (load.retiring !== '' && load.jobs <= load.abandoned) pool.kill(load.worker);
  }

  #freeNeighbours(load: WorkerLoad, current: number): void {
    const { admission, dispatcher, flights } = this.#ports;
    dispatcher.catchUp(load);
    for (const job of flights.jobs) {
      if (job === null || job.worker !== load.worker.index || job.slot === current) continue;
      const { slot } = job;
      if (flights.board.swapState(slot, STATE.READY, STATE.FREE)) {
        flights.unassign(job);
        admission.takeBack(job);
      } else if (flights.board.state(slot) === STATE.DONE && flights.board.resultBytes(slot) !== -1)
        dispatcher.deliver(job, null);
    }
  }

  #overdue(job: Job, nowMs: number): void {
    const { dispatcher, flights } = this.#ports;
    const { board } = flights;
    const waiting = job.worker === -1 || board.swapState(job.slot, STATE.READY, STATE.FREE);
    if (waiting) {
      dispatcher.refuse(job, timeoutFault(job, 'before it could start'));
      dispatcher.free(job, 'dropped');
      return;
    }
    if (board.state(job.slot) !== STATE.RUNNING || job.abandoned) return;
    if (board.cancelled(job.slot) !== CANCEL.DEADLINE) this.#stop(job);
    const overMs = nowMs - job.deadlineAtMs;
    if (overMs < this.#options.killGraceMs) return;
    if (job.worker === this.#options.callerIndex) {
      dispatcher.abandon(job);
      return;
    }
    const load = flights.loads[job.worker] as WorkerLoad;
    const standing = board.current(load.worker.index) === job.slot || nowMs - load.beatAtMs > STANDING_MS;
    if (standing) this.#ports.losses.kill(load, 'deadline', [job]);
    else {
      dispatcher.abandon(job);
      if (load.abandoned > ABANDONED_MAX) load.retiring = 'abandoned';
    }
  }

  /** The client is answered; the tool is asked to stop. */
  #stop(job: Job): void {
    const { dispatcher, flights } = this.#ports;
    const sequence = flights.board.sequence(job.slot);
    flights.board.cancel(job.slot, CANCEL.DEADLINE);
    dispatcher.post(job, { type: 'cancel', slot: job.slot, sequence, reason: 'the deadline passed' });
    dispatcher.refuse(job, timeoutFault(job, 'while it ran'));
  }

  /** Ends the worker that most likely grows: one that stands in a call, else the one with the most array buffers. */
  #watchMemory(): void {
    const { flights, losses, residentBytes } = this.#ports;
    if (this.#options.residentBytesMax === 0 || residentBytes() <= this.#options.residentBytesMax) return;
    let worst: WorkerLoad | null = null;
    let worstScore = -1;
    for (const load of flights.loads) {
      if (load === null || load.jobs === 0 || load.worker.index === this.#options.callerIndex) continue;
      const standsMs = Math.max(0, this.#ports.now() - load.beatAtMs);
      const score = flights.board.buffersMiB(load.worker.index) + standsMs;
      if (score > worstScore) {
        worst = load;
        worstScore = score;
      }
    }
    if (worst !== null) losses.kill(worst, 'memory', losses.culprits(worst));
  }
}

function timeoutFault(job: Job, when: string): ReturnType<typeof fault> {
  return fault(
    'timeout',
    `${job.entry.kind} ${job.entry.name} did not finish within ${job.timeoutMs} ms: the deadline passed ${when}`,
  );
}
