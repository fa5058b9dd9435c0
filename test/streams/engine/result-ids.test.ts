/**
 * The identity of a result: no two results have the same, and a replay gives the same again.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { lastingStores } from './faults.ts';
import { createTap, openRig } from './rig.ts';

const SAME_TIME: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer', k: 'string', v: 'number' }, timestamp: { field: 'at' }, key: ['k'] },
  windows: [
    { name: 'pairs', type: 'count', count: 2, aggregates: { sum: { fn: 'sum', of: 'v' } } },
    { name: 'all', type: 'global', trigger: { everyCount: 2 }, aggregates: { n: 'count' } },
  ],
  alerts: [{ name: 'large', on: 'pairs', when: 'sum > 0' }],
  anomalies: [{ name: 'jump', value: 'v', type: 'zscore', warmup: 2, threshold: 0.01 }],
  sinks: [{ type: 'tap' }],
};

/** All at the same instant, of one key. */
const EVENTS = Array.from({ length: 12 }, (_, i) => ({ at: 1000, k: 'a', v: i % 4 < 2 ? 1 : -1 }));

const idsOf = (lines: readonly string[], name: string): string[] =>
  lines
    .map((line) => JSON.parse(line) as { id: string; name: string })
    .flatMap((row) => (row.name === name ? [row.id] : []));

test('windows of one key with the same bounds have ids of their own, and so has what follows from them', async () => {
  const rig = await openRig([SAME_TIME]);
  for (let i = 0; i < EVENTS.length; i += 3) await rig.send('s', EVENTS.slice(i, i + 3));
  const lines = rig.tap.lines();
  assert.equal(idsOf(lines, 'pairs').length, 6);
  assert.equal(idsOf(lines, 'all').length, 6);
  assert.equal(idsOf(lines, 'large').length, 6);
  assert.ok(idsOf(lines, 'jump').length > 2);
  const ids = lines.map((line) => (JSON.parse(line) as { id: string }).id);
  assert.deepEqual([...new Set(ids)], ids);
  await rig.close();
});

test('a replay gives the same ids', async () => {
  const runs: string[][] = [];
  for (const crash of [false, true]) {
    const stores = lastingStores();
    let rig = await openRig([SAME_TIME], { stores });
    await rig.send('s', EVENTS.slice(0, 5));
    if (crash) {
      await rig.abandon();
      rig = await openRig([SAME_TIME], { stores, tap: createTap() });
    }
    await rig.send('s', EVENTS.slice(5));
    await rig.settled();
    runs.push(rig.tap.lines());
    await rig.close();
  }
  assert.deepEqual(runs[1], runs[0]);
});
