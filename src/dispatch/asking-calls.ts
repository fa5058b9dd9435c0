/**
 * Calls that have asked their clients: people take their time, and permits are for calls that run.
 *
 * Role: beside the dispatcher, which says when a call asks and when it has ended. A call that asks gives its permit to
 * another one, for good. Where there are too many such calls, or few of its entry may run at once, it keeps the permit;
 * half of them are never kept so.
 * Bound: `restingMax` calls without a permit, half as many with one; beyond that questions are refused.
 */
import { type Admission, STAGE } from '../admission/admission.ts';
import type { Job } from './job.ts';

/** For a tool whose question is not asked. */
export const TOO_MANY_ASK = { code: -32603, message: 'too many calls wait for answers of their clients' };

export class AskingCalls {
  readonly #admission: Pick<Admission<Job>, 'release'>;
  readonly #restingMax: number;
  #resting = 0;
  #holding = 0;

  constructor(admission: Pick<Admission<Job>, 'release'>, restingMax: number) {
    this.#admission = admission;
    this.#restingMax = restingMax;
  }

  /** It asks. `released`: its permit is free for another call. */
  asks(job: Job, nowMs: number): 'asked' | 'released' | 'refused' {
    if (job.stage !== STAGE.PERMIT || job.waits !== 'no') return 'asked';
    if (job.lane === null && this.#resting < this.#restingMax) {
      this.#admission.release(job, 'ignore', nowMs);
      job.waits = 'resting';
      this.#resting += 1;
      return 'released';
    }
    if (this.#holding >= Math.max(1, Math.floor(this.#restingMax / 2))) return 'refused';
    job.waits = 'holding';
    this.#holding += 1;
    return 'asked';
  }

  /** It counts no longer among those that wait for their clients. */
  ended(job: Job): void {
    if (job.waits === 'resting') this.#resting -= 1;
    else if (job.waits === 'holding') this.#holding -= 1;
    job.waits = 'no';
  }
}
