/**
 * Calls that wait for answers from their clients: people take their time, and others need the permits meanwhile.
 *
 * Role: beside the dispatcher, which asks before a question goes out and says when the call is over.
 * Rules: such a call gives its permit back for good, an inline one its place: once answered, it runs beside
 * `maxConcurrent`. It keeps them when there are too many such calls already, or when its entry has a concurrency cap; but
 * at most half of all permits, and of all places, are kept that way. Beyond that no question goes out.
 */
import { type Admission, STAGE } from '../admission/admission.ts';
import type { InlinePlaces } from './inline-places.ts';
import type { Job, RpcError } from './job.ts';

/** For a tool whose question is not asked. */
export const TOO_MANY: RpcError = { code: -32603, message: 'too many calls wait for answers from their clients' };

export class Waits {
  readonly #admission: Admission<Job>;
  readonly #inline: InlinePlaces;
  readonly #restingMax: number;
  readonly #holdingMax: number;
  #resting = 0;
  #holding = 0;

  /** `max`: calls without a permit or a place; half as many may wait with one. */
  constructor(admission: Admission<Job>, inline: InlinePlaces, max: number) {
    this.#admission = admission;
    this.#inline = inline;
    this.#restingMax = max;
    this.#holdingMax = Math.max(1, Math.floor(max / 2));
  }

  /** The call asks something. False: it may not. */
  begin(job: Job, nowMs: number): boolean {
    if (job.waits !== 'no') return true;
    const inline = job.entry.run === 'inline';
    // Run by the caller: it has neither.
    if (!inline && job.stage !== STAGE.PERMIT) return true;
    if (job.lane === null && this.#resting < this.#restingMax) {
      if (inline) this.#inline.give();
      else this.#admission.release(job, 'ignore', nowMs);
      job.waits = 'resting';
      this.#resting += 1;
      return true;
    }
    if (this.#holding >= this.#holdingMax) return false;
    job.waits = 'holding';
    this.#holding += 1;
    return true;
  }

  /** One with a permit or a place goes on with it. */
  answered(job: Job): void {
    if (job.waits === 'holding') this.end(job);
  }

  /** It counts no longer. */
  end(job: Job): void {
    if (job.waits === 'resting') this.#resting -= 1;
    else if (job.waits === 'holding') this.#holding -= 1;
    job.waits = 'no';
  }
}
