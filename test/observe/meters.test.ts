import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { FixedHistogram } from '../../src/observe/histogram.ts';
import { LabelIndex, OTHER } from '../../src/observe/label-index.ts';
import { RuntimeMeters } from '../../src/observe/meters.ts';
import type { Outcome } from '../../src/observe/port.ts';
import { ENTRIES_MAX, METHODS, OUTCOMES, SHED_REASONS } from '../../src/observe/tallies.ts';

/** Fresh meters, closed when the test is over. */
function metersFor(context: { after(done: () => void): void }): RuntimeMeters {
  const meters = new RuntimeMeters();
  context.after(() => meters.close());
  return meters;
}

/** Lines of one metric, comments included. */
async function linesOf(meters: RuntimeMeters, name: string): Promise<string[]> {
  const lines = (await meters.render()).split('\n');
  return lines.filter((line) => new RegExp(`^(# (HELP|TYPE) )?${name}(_bucket|_sum|_count)?[ {]`).test(line));
}

async function readingOf(meters: RuntimeMeters, series: string): Promise<number | undefined> {
  const line = (await meters.render()).split('\n').find((candidate) => candidate.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

describe('the exposition', () => {
  test('pins the names, labels and buckets dashboards rely on', async (context) => {
    const meters = metersFor(context);
    meters.requestFinished('tools/call', 'ok', 3.90625);
    meters.requestFinished('tools/call', 'shed', 31.25);
    meters.requestFinished('made/up', 'invalid', 0.1);
    meters.httpRefused(403);
    meters.httpRefused(403);
    meters.httpRefused(7);
    assert.deepEqual(await linesOf(meters, 'millrace_requests_total'), [
      '# HELP millrace_requests_total Requests by method and outcome.',
      '# TYPE millrace_requests_total counter',
      'millrace_requests_total{method="other",outcome="invalid"} 1',
      'millrace_requests_total{method="tools/call",outcome="ok"} 1',
      'millrace_requests_total{method="tools/call",outcome="shed"} 1',
    ]);
    assert.deepEqual((await linesOf(meters, 'millrace_http_refused_total')).slice(2), [
      'millrace_http_refused_total{status="403"} 2',
      'millrace_http_refused_total{status="other"} 1',
    ]);
    const duration = await linesOf(meters, 'millrace_request_duration_seconds');
    assert.deepEqual(duration.slice(0, 2), [
      '# HELP millrace_request_duration_seconds Time from acceptance to answer.',
      '# TYPE millrace_request_duration_seconds histogram',
    ]);
    assert.deepEqual(
      duration.filter((line) => line.includes('tools/call')),
      [
        ['0.0005', 0],
        ['0.001', 0],
        ['0.0025', 0],
        ['0.005', 1],
        ['0.01', 1],
        ['0.025', 1],
        ['0.05', 2],
        ['0.1', 2],
        ['0.25', 2],
        ['0.5', 2],
        ['1', 2],
        ['2.5', 2],
        ['5', 2],
        ['10', 2],
        ['30', 2],
        ['60', 2],
        ['+Inf', 2],
      ]
        .map(([le, n]) => `millrace_request_duration_seconds_bucket{le="${le}",method="tools/call"} ${n}`)
        .concat(
          'millrace_request_duration_seconds_sum{method="tools/call"} 0.03515625',
          'millrace_request_duration_seconds_count{method="tools/call"} 2',
        ),
    );
  });

  test('tells of queue, batches, callers, workers and tools', async (context) => {
    const meters = metersFor(context);
    meters.queueWaited(20);
    meters.batchSent(3);
    meters.batchSent(200);
    meters.callerRan(250);
    meters.shed('share');
    meters.workerStarted();
    meters.workerLost('deadline', 'spin');
    meters.strayError('leaky');
    meters.quarantined('spin');
    const expected: Record<string, number> = {
      millrace_queue_wait_seconds_sum: 0.02,
      'millrace_batch_size_bucket{le="2"}': 0,
      'millrace_batch_size_bucket{le="4"}': 1,
      'millrace_batch_size_bucket{le="128"}': 1,
      'millrace_batch_size_bucket{le="+Inf"}': 2,
      millrace_batch_size_count: 2,
      millrace_caller_runs_total: 1,
      millrace_caller_runs_seconds_total: 0.25,
      'millrace_sheds_total{reason="share"}': 1,
      'millrace_sheds_total{reason="queue-full"}': 0,
      millrace_worker_starts_total: 1,
      'millrace_worker_losses_total{reason="deadline",entry="spin"}': 1,
      'millrace_stray_errors_total{entry="leaky"}': 1,
      'millrace_quarantines_total{entry="spin"}': 1,
    };
    for (const [series, value] of Object.entries(expected))
      assert.equal(await readingOf(meters, series), value, series);
  });

  test('reads gauges when it is asked, one series per label set, and prefixes their names once', async (context) => {
    const meters = metersFor(context);
    let depth = 1;
    meters.gauge('queue_depth', 'Waiting.', () => depth);
    meters.gauge('millrace_worker_utilisation', 'Busy.', () => 0.25, { worker: '0' });
    meters.gauge('millrace_worker_utilisation', 'Busy.', () => 0.5, { worker: '1' });
    meters.gauge('millrace_worker_utilisation', 'Busy.', () => 0.75, { worker: '1' });
    depth = 9;
    assert.equal(await readingOf(meters, 'millrace_queue_depth'), 9);
    assert.deepEqual((await linesOf(meters, 'millrace_worker_utilisation')).slice(2), [
      'millrace_worker_utilisation{worker="0"} 0.25',
      'millrace_worker_utilisation{worker="1"} 0.75',
    ]);
  });

  test('reads counters when it is asked: the series there are, and no more than may be', async (context) => {
    const meters = metersFor(context);
    let count = 2;
    const read = (visit: (labels: Record<string, string>, value: number) => void): void => {
      for (let n = 0; n < count; n++) visit({ kind: String(n) }, n + 0.5);
    };
    meters.counter({ name: 'things_total', help: 'Things.', labelNames: ['kind'], read });
    assert.deepEqual(await linesOf(meters, 'millrace_things_total'), [
      '# HELP millrace_things_total Things.',
      '# TYPE millrace_things_total counter',
      'millrace_things_total{kind="0"} 0.5',
      'millrace_things_total{kind="1"} 1.5',
    ]);
    count = 1;
    assert.deepEqual((await linesOf(meters, 'millrace_things_total')).slice(2), [
      'millrace_things_total{kind="0"} 0.5',
    ]);
    count = 2000;
    assert.equal((await linesOf(meters, 'millrace_things_total')).length, 2 + 1024);
  });

  test('tells of the process and of this thread’s event loop', async (context) => {
    const meters = metersFor(context);
    assert.ok(((await readingOf(meters, 'process_resident_memory_bytes')) ?? 0) > 1e6);
    assert.ok(((await readingOf(meters, 'process_cpu_user_seconds_total')) ?? 0) > 0);
    for (const quantile of ['0.5', '0.99', '1']) {
      const delay = await readingOf(meters, `millrace_event_loop_delay_seconds{quantile="${quantile}"}`);
      assert.ok(delay !== undefined && delay >= 0 && delay < 60, `${quantile}: ${delay}`);
    }
  });

  test('escapes what a tool is called', async (context) => {
    const meters = metersFor(context);
    meters.quarantined('a"b\nc\\');
    assert.equal(await readingOf(meters, 'millrace_quarantines_total{entry="a\\"b\\nc\\\\"}'), 1);
  });

  test('of two runtimes in one process do not mix', async (context) => {
    const [one, two] = [metersFor(context), metersFor(context)];
    one.workerStarted();
    assert.equal(await readingOf(one, 'millrace_worker_starts_total'), 1);
    assert.equal(await readingOf(two, 'millrace_worker_starts_total'), 0);
  });
});

describe('bounds', () => {
  test('methods of the client’s own making share one label', async (context) => {
    const meters = metersFor(context);
    fc.assert(
      fc.property(fc.string(), (method) => {
        fc.pre(!(METHODS as readonly string[]).includes(method));
        meters.requestFinished(method, 'invalid', 1);
      }),
    );
    const series = (await linesOf(meters, 'millrace_requests_total')).slice(2);
    assert.equal(series.length, 1);
    assert.match(series[0] ?? '', /method="other",outcome="invalid"/);
  });

  test('entry names past the bound share one label, and no count is lost', async (context) => {
    const meters = metersFor(context);
    for (let i = 0; i < ENTRIES_MAX + 50; i++) meters.quarantined(`tool-${i}`);
    const series = (await linesOf(meters, 'millrace_quarantines_total')).slice(2);
    assert.equal(series.length, ENTRIES_MAX);
    assert.equal(await readingOf(meters, 'millrace_quarantines_total{entry="other"}'), 51);
  });

  test('a label index gives one number per name, never more than its bound', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), fc.integer({ min: 1, max: 8 }), (names, max) => {
        const index = new LabelIndex(max);
        for (const name of names) {
          const number = index.numberOf(name);
          assert.equal(index.numberOf(name), number);
          assert.equal(index.nameOf(number), number === 0 ? OTHER : name);
        }
        assert.ok(index.size <= max);
      }),
    );
  });

  test('no sequence of events throws or makes a sum fall', () => {
    const meters = new RuntimeMeters();
    const ms = fc.oneof(fc.double(), fc.constantFrom(Number.NaN, -1, Number.POSITIVE_INFINITY, 0));
    const event = fc.oneof(
      fc.tuple(fc.constantFrom<Outcome>(...OUTCOMES), ms).map(([outcome, time]) => () => {
        meters.requestFinished('ping', outcome, time);
      }),
      fc.constantFrom(...SHED_REASONS).map((reason) => () => meters.shed(reason)),
      ms.map((status) => () => meters.httpRefused(status)),
      fc.tuple(fc.string(), fc.string()).map(
        ([reason, entry]) =>
          () =>
            meters.workerLost(reason, entry),
      ),
    );
    fc.assert(
      fc.property(fc.array(event), (events) => {
        for (const happen of events) happen();
      }),
    );
    meters.close();
  });
});

describe('a histogram', () => {
  test('counts each value once, in the first bucket that holds it', () => {
    const bounds = [1, 2, 5];
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 10 })), (values) => {
        const histogram = new FixedHistogram(bounds);
        for (const value of values) histogram.record(value);
        assert.equal(histogram.total, values.length);
        assert.equal(
          histogram.sum,
          values.reduce((sum, value) => sum + value, 0),
        );
        const limits = [...bounds, Number.POSITIVE_INFINITY];
        const expected = limits.map((limit, i) => {
          const below = limits[i - 1] ?? Number.NEGATIVE_INFINITY;
          return values.filter((value) => value > below && value <= limit).length;
        });
        assert.deepEqual([...histogram.counts], expected);
      }),
    );
  });
});
