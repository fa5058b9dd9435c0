/** What is given up at a limit or refused outside is told: in the description of a stream, and as numbers to watch. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { describeStream } from '../../../src/streams/mcp/describe.ts';
import { PARTIAL_MATCHES_MAX } from '../../../src/streams/patterns/key-state.ts';
import { SinkRefusal } from '../../../src/streams/sinks/port.ts';
import { lastingStores } from './faults.ts';
import { createTap, openRig } from './rig.ts';

const DEFINED: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer', k: 'string', v: 'integer' }, timestamp: { field: 'at' }, key: ['k'] },
  patterns: [
    {
      name: 'greedy',
      steps: [
        { name: 'a', where: 'v == 1' },
        { name: 'b', where: 'v == 2' },
      ],
      select: { v: 'last(b).v' },
    },
    {
      name: 'calm',
      steps: [
        { name: 'a', where: 'v == 3' },
        { name: 'b', where: 'v == 4' },
      ],
      select: { v: 'last(b).v' },
    },
  ],
  views: [{ name: 'v', where: 'v == 3' }],
  sinks: [{ type: 'tap', of: ['v'] }],
};

const MORE = 7;

test('partial matches that were given up are told by pattern, after a restart as well', async () => {
  const stores = lastingStores();
  const tap = createTap();
  const before = await openRig([DEFINED], { stores, tap });
  const events = Array.from({ length: PARTIAL_MATCHES_MAX + MORE }, (_, i) => ({ at: i, k: 'a', v: 1 }));
  await before.send('s', [...events, { at: 1_000_000, k: 'z', v: 0 }]);
  assert.deepEqual((await describeStream(before.service, 's')).partialsDropped, { greedy: MORE, calm: 0 });
  await before.checkpoint();
  await before.abandon();
  const rig = await openRig([DEFINED], { stores, tap });
  await rig.send('s', [{ at: 1_000_001, k: 'z', v: 0 }]);
  assert.deepEqual((await describeStream(rig.service, 's')).partialsDropped, { greedy: MORE, calm: 0 });
  await rig.close();
});

test('results that a sink refused for good are told by their number', async () => {
  const tap = createTap();
  tap.refuse = () => {
    throw new SinkRefusal('no such table', 1);
  };
  const rig = await openRig([DEFINED], { tap });
  await rig.send('s', [{ at: 1, k: 'a', v: 3 }]);
  await rig.settled();
  assert.equal((await describeStream(rig.service, 's')).resultsRefused, 1);
  await rig.close();
});

test('the values of every operator are told as its results carry them, named by the definition or not', async () => {
  const aggregates = { n: 'count' as const, high: { fn: 'max' as const, of: 'v' } };
  const step = { name: 'a', where: 'v == 3' };
  const stream: StreamDefinition = {
    ...DEFINED,
    windows: [{ name: 'w', type: 'count', count: 1, aggregates }],
    patterns: [
      { name: 'p', steps: [step], time: 'arrival' },
      { name: 'p_select', steps: [step], time: 'arrival', select: { v: 'v' } },
      { name: 'p_step', steps: [step], time: 'arrival', select: { step: 'v', v: 'v' } },
    ],
    views: [{ name: 'v' }, { name: 'v_select', select: { twice: 'v * 2' } }],
    joins: [
      {
        ...{ name: 'j', type: 'interval', with: 's', on: { left: ['k'], right: ['k'] }, lowerMs: 0, upperMs: 0 },
        select: { both: 'left.v + right.v' },
      },
    ],
    anomalies: [{ name: 'jump', value: 'v', type: 'zscore', warmup: 2, threshold: 0.01 }],
    alerts: [{ name: 'hot', on: 'w', when: 'high > 2' }],
    sinks: [{ type: 'tap' }],
  };
  const rig = await openRig([stream]);
  try {
    for (const [at, v] of [1, 2, 1, 2, 3].entries()) await rig.send('s', [{ at, k: 'a', v }]);
    await rig.settled();
    const carried = new Map<string, string[]>();
    for (const line of rig.tap.lines()) {
      const { name, values } = JSON.parse(line) as { name: string; values: object };
      carried.set(name, Object.keys(values));
    }
    const { operators } = await describeStream(rig.service, 's');
    assert.deepEqual(new Map(operators.map(({ name, values }) => [name, [...values]] as const)), carried);
    assert.equal(carried.size, 9);
  } finally {
    await rig.close();
  }
});
