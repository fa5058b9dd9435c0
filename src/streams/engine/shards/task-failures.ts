/**
 * What went wrong with a task on shards, and whose fault that is: the thread's, a step's, or the disk's.
 *
 * Role: for `ShardSet`, which restores shards and tries again, leaves a step out, or gives up. The task's progress says
 * where a thread stood when it was ended for making none.
 */
import { mayPass, PROGRESS_DISK, PROGRESS_STEPS, SpillProblem, type Step, ThreadLost } from '../task.ts';

/** A step that does not end, and the loss of the thread it was on. */
export class Hung extends ThreadLost {
  override readonly cause: ThreadLost;
  readonly step: Step;
  constructor(cause: ThreadLost, step: Step) {
    super(cause.message, true);
    this.cause = cause;
    this.step = step;
  }
}

/** The failure of a task that ended so, named after what it was at. */
export function failureOf(error: unknown, progress: Int32Array, steps: readonly Step[]): unknown {
  if (!(error instanceof ThreadLost && error.hung)) return error;
  if (Atomics.load(progress, PROGRESS_DISK) % 2 === 1) {
    return new SpillProblem(`the disk that state is on does not answer: ${error.message}`, {
      shard: -1,
      kind: 'unwritten',
    });
  }
  const begun = Atomics.load(progress, PROGRESS_STEPS);
  // Where no step had begun, none of them is to blame.
  if (begun === 0) return new ThreadLost(error.message);
  return new Hung(error, steps[(begun - 1) % steps.length] as Step);
}

export const isDamage = (error: unknown): error is SpillProblem =>
  error instanceof SpillProblem && error.trouble.kind === 'damaged';

/** Nothing can go on: no thread can begin, or a shard can be neither read nor written. */
export const isFinal = (error: unknown): boolean => mayPass(error) || error instanceof SpillProblem;

/** The same steps would end the same way; other losses of a thread are no fault of theirs. */
export const isOfTheSteps = (error: unknown): boolean => !(error instanceof ThreadLost) || error.hung;

export const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
