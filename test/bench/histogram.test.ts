/**
 * Latencies: what goes in comes out at the right percentile, and a stall is not hidden by the requests it held back.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LatencyHistogram } from '../../bench/measure/histogram.ts';
import { CURVE_PERCENTILES, highestMeaningful } from '../../bench/measure/percentiles.ts';

/** Three significant digits. */
function assertNear(actual: number, expected: number, what: string): void {
  assert.ok(Math.abs(actual - expected) <= Math.max(1, expected * 0.001), `${what}: ${actual}, not ${expected}`);
}

describe('latency histogram', () => {
  test('gives the percentiles of a uniform distribution', () => {
    const histogram = new LatencyHistogram();
    for (let us = 1; us <= 100_000; us++) histogram.record(us);
    for (const percentile of [50, 90, 95, 99, 99.9]) {
      assertNear(histogram.percentileUs(percentile), percentile * 1000, `P${percentile}`);
    }
    assertNear(histogram.maxUs, 100_000, 'max');
  });

  test('tells single microseconds apart below two milliseconds', () => {
    const histogram = new LatencyHistogram();
    histogram.record(1041.4);
    histogram.record(1042.6);
    assert.equal(histogram.percentileUs(50), 1041);
    assert.equal(histogram.percentileUs(100), 1043);
  });

  test('fills in what a steady sender would have seen during a stall', () => {
    const plain = new LatencyHistogram();
    const corrected = new LatencyHistogram();
    // 900 answers within 1 ms, sent every millisecond, and one that took 100 ms: 99 others were due meanwhile.
    for (let i = 0; i < 900; i++) {
      plain.record(1000);
      corrected.recordWithExpectedInterval(1000, 1000);
    }
    plain.record(100_000);
    corrected.recordWithExpectedInterval(100_000, 1000);
    assertNear(plain.percentileUs(99), 1000, 'P99 without correction');
    assert.equal(corrected.count, 1000);
    assertNear(corrected.percentileUs(90), 1000, 'P90');
    assertNear(corrected.percentileUs(95), 50_000, 'P95');
    assertNear(corrected.percentileUs(99), 90_000, 'P99');
  });

  test('survives the way to another process, whatever was recorded', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(10_000_000), { minLength: 1, maxLength: 200 }), (values) => {
        const histogram = new LatencyHistogram();
        for (const us of values) histogram.record(us);
        const decoded = LatencyHistogram.decode(histogram.encode());
        assert.equal(decoded.count, values.length);
        assert.deepEqual(decoded.curve(), histogram.curve());
      }),
      { numRuns: 30 },
    );
  });

  test('never says less than the value at that rank', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(5_000_000), { minLength: 1, maxLength: 300 }),
        fc.double({ min: 0.1, max: 100, noNaN: true }),
        (values, percentile) => {
          const histogram = new LatencyHistogram();
          for (const us of values) histogram.record(us);
          const sorted = values.toSorted((a, b) => a - b);
          const rank = Math.max(1, Math.ceil((percentile / 100) * values.length - 1e-9));
          const exact = sorted[rank - 1] as number;
          assert.ok(histogram.percentileUs(percentile) >= exact, `P${percentile} of ${values.join()}`);
        },
      ),
      { numRuns: 100 },
    );
  });

  test('has nothing to say before anything was recorded', () => {
    const histogram = new LatencyHistogram();
    assert.ok(Number.isNaN(histogram.percentileUs(50)));
    assert.ok(Number.isNaN(histogram.maxUs));
  });

  test('keeps what is longer than it can hold, as the longest it can', () => {
    const histogram = new LatencyHistogram();
    histogram.record(Number.MAX_SAFE_INTEGER);
    assertNear(histogram.maxUs, 600_000_000, 'max');
  });
});

describe('the curve', () => {
  test('has rising percentiles, with those that are printed among them', () => {
    assert.deepEqual(
      CURVE_PERCENTILES.toSorted((a, b) => a - b),
      [...CURVE_PERCENTILES],
    );
    for (const percentile of [0, 50, 90, 95, 99, 99.9, 100]) assert.ok(CURVE_PERCENTILES.includes(percentile));
    assert.equal(new Set(CURVE_PERCENTILES).size, CURVE_PERCENTILES.length);
  });

  test('ends where there are too few answers to go on', () => {
    assert.equal(highestMeaningful(1000), 99.9);
    assert.equal(highestMeaningful(1), 0);
  });
});
