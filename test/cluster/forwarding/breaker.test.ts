import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  Breaker,
  FAILURES_MAX,
  OPEN_MS,
  OPEN_MS_MAX,
  RETRIES_MAX,
  RETRY_SHARE,
  RetryBudget,
} from '../../../src/cluster/forwarding/breaker.ts';

function opened(nowMs: number): Breaker {
  const breaker = new Breaker();
  for (let n = 0; n < FAILURES_MAX; n++) {
    assert.ok(breaker.allows(nowMs));
    breaker.began();
    assert.equal(breaker.failed(nowMs), n === FAILURES_MAX - 1);
  }
  return breaker;
}

describe('the breaker of a node', () => {
  test('failures in a row open it, a success in between does not', () => {
    const breaker = new Breaker();
    for (let n = 0; n < 5 * FAILURES_MAX; n++) {
      breaker.began();
      breaker.failed(0);
      if (n % (FAILURES_MAX - 1) === 0) breaker.succeeded();
      assert.ok(breaker.allows(0));
    }
    assert.equal(opened(0).allows(OPEN_MS - 1), false);
  });

  test('after its time one probe is let through; its success closes it', () => {
    const breaker = opened(0);
    assert.equal(breaker.waitMs(100), OPEN_MS - 100);
    assert.ok(breaker.allows(OPEN_MS));
    breaker.began();
    assert.equal(breaker.allows(OPEN_MS), false);
    breaker.succeeded();
    assert.ok(breaker.allows(OPEN_MS) && !breaker.open);
  });

  test('a failed probe keeps it open, twice as long each time up to a limit', () => {
    const breaker = opened(0);
    let nowMs = 0;
    for (const expected of [OPEN_MS, 2 * OPEN_MS, 4 * OPEN_MS, 8 * OPEN_MS, 16 * OPEN_MS, OPEN_MS_MAX, OPEN_MS_MAX]) {
      assert.equal(breaker.waitMs(nowMs), expected);
      nowMs += expected;
      assert.ok(breaker.allows(nowMs));
      breaker.began();
      breaker.failed(nowMs);
    }
  });

  test('a probe that was cancelled lets another one through', () => {
    const breaker = opened(0);
    breaker.began();
    breaker.dropped();
    assert.ok(breaker.allows(OPEN_MS));
  });
});

describe('the retry budget', () => {
  test('is a share of the calls, with some to begin with, and never more than that at once', () => {
    const budget = new RetryBudget();
    let spent = 0;
    while (budget.spend()) spent += 1;
    assert.equal(spent, RETRIES_MAX);
    for (let call = 0; call < 1000; call++) {
      budget.earn();
      if (budget.spend()) spent += 1;
    }
    assert.ok(Math.abs(spent - RETRIES_MAX - 1000 * RETRY_SHARE) <= 1, String(spent));
    for (let call = 0; call < 10_000; call++) budget.earn();
    let saved = 0;
    while (budget.spend()) saved += 1;
    assert.equal(saved, RETRIES_MAX);
  });
});
