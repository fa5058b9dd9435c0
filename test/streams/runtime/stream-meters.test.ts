/**
 * What Prometheus reads of the streams: totals as counters, of the streams and operators there are, sizes as gauges.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RuntimeMeters } from '../../../src/observe/meters.ts';
import { registerStreamMeters } from '../../../src/runtime/stream-meters.ts';
import type { StreamFacts } from '../../../src/streams/engine/port.ts';

const FACTS: StreamFacts = {
  name: 's',
  title: '',
  description: '',
  durability: 'fsync',
  watermark: null,
  counters: { accepted: 1, rejected: 2, duplicates: 3, late: 4, batches: 5, results: 6 },
  pendingBytes: 7,
  spilledBytes: 8,
  deadLetters: 9,
  partialsDropped: { rise: 10, fall: 11 },
  keysEvicted: { w: 12 },
  resultsRefused: 13,
  resultsFailed: { w: 16 },
  alertCallsLost: 14,
  stepsLeftOut: 15,
};

test('pins the names, types and labels that dashboards rely on', async (context) => {
  const meters = new RuntimeMeters();
  context.after(() => meters.close());
  registerStreamMeters(meters, ['s'], () => [FACTS]);
  const lines = (await meters.render()).split('\n');
  const counter = (name: string, ...series: string[]): string[] => [
    `# TYPE millrace_stream_${name}_total counter`,
    ...series.map((each) => `millrace_stream_${name}_total${each}`),
  ];
  const gauge = (name: string, value: number): string[] => [
    `# TYPE millrace_stream_${name} gauge`,
    `millrace_stream_${name}{stream="s"} ${value}`,
  ];
  assert.deepEqual(
    lines.filter((line) => line.includes('millrace_stream_') && !line.startsWith('# HELP')).toSorted(),
    [
      ...counter('events', '{stream="s"} 1'),
      ...counter('batches', '{stream="s"} 5'),
      ...counter('late', '{stream="s"} 4'),
      ...counter('rejected', '{stream="s"} 2'),
      ...counter('duplicates', '{stream="s"} 3'),
      ...counter('results', '{stream="s"} 6'),
      ...counter('results_refused', '{stream="s"} 13'),
      ...counter('alert_calls_lost', '{stream="s"} 14'),
      ...counter('steps_left_out', '{stream="s"} 15'),
      ...counter('partials_dropped', '{stream="s",operator="rise"} 10', '{stream="s",operator="fall"} 11'),
      ...counter('results_failed', '{stream="s",operator="w"} 16'),
      ...counter('keys_evicted', '{stream="s",operator="w"} 12'),
      ...gauge('pending_bytes', 7),
      ...gauge('spilled_bytes', 8),
      ...gauge('dead_letters', 9),
      ...gauge('watermark_lag_ms', 0),
    ].toSorted(),
  );
});

test('a stream that runs elsewhere, and an operator that is gone, have no counters', async (context) => {
  const meters = new RuntimeMeters();
  context.after(() => meters.close());
  let own: readonly StreamFacts[] = [FACTS];
  registerStreamMeters(meters, ['s'], () => own);
  const told = async (text: string): Promise<number> =>
    (await meters.render()).split('\n').filter((line) => !line.startsWith('#') && line.includes(text)).length;
  assert.equal(await told('operator="rise"'), 1);
  own = [{ ...FACTS, partialsDropped: { fall: 11 } }];
  assert.equal(await told('operator="rise"'), 0);
  assert.equal(await told('operator="fall"'), 1);
  own = [];
  assert.equal(await told('_total{stream="s"'), 0);
});
