/**
 * Runs a load job with the own client: opens connections, warms up, measures, ends.
 *
 * Role: the order of a run. The pacer of open loops sleeps while the next request is more than a timer's resolution
 * away and otherwise polls, because a timer that fires a millisecond late would be a millisecond of latency.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { pauseUnless } from '../../src/waiting.ts';
import { GroupRun } from './group.ts';
import { type LoadJob, type LoadReport, STOPPED_EARLY } from './job.ts';

const OPEN_AT_ONCE = 200;
const OPEN_MS_MAX = 30_000;
const TIMER_MS = 2;

export async function runOwn(job: LoadJob, measuring: () => void, stopped: AbortSignal): Promise<LoadReport> {
  const now = (): number => performance.now();
  const url = new URL(job.url);
  const runs = job.groups.map((group) => new GroupRun(url, group, job.durationMs, now));
  try {
    return await loadBy(runs, job, now, measuring, stopped);
  } finally {
    for (const run of runs) run.close();
  }
}

async function loadBy(
  runs: readonly GroupRun[],
  job: LoadJob,
  now: () => number,
  measuring: () => void,
  stopped: AbortSignal,
): Promise<LoadReport> {
  for (const run of runs) await open(run, stopped);
  const pacer = new Pacer(runs, now);
  for (const run of runs) run.start();
  pacer.start();
  await pauseUnless(stopped, job.warmupMs);
  if (stopped.aborted) {
    pacer.stop();
    throw new Error(STOPPED_EARLY);
  }
  const beganMs = now();
  for (const run of runs) run.beginMeasuring(beganMs);
  measuring();
  await pauseUnless(stopped, job.durationMs);
  const elapsedMs = now() - beganMs;
  for (const run of runs) run.stop();
  pacer.stop();
  await drained(runs, now(), stopped);
  return { elapsedMs, groups: runs.map((run) => run.finish(stopped.aborted)) };
}

async function open(run: GroupRun, stopped: AbortSignal): Promise<void> {
  const tooLate = AbortSignal.timeout(OPEN_MS_MAX);
  const failed = new Promise<never>((_resolve, reject) => {
    const what = `${run.size} connections could not be opened within ${OPEN_MS_MAX / 1000} s`;
    tooLate.addEventListener('abort', () => reject(new Error(what)));
    stopped.addEventListener('abort', () => reject(new Error(STOPPED_EARLY)));
  });
  for (let from = 0; from < run.size; from += OPEN_AT_ONCE) {
    const to = Math.min(run.size, from + OPEN_AT_ONCE);
    run.openSome(from, to);
    await Promise.race([run.openedAtLeast(to), failed]);
  }
}

/** A closed loop waits, too: a server that loses requests would have fewer connections, and no other sign of it. */
async function drained(runs: readonly GroupRun[], endedMs: number, stopped: AbortSignal): Promise<void> {
  const isWaiting = (run: GroupRun): boolean => {
    return run.onTheWay > 0 && performance.now() < endedMs + run.drainMs;
  };
  while (runs.some(isWaiting) && !stopped.aborted) await wait(5);
}

class Pacer {
  readonly #runs: readonly GroupRun[];
  readonly #now: () => number;
  readonly #isCoarse: boolean;
  #running = false;

  constructor(runs: readonly GroupRun[], now: () => number) {
    this.#runs = runs.filter((run) => run.isOpenLoop);
    this.#isCoarse = this.#runs.every((run) => run.isCoarse);
    this.#now = now;
  }

  start(): void {
    this.#running = this.#runs.length > 0;
    if (this.#running) this.#turn();
  }

  stop(): void {
    this.#running = false;
  }

  readonly #turn = (): void => {
    if (!this.#running) return;
    const nowMs = this.#now();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const run of this.#runs) nextMs = Math.min(nextMs, run.pump(nowMs));
    if (this.#isCoarse) setTimeout(this.#turn, Math.max(1, nextMs - nowMs));
    else if (nextMs - nowMs > TIMER_MS) setTimeout(this.#turn, nextMs - nowMs - TIMER_MS);
    else setImmediate(this.#turn);
  };
}
