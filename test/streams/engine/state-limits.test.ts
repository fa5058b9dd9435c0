/**
 * State at its limit: what is refused is taken again once there is room, what goes is what was idle, and a replay lets
 * the same keys go at the same place.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { StreamRefusal } from '../../../src/streams/engine/port.ts';
import { lastingStores, MortalThreads, randomFrom } from './faults.ts';
import { createTap, openRig, type Rig } from './rig.ts';

const aggregates = { n: 'count' as const };
const schema: StreamDefinition['schema'] = {
  fields: { at: 'integer', k: 'string', v: 'number' },
  timestamp: { field: 'at' },
  key: ['k'],
};

const eventsOf = (prefix: string, count: number, at: number): object[] =>
  Array.from({ length: count }, (_, i) => ({ at, k: `${prefix}${i}`, v: i }));

const refusalOf = (sent: Promise<unknown>): Promise<string> =>
  sent.then(
    () => '',
    (error: unknown) => (error instanceof StreamRefusal ? error.refusal : String(error)),
  );

test('state past its bytes is refused until windows have closed', async () => {
  const full: StreamDefinition = {
    name: 's',
    schema,
    limits: { stateBytesMax: 2 ** 20 },
    windows: [
      {
        name: 'w',
        type: 'tumbling',
        sizeMs: 1000,
        aggregates: { ...aggregates, p: { fn: 'quantile', of: 'v', q: 0.9 } },
      },
    ],
  };
  const rig = await openRig([full, { name: 'other', schema }]);
  await rig.send('s', eventsOf('k', 20_000, 10));
  assert.equal(await refusalOf(rig.send('s', eventsOf('k', 1, 11))), 'full');
  // Time passes by what is taken elsewhere; here, by a definition that has room for one more.
  await rig.service.define('s', 'windows', { name: 'w', type: 'tumbling', sizeMs: 2000, aggregates });
  assert.equal(await refusalOf(rig.send('s', eventsOf('z', 1, 10_000))), '');
  assert.equal(await refusalOf(rig.send('s', eventsOf('z', 1, 20_000))), '');
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
    await rig.close();
  }
  const windows = (runs[0] ?? [])
    .map((line) => JSON.parse(line) as { name: string })
    .filter(({ name }) => name === 'w');
  assert.ok(windows.length <= 80 && windows.length > 20, `${windows.length} keys are left`);
  for (const run of runs.slice(1)) assert.deepEqual(run, runs[0]);
});
