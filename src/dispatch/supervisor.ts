/**
 * Time: deadlines, jobs stuck behind a slow neighbour, tools that do not stop, memory that grows (heaps: `heap-watch.ts`).
 *
 * Role: one coarse timer looks at the board every TICK_MS while there is work, instead of a timer per job; a slow one
 * (`idle-watch.ts`) while there is none. What it finds it hands to the dispatcher (answers), the pool (ends a thread) or
 * the workers (cancellation).
 *
 *   past its deadline, waiting      → refused, never starts
 *   past its deadline, done, large  → refused now, its result is still on its way
 *   past its deadline, running      → refused now, the tool sees its signal; the grace after that:
 *        its worker stands in it    → the worker is ended, the job was the culprit
 *        otherwise                  → the job is abandoned; too many of those and the worker is replaced
 *   a worker's loop stands          → it is ended when nobody on it has time left, or there is no call on it at all
 *   a worker stands for STUCK_MS    → finished results are delivered, jobs not started are taken back, none follow
 *   a worker is to be replaced      → it gets no more jobs and is ended when those it has are done
 */
import type { Admission } from '../admission/admission.ts';
import { fault } from '../protocol/faults.ts';
import type { JobDispatcher } from './dispatcher.ts';
import type { Flights, WorkerLoad } from './flights.ts';
import { foldedNow, foldedSince } from './folded-time.ts';
import type { HeapWatch } from './heap-watch.ts';
import { IdleWatch } from './idle-watch.ts';
import type { Job } from './job.ts';
import { CANCEL, STATE } from './job-board.ts';
import type { Losses } from './losses.ts';
import { type Moment, STANDING_MS } from './pulse.ts';

export const TICK_MS = 10;
const STUCK_MS = 4;
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
  /** Null: V8 alone limits heaps. */
  readonly heaps: HeapWatch | null;
  readonly now: () => number;
  /** CPU time of the process in milliseconds. */
  readonly cpuMs: () => number;
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
  readonly #idle: IdleWatch;
  readonly #idleTick = (): void => this.idleTick();
  #timer: NodeJS.Timeout | null = null;
  #ticks = 0;
  /** When memory last made an end of a worker, and how much there was. */
  #endedAtMs = Number.NEGATIVE_INFINITY;
  #endedAtBytes = 0;

  constructor(ports: SupervisorPorts, options: SupervisorOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#idle = new IdleWatch(ports.flights, options.callerIndex, (load) => ports.losses.killLeftover(load));
  }

  /** Starts the timer if it stands still; it stops by itself when nothing is left. */
  wake(): void {
    if (this.#timer !== null) return;
    this.#timer = setInterval(() => this.tick(), TICK_MS);
    this.#idle.start(this.#idleTick);
  }

  stop(): void {
    this.#rest();
    this.#idle.stop();
    this.#ports.heaps?.stop();
  }

  #rest(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** While calls are watched, so are the threads. */
  idleTick(): void {
    if (this.#timer !== null) return;
    const at = this.#moment();
    this.#idle.look(at);
    this.#ports.heaps?.look(at.nowMs);
  }

  /** A thread says that its heap is full. What it is asked for that is let go again by the slow timer, if no other. */
  full(load: WorkerLoad | null): void {
    this.#idle.start(this.#idleTick);
    if (load !== null) this.#ports.heaps?.full(load);
  }

  #moment(): Moment {
    const { cpuMs, now } = this.#ports;
    return { nowMs: now(), cpuMs: cpuMs() };
  }

  tick(): void {
    const { admission, dispatcher, flights, heaps } = this.#ports;
    const at = this.#moment();
    const { nowMs } = at;
    admission.expire(nowMs, (job) => {
      dispatcher.refuse(job, timeoutFault(job, 'before it could start'));
      dispatcher.release(job);
    });
    for (const load of flights.loads) {
      if (load !== null && load.worker.index !== this.#options.callerIndex) this.#watchWorker(load, at);
    }
    heaps?.look(nowMs);
    for (const job of flights.jobs) if (job !== null && job.deadlineAtMs <= nowMs) this.#overdue(job, nowMs);
    this.#ticks += 1;
    if (this.#ticks % MEMORY_TICKS === 0) this.#watchMemory(nowMs);
    dispatcher.pump();
    // Nobody else would see whether a thread still stands, and stream tasks may wait for it.
    if (dispatcher.active === 0 && flights.loads.every((load) => load?.stuck !== true)) this.#rest();
  }

  #watchWorker(load: WorkerLoad, at: Moment): void {
    const { flights, losses } = this.#ports;
    const { board } = flights;
    const { index } = load.worker;
    const { nowMs } = at;
    // In this order: a stream task that ends or begins shows a beat.
    load.pulse.look(board.beats(index), board.current(index) !== -1, at);
    const isForeign = board.streamTasks(index) > 0;
    load.stuck = this.#isStuck(load, nowMs);
    if (load.stuck) this.#freeNeighbours(load);
    if (load.stuck && !isForeign && board.current(index) === -1) this.#endStanding(load, at);
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
    const state = board.state(job.slot);
    // It leaves its worker by message, which a neighbour that runs holds up; it gives back what it holds when it comes.
    if (state === STATE.DONE && board.resultBytes(job.slot) === -1)
      dispatcher.refuse(job, timeoutFault(job, 'before its result had come'));
    if (state !== STATE.RUNNING) return;
    if (board.cancelled(job.slot) !== CANCEL.DEADLINE) this.#stop(job, nowMs);
    if (nowMs - job.endedAtMs < this.#options.killGraceMs) return;
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
    return load.epoch !== -1 && load.pulse.stands(nowMs);
  }

  /**
   * The loop stands between two awaits of one of its calls; of which one is not known. Once no call there has time
   * left, or after a long while if any has none, the worker is ended. So it is when there is no call at all, but
   * something one has left behind.
   */
  #endStanding(load: WorkerLoad, at: Moment): void {
    const standsMs = load.epoch === -1 ? 0 : load.pulse.loopsMs(at, this.#silentThreads(at.nowMs));
    if (standsMs === 0) return;
    const { nowMs } = at;
    const { flights, losses } = this.#ports;
    const lateFrom = nowMs - this.#options.killGraceMs;
    let running = 0;
    let late = 0;
    for (const job of flights.jobs) {
      if (job === null || job.worker !== load.worker.index || flights.board.state(job.slot) !== STATE.RUNNING) continue;
      running += 1;
      if (flights.board.cancelled(job.slot) === CANCEL.DEADLINE && job.endedAtMs <= lateFrom) late += 1;
    }
    if (running === 0) {
      if (standsMs > STANDING_MS + this.#options.killGraceMs) losses.killLeftover(load);
    } else if (late === running || (late > 0 && standsMs > STANDING_MS_MAX))
      losses.kill(load, 'deadline', losses.culprit(load));
  }

  /** Each of them may have had a part of what the process took. */
  #silentThreads(nowMs: number): number {
    let count = 0;
    for (const load of this.#ports.flights.loads) if (load?.pulse.stands(nowMs) === true) count += 1;
    return count;
  }

  /** The client is answered; the tool is asked to stop, and has the grace from now on. */
  #stop(job: Job, nowMs: number): void {
    const { dispatcher, flights } = this.#ports;
    const { sequence, slot } = job;
    job.endedAtMs = nowMs;
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
      const standsMs = Math.max(0, load.pulse.silentMs(nowMs));
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
