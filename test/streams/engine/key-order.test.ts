/**
 * What depends on which keys came and went is a function of the log: however its records were gathered into tasks.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { randomFrom } from '../../random.ts';
import { lastingStores, MortalThreads } from './faults.ts';
import { createTap, openRig, type Rig, type RigOptions } from './rig.ts';

const SESSIONS: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer', k: 'string' }, timestamp: { field: 'at' }, key: ['k'] },
  time: { maxFutureMs: 0, idleAfterMs: 0 },
  windows: [{ name: 'w', type: 'session', gapMs: 10, aggregates: { n: 'count' } }],
  sinks: [{ type: 'tap' }],
};

/** `x` has gone when `y` comes, whose session ends when that of `z` does, which was there before. */
const RECORDS: readonly (readonly object[])[] = [
  [{ at: 0, k: 'u' }],
  [
    { at: 0, k: 'x' },
    { at: 0, k: 'z' },
  ],
  [{ at: 9, k: 'z' }],
  [{ at: 18, k: 'z' }],
  [{ at: 18, k: 'y' }],
  [{ at: 100, k: 'w' }],
];

test('sessions that end together are told in the same order, one record after the other or all at once', async () => {
  const runs: string[][] = [];
  for (const together of [false, true]) {
    const rig = await openRig([SESSIONS], { shards: 1 });
    if (together) await Promise.all(RECORDS.map((events) => rig.send('s', events)));
    else for (const events of RECORDS) await rig.send('s', events);
    await rig.settled();
    runs.push(rig.tap.lines());
    await rig.close();
  }
  assert.deepEqual(runs[0], runs[1]);
});

const PASSING: StreamDefinition = {
  ...SESSIONS,
  schema: { fields: { at: 'integer', k: 'string', v: 'number' }, timestamp: { field: 'at' }, key: ['k'] },
  time: { maxFutureMs: 0, idleAfterMs: 0, outOfOrderMs: 20 },
  windows: [
    { name: 'w', type: 'session', gapMs: 8, trigger: { everyMs: 50 }, aggregates: { n: 'count' } },
    { name: 'two', type: 'count', count: 2, aggregates: { v: { fn: 'sum', of: 'v' } } },
  ],
  patterns: [
    {
      ...{ name: 'p', withinMs: 50, timeouts: true, select: { v: 'last(b).v' } },
      steps: [
        { name: 'a', where: 'v < 4' },
        { name: 'b', where: 'v > last(a).v' },
      ],
    },
  ],
};

/** Sends that come and go by the same numbers; keys that pass, so that ids are used again. */
async function play(rig: Rig, seed: number, clock: { nowMs: number }, sent: (one: Promise<unknown>) => Promise<void>) {
  const random = randomFrom(seed);
  let at = 0;
  for (let i = 0; i < 80; i++) {
    at += 4 * Math.floor(random() * 4);
    const events = Array.from({ length: random() < 0.1 ? 100 : Math.floor(random() * 10) }, () => ({
      at: at - 4 * Math.floor(random() * 6),
      k: `k${i + Math.floor(random() ** 2 * 8)}`,
      v: Math.floor(random() * 10),
    }));
    await sent(rig.send('s', events, { batchId: `${i}` }));
    if (random() > 0.3) continue;
    clock.nowMs += Math.floor(random() * 60);
    rig.tick();
  }
  await sent(rig.send('s', [{ at: 5000, k: 'end', v: 0 }]));
}

for (const seed of [1, 2, 3, 4]) {
  test(`keys that come and go: the same results alone, at once, and with threads that end, seed ${seed}`, async () => {
    const runs: string[][] = [];
    for (const fate of ['alone', 'at once', 'threads'] as const) {
      const tap = createTap();
      const clock = { nowMs: 1_000_000 };
      const options: RigOptions = { shards: 1, stores: lastingStores(), tap, now: () => clock.nowMs };
      const threads: RigOptions = { threads: (parts) => new MortalThreads(parts, randomFrom(seed), 0.1) };
      const rig = await openRig([PASSING], { ...options, ...(fate === 'threads' ? threads : {}) });
      try {
        const under: Promise<unknown>[] = [];
        await play(rig, seed, clock, async (one) => {
          under.push(one);
          if (fate === 'alone') await rig.settled();
        });
        await Promise.all(under);
        await rig.settled();
        runs.push(tap.lines());
      } finally {
        await rig.close();
      }
    }
    assert.ok((runs[0]?.length ?? 0) > 100);
    for (const run of runs.slice(1)) assert.deepEqual(run, runs[0]);
  });
}
