/**
 * Events made of results have one order, whichever ways lead to a stream: every one of them counts once, has an id of
 * its own, and comes again at the same place, however records were gathered into rounds and whatever ends in between.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import type { ResultLine } from '../../../src/streams/engine/port.ts';
import { randomFrom } from '../../random.ts';
import { lastingStores, MortalThreads } from './faults.ts';
import { createTap, openRig, type Rig, type RigOptions } from './rig.ts';

const time = { idleAfterMs: 0, maxFutureMs: 0 };
const fields = { at: 'integer', k: 'string', n: 'integer' } as const;
const schema = { fields, timestamp: { field: 'at' }, key: ['k'] };
const own = { at: 'at', k: 'k', n: 'n' };

/**
 * `orders` feeds `target` in two ways: by itself, and through `enriched`. Operators are numbered so that sums of numbers
 * along both ways are equal: views 0 and 1 on `enriched` and `target`, 2 and 3 on `orders`.
 */
const DIAMOND: StreamDefinition[] = [
  {
    name: 'enriched',
    schema,
    time,
    views: [{ name: 'more', select: { ...own, n: 'n + 1' } }],
    sinks: [{ type: 'stream', stream: 'target' }],
  },
  { name: 'target', schema, time, views: [{ name: 'all', select: own }], sinks: [{ type: 'tap' }] },
  {
    name: 'orders',
    schema,
    time,
    views: [
      { name: 'up', select: { ...own, n: 'n * 10' } },
      { name: 'straight', select: own },
    ],
    sinks: [
      { type: 'stream', stream: 'enriched', of: ['up'] },
      { type: 'stream', stream: 'target', of: ['straight'] },
    ],
  },
];

const COUNT = 40;

/** A record of two events to `orders`, or one straight to `target`. */
async function sendOne(rig: Rig, i: number): Promise<unknown> {
  const heading = { batchId: `${i}` };
  if (i % 4 === 3) return await rig.send('target', [{ at: i, k: 'direct', n: -i }], heading);
  const events = [
    { at: i, k: `a${i % 3}`, n: i },
    { at: i, k: `b${i % 5}`, n: i + 100 },
  ];
  return await rig.send('orders', events, heading);
}

const briefly = (lines: readonly string[]): unknown[] =>
  lines.map((line) => {
    const { values } = JSON.parse(line) as ResultLine;
    return [values['at'], values['n']];
  });

/** What comes of a record, in order: straight ones and then those of the longer way. */
const EXPECTED = Array.from({ length: COUNT }, (_, i) =>
  i % 4 === 3
    ? [[i, -i]]
    : [
        [i, i],
        [i, i + 100],
        [i, 10 * i + 1],
        [i, 10 * (i + 100) + 1],
      ],
).flat();

const sortedIn = (rows: readonly unknown[]): string[] => {
  const all = rows.map((row) => JSON.stringify(row));
  // Of one record, shards come before the order of events.
  return all.sort();
};

/** Records in the order in which their results came. */
const recordsOf = (rows: readonly unknown[]): number[] => {
  const order = rows.map((row) => (row as [number, number])[0]);
  return order.filter((at, i) => at !== order[i - 1]);
};

function check(lines: readonly string[]): void {
  const rows = briefly(lines);
  assert.deepEqual(sortedIn(rows), sortedIn(EXPECTED), 'each once');
  assert.deepEqual(
    recordsOf(rows),
    Array.from({ length: COUNT }, (_, i) => i),
    'in order of the log',
  );
  const ids = lines.map((line) => (JSON.parse(line) as ResultLine).id);
  assert.equal(new Set(ids).size, ids.length, 'ids are unique');
}

describe('two ways to one stream', () => {
  test('one record after the other, or all at once: the same results in the same order', async () => {
    const runs: string[][] = [];
    for (const together of [false, true]) {
      const rig = await openRig(DIAMOND);
      if (together) await Promise.all(Array.from({ length: COUNT }, (_, i) => sendOne(rig, i)));
      else for (let i = 0; i < COUNT; i++) await sendOne(rig, i);
      await rig.settled();
      check(rig.tap.lines());
      runs.push(rig.tap.lines());
      await rig.close();
    }
    assert.deepEqual(runs[0], runs[1]);
  });

  test('threads and processes that end: each result reaches the sink once, as without that', async () => {
    const clean = await openRig(DIAMOND);
    for (let i = 0; i < COUNT; i++) await sendOne(clean, i);
    await clean.settled();
    const expected = clean.tap.lines();
    await clean.close();
    for (let seed = 1; seed <= 6; seed++) {
      const random = randomFrom(seed);
      const options: RigOptions = {
        stores: lastingStores(),
        tap: createTap(),
        threads: (parts) => new MortalThreads(parts, random, 0.05),
      };
      let rig = await openRig(DIAMOND, options);
      for (let i = 0; i < COUNT; ) {
        const burst = Array.from({ length: Math.min(COUNT - i, 1 + Math.floor(random() * 6)) }, (_, n) => i + n);
        const send = (): Promise<unknown> => Promise.all(burst.map((each) => sendOne(rig, each)));
        if (random() < 0.5) {
          const sent = send().catch(() => undefined);
          for (let turns = Math.floor(random() * 12); turns > 0; turns--) await setImmediate();
          if (random() < 0.5) await rig.checkpoint();
          await rig.abandon();
          await sent;
          rig = await openRig(DIAMOND, options);
        }
        await send();
        i += burst.length;
      }
      await rig.settled();
      assert.deepEqual(rig.tap.lines(), expected, `seed ${seed}`);
      await rig.close();
    }
  });
});

test('time passes for a stream of results after the results that came before', async () => {
  const definitions: StreamDefinition[] = [
    { name: 'a', schema, time, views: [{ name: 'v', select: own }], sinks: [{ type: 'stream', stream: 'b' }] },
    {
      name: 'b',
      schema,
      time,
      windows: [
        {
          name: 'w',
          type: 'tumbling',
          sizeMs: 10,
          time: 'processing',
          key: [],
          aggregates: { n: { fn: 'sum', of: 'n' } },
        },
      ],
      sinks: [{ type: 'tap' }],
    },
  ];
  const rig = await openRig(definitions);
  rig.nowMs = 1_000_005;
  const sent = rig.send('a', [{ at: 1, k: 'x', n: 7 }]);
  rig.nowMs = 1_000_010;
  rig.tick();
  await sent;
  await rig.settled();
  assert.deepEqual(
    rig.tap.lines().map((line) => (JSON.parse(line) as ResultLine).values['n']),
    [7],
  );
  await rig.close();
});

describe('what is taken back, late or timed out', () => {
  const watched = (more: Record<string, 'boolean' | 'string'>): StreamDefinition[] => [
    {
      name: 'a',
      schema,
      time,
      windows: [
        {
          name: 'w',
          type: 'tumbling',
          sizeMs: 10,
          allowedLatenessMs: 100,
          late: 'side-output',
          accumulation: 'retracting',
          aggregates: { total: { fn: 'sum', of: 'n' } },
        },
      ],
      sinks: [{ type: 'stream', stream: 'b' }],
    },
    {
      name: 'b',
      schema: {
        fields: { end: 'integer', k: 'string', total: { type: 'integer', optional: true }, ...more },
        timestamp: { field: 'end' },
      },
      time: { ...time, outOfOrderMs: 1000 },
      views: [{ name: 'seen' }],
      sinks: [{ type: 'tap' }],
    },
  ];

  async function seen(more: Record<string, 'boolean' | 'string'>): Promise<unknown[]> {
    const rig = await openRig(watched(more));
    await rig.send('a', [{ at: 5, k: 'x', n: 1 }]);
    await rig.send('a', [{ at: 50, k: 'x', n: 1 }]);
    await rig.send('a', [{ at: 6, k: 'x', n: 2 }]);
    await rig.send('a', [{ at: 500, k: 'x', n: 1 }]);
    await rig.send('a', [{ at: 7, k: 'x', n: 4 }]);
    await rig.settled();
    const rows = rig.tap.lines().map((line) => {
      const { end: _end, k: _k, ...values } = (JSON.parse(line) as ResultLine).values;
      return Object.values(values);
    });
    assert.deepEqual(rig.troubles, []);
    await rig.close();
    return rows;
  }

  test('is no event of a stream whose schema cannot say so', async () => {
    assert.deepEqual(await seen({}), [[1], [3], [1]]);
  });

  test('is one where the schema has a field for it', async () => {
    assert.deepEqual(await seen({ retraction: 'boolean' }), [
      [1, false],
      [1, true],
      [3, false],
      [1, false],
    ]);
    assert.deepEqual(await seen({ output: 'string' }), [
      [1, ''],
      [3, ''],
      [1, ''],
      [null, 'late'],
    ]);
  });
});
