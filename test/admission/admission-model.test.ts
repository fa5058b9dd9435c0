/**
 * Admission under random interleavings: whatever order jobs arrive, run, end, expire, are cancelled, evicted or taken
 * back in, both bounds and all caps hold after every step, no job is lost or handed out twice, and no permit idles
 * while a job could use it.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Admission, type AdmissionOptions, CALLER_RUNS_MAX } from '../../src/admission/admission.ts';
import { ServiceTimes } from '../../src/admission/service-times.ts';
import type { Entry } from '../../src/catalogue/entry.ts';
import type { Job } from '../../src/dispatch/job.ts';
import { makeEntry, makeJob } from './make-job.ts';

type Place = 'waiting' | 'running' | 'returned' | 'caller' | 'ended';

/** Mirrors what admission was told and what it answered. */
class Harness {
  readonly admission: Admission<Job>;
  readonly options: AdmissionOptions;
  readonly entries: readonly Entry[];
  readonly places = new Map<Job, Place>();
  nowMs = 0;

  constructor(options: AdmissionOptions, entries: readonly Entry[]) {
    const times = new ServiceTimes();
    for (let i = 0; i < 5; i++) for (const entry of entries) times.observe(entry.key, 100);
    this.options = options;
    this.entries = entries;
    this.admission = new Admission(options, times);
  }

  in(...places: Place[]): Job[] {
    return [...this.places].filter(([, place]) => places.includes(place)).map(([job]) => job);
  }

  move(job: Job, from: readonly Place[], to: Place): void {
    const place = this.places.get(job);
    assert.ok(place !== undefined && from.includes(place), `${place} → ${to}`);
    this.places.set(job, to);
  }

  arrive(entry: Entry, share: string, timeoutMs: number): void {
    const job = makeJob(entry, share, timeoutMs);
    const decision = this.admission.arrive(job, this.nowMs);
    const place = {
      run: 'running',
      queued: 'waiting',
      evict: 'waiting',
      'caller-runs': 'caller',
      shed: 'ended',
    } as const;
    const evicted = this.admission.takeEvicted();
    assert.equal(evicted !== null, decision === 'evict');
    if (evicted) {
      assert.notEqual(evicted.share, share);
      this.move(evicted, ['waiting'], 'ended');
    }
    if (decision === 'shed' || decision === 'caller-runs' || decision === 'evict') {
      assert.equal(this.in('waiting').length + (evicted ? 1 : 0), this.options.queueSize, 'refused only when full');
    }
    this.places.set(job, place[decision]);
  }

  next(): Job | null {
    const job = this.admission.next(this.nowMs);
    if (job !== null) {
      assert.ok(job.deadlineAtMs > this.nowMs, 'never past its deadline');
      this.move(job, ['waiting', 'returned'], 'running');
      return job;
    }
    if (this.admission.inFlight >= this.options.maxConcurrent) return null;
    for (const waiting of this.in('waiting')) {
      const free = this.using(waiting.entry) < waiting.entry.concurrency;
      assert.ok(waiting.deadlineAtMs <= this.nowMs || !free, 'a permit idles while a job could run');
    }
    return null;
  }

  using(entry: Entry): number {
    return this.in('running', 'returned', 'caller').filter((job) => job.entry === entry).length;
  }

  expire(): void {
    this.admission.expire(this.nowMs, (job) => {
      assert.ok(job.deadlineAtMs <= this.nowMs);
      this.move(job, ['waiting', 'returned'], 'ended');
    });
    for (const job of this.in('waiting', 'returned'))
      assert.ok(job.deadlineAtMs > this.nowMs, 'expire leaves none behind');
  }

  check(): void {
    const { admission, options } = this;
    assert.equal(admission.waiting, this.in('waiting').length);
    assert.equal(admission.inFlight, this.in('running', 'returned').length);
    assert.equal(admission.callerRunning, this.in('caller').length);
    assert.ok(admission.waiting <= options.queueSize);
    assert.ok(admission.inFlight <= options.maxConcurrent);
    assert.ok(admission.callerRunning <= CALLER_RUNS_MAX);
    for (const entry of this.entries) assert.ok(this.using(entry) <= entry.concurrency, 'cap');
  }
}

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('arrive' as const),
      a: fc.nat(3),
      b: fc.nat(4),
      timeoutMs: fc.constantFrom(3, 10, 50),
    }),
  },
  ...(['next', 'release', 'expire', 'cancel', 'takeBack', 'tick'] as const).map((what) => ({
    weight: what === 'next' || what === 'release' ? 5 : 2,
    arbitrary: fc.record({ do: fc.constant(what), a: fc.nat(99), b: fc.nat(2), timeoutMs: fc.constant(0) }),
  })),
);

const optionsArbitrary: fc.Arbitrary<AdmissionOptions> = fc.record({
  queueSize: fc.integer({ min: 0, max: 12 }),
  maxConcurrent: fc.integer({ min: 1, max: 6 }),
  overload: fc.constantFrom('caller-runs', 'reject', 'block'),
  callerRunsBudgetMs: fc.constant(5),
  callerRunsShare: fc.constantFrom(0, 0.25),
});

type Step = { do: string; a: number; b: number; timeoutMs: number };

function play(harness: Harness, { do: what, a, b, timeoutMs }: Step): void {
  const pick = (jobs: Job[]): Job | undefined => jobs[a % Math.max(1, jobs.length)];
  const { admission } = harness;
  if (what === 'arrive') harness.arrive(harness.entries[a] as Entry, `share-${b}`, timeoutMs);
  else if (what === 'next') harness.next();
  else if (what === 'expire') harness.expire();
  else if (what === 'tick') harness.nowMs += a % 7;
  else if (what === 'release') {
    const job = pick(harness.in('running', 'caller'));
    if (job === undefined) return;
    admission.release(job, (['success', 'ignore', 'dropped'] as const)[b] ?? 'success', harness.nowMs);
    harness.move(job, ['running', 'caller'], 'ended');
  } else if (what === 'takeBack') {
    const job = pick(harness.in('running'));
    if (job === undefined) return;
    admission.takeBack(job);
    harness.move(job, ['running'], 'returned');
  } else {
    const job = pick([...harness.places.keys()]);
    if (job === undefined) return;
    const waits = harness.in('waiting', 'returned').includes(job);
    assert.equal(admission.cancel(job), waits);
    if (waits) harness.move(job, ['waiting', 'returned'], 'ended');
  }
}

/** Lets everything run to its end; every job must come out. */
function drain(harness: Harness): void {
  for (let rounds = 0; harness.in('waiting', 'running', 'returned', 'caller').length > 0; rounds++) {
    assert.ok(rounds < 1000, 'a job is stuck');
    harness.expire();
    while (harness.next() !== null) harness.check();
    for (const job of harness.in('running', 'caller')) {
      harness.admission.release(job, 'success', harness.nowMs);
      harness.move(job, ['running', 'caller'], 'ended');
    }
    harness.check();
  }
  assert.equal(harness.admission.waiting, 0);
  assert.equal(harness.admission.inFlight, 0);
  assert.ok(!harness.admission.intake.paused, 'an idle server reads');
}

describe('Admission under random interleavings', () => {
  test('keeps every bound, loses nothing, doubles nothing, idles no permit', () => {
    fc.assert(
      fc.property(optionsArbitrary, fc.array(step, { maxLength: 150 }), (options, steps) => {
        const harness = new Harness(options, [makeEntry(1), makeEntry(2, 1), makeEntry(3, 2), makeEntry(4, 3, false)]);
        for (const one of steps) {
          play(harness, one);
          harness.check();
        }
        drain(harness);
      }),
      { numRuns: 400 },
    );
  });

  test('jobs of one share and one entry start in the order they came, caps or not', () => {
    const arrivals = fc.array(fc.record({ entry: fc.nat(2), share: fc.nat(1), pump: fc.nat(2) }), { maxLength: 80 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 }), arrivals, (maxConcurrent, list) => {
        const entries = [makeEntry(1), makeEntry(2, 1), makeEntry(3, 2)];
        const options = {
          queueSize: 100,
          maxConcurrent,
          overload: 'reject',
          callerRunsBudgetMs: 5,
          callerRunsShare: 0,
        } as const;
        const admission = new Admission<Job>(options, new ServiceTimes());
        const came: Job[] = [];
        const started: Job[] = [];
        const running: Job[] = [];
        const start = (job: Job): void => {
          started.push(job);
          running.push(job);
        };
        const pump = (): void => {
          const done = running.shift();
          if (done) admission.release(done, 'success', 0);
          for (let job = admission.next(0); job !== null; job = admission.next(0)) start(job);
        };
        for (const { entry, share, pump: pumps } of list) {
          const job = makeJob(entries[entry] as Entry, `share-${share}`);
          came.push(job);
          if (admission.arrive(job, 0) === 'run') start(job);
          if (pumps === 0) pump();
        }
        while (running.length > 0) pump();
        assert.equal(started.length, came.length);
        for (const entry of entries) {
          for (const share of ['share-0', 'share-1']) {
            const of = (jobs: Job[]): Job[] => jobs.filter((job) => job.entry === entry && job.share === share);
            assert.deepEqual(
              of(started).map((job) => came.indexOf(job)),
              of(came).map((job) => came.indexOf(job)),
            );
          }
        }
      }),
      { numRuns: 200 },
    );
  });
});
