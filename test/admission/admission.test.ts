/** What admission decides, case by case. The bounds under random interleavings are in admission-model.test.ts. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Admission, type AdmissionOptions, CALLER_RUNS_MAX } from '../../src/admission/admission.ts';
import { BURST_WINDOW_MS } from '../../src/admission/caller-budget.ts';
import { ServiceTimes } from '../../src/admission/service-times.ts';
import type { Job } from '../../src/dispatch/job.ts';
import { makeEntry, makeJob } from './make-job.ts';

const OPTIONS: AdmissionOptions = {
  queueSize: 4,
  maxConcurrent: 2,
  overload: 'reject',
  callerRunsBudgetMs: 5,
  callerRunsShare: 0.25,
};
const plain = makeEntry(1);

function admissionWith(options: Partial<AdmissionOptions> = {}, serviceTimes = new ServiceTimes()): Admission<Job> {
  return new Admission({ ...OPTIONS, ...options }, serviceTimes);
}

/** Sends `count` jobs of one share; returns them. */
function arriveMany(admission: Admission<Job>, count: number, share = 'a', entry = plain): Job[] {
  const jobs: Job[] = [];
  for (let i = 0; i < count; i++) {
    const job = makeJob(entry, share);
    admission.arrive(job, 0);
    jobs.push(job);
  }
  return jobs;
}

describe('arrival', () => {
  test('runs while permits last, then queues, then sheds', () => {
    const admission = admissionWith();
    const decisions = Array.from({ length: 8 }, () => admission.arrive(makeJob(plain, 'a'), 0));
    assert.deepEqual(decisions, ['run', 'run', 'queued', 'queued', 'queued', 'queued', 'shed', 'shed']);
    assert.equal(admission.inFlight, 2);
    assert.equal(admission.waiting, 4);
  });

  test('sets the deadline from the moment of arrival', () => {
    const job = makeJob(plain, 'a', 300);
    admissionWith().arrive(job, 1000);
    assert.equal(job.acceptedAtMs, 1000);
    assert.equal(job.deadlineAtMs, 1300);
  });

  test('a newcomer does not overtake what waits, even with a permit free', () => {
    const admission = admissionWith();
    const [first] = arriveMany(admission, 3);
    assert.ok(first);
    admission.release(first, 'success', 1);
    assert.equal(admission.arrive(makeJob(plain, 'b'), 1), 'queued');
  });

  test('without a queue everything past the permits is shed', () => {
    const admission = admissionWith({ queueSize: 0 });
    assert.deepEqual(
      [1, 2, 3].map(() => admission.arrive(makeJob(plain, 'a'), 0)),
      ['run', 'run', 'shed'],
    );
  });
});

describe('eviction', () => {
  test('the newest job of the longest share makes room for a share that has less', () => {
    const admission = admissionWith();
    const flood = arriveMany(admission, 6, 'flood');
    const polite = makeJob(plain, 'polite');
    assert.equal(admission.arrive(polite, 0), 'evict');
    assert.equal(admission.takeEvicted(), flood[5]);
    assert.equal(admission.takeEvicted(), null, 'handed out once');
    assert.equal(admission.waiting, 4);
    assert.equal(admission.cancel(flood[5] as Job), false, 'the evicted job is known no longer');
  });

  test('never swaps between shares that would only change places', () => {
    const admission = admissionWith({ queueSize: 6 });
    arriveMany(admission, 5, 'a');
    arriveMany(admission, 2, 'b');
    arriveMany(admission, 1, 'c');
    assert.equal(admission.arrive(makeJob(plain, 'a'), 0), 'shed');
    assert.equal(admission.arrive(makeJob(plain, 'b'), 0), 'shed', 'two and three would become three and two');
    assert.equal(admission.arrive(makeJob(plain, 'c'), 0), 'evict');
    assert.equal(admission.takeEvicted()?.share, 'a');
  });

  test('a flood never costs a polite share a refusal, and polite shares are served every round', () => {
    const admission = admissionWith({ queueSize: 50, maxConcurrent: 4 });
    const running: Job[] = [];
    const refusedBy = new Map<string, number>();
    const servedBy = new Map<string, number>();
    const refuse = (job: Job | null): void => {
      if (job) refusedBy.set(job.share, (refusedBy.get(job.share) ?? 0) + 1);
    };
    const arrive = (share: string): void => {
      const job = makeJob(plain, share);
      const decision = admission.arrive(job, 0);
      if (decision === 'run') running.push(job);
      if (decision === 'evict') refuse(admission.takeEvicted());
      if (decision === 'shed') refuse(job);
    };
    for (let round = 0; round < 300; round++) {
      for (let i = 0; i < 20; i++) arrive('flood');
      if (round % 10 === 0) for (let p = 0; p < 9; p++) arrive(`polite-${p}`);
      for (let i = 0; i < 4; i++) {
        const done = running.shift();
        if (done) admission.release(done, 'success', 0);
        for (let job = admission.next(0); job !== null; job = admission.next(0)) {
          servedBy.set(job.share, (servedBy.get(job.share) ?? 0) + 1);
          running.push(job);
        }
      }
    }
    assert.deepEqual([...refusedBy.keys()], ['flood']);
    for (let p = 0; p < 9; p++) assert.equal(servedBy.get(`polite-${p}`), 30);
  });
});

describe('caller-runs', () => {
  const known = (): ServiceTimes => {
    const times = new ServiceTimes();
    for (let i = 0; i < 5; i++) times.observe(1, 1000);
    return times;
  };

  test('a full queue hands a cheap job to the caller, without a permit, until the budget is spent', () => {
    const admission = admissionWith({ overload: 'caller-runs' }, known());
    arriveMany(admission, 6);
    const job = makeJob(plain, 'a');
    assert.equal(admission.arrive(job, 0), 'caller-runs');
    assert.equal(admission.inFlight, 2);
    assert.equal(admission.callerRunning, 1);
    admission.release(job, 'success', 0);
    admission.callerBudget.charge(0.25 * BURST_WINDOW_MS, 0);
    assert.equal(admission.callerRunning, 0);
    assert.equal(admission.arrive(makeJob(plain, 'a'), 0), 'shed');
    assert.equal(admission.arrive(makeJob(plain, 'a'), 10), 'caller-runs', 'the share of time has come in again');
  });

  test('jobs of unknown or forbidden entries are shed instead', () => {
    const times = known();
    for (let i = 0; i < 5; i++) times.observe(3, 10);
    const admission = admissionWith({ overload: 'caller-runs' }, times);
    arriveMany(admission, 6);
    assert.equal(admission.arrive(makeJob(makeEntry(2), 'a'), 0), 'shed');
    assert.equal(admission.arrive(makeJob(makeEntry(3, 9, false), 'a'), 0), 'shed');
  });

  test('calls that wait for something cannot pile up with the caller', () => {
    const admission = admissionWith({ overload: 'caller-runs' }, known());
    arriveMany(admission, 6);
    const decisions = Array.from({ length: CALLER_RUNS_MAX + 1 }, () => admission.arrive(makeJob(plain, 'a'), 0));
    assert.equal(decisions.filter((d) => d === 'caller-runs').length, CALLER_RUNS_MAX);
    assert.equal(decisions.at(-1), 'shed');
  });

  test('the cap of an entry binds the caller too', () => {
    const admission = admissionWith({ overload: 'caller-runs' }, known());
    const capped = makeEntry(1, 1);
    arriveMany(admission, 1, 'a', capped);
    arriveMany(admission, 5);
    assert.equal(admission.arrive(makeJob(capped, 'a'), 0), 'shed');
  });
});

describe('entry caps', () => {
  test('a job over its cap waits and holds up nobody, and goes first when its slot comes free', () => {
    const admission = admissionWith({ maxConcurrent: 3, queueSize: 10 });
    const capped = makeEntry(7, 1);
    const [first, second, third] = arriveMany(admission, 3, 'a', capped);
    assert.ok(first && second && third);
    assert.equal(admission.inFlight, 1);
    const other = makeJob(plain, 'a');
    assert.equal(admission.arrive(other, 0), 'run');
    assert.equal(admission.next(0), null);
    admission.release(first, 'success', 0);
    assert.equal(admission.next(0), second);
    assert.equal(admission.next(0), null);
    assert.ok(admission.cancel(third));
    assert.equal(admission.waiting, 0);
  });

  test('a freed slot goes to the job that waited for it, not to one that arrives meanwhile', () => {
    const admission = admissionWith({ maxConcurrent: 3, queueSize: 10 });
    const capped = makeEntry(7, 1);
    const [first, second] = arriveMany(admission, 2, 'a', capped);
    assert.ok(first && second);
    admission.release(first, 'success', 0);
    const late = makeJob(capped, 'b');
    assert.equal(admission.arrive(late, 0), 'queued');
    assert.equal(admission.next(0), second);
    assert.equal(admission.next(0), null);
  });

  test('a job that waited for a slot goes before the jobs of its share that came later', () => {
    const admission = admissionWith({ maxConcurrent: 2, queueSize: 10 });
    const capped = makeEntry(7, 1);
    const [first, second] = arriveMany(admission, 2, 'a', capped);
    const [other, later] = arriveMany(admission, 2, 'a');
    assert.ok(first && second && other && later);
    admission.release(first, 'success', 0);
    assert.equal(admission.next(0), second);
    assert.equal(admission.inFlight, 2);
    admission.release(other, 'success', 0);
    assert.equal(admission.next(0), later);
  });

  test('a newcomer does not slip into the lane before an older job of its share that had no turn yet', () => {
    const admission = admissionWith({ maxConcurrent: 1, queueSize: 10 });
    const capped = makeEntry(7, 1);
    const [other] = arriveMany(admission, 1);
    const [first, second] = arriveMany(admission, 2, 'a', capped);
    assert.ok(other && first && second);
    admission.release(other, 'success', 0);
    assert.equal(admission.next(0), first);
    const [third] = arriveMany(admission, 1, 'a', capped);
    assert.ok(third);
    admission.release(first, 'success', 0);
    assert.equal(admission.next(0), second);
    admission.release(second, 'success', 0);
    assert.equal(admission.next(0), third);
  });

  test('a lane remembers only shares that wait in it', () => {
    const admission = admissionWith({ maxConcurrent: 3, queueSize: 10 });
    const capped = makeEntry(7, 1);
    const [first] = arriveMany(admission, 1, 'a', capped);
    const [second] = arriveMany(admission, 1, 'b', capped);
    const [third] = arriveMany(admission, 1, 'c', capped);
    assert.ok(first && second && third);
    const lane = first.lane;
    assert.equal(lane?.turns.size, 2);
    admission.cancel(third);
    assert.equal(lane?.turns.size, 1);
    admission.release(first, 'success', 0);
    assert.equal(lane?.turns.size, 0);
    assert.equal(second.lane, lane);
  });

  test('when the job that was given a slot leaves, the slot goes on to the next', () => {
    const admission = admissionWith({ maxConcurrent: 3, queueSize: 10 });
    const [first, second, third] = arriveMany(admission, 3, 'a', makeEntry(7, 1));
    assert.ok(first && second && third);
    admission.release(first, 'success', 0);
    assert.ok(admission.cancel(second));
    assert.equal(admission.next(0), third);
  });
});

describe('deadlines', () => {
  test('a job past its deadline is never returned by next and is handed out once by expire', () => {
    const admission = admissionWith();
    const [first, , third] = arriveMany(admission, 3);
    assert.ok(first && third);
    admission.release(first, 'success', 4999);
    assert.equal(admission.next(5000), null);
    const seen: Job[] = [];
    assert.equal(
      admission.expire(5000, (job) => seen.push(job)),
      1,
    );
    assert.deepEqual(seen, [third]);
    assert.equal(
      admission.expire(5000, (job) => seen.push(job)),
      0,
    );
    assert.equal(admission.waiting, 0);
  });

  test('jobs whose deadline has not come stay', () => {
    const admission = admissionWith();
    arriveMany(admission, 2);
    const early = makeJob(plain, 'a', 10);
    const late = makeJob(plain, 'b', 20);
    admission.arrive(late, 0);
    admission.arrive(early, 0);
    const seen: Job[] = [];
    admission.expire(9, (job) => seen.push(job));
    assert.equal(seen.length, 0);
    admission.expire(10, (job) => seen.push(job));
    assert.deepEqual(seen, [early]);
    admission.expire(20, (job) => seen.push(job));
    assert.deepEqual(seen, [early, late]);
  });
});

describe('taking back', () => {
  test('a job taken back keeps its permit, comes first, and moves neither bound', () => {
    const admission = admissionWith();
    const [first, second] = arriveMany(admission, 6);
    assert.ok(first && second);
    admission.takeBack(second);
    admission.takeBack(first);
    assert.equal(admission.inFlight, 2);
    assert.equal(admission.waiting, 4);
    assert.equal(admission.next(0), second);
    assert.equal(admission.next(0), first);
    assert.equal(admission.next(0), null);
  });

  test('its deadline still counts, and its permit comes back', () => {
    const admission = admissionWith();
    const [first] = arriveMany(admission, 1);
    assert.ok(first);
    admission.takeBack(first);
    assert.equal(admission.next(5000), null);
    assert.equal(admission.inFlight, 1);
    assert.equal(
      admission.expire(5000, () => undefined),
      1,
    );
    assert.equal(admission.inFlight, 0);
  });

  test('releasing twice, or taking back what does not run, is a bug and says so', () => {
    const admission = admissionWith();
    const [first, , waiting] = arriveMany(admission, 3);
    assert.ok(first && waiting);
    admission.release(first, 'success', 0);
    assert.throws(() => admission.release(first, 'success', 0), /holds nothing/);
    assert.throws(() => admission.takeBack(waiting), /has no permit/);
  });
});

describe('block', () => {
  test('reading pauses before the queue is full and goes on at half', () => {
    const admission = admissionWith({ overload: 'block', queueSize: 8, maxConcurrent: 1 });
    const events: string[] = [];
    admission.intake.onPause = () => events.push(`pause ${admission.waiting}`);
    admission.intake.onResume = () => events.push(`resume ${admission.waiting}`);
    let [running] = arriveMany(admission, 9);
    assert.deepEqual(events, ['pause 6']);
    assert.ok(admission.intake.paused);
    while (running) {
      admission.release(running, 'success', 0);
      running = admission.next(0) ?? undefined;
    }
    assert.deepEqual(events, ['pause 6', 'resume 4']);
    assert.ok(!admission.intake.paused);
  });

  test('a pause is told once, and so is its end', () => {
    const { intake } = admissionWith({ overload: 'block' });
    const told: string[] = [];
    intake.onPause = () => told.push('pause');
    intake.onResume = () => told.push('resume');
    intake.resume();
    intake.pause();
    intake.pause();
    intake.resume();
    intake.resume();
    assert.deepEqual(told, ['pause', 'resume']);
  });

  test('other policies never pause', () => {
    const admission = admissionWith({ overload: 'reject' });
    arriveMany(admission, 20);
    assert.ok(!admission.intake.paused);
  });
});
