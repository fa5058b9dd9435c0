/**
 * `top` keeps the best of all keys, whatever shard they are in: for each window by itself, in late and early results too.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { StreamDefinition, WindowDefinition } from '../../../src/streams/define/definition.ts';
import type { ResultLine } from '../../../src/streams/engine/port.ts';
import { lastingStores } from './faults.ts';
import { createTap, openRig, type Rig } from './rig.ts';

const KEYS = 12;
const SIZE_MS = 100;

function definition(window: Partial<WindowDefinition>): StreamDefinition {
  return {
    name: 's',
    schema: { fields: { at: 'integer', k: 'string' }, timestamp: { field: 'at' }, key: ['k'] },
    time: { idleAfterMs: 0, maxFutureMs: 0 },
    windows: [
      {
        name: 'best',
        type: 'tumbling',
        sizeMs: SIZE_MS,
        aggregates: { n: 'count' },
        top: { by: 'n', limit: 1 },
        ...window,
      },
    ],
    sinks: [{ type: 'tap' }],
  };
}

/** So many events of each key, `k0` first. */
const eventsOf = (counts: readonly number[], at: number): { at: number; k: string }[] =>
  counts.flatMap((n, key) => Array.from({ length: n }, () => ({ at, k: `k${key}` })));

type Brief = [string, number, number, string, string, unknown];

/** Bounds, pane, what kind of result, of which key, how many events. */
function briefly(lines: readonly string[]): Brief[] {
  return lines.map((line) => {
    const { end, key, pane, retraction, start, timing, values } = JSON.parse(line) as ResultLine & {
      retraction?: boolean;
    };
    return [`${start}-${end}`, pane, retraction ? 1 : 0, timing, String(key['k']), values['n']];
  });
}

async function run(window: Partial<WindowDefinition>, feed: (rig: Rig) => Promise<unknown>, shards = 4) {
  const rig = await openRig([definition(window)], { shards });
  await feed(rig);
  await rig.settled();
  const lines = rig.tap.lines();
  const ids = lines.map((line) => (JSON.parse(line) as { id: string }).id);
  assert.deepEqual([...new Set(ids)], ids, 'ids are unique');
  await rig.close();
  return briefly(lines);
}

/** Key `n` has `n + 1` events: the last one is the best. */
const RISING = Array.from({ length: KEYS }, (_, key) => key + 1);

describe('each window has its own ranking', () => {
  for (const shards of [1, 4]) {
    test(`when one step closes several that begin together, ${shards} shards`, async () => {
      const found = await run(
        { type: 'cumulating', sizeMs: 500, slideMs: 100, top: { by: 'n', limit: 2 } },
        async (rig) => {
          await rig.send('s', eventsOf(RISING, 10));
          await rig.send('s', [{ at: 10_000, k: 'k0' }]);
        },
        shards,
      );
      const expected = [100, 200, 300, 400, 500].flatMap((end) => [
        [`0-${end}`, 0, 0, 'on-time', `k${KEYS - 1}`, KEYS],
        [`0-${end}`, 0, 0, 'on-time', `k${KEYS - 2}`, KEYS - 1],
      ]);
      assert.deepEqual(found, expected);
    });
  }

  test('equal ones go by key, whatever the shards', async () => {
    const feed = async (rig: Rig): Promise<void> => {
      await rig.send('s', eventsOf(Array<number>(KEYS).fill(2), 10).reverse());
      await rig.send('s', [{ at: 10_000, k: 'k0' }]);
    };
    const runs = [];
    for (const shards of [1, 2, 8]) runs.push(await run({ top: { by: 'n', limit: 3 } }, feed, shards));
    const expected = ['k0', 'k1', 'k10'].map((key) => ['0-100', 0, 0, 'on-time', key, 2]);
    assert.deepEqual(runs, [expected, expected, expected]);
    const tied = await run({ top: { by: 'n', limit: 3, ties: true } }, feed);
    assert.equal(tied.length, KEYS);
  });
});

describe('a later result is a whole ranking again', () => {
  const late = (key: string, n: number): object[] => Array.from({ length: n }, () => ({ at: 20, k: key }));
  const feed = async (rig: Rig): Promise<void> => {
    await rig.send('s', eventsOf(RISING, 10));
    await rig.send('s', [{ at: 150, k: 'k0' }]);
    // Not enough to be the best of all; then enough.
    await rig.send('s', late('k1', 3));
    await rig.send('s', late('k1', 20));
    await rig.send('s', [{ at: 350, k: 'k0' }]);
  };
  const ROWS = {
    first: ['0-100', 0, 0, 'on-time', 'k11', 12],
    second: ['0-100', 1, 0, 'late', 'k11', 12],
    third: ['0-100', 2, 0, 'late', 'k1', 25],
    next: ['100-200', 0, 0, 'on-time', 'k0', 1],
  };

  test('of all shards, in place of the one before', async () => {
    const found = await run({ allowedLatenessMs: 1000 }, feed);
    assert.deepEqual(found, [ROWS.first, ROWS.second, ROWS.third, ROWS.next]);
  });

  test('with what the one before said taken back', async () => {
    const found = await run({ allowedLatenessMs: 1000, accumulation: 'retracting' }, feed);
    assert.deepEqual(found, [
      ROWS.first,
      ['0-100', 0, 1, 'late', 'k11', 12],
      ROWS.second,
      ['0-100', 1, 1, 'late', 'k11', 12],
      ROWS.third,
      ROWS.next,
    ]);
  });

  test('over a restart, from a checkpoint or from the log', async () => {
    for (const saved of [false, true]) {
      const stores = lastingStores();
      const tap = createTap();
      const given = [definition({ allowedLatenessMs: 1000, accumulation: 'retracting' })];
      let rig = await openRig(given, { stores, tap });
      const again = async (): Promise<void> => {
        await rig.settled();
        if (saved) await rig.checkpoint();
        await rig.abandon();
        rig = await openRig(given, { stores, tap });
      };
      await rig.send('s', eventsOf(RISING, 10));
      await again();
      await rig.send('s', [{ at: 150, k: 'k0' }]);
      await again();
      await rig.send('s', late('k1', 3));
      await again();
      await rig.send('s', late('k1', 20));
      await again();
      await rig.settled();
      assert.deepEqual(briefly(tap.lines()), [
        ROWS.first,
        ['0-100', 0, 1, 'late', 'k11', 12],
        ROWS.second,
        ['0-100', 1, 1, 'late', 'k11', 12],
        ROWS.third,
      ]);
      await rig.close();
    }
  });

  test('early by time, then on time', async () => {
    const found = await run({ trigger: { everyMs: 10 } }, async (rig) => {
      rig.tick();
      await rig.send('s', eventsOf(RISING, 10));
      rig.nowMs += 10;
      rig.tick();
      await rig.send('s', eventsOf([20], 10));
      rig.nowMs += 10;
      rig.tick();
      await rig.send('s', [{ at: 150, k: 'k0' }]);
    });
    assert.deepEqual(found, [
      ['0-100', 0, 0, 'early', 'k11', 12],
      ['0-100', 1, 0, 'early', 'k0', 21],
      ['0-100', 2, 0, 'on-time', 'k0', 21],
    ]);
  });
});

test('events that come too late are not ranked', async () => {
  const rig = await openRig([definition({ late: 'side-output' })]);
  await rig.send('s', [{ at: 1000, k: 'k0' }]);
  await rig.send('s', eventsOf(RISING, 10));
  await rig.settled();
  const late = rig.tap.lines().filter((line) => (JSON.parse(line) as ResultLine).output === 'late');
  assert.equal(late.length, (KEYS * (KEYS + 1)) / 2);
  await rig.close();
});

test('results that are counted are those given out', async () => {
  const rig = await openRig([definition({})]);
  await rig.send('s', eventsOf(RISING, 10));
  await rig.send('s', [{ at: 1000, k: 'k0' }]);
  await rig.settled();
  assert.equal(rig.service.list()[0]?.counters.results, 1);
  await rig.close();
});
