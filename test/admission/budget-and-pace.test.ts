/** The estimates admission decides by: service times, the caller's budget, and the advice when to come again. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { BURST_WINDOW_MS, CallerBudget } from '../../src/admission/caller-budget.ts';
import { Pace, RETRY_AFTER_MS_MAX, RETRY_AFTER_MS_MIN, RETRY_AFTER_MS_UNKNOWN } from '../../src/admission/pace.ts';
import { ENTRIES_MAX, OBSERVATIONS_MIN, ServiceTimes } from '../../src/admission/service-times.ts';
import { makeEntry } from './make-job.ts';

describe('ServiceTimes', () => {
  test('knows nothing until an entry was seen often enough', () => {
    const times = new ServiceTimes();
    for (let i = 1; i < OBSERVATIONS_MIN; i++) times.observe(5, 100);
    assert.equal(times.expectedUs(5), Number.POSITIVE_INFINITY);
    assert.equal(times.worstUs(5), Number.POSITIVE_INFINITY);
    times.observe(5, 100);
    assert.equal(times.expectedUs(5), 100);
    assert.equal(times.count(5), OBSERVATIONS_MIN);
    assert.equal(times.expectedUs(6), Number.POSITIVE_INFINITY);
  });

  test('mean stays within what was seen, the worst case between mean and maximum', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 1_000_000 }), { minLength: 3, maxLength: 60 }), (samples) => {
        const times = new ServiceTimes();
        for (const us of samples) times.observe(1, us);
        const mean = times.expectedUs(1);
        const worst = times.worstUs(1);
        assert.ok(mean >= Math.min(...samples) - 1e-6 && mean <= Math.max(...samples) + 1e-6);
        assert.ok(worst >= mean - 1e-6 && worst <= Math.max(...samples) + 1e-6);
        assert.ok(worst >= (samples.at(-1) ?? 0));
      }),
    );
  });

  test('one slow call is remembered for a while and forgotten in the end', () => {
    const times = new ServiceTimes();
    for (let i = 0; i < 10; i++) times.observe(1, 100);
    times.observe(1, 10_000);
    for (let i = 0; i < 50; i++) times.observe(1, 100);
    assert.ok(times.worstUs(1) > 3000);
    for (let i = 0; i < 500; i++) times.observe(1, 100);
    assert.ok(times.worstUs(1) < 200);
  });

  test('rows of entries that left are forgotten and used again; the number of entries is bounded', () => {
    const times = new ServiceTimes();
    for (let key = 0; key < ENTRIES_MAX + 10; key++) times.observe(key, 50);
    assert.equal(times.count(ENTRIES_MAX - 1), 1);
    assert.equal(times.count(ENTRIES_MAX), 0, 'no room');
    times.retain([makeEntry(3)]);
    assert.equal(times.count(3), 1);
    assert.equal(times.count(4), 0);
    times.observe(ENTRIES_MAX, 70);
    assert.equal(times.count(ENTRIES_MAX), 1);
  });
});

describe('CallerBudget', () => {
  const known = (us: number): ServiceTimes => {
    const times = new ServiceTimes();
    for (let i = 0; i < OBSERVATIONS_MIN; i++) times.observe(1, us);
    return times;
  };

  test('admits an entry only if its worst case fits the budget of one call', () => {
    assert.ok(new CallerBudget(known(5000), 5, 0.25).allows(makeEntry(1), 0));
    assert.ok(!new CallerBudget(known(5001), 5, 0.25).allows(makeEntry(1), 0));
    assert.ok(!new CallerBudget(known(1), 5, 0.25).allows(makeEntry(2), 0), 'unknown');
    assert.ok(!new CallerBudget(known(1), 5, 0.25).allows(makeEntry(1, 9, false), 0), 'forbidden');
    assert.ok(!new CallerBudget(known(1), 5, 0).allows(makeEntry(1), 0), 'no share');
  });

  test('over any stretch of time the caller spends at most its share, one burst and one call', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.05, max: 1, noNaN: true }),
        fc.array(fc.double({ min: 0, max: 30, noNaN: true }), { minLength: 1, maxLength: 200 }),
        (share, gapsMs) => {
          const budget = new CallerBudget(known(2000), 5, share);
          let nowMs = 0;
          let spentMs = 0;
          for (const gapMs of gapsMs) {
            nowMs += gapMs;
            while (budget.allows(makeEntry(1), nowMs)) {
              budget.charge(2, nowMs);
              spentMs += 2;
            }
            assert.ok(spentMs <= share * nowMs + Math.max(5, share * BURST_WINDOW_MS) + 2 + 1e-6);
          }
        },
      ),
    );
  });

  test('a call that took longer than believed is waited off', () => {
    const budget = new CallerBudget(known(1000), 5, 0.25);
    assert.ok(budget.allows(makeEntry(1), 0));
    budget.charge(100 + 0.25 * BURST_WINDOW_MS, 0);
    assert.ok(!budget.allows(makeEntry(1), 400));
    assert.ok(budget.allows(makeEntry(1), 410));
  });
});

describe('Pace', () => {
  test('before anything completed it gives a fixed advice', () => {
    assert.equal(new Pace().retryAfterMs(500, 10_000), RETRY_AFTER_MS_UNKNOWN);
  });

  test('advice follows queue length over completions per millisecond', () => {
    const pace = new Pace();
    pace.busyFrom(0);
    for (let ms = 10; ms <= 2000; ms += 10) pace.completed(ms);
    const advice = pace.retryAfterMs(100, 2000);
    assert.ok(Math.abs(advice - 1000) < 100, `${advice}`);
    assert.ok(Math.abs(pace.retryAfterMs(200, 2000) - 2 * advice) < 10);
  });

  test('advice grows while nothing completes, and stays within its limits', () => {
    const pace = new Pace();
    pace.busyFrom(0);
    for (let ms = 1; ms <= 1000; ms++) pace.completed(ms);
    assert.equal(pace.retryAfterMs(1, 1000), RETRY_AFTER_MS_MIN);
    const soon = pace.retryAfterMs(1000, 1100);
    assert.ok(pace.retryAfterMs(1000, 3000) > soon);
    assert.equal(pace.retryAfterMs(1000, 60_000), RETRY_AFTER_MS_MAX);
  });

  test('an idle hour does not spoil the advice', () => {
    const pace = new Pace();
    pace.busyFrom(0);
    for (let ms = 1; ms <= 1000; ms++) pace.completed(ms);
    pace.busyFrom(3_600_000);
    assert.ok(pace.retryAfterMs(1000, 3_600_010) < 1200);
  });
});
