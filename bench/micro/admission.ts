/**
 * Nanoseconds per arrive + next + release, with nothing waiting and with a queue half full, for one share and for a
 * hundred. Shows what admission costs each request; run it before and after touching a HOT PATH file of src/admission.
 */
import { Admission } from '../../src/admission/admission.ts';
import { ServiceTimes } from '../../src/admission/service-times.ts';
import type { Entry } from '../../src/catalogue/entry.ts';
import type { Job } from '../../src/dispatch/job.ts';
import { makeEntry, makeJob } from '../../test/admission/make-job.ts';

/** Job objects used round after round, so that the figure is admission's and not the allocator's. */
function jobsOf(count: number, shares: number, entry: Entry): Job[] {
  return Array.from({ length: count }, (_, i) => makeJob(entry, `principal-${i % shares}`));
}

function nsPerRound(shares: number, waiting: number, entry: Entry): number {
  const options = {
    queueSize: 1000,
    maxConcurrent: 100,
    overload: 'caller-runs',
    callerRunsBudgetMs: 5,
    callerRunsShare: 0.25,
  } as const;
  const admission = new Admission<Job>(options, new ServiceTimes());
  const jobs = jobsOf(1000, shares, entry);
  const running: Job[] = [];
  const idle = jobs.slice();
  const toWait = waiting === 0 ? 0 : waiting + options.maxConcurrent;
  for (let i = 0; i < toWait && idle.length > 0; i++) {
    const job = idle.shift() as Job;
    if (admission.arrive(job, 0) === 'run') running.push(job);
  }
  const rounds = 1_000_000;
  let at = 0;
  const startNs = process.hrtime.bigint();
  for (let i = 0; i < rounds; i++) {
    const job = idle[at] as Job;
    if (admission.arrive(job, i / 1000) === 'run') {
      admission.release(job, 'success', i / 1000);
    } else {
      const slot = i % running.length;
      const done = running[slot] as Job;
      admission.release(done, 'success', i / 1000);
      idle[at] = done;
      running[slot] = admission.next(i / 1000) as Job;
    }
    at = at + 1 === idle.length ? 0 : at + 1;
  }
  return Number(process.hrtime.bigint() - startNs) / rounds;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

for (const [label, waiting, concurrency] of [
  ['permit free', 0, Number.POSITIVE_INFINITY],
  ['permit free, capped entry', 0, 500],
  ['500 waiting', 500, Number.POSITIVE_INFINITY],
  ['500 waiting, capped entry', 500, 500],
] as const) {
  for (const shares of [1, 100]) {
    const runs = Array.from({ length: 5 }, () => nsPerRound(shares, waiting, makeEntry(1, concurrency)));
    console.log(
      `${label.padEnd(28)} ${String(shares).padStart(4)} shares  ${median(runs).toFixed(0).padStart(5)} ns/op`,
    );
  }
}
