/**
 * Time: deadlines, jobs stuck behind a slow neighbour, tools that do not stop, memory that grows.
 *
 * Role: one coarse timer looks at the board every TICK_MS while there is work, instead of a timer per job. What it
 * finds it hands to the dispatcher (answers), the pool (ends a thread) or the workers (cancellation).
 *
 *   past its deadline, waiting      → refused, never starts
 *   past its deadline, running      → refused now, the tool sees its signal; after the grace:
 *        its worker stands in it    → the worker is ended, the job was the culprit
 *        otherwise                  → the job is abandoned; too many of those and the worker is replaced
 *   a worker's loop stands          → it is ended when nobody on it has time left
 *   a worker stands for STUCK_MS    → finished results are delivered, jobs not started are taken back, none follow
 *   a worker is to be replaced      → it gets no more jobs and is ended when those it has are done
 */
import type { Admission } from '../admission/admission.ts';
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
/** It has stood for so long that calls which still have time are not waited for. */
const STANDING_MS_MAX = 5000;
/** Handlers that ignored their deadline and still wait, per worker, before it is replaced as soon as can be. */
const ABANDONED_RETIRE = 32;
/** The same, before it is replaced at once: each holds a slot of the board. */
export const ABANDONED_MAX = 48;
/** A worker that cannot be replaced for so long, since a call goes on and on, is used again until the next reason. */
const RETIRE_MS_MAX = 2000;
/** How long memory has to sink after a worker was ended for it. */
const MEMORY_PATIENCE_MS = 1000;
/** Resident memory is read every so many ticks. */
const MEMORY_TICKS = 5;

export interface SupervisorPorts {
  readonly admission: Admission<Job>;
  readonly dispatcher: JobDispatcher;
  readonly flights: Flights;
  readonly losses: Losses;
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
  /** When memory last made an end of a worker, and how much there was. */
  #endedAtMs = Number.NEGATIVE_INFINITY;
  #endedAtBytes = 0;

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
      dispatcher.release(job);
    });
    for (const load of flights.loads) {
      if (load !== null && load.worker.index !== this.#options.callerIndex) this.#watchWorker(load, nowMs);
    }
    for (const job of flights.jobs) if (job !== null && job.deadlineAtMs <= nowMs) this.#overdue(job, nowMs);
    this.#ticks += 1;
    if (this.#ticks % MEMORY_TICKS === 0) this.#watchMemory(nowMs);
    dispatcher.pump();
    if (dispatcher.active === 0) this.stop();
  }

  #watchWorker(load: WorkerLoad, nowMs: number): void {
    const { flights, losses } = this.#ports;
    const beats = flights.board.beats(load.worker.index);
    if (beats !== load.beats) {
      load.beats = beats;
      load.beatAtMs = nowMs;
    }
    load.stuck = this.#isStuck(load, nowMs);
    if (load.stuck) this.#freeNeighbours(load);
    if (this.#stands(load, nowMs) && flights.board.current(load.worker.index) === -1) this.#endStanding(load, nowMs);
    if (load.retiring === '') return;
    if (load.jobs <= load.abandoned) losses.end(load);
    else if (!load.ending && nowMs - load.retiringAtMs > RETIRE_MS_MAX) load.retiring = '';
  }

  /** In one call for a while; or, in whatever runs between two awaits, its loop does not turn. */
  #isStuck(load: WorkerLoad, nowMs: number): boolean {
    const { board } = this.#ports.flights;
    const current = board.current(load.worker.index);
    if (current !== -1 && foldedSince(board.startedAt(current), foldedNow()) >= STUCK_MS) return true;
    return this.#stands(load, nowMs);
  }

  #freeNeighbours(load: WorkerLoad): void {
    const { admission, dispatcher, flights } = this.#ports;
    for (const job of flights.jobs) {
      if (job === null || job.worker !== load.worker.index) continue;
      if (flights.board.takeBack(job.slot)) {
        flights.unassign(job);
        admission.takeBack(job);
      } else dispatcher.conclude(job, load);
    }
  }

  #overdue(job: Job, nowMs: number): void {
    const { dispatcher, flights } = this.#ports;
    const { board } = flights;
    const waiting = job.worker === -1 || board.takeBack(job.slot);
    if (waiting) {
      dispatcher.refuse(job, timeoutFault(job, 'before it could start'));
      dispatcher.free(job, 'dropped');
      return;
    }
    if (board.state(job.slot) !== STATE.RUNNING) return;
    if (board.cancelled(job.slot) !== CANCEL.DEADLINE) this.#stop(job);
    if (nowMs - job.deadlineAtMs < this.#options.killGraceMs) return;
    const load = flights.loads[job.worker] as WorkerLoad;
    if (job.worker !== this.#options.callerIndex) this.#giveUp(job, load, nowMs);
    else if (!job.abandoned) dispatcher.abandon(job);
  }

  /** The grace is over. */
  #giveUp(job: Job, load: WorkerLoad, nowMs: number): void {
    const { dispatcher, flights, losses } = this.#ports;
    if (load.ending) return;
    // Nobody else is on the worker of an isolated call, and nobody would ever use it again.
    if (job.entry.run === 'isolated') losses.kill(load, 'deadline', job);
    else if (flights.board.current(load.worker.index) === job.slot) {
      // While the loop turned a moment ago it may be at its last step, the encoding.
      if (this.#stands(load, nowMs)) losses.kill(load, 'deadline', job);
    } else if (!job.abandoned) {
      // Waiting, or kept by a neighbour from seeing that it was to stop.
      dispatcher.abandon(job);
      if (load.abandoned > ABANDONED_MAX) losses.kill(load, 'abandoned', null);
      else if (load.abandoned > ABANDONED_RETIRE) load.retire('abandoned', nowMs);
    }
  }

  /** A thread shows that its loop turns from its first batch on. */
  #stands(load: WorkerLoad, nowMs: number): boolean {
    return load.epoch !== -1 && nowMs - load.beatAtMs > STANDING_MS;
  }

  /**
   * The loop stands between two awaits of one of its calls; of which one is not known. Once no call there has time
   * left, or after a long while if any has none, the worker is ended. So it is when there is no call at all, but
   * something one has left behind.
   */
  #endStanding(load: WorkerLoad, nowMs: number): void {
    const { flights, losses } = this.#ports;
    const lateFrom = nowMs - this.#options.killGraceMs;
    let running = 0;
    let late = 0;
    for (const job of flights.jobs) {
      if (job === null || job.worker !== load.worker.index || flights.board.state(job.slot) !== STATE.RUNNING) continue;
      running += 1;
      if (job.deadlineAtMs <= lateFrom) late += 1;
    }
    const standsMs = nowMs - load.beatAtMs;
    let isOver = late === running;
    if (running === 0) isOver = standsMs > STANDING_MS + this.#options.killGraceMs;
    else if (late > 0 && standsMs > STANDING_MS_MAX) isOver = true;
    if (isOver) losses.kill(load, 'deadline', losses.culprit(load));
  }

  /** The client is answered; the tool is asked to stop. */
  #stop(job: Job): void {
    const { dispatcher, flights } = this.#ports;
    const { sequence, slot } = job;
    flights.board.cancel(slot, CANCEL.DEADLINE);
    dispatcher.post(job, { type: 'cancel', slot, sequence, reason: 'the deadline passed' });
    dispatcher.refuse(job, timeoutFault(job, 'while it ran'));
  }

  /**
   * Ends the worker that most likely grows: one that stands in a call, else the one with the most array buffers. What
   * it held is given back slowly, so another one only follows when memory grows further, or after a while.
   */
  #watchMemory(nowMs: number): void {
    const { flights, losses, residentBytes } = this.#ports;
    if (this.#options.residentBytesMax === 0) return;
    const bytes = residentBytes();
    if (bytes <= this.#options.residentBytesMax) return;
    if (bytes <= this.#endedAtBytes && nowMs - this.#endedAtMs < MEMORY_PATIENCE_MS) return;
    let worst: WorkerLoad | null = null;
    let worstScore = -1;
    for (const load of flights.loads) {
      if (load === null || load.jobs === 0 || load.ending || load.worker.index === this.#options.callerIndex) continue;
      const standsMs = Math.max(0, nowMs - load.beatAtMs);
      const score = flights.board.buffersMiB(load.worker.index) + standsMs;
      if (score > worstScore) {
        worst = load;
        worstScore = score;
      }
    }
    if (worst === null) return;
    this.#endedAtBytes = bytes;
    this.#endedAtMs = nowMs;
    losses.kill(worst, 'memory', losses.culprit(worst));
  }
}

function timeoutFault(job: Job, when: string): ReturnType<typeof fault> {
  return fault(
    'timeout',
    `${job.entry.kind} ${job.entry.name} did not finish within ${job.timeoutMs} ms: the deadline passed ${when}`,
  );
}
