/**
 * Lost workers: who was to blame, what becomes of the calls that were on it, and when a tool is quarantined.
 *
 * Role: `kill` ends a thread on purpose, `lost` is told by the pool when a thread has ended for whatever reason. The
 * jobs of that worker then go four ways: finished ones are delivered, those not started run elsewhere, the culprit is
 * answered with an error, and running neighbours are repeated once if their annotations allow it.
 */
import type { Admission } from '../admission/admission.ts';
import type { Log, Meters } from '../observe/port.ts';
import type { ControlOut, LossCause, WorkerPool } from '../pool/port.ts';
import { fault } from '../protocol/faults.ts';
import type { JobDispatcher } from './dispatcher.ts';
import type { Flights, WorkerLoad } from './flights.ts';
import type { Job } from './job.ts';
import { STATE } from './job-board.ts';
import type { Quarantine } from './quarantine.ts';

export interface LossesPorts {
  readonly admission: Admission;
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
  readonly reason: string;
  readonly culprits: readonly Job[];
}

const REASON: Record<LossCause, string> = { killed: 'killed', memory: 'memory', exit: 'exit', error: 'crash' };

const SAID: Record<string, string> = {
  deadline: 'it did not stop within the grace period after its deadline',
  memory: 'it ran out of memory',
  exit: 'it ended the worker',
  crash: 'it crashed the worker',
  killed: 'its worker was ended',
};

export class Losses {
  readonly #ports: LossesPorts;
  /** Threads being ended on purpose, and why. */
  readonly #verdicts = new Map<number, Verdict>();

  constructor(ports: LossesPorts) {
    this.#ports = ports;
  }

  /** Ends a worker because of `culprits`. */
  kill(load: WorkerLoad, reason: 'deadline' | 'memory', culprits: readonly Job[]): void {
    const { threadId } = load.worker;
    if (this.#verdicts.has(threadId)) return;
    this.#verdicts.set(threadId, { reason, culprits });
    load.retiring = reason;
    this.#ports.pool().kill(load.worker);
  }

  /** The job in whose synchronous part the worker is, else everything that runs there. */
  culprits(load: WorkerLoad): readonly Job[] {
    const { flights } = this.#ports;
    const current = flights.board.current(load.worker.index);
    const job = current === -1 ? null : flights.jobs[current];
    if (job !== null && job !== undefined && job.worker === load.worker.index) return [job];
    return this.#jobsOf(load).filter(
      (candidate) => flights.board.state(candidate.slot) === STATE.RUNNING && !candidate.abandoned,
    );
  }

  #jobsOf(load: WorkerLoad): Job[] {
    return this.#ports.flights.jobs.filter((job): job is Job => job !== null && job.worker === load.worker.index);
  }

  /** The pool says that the thread has ended. */
  lost(load: WorkerLoad, cause: LossCause, message: string): void {
    const { flights, log, meters } = this.#ports;
    const verdict = this.#verdicts.get(load.worker.threadId) ?? this.#verdictOf(load, cause);
    this.#verdicts.delete(load.worker.threadId);
    const blamed = verdict.culprits[0];
    const name = blamed?.entry.name ?? '';
    meters.workerLost(verdict.reason, name);
    const detail = { worker: load.worker.index, reason: verdict.reason, entry: name, cause: message };
    if (load.retiring !== '' && blamed === undefined) log.info(detail, 'worker replaced');
    else log.warn(detail, 'worker lost');
    flights.board.setCurrent(load.worker.index, -1);
    for (const job of this.#jobsOf(load)) this.#dealWith(job, verdict);
    flights.loads[load.worker.index] = null;
    if (verdict.culprits.length === 1 && blamed !== undefined) this.#blame(blamed.entry.key, name);
    this.#ports.dispatcher().pump();
  }

  #verdictOf(load: WorkerLoad, cause: LossCause): Verdict {
    if (cause === 'killed' && load.retiring !== '') return { reason: load.retiring, culprits: [] };
    return { reason: REASON[cause], culprits: this.culprits(load) };
  }

  #dealWith(job: Job, verdict: Verdict): void {
    const { admission, flights } = this.#ports;
    const dispatcher = this.#ports.dispatcher();
    const state = flights.board.state(job.slot);
    if (state === STATE.DONE && flights.board.resultBytes(job.slot) !== -1) dispatcher.deliver(job, null);
    else if (job.settled) dispatcher.free(job, 'dropped');
    else if (state === STATE.READY) {
      flights.board.setState(job.slot, STATE.FREE);
      flights.unassign(job);
      admission.takeBack(job);
    } else if (verdict.culprits.includes(job))
      this.#refuse(job, `${job.entry.kind} ${job.entry.name}: ${SAID[verdict.reason] ?? SAID['killed']}`);
    else if (job.entry.repeatable && job.attempts === 0) {
      job.attempts += 1;
      flights.unassign(job);
      admission.takeBack(job);
    } else {
      const by = verdict.culprits[0]?.entry.name;
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
    const { log, meters } = this.#ports;
    const name = this.#ports.entryName(message.entryKey);
    meters.strayError(name);
    log.warn({ entry: name, kind: message.kind, cause: message.message }, 'a tool left something behind on its worker');
    if (message.entryKey !== -1) this.#blame(message.entryKey, name);
    if (load !== null && load.retiring === '') load.retiring = `stray-${message.kind}`;
    this.#ports.wake();
  }
}
