/**
 * Tasks that this node has claimed and cannot run now: they rest for a moment, then whoever takes them tries again.
 *
 * Role: the pauses between attempts, and the end of patience. The claim is kept while a task rests, so that nobody else
 * tries in the same moment; then it is released, to all nodes alike, since another one may have what is missing here.
 *
 *   cannot be run ──► rests (PAUSE_MS, doubling up to PAUSE_MS_MAX) ──► released ──► adopted, by this node or another
 *        └── for longer than PATIENCE_MS: it is given up
 *
 * Invariants: at most `RESTING_MAX` rest or are remembered; what rests when the node goes is released at once. A task
 * that has expired is released all the same, and its store says that it is not there.
 */
import type { FaultName } from '../protocol/faults.ts';
import { FAULTS } from '../protocol/faults.ts';

export const RESTING_MAX = 10_000;
const PAUSE_MS = 250;
const PAUSE_MS_MAX = 10_000;
/** From the first attempt on this node. */
export const PATIENCE_MS = 600_000;
/** Trouble that was not heard of for so long is over: what comes then is another one. */
const FORGET_MS = 120_000;

export interface RestingTasksOptions {
  readonly release: (taskId: string) => void;
  /** Milliseconds, of any clock that goes on. */
  readonly now: () => number;
}

interface Trouble {
  readonly sinceMs: number;
  lastMs: number;
  pauseMs: number;
  timer: NodeJS.Timeout | null;
}

export class RestingTasks {
  readonly #options: RestingTasksOptions;
  /** By task id, in the order of the last attempt. */
  readonly #troubles = new Map<string, Trouble>();

  constructor(options: RestingTasksOptions) {
    this.#options = options;
  }

  /** False: enough was tried. `written`: the last write of the task, which its release must not overtake. */
  rest(taskId: string, written: Promise<void> | null): boolean {
    const nowMs = this.#options.now();
    this.#forgetOld(nowMs);
    const before = this.#troubles.get(taskId);
    if (before === undefined && this.#troubles.size >= RESTING_MAX) return false;
    const trouble = before ?? { sinceMs: nowMs, lastMs: nowMs, pauseMs: PAUSE_MS / 2, timer: null };
    this.#troubles.delete(taskId);
    if (nowMs - trouble.sinceMs > PATIENCE_MS) return false;
    trouble.lastMs = nowMs;
    trouble.pauseMs = Math.min(PAUSE_MS_MAX, 2 * trouble.pauseMs);
    trouble.timer = setTimeout(() => {
      trouble.timer = null;
      if (written === null) this.#options.release(taskId);
      else void written.then(() => this.#options.release(taskId));
    }, trouble.pauseMs);
    trouble.timer.unref();
    this.#troubles.set(taskId, trouble);
    return true;
  }

  /** The node goes. */
  close(): void {
    for (const [taskId, { timer }] of this.#troubles) {
      if (timer === null) continue;
      clearTimeout(timer);
      this.#options.release(taskId);
    }
    this.#troubles.clear();
  }

  #forgetOld(nowMs: number): void {
    for (const [taskId, { lastMs, timer }] of this.#troubles) {
      if (nowMs - lastMs <= FORGET_MS) return;
      if (timer === null) this.#troubles.delete(taskId);
    }
  }
}

/** Whether a task that must not be lost is worth another attempt after such a refusal: of a tool that may be repeated. */
export function isForLater(refusal: FaultName): boolean {
  // What ran out of time had its time; what was lost with its node may be repeated.
  return refusal === 'outcomeUnknown' || (FAULTS[refusal].retryable && refusal !== 'timeout');
}
