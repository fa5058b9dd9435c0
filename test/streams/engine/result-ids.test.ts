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

/** Both steps take any event of theirs, so that matches differ in an event long ago, or only in which step took it. */
const CHOICES: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer', k: 'string', v: 'number' }, timestamp: { field: 'at' }, key: ['k'] },
  patterns: [
    {
      name: 'some',
      steps: [
        { name: 'a', where: 'v == 0' },
        {
          name: 'b',
          where: 'v == 1',
          contiguity: 'followedByAny',
          times: { min: 1, max: null },
          inner: 'followedByAny',
        },
        { name: 'c', where: 'v == 2' },
      ],
    },
    {
      name: 'parted',
      steps: [
        { name: 'a', where: 'v == 1', contiguity: 'next', times: { min: 1, max: null }, inner: 'next' },
        { name: 'b', where: 'v == 1', contiguity: 'next', times: { min: 1, max: null }, inner: 'next' },
        { name: 'c', where: 'v == 2', contiguity: 'next' },
      ],
    },
  ],
  sinks: [{ type: 'tap' }],
};

test('matches that differ in one event of many, or in which step took it, have ids of their own', async () => {
  const runs: string[][] = [];
  for (const crash of [false, true]) {
    const stores = lastingStores();
    let rig = await openRig([CHOICES], { stores });
    const values = [0, ...Array<number>(10).fill(1), 2];
    const events = values.map((v, i) => ({ at: 1000 + i, k: 'a', v }));
    await rig.send('s', events.slice(0, 7));
    if (crash) {
      await rig.checkpoint();
      await rig.abandon();
      rig = await openRig([CHOICES], { stores, tap: createTap() });
    }
    await rig.send('s', [...events.slice(7), { at: 9000, k: 'b', v: 3 }]);
    await rig.settled();
    const lines = rig.tap.lines();
    assert.equal(idsOf(lines, 'some').length, 2 ** 10 - 1);
    // Where they begin, and where the one step hands over to the other.
    assert.equal(idsOf(lines, 'parted').length, (10 * 9) / 2);
    const ids = [...idsOf(lines, 'some'), ...idsOf(lines, 'parted')];
    assert.equal(new Set(ids).size, ids.length);
    runs.push(lines);
    await rig.close();
  }
  assert.deepEqual(runs[1], runs[0]);
});

/** Each event meets several at the same instant. */
const WATCHED: readonly StreamDefinition[] = [
  {
    ...SAME_TIME,
    windows: [],
    anomalies: [],
    joins: [
      {
        name: 'met',
        with: 't',
        type: 'window',
        on: { left: ['k'], right: ['k'] },
        sizeMs: 10,
        select: { v: 'left.v' },
      },
    ],
    views: [{ name: 'each' }],
    patterns: [{ name: 'two', steps: [{ name: 'a' }, { name: 'b', contiguity: 'followedByAny' }] }],
    alerts: ['met', 'each', 'two'].map((on) => ({ name: `on_${on}`, on })),
  },
  { ...SAME_TIME, name: 't', windows: [], anomalies: [], alerts: [], sinks: [] },
];

test('alerts on what has many results of one time have ids of their own', async () => {
  const rig = await openRig(WATCHED);
  await rig.send('s', EVENTS.slice(0, 3));
  await rig.send('t', EVENTS.slice(0, 3));
  for (const stream of ['s', 't']) await rig.send(stream, [{ at: 9000, k: 'b', v: 1 }]);
  const lines = rig.tap.lines();
  const alerts = ['on_met', 'on_each', 'on_two'].map((name) => idsOf(lines, name));
  assert.deepEqual(
    alerts.map((ids) => [ids.length, new Set(ids).size]),
    [
      [9, 9],
      [4, 4],
      [3, 3],
    ],
  );
  await rig.close();
});
