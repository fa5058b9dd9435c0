/** Trace context and correlation id travel with each event: its own before those of its batch, into every kind of result. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import type { ResultLine } from '../../../src/streams/engine/port.ts';
import { lastingStores } from './faults.ts';
import { openRig, type Rig } from './rig.ts';

const trace = (n: number): string => `00-${`${n}`.padStart(32, '0')}-00f067aa0ba902b7-01`;
const BATCH_TRACE = trace(999);

const schema: StreamDefinition['schema'] = {
  fields: { at: 'integer', k: 'string', v: 'integer' },
  timestamp: { field: 'at' },
  key: ['k'],
};
const aggregates = { n: 'count' } as const;

const DEFINED: StreamDefinition[] = [
  {
    name: 's',
    schema,
    windows: [
      { name: 'tumbling', type: 'tumbling', sizeMs: 100, aggregates },
      { name: 'hopping', type: 'hopping', sizeMs: 100, slideMs: 50, aggregates },
      { name: 'session', type: 'session', gapMs: 50, aggregates },
      { name: 'count', type: 'count', count: 2, aggregates },
    ],
    patterns: [
      {
        name: 'pair',
        steps: [
          { name: 'a', where: 'v == 1' },
          { name: 'b', where: 'v == 2' },
        ],
        select: { v: 'last(b).v' },
      },
    ],
    joins: [
      {
        name: 'join',
        type: 'interval',
        with: 'other',
        on: { left: ['k'], right: ['k'] },
        lowerMs: -10,
        upperMs: 10,
        select: { v: 'left.v' },
      },
    ],
    views: [{ name: 'view' }],
    anomalies: [{ name: 'jump', value: 'v', type: 'rate', maxPerSecond: 1 }],
  },
  { name: 'other', schema },
];

/** Structured CloudEvents; those with an even number have a trace of their own, and a correlation id from 6 on. */
function cloudEvents(events: readonly { readonly at: number; readonly k: string; readonly v: number }[]): Buffer {
  const texts = events.map((data, i) => {
    const traced = data.v % 2 === 0 ? { traceparent: trace(data.v) } : {};
    const own = data.v >= 6 && data.v % 2 === 0 ? { ...traced, correlationid: `own-${data.v}` } : traced;
    return { specversion: '1.0', id: `${data.at}/${i}`, source: '/t', type: 't', ...own, data };
  });
  return Buffer.from(JSON.stringify(texts));
}

const EVENTS = [
  { at: 10, k: 'a', v: 1 },
  { at: 20, k: 'a', v: 2 },
];

async function sent(rig: Rig): Promise<void> {
  const heading = { format: 'cloudevents-batch', traceparent: BATCH_TRACE, correlationId: 'c-1' } as const;
  await rig.send('s', [], { ...heading, body: cloudEvents(EVENTS) });
  await rig.send('other', [], { ...heading, body: cloudEvents([{ at: 15, k: 'a', v: 4 }]) });
}

async function finished(rig: Rig): Promise<ReadonlyMap<string, readonly ResultLine[]>> {
  await rig.send('s', [{ at: 10_000, k: 'z', v: 0 }]);
  await rig.send('other', [{ at: 10_000, k: 'z', v: 0 }]);
  const names = ['tumbling', 'hopping', 'session', 'count', 'pair', 'join', 'view', 'jump'];
  return new Map(await Promise.all(names.map(async (name) => [name, await rig.rows('s', name)] as const)));
}

function check(rows: ReadonlyMap<string, readonly ResultLine[]>): void {
  const tracesOf = (name: string): readonly (readonly string[])[] =>
    (rows.get(name) ?? [])
      .filter(({ key }) => key['k'] === 'a')
      .map(({ context }) => [...(context?.traces ?? [])].sort());
  const both = [trace(2), BATCH_TRACE];
  assert.deepEqual(tracesOf('tumbling'), [both]);
  assert.deepEqual(tracesOf('hopping'), [both, both]);
  assert.deepEqual(tracesOf('session'), [both]);
  assert.deepEqual(tracesOf('count'), [both]);
  assert.deepEqual(tracesOf('pair'), [both]);
  assert.deepEqual(tracesOf('join').toSorted(), [
    [trace(2), trace(4)],
    [trace(4), BATCH_TRACE],
  ]);
  assert.deepEqual(tracesOf('view').toSorted(), [[trace(2)], [BATCH_TRACE]]);
  assert.deepEqual(tracesOf('jump'), [[trace(2)]]);
  for (const [name, results] of rows) {
    for (const { context, key } of results) {
      if (key['k'] !== 'a') continue;
      assert.deepEqual(context?.correlationIds, ['c-1'], name);
      for (const id of context?.events ?? []) assert.match(id, /^\d+:\d+$/, name);
    }
  }
}

test("of events that have their own, and of those that have their batch's", async () => {
  const rig = await openRig(DEFINED);
  await sent(rig);
  check(await finished(rig));
  await rig.close();
});

test('a correlation id of its own goes before that of its batch, in a batch and by itself', async () => {
  const rig = await openRig(DEFINED);
  const events = [
    { at: 10, k: 'a', v: 5 },
    { at: 20, k: 'a', v: 8 },
  ];
  await rig.send('s', [], { format: 'cloudevents-batch', correlationId: 'c-1', body: cloudEvents(events) });
  const single = cloudEvents([{ at: 30, k: 'b', v: 10 }]).subarray(1, -1);
  await rig.send('s', [], { format: 'cloudevent', correlationId: 'c-2', body: single });
  const rows = await finished(rig);
  const idsOf = (name: string, key: string): readonly (readonly string[])[] =>
    (rows.get(name) ?? [])
      .filter(({ key: { k } }) => k === key)
      .map(({ context }) => [...(context?.correlationIds ?? [])].sort());
  for (const name of ['tumbling', 'session', 'count']) assert.deepEqual(idsOf(name, 'a'), [['c-1', 'own-8']], name);
  assert.deepEqual(idsOf('tumbling', 'b'), [['own-10']]);
  assert.deepEqual(idsOf('view', 'a').toSorted(), [['c-1'], ['own-8']]);
  assert.deepEqual(idsOf('view', 'b'), [['own-10']]);
  await rig.close();
});

test('through a checkpoint and a replay', async () => {
  for (const checkpointed of [true, false]) {
    const stores = lastingStores();
    const before = await openRig(DEFINED, { stores });
    await sent(before);
    if (checkpointed) await before.checkpoint();
    await before.abandon();
    const rig = await openRig(DEFINED, { stores });
    check(await finished(rig));
    await rig.close();
  }
});

test('the newest of many traces are kept, and what is shown is always of the event', async () => {
  const rig = await openRig(DEFINED);
  const events = Array.from({ length: 6000 }, (_, i) => ({ at: 10 + (i % 80), k: `k${i % 500}`, v: 2 * i }));
  for (let i = 0; i < events.length; i += 500) {
    await rig.send('s', [], { format: 'cloudevents-batch', body: cloudEvents(events.slice(i, i + 500)) });
  }
  const rows = (await finished(rig)).get('tumbling')?.filter(({ key }) => key['k'] !== 'z') ?? [];
  assert.equal(rows.length, 500);
  for (const { context, key } of rows) {
    const own = events.filter(({ k }) => k === key['k']).map(({ v }) => trace(v));
    assert.ok((context?.traces.length ?? 0) > 0, `${key['k']} has none`);
    for (const text of context?.traces ?? []) assert.ok(own.includes(text), `${text} is not of ${key['k']}`);
  }
  await rig.close();
});

test('a shard remembers the contexts of its newest 1024 events that have their own, and of its newest 256 batches', async () => {
  const numbered = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `k${from + i}`);
  /** Keys of the results that show a trace. */
  const tracedBy = async (send: (rig: Rig) => Promise<void>): Promise<string[]> => {
    const [stream, other] = DEFINED as [StreamDefinition, StreamDefinition];
    const rig = await openRig([{ ...stream, sinks: [{ type: 'tap', of: ['tumbling'] }] }, other], { shards: 1 });
    await send(rig);
    await finished(rig);
    const rows = rig.tap.lines().map((line) => JSON.parse(line) as ResultLine);
    await rig.close();
    return rows.flatMap(({ context, key }) => ((context?.traces.length ?? 0) > 0 ? [String(key['k'])] : [])).toSorted();
  };
  const ofEvents = await tracedBy(async (rig) => {
    const events = numbered(0, 1500).map((k, i) => ({ at: 10, k, v: 2 * i }));
    await rig.send('s', [], { format: 'cloudevents-batch', body: cloudEvents(events) });
  });
  assert.deepEqual(ofEvents, numbered(1500 - 1024, 1500).toSorted());
  const ofBatches = await tracedBy(async (rig) => {
    for (const k of numbered(0, 300)) await rig.send('s', [{ at: 10, k, v: 1 }], { traceparent: BATCH_TRACE });
  });
  assert.deepEqual(ofBatches, numbered(300 - 256, 300).toSorted());
});
