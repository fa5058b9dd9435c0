/**
 * Lost workers: who was to blame, what becomes of the calls that were on it, and when a tool is quarantined.
 *
 * Role: `kill` ends a thread on purpose, `lost` is told by the pool when a thread has ended for whatever reason. The
 * jobs of that worker then go four ways: finished ones are delivered, those not started run elsewhere, the culprit is
 * answered with an error, and the others that ran are repeated once if their annotations allow it.
 * Blame needs certainty: the call in whose own code the thread was, or the only one there. Of several that ran side by
 * side none is blamed. What stands on a thread without a call was most likely left there by the tool that ran last: the
 * log names it, and it counts towards quarantine if no other ever ran there.
 */
import type { Admission } from '../admission/admission.ts';
import type { ServiceTimes } from '../admission/service-times.ts';
import type { Log, Meters } from '../observe/port.ts';
import type { ControlOut, LossCause, WorkerPool } from '../pool/port.ts';
import { fault } from '../protocol/faults.ts';
import type { JobDispatcher } from './dispatcher.ts';
import type { Flights, WorkerLoad } from './flights.ts';
import { foldedNow, foldedSince } from './folded-time.ts';
import type { Job } from './job.ts';
import { STATE } from './job-board.ts';
import type { Quarantine } from './quarantine.ts';

export interface LossesPorts {
  readonly admission: Admission<Job>;
  readonly times: ServiceTimes;
  readonly dispatcher: () => JobDispatcher;
  readonly flights: Flights;
  readonly pool: () => WorkerPool;
  readonly quarantine: Quarantine;
  readonly log: Log;
  readonly meters: Meters;
  readonly now: () => number;
  /** Name of the entry with this key, `''` when unknown. */
  readonly entryName: (key: number) => string;
  /** A retiring worker is ended by the supervisor's timer: starts it. */
  readonly wake: () => void;
}

interface Verdict {
  /**
   * As the metric has it: `deadline`, `memory`, `abandoned`, `left-running`, `isolated` or `stray-…` when it was ended on
   * purpose; else `memory`, `exit`, `crash` or `killed`.
   */
  readonly reason: string;
  readonly culprit: Job | null;
  /** Key of the entry whose code was called last, where no call is to blame but what one has left behind; else -1. */
  readonly leftBy: number;
  /** Nobody else's code was ever called on that thread. */
  readonly certain: boolean;
}

const REASON: Record<LossCause, string> = { killed: 'killed', memory: 'memory', exit: 'exit', error: 'crash' };

const SAID: Record<string, string> = {
  deadline: 'it did not stop within the grace period after its deadline',
  memory: 'it ran out of memory',
  exit: 'it ended the worker',
  crash: 'it crashed the worker',
  killed: 'its worker was ended',
};

/** In place of an entry's key. */
const NOBODY = -1;
const LEFT = 'left-running';

export class Losses {
  readonly #ports: LossesPorts;
  /** Threads being ended on purpose, and why. */
  readonly #verdicts = new Map<number, Verdict>();

  constructor(ports: LossesPorts) {
    this.#ports = ports;
  }

  /** Ends a worker, because of what the culprit does if there is a certain one. */
  kill(load: WorkerLoad, reason: 'deadline' | 'memory' | 'abandoned', culprit: Job | null): void {
    if (load.ending) return;
    this.#verdicts.set(load.worker.threadId, { reason, culprit, leftBy: NOBODY, certain: culprit !== null });
    load.retire(reason, this.#ports.now());
    this.end(load);
  }

  /** Ends a worker that stands though no call is on it: one that has ended left something behind that does not. */
  killLeftover(load: WorkerLoad): void {
    if (load.ending) return;
    const { board } = this.#ports.flights;
    const { index, threadId } = load.worker;
    const leftBy = board.lastEntry(index);
    this.#verdicts.set(threadId, { reason: LEFT, culprit: null, leftBy, certain: board.ranOneEntry(index) });
    load.retire(LEFT, this.#ports.now());
    this.end(load);
  }

  /** Ends a worker on which nothing is left to lose. */
  end(load: WorkerLoad): void {
    if (load.ending) return;
    load.ending = true;
    this.#ports.pool().kill(load.worker);
  }

  /** The job in whose own code the worker is, else the only one that runs there. */
  culprit(load: WorkerLoad): Job | null {
    const { flights } = this.#ports;
    const current = flights.board.current(load.worker.index);
    const job = current === -1 ? null : flights.jobs[current];
    if (job !== null && job !== undefined && job.worker === load.worker.index) return job;
    const running = this.#jobsOf(load).filter((candidate) => flights.board.state(candidate.slot) === STATE.RUNNING);
    return running.length === 1 ? (running[0] as Job) : null;
  }

  #jobsOf(load: WorkerLoad): Job[] {
    return this.#ports.flights.jobs.filter((job): job is Job => job !== null && job.worker === load.worker.index);
  }

  /** The pool says that the thread has ended. */
  lost(load: WorkerLoad, cause: LossCause, message: string): void {
    const { flights, log, meters } = this.#ports;
    const verdict = this.#verdicts.get(load.worker.threadId) ?? this.#verdictOf(load, cause);
    this.#verdicts.delete(load.worker.threadId);
    const { certain, culprit, leftBy, reason } = verdict;
    const key = culprit?.entry.key ?? leftBy;
    const name = culprit?.entry.name ?? this.#ports.entryName(leftBy);
    meters.workerLost(reason, name);
    const { correlationId } = culprit?.extras ?? {};
    const named = correlationId === undefined ? { entry: name } : { entry: name, correlationId };
    const detail = { worker: load.worker.index, reason, ...named, cause: message };
    if (reason === LEFT)
      log.warn(detail, 'worker lost: it stood without a call; the entry is the one that ran there last');
    else if (load.retiring !== '' && reason !== 'memory' && culprit === null) log.info(detail, 'worker replaced');
    else log.warn(detail, 'worker lost');
    flights.board.setCurrent(load.worker.index, -1);
    if (culprit !== null) this.#observe(culprit);
    for (const job of this.#jobsOf(load)) this.#dealWith(job, load, verdict);
    flights.loads[load.worker.index] = null;
    if (certain && key !== NOBODY) this.#blame(key, name);
    this.#ports.dispatcher().pump();
  }

  /** A call that never ended was never measured, and would go on as the cheap one it used to be. */
  #observe(culprit: Job): void {
    const { flights, times } = this.#ports;
    if (culprit.slot === -1 || flights.board.state(culprit.slot) !== STATE.RUNNING) return;
    const us = 1000 * foldedSince(flights.board.startedAt(culprit.slot), foldedNow());
    times.observe(culprit.entry.key, us);
  }

  #verdictOf(load: WorkerLoad, cause: LossCause): Verdict {
    if (cause === 'killed' && load.retiring !== '')
      return { reason: load.retiring, culprit: null, leftBy: NOBODY, certain: false };
    const culprit = this.culprit(load);
    return { reason: REASON[cause], culprit, leftBy: NOBODY, certain: culprit !== null };
  }

  #dealWith(job: Job, load: WorkerLoad, verdict: Verdict): void {
    const { admission, flights } = this.#ports;
    const dispatcher = this.#ports.dispatcher();
    // Told by the worker before it ended, or ended by what it told.
    if (dispatcher.conclude(job, load) || job.worker !== load.worker.index) return;
    if (job.settled) dispatcher.free(job, 'dropped');
    else if (flights.board.takeBack(job.slot)) {
      flights.unassign(job);
      admission.takeBack(job);
    } else if (job === verdict.culprit)
      this.#refuse(job, `${job.entry.kind} ${job.entry.name}: ${SAID[verdict.reason] ?? SAID['killed']}`);
    else if (job.entry.repeatable && job.attempts === 0 && !job.hasAsked) {
      job.attempts += 1;
      flights.unassign(job);
      admission.takeBack(job);
    } else {
      const by = verdict.culprit?.entry.name;
      const why = by === undefined ? '' : `: ${by} ended it`;
      this.#refuse(job, `the worker that ran this call was lost${why}`);
    }
  }

  #refuse(job: Job, message: string): void {
    this.#ports.dispatcher().refuse(job, fault('workerLost', message, { entry: job.entry.name }));
    this.#ports.dispatcher().free(job, 'dropped');
  }

  #blame(key: number, name: string): void {
    const { log, meters, now, quarantine } = this.#ports;
    if (!quarantine.record(key, now())) return;
    meters.quarantined(name);
    log.error({ entry: name }, 'quarantined: it kept ending its worker');
  }

  /** A tool left something behind that failed, or changed built-in objects: name it, and replace the worker soon. */
  stray(load: WorkerLoad | null, message: Extract<ControlOut, { type: 'stray' }>): void {
    const { log, meters, now } = this.#ports;
    const name = this.#ports.entryName(message.entryKey);
    meters.strayError(name);
    log.warn({ entry: name, kind: message.kind, cause: message.message }, 'a tool left something behind on its worker');
    if (message.entryKey !== -1) this.#blame(message.entryKey, name);
    load?.retire(`stray-${message.kind}`, now());
    this.#ports.wake();
  }
}
