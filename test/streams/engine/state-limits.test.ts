/**
 * State at its limit: what is refused is taken again once there is room, what goes is what was idle, and a replay lets
 * the same keys go at the same place.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { describeStream } from '../../../src/streams/mcp/describe.ts';
import { randomFrom } from '../../random.ts';
import { lastingStores, MortalThreads } from './faults.ts';
import { createTap, openRig, type Rig, refusalOf } from './rig.ts';

const aggregates = { n: 'count' as const };
const schema: StreamDefinition['schema'] = {
  fields: { at: 'integer', k: 'string', v: 'number' },
  timestamp: { field: 'at' },
  key: ['k'],
};

const eventsOf = (prefix: string, count: number, at: number): object[] =>
  Array.from({ length: count }, (_, i) => ({ at, k: `${prefix}${i}`, v: i }));

test('state past its bytes is refused until windows have closed', async () => {
  const full: StreamDefinition = {
    name: 's',
    schema,
    limits: { stateBytesMax: 2 ** 20 },
  };
  const rig = await openRig([full, { name: 'other', schema }]);
  await rig.service.define('s', 'windows', {
    name: 'w',
    type: 'tumbling',
    sizeMs: 1000,
    aggregates: { ...aggregates, p: { fn: 'quantile', of: 'v', q: 0.9 } },
  });
  await rig.send('s', eventsOf('k', 20_000, 10));
  assert.equal(await refusalOf(rig.send('s', eventsOf('k', 1, 11))), 'full');
  // Time passes by what is taken elsewhere; here, by a definition that has room for one more.
  await rig.service.define('s', 'windows', { name: 'w', type: 'tumbling', sizeMs: 2000, aggregates });
  assert.equal(await refusalOf(rig.send('s', eventsOf('z', 1, 10_000))), '');
  assert.equal(await refusalOf(rig.send('s', eventsOf('z', 1, 20_000))), '');
  await rig.close();
});

test('each stream is held against its own limits; what a join keeps counts for both of its streams', async () => {
  const counting = { windows: [{ name: 'w', type: 'tumbling' as const, sizeMs: 100_000, aggregates }] };
  const small = { schema, limits: { keysMax: 100 } };
  const met = { type: 'interval' as const, on: { left: ['k'], right: ['k'] }, lowerMs: 0, upperMs: 1000 };
  const rig = await openRig([
    { name: 'large', schema, ...counting },
    { name: 'small', ...small, ...counting },
    { name: 'left', ...small, joins: [{ name: 'j', ...met, with: 'right', select: { v: 'left.v' } }] },
    { name: 'right', ...small },
  ]);
  const fits = async (stream: string, prefix: string, count: number): Promise<void> =>
    assert.equal(await refusalOf(rig.send(stream, eventsOf(prefix, count, 10))), '', `${count} keys of ${stream}`);
  const isFull = async (stream: string): Promise<void> =>
    assert.equal(await refusalOf(rig.send(stream, eventsOf('x', 1, 10))), 'full', stream);
  await fits('large', 'k', 5000);
  for (const stream of ['small', 'left', 'right']) await fits(stream, 'k', 60);
  // The keys of the other side are the same, and there once.
  for (const stream of ['small', 'left', 'right']) await fits(stream, 'k', 60);
  await fits('small', 'm', 50);
  await isFull('small');
  await fits('left', 'm', 50);
  await isFull('left');
  await isFull('right');
  await fits('large', 'm', 5000);
  await rig.close();
});

test('idle keys of a join go for the limits of either of its streams', async () => {
  const versions = { type: 'lookup' as const, on: { left: ['k'], right: ['k'] } };
  const rig = await openRig([
    {
      name: 'left',
      schema,
      limits: { keysMax: 100 },
      joins: [{ name: 'j', ...versions, with: 'right', select: { v: 'right.v' } }],
    },
    { name: 'right', schema, limits: { keysMax: 40, onFull: 'evict-idle' } },
  ]);
  for (let batch = 0; batch < 20; batch++) await rig.send('right', eventsOf(`k${batch}-`, 20, 10 + batch));
  assert.equal(await refusalOf(rig.send('left', eventsOf('x', 1, 100))), '', 'the 400 keys that came are not all held');
  await rig.close();
});

const EVICTING: StreamDefinition = {
  name: 's',
  schema,
  limits: { keysMax: 80, onFull: 'evict-idle' },
  windows: [
    { name: 'w', type: 'tumbling', sizeMs: 100_000, aggregates },
    { name: 'c', type: 'count', count: 3, aggregates },
  ],
  patterns: [
    {
      name: 'p',
      steps: [
        { name: 'a', where: 'v < 5' },
        { name: 'b', where: 'v > 1000' },
      ],
      select: { v: 'last(b).v' },
      time: 'arrival',
    },
  ],
  anomalies: [{ name: 'a', value: 'v', type: 'zscore', warmup: 2, threshold: 3 }],
  alerts: [{ name: 'hot', on: 'c', when: 'n > 0' }],
  sinks: [{ type: 'tap' }],
};

async function play(rig: Rig, from: number, to: number, random: () => number): Promise<void> {
  for (let batch = from; batch < to; batch++) {
    const events = Array.from({ length: 12 }, (_, i) => {
      const number = Math.floor(random() ** 3 * 400);
      return { at: 1000 + batch * 10 + i, k: `k${number}`, v: number };
    });
    await rig.send('s', events);
  }
}

test('the same keys go whatever is lost, and however steps are cut into tasks', async () => {
  const runs: string[][] = [];
  const told: unknown[] = [];
  for (const fate of ['none', 'threads', 'process', 'at once'] as const) {
    const stores = lastingStores();
    const tap = createTap();
    const random = randomFrom(11);
    const open = (): Promise<Rig> =>
      openRig([EVICTING], {
        stores,
        tap,
        ...(fate === 'threads' ? { threads: (parts) => new MortalThreads(parts, randomFrom(3), 0.1) } : {}),
      });
    let rig = await open();
    if (fate === 'at once') {
      const sent: Promise<void>[] = [];
      for (let i = 0; i < 60; i++) sent.push(play(rig, i, i + 1, random));
      await Promise.all(sent);
    } else await play(rig, 0, 30, random);
    if (fate === 'process') {
      await rig.checkpoint();
      await rig.abandon();
      rig = await open();
    }
    if (fate !== 'at once') await play(rig, 30, 50, random);
    if (fate === 'process') {
      await rig.abandon();
      rig = await open();
    }
    if (fate !== 'at once') await play(rig, 50, 60, random);
    await rig.send('s', [{ at: 900_000, k: 'z', v: 0 }]);
    await rig.settled();
    runs.push(tap.lines());
    told.push((await describeStream(rig.service, 's')).keysEvicted);
    await rig.close();
  }
  const windows = (runs[0] ?? [])
    .map((line) => JSON.parse(line) as { name: string })
    .filter(({ name }) => name === 'w');
  assert.ok(windows.length <= 80 && windows.length > 20, `${windows.length} keys are left`);
  for (const run of runs.slice(1)) assert.deepEqual(run, runs[0]);
  assert.deepEqual(Object.keys(told[0] as object), ['w', 'c', 'p', 'a', 'hot']);
  for (const each of told.slice(1)) assert.deepEqual(each, told[0]);
});

test('keys that are let go are told by operator: all that came and are not there any more', async () => {
  const KEYS_MAX = 40;
  const of = (onFull: 'refuse' | 'evict-idle', keysMax: number): StreamDefinition => ({
    name: 's',
    schema,
    limits: { keysMax, onFull },
    windows: [
      { name: 'w', type: 'tumbling', sizeMs: 100_000, aggregates },
      { name: 'one', type: 'count', count: 1, aggregates },
    ],
    patterns: [
      {
        ...{ name: 'p', time: 'arrival', steps: [{ name: 'a' }, { name: 'b', where: 'v < 0' }] },
        select: { v: 'last(a).v' },
      },
    ],
    anomalies: [{ name: 'odd', value: 'v', type: 'zscore', warmup: 2, threshold: 3 }],
    alerts: [{ name: 'hot', on: 'one', when: 'n > 0' }],
  });
  const stores = lastingStores();
  const sent = 10 * KEYS_MAX;
  let rig = await openRig([of('evict-idle', KEYS_MAX)], { stores, shards: 2 });
  const evicted = async (): Promise<Readonly<Record<string, number>>> =>
    (await describeStream(rig.service, 's')).keysEvicted;
  assert.deepEqual(await evicted(), {});
  const batches = 20;
  for (let batch = 0; batch < batches; batch++) {
    await rig.send('s', eventsOf(`b${batch}-`, sent / batches, 10 + batch));
    if (batch === batches / 2) await rig.checkpoint();
  }
  const counts = await evicted();
  const left = async (name: string): Promise<number> => (await rig.rows('s', name, 'open')).length;
  assert.ok((counts['w'] ?? 0) > sent / 2, JSON.stringify(counts));
  assert.equal(counts['w'], sent - (await left('w')));
  assert.equal(counts['p'], sent - (await left('p')));
  // Each key has state in all of them, and is idle in all alike; raised alerts go last, and are not raised from then on.
  const raised = await rig.service.alerts({ stream: 's', active: true, limit: sent });
  assert.deepEqual(counts, { w: counts['w'], p: counts['p'], odd: counts['p'], hot: sent - raised.length });
  await rig.abandon();
  rig = await openRig([of('evict-idle', KEYS_MAX)], { stores, shards: 2 });
  await rig.settled();
  assert.deepEqual(await evicted(), counts);
  // An operator that begins anew has let nothing go.
  await rig.abandon();
  const now = of('evict-idle', KEYS_MAX);
  const windows = now.windows?.map((each) => (each.name === 'w' ? { ...each, sizeMs: 1000 } : each)) ?? [];
  rig = await openRig([{ ...now, windows }], { stores, shards: 2 });
  assert.deepEqual(await evicted(), { p: counts['p'], odd: counts['odd'], hot: counts['hot'] });
  await rig.close();

  rig = await openRig([of('refuse', sent)]);
  for (let batch = 0; batch < batches; batch++) {
    await rig.send('s', eventsOf(`b${batch}-`, sent / batches, 10 + batch));
  }
  assert.deepEqual(await evicted(), {});
  await rig.close();
});
