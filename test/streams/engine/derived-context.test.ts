/** Trace contexts and correlation ids go on into events made of results, and through chains of streams. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { EVIDENCE_MAX } from '../../../src/streams/operator.ts';
import { lastingStores } from './faults.ts';
import { openRig, type Rig } from './rig.ts';

const trace = (n: number): string => `00-${`${n}`.padStart(32, '0')}-00f067aa0ba902b7-01`;
const timed = (fields: StreamDefinition['schema']['fields'], field: string): StreamDefinition['schema'] => ({
  fields,
  timestamp: { field },
  key: ['k'],
});
const counted = { n: { fn: 'sum', of: 'n' } } as const;

/** Events → windows of 10 → windows of 100 and the rest → an alert → a view. */
const CHAIN: StreamDefinition[] = [
  {
    name: 'first',
    schema: timed({ at: 'integer', k: 'string' }, 'at'),
    windows: [{ name: 'tens', type: 'tumbling', sizeMs: 10, aggregates: { n: 'count' } }],
    views: [{ name: 'each' }],
    sinks: [
      { type: 'stream', stream: 'second', of: ['tens'] },
      { type: 'stream', stream: 'single', of: ['each'] },
    ],
  },
  { name: 'single', schema: timed({ at: 'integer', k: 'string' }, 'at'), views: [{ name: 'one' }] },
  {
    name: 'second',
    schema: timed({ end: 'integer', k: 'string', n: 'integer' }, 'end'),
    windows: [
      { name: 'hundreds', type: 'tumbling', sizeMs: 100, aggregates: counted },
      { name: 'pairs', type: 'count', count: 2, aggregates: counted },
      { name: 'together', type: 'session', gapMs: 50, aggregates: counted },
    ],
    views: [{ name: 'seen' }],
    patterns: [
      {
        name: 'two',
        steps: [
          { name: 'a', where: 'n > 0' },
          { name: 'b', where: 'n > 0' },
        ],
        select: { n: 'last(b).n' },
      },
    ],
    joins: [
      {
        name: 'met',
        type: 'interval',
        with: 'second',
        on: { left: ['k'], right: ['k'] },
        lowerMs: 0,
        upperMs: 0,
        select: { n: 'left.n' },
      },
    ],
    alerts: [
      { name: 'busy', on: 'hundreds', when: 'n > 0', severity: 'info', message: '', actions: [{ stream: 'third' }] },
    ],
  },
  {
    name: 'third',
    schema: timed({ start: 'integer', k: 'string', state: 'string' }, 'start'),
    views: [{ name: 'told' }],
  },
];

async function send(rig: Rig, events: readonly { at: number; k: string }[], n: number): Promise<void> {
  await rig.send('first', events, { traceparent: trace(n), correlationId: `c-${n}` });
}

/** Contexts of a key's results, each sorted, as the numbers they were made of. */
async function contextsOf(rig: Rig, stream: string, name: string, key: string): Promise<readonly string[]> {
  const rows = (await rig.rows(stream, name)).filter(({ key: { k } }) => k === key);
  const contexts = rows.map(({ context }) => {
    const traces = (context?.traces ?? []).map((text) => Number(text.slice(3, 35))).sort((a, b) => a - b);
    const ids = (context?.correlationIds ?? []).map((text) => Number(text.slice(2))).sort((a, b) => a - b);
    assert.deepEqual(traces, ids, `${name}: traces and correlation ids`);
    return traces.join();
  });
  return contexts.toSorted();
}

async function sendChain(rig: Rig): Promise<void> {
  await send(rig, [{ at: 1, k: 'a' }], 1);
  await send(rig, [{ at: 2, k: 'a' }], 2);
  await send(rig, [{ at: 3, k: 'b' }], 3);
  await send(rig, [{ at: 11, k: 'a' }], 4);
}

/** The streams behind the first one are a window behind it, each. */
async function closeAll(rig: Rig): Promise<void> {
  for (const at of [10_000, 20_000, 30_000]) await rig.send('first', [{ at, k: 'z' }]);
  await rig.send('third', []);
}

async function checkChain(rig: Rig): Promise<void> {
  await closeAll(rig);
  assert.deepEqual(await contextsOf(rig, 'first', 'tens', 'a'), ['1,2', '4']);
  for (const name of ['hundreds', 'pairs', 'together', 'two']) {
    assert.deepEqual(await contextsOf(rig, 'second', name, 'a'), ['1,2,4'], name);
  }
  assert.deepEqual(await contextsOf(rig, 'second', 'met', 'a'), ['1,2', '4']);
  assert.deepEqual(await contextsOf(rig, 'second', 'hundreds', 'b'), ['3']);
  assert.deepEqual(await contextsOf(rig, 'third', 'told', 'a'), ['1,2,4']);
  assert.deepEqual(await contextsOf(rig, 'third', 'told', 'b'), ['3']);
  assert.deepEqual(await contextsOf(rig, 'single', 'one', 'a'), ['1', '2', '4']);
}

test('through windows, patterns, joins, alerts and views of streams that are fed by streams', async () => {
  const rig = await openRig(CHAIN);
  await sendChain(rig);
  await checkChain(rig);
  const idsOf = async (name: string): Promise<readonly string[]> =>
    (await rig.rows('second', name))
      .filter(({ key: { k } }) => k === 'a')
      .flatMap(({ context }) => context?.events ?? [])
      .toSorted();
  const seen = await idsOf('seen');
  assert.equal(seen.length, 2);
  for (const name of ['hundreds', 'pairs', 'together', 'two']) assert.deepEqual(await idsOf(name), seen, name);
  const behind = await rig.service.events('second', seen);
  assert.deepEqual(
    behind.map(({ id, result }) => [id, result?.name, result?.key]),
    seen.map((id) => [id, 'tens', { k: 'a' }]),
  );
  assert.deepEqual(rig.troubles, []);
  await rig.close();
});

test('through a checkpoint and a replay', async () => {
  for (const checkpointed of [true, false]) {
    const stores = lastingStores();
    const before = await openRig(CHAIN, { stores });
    await sendChain(before);
    if (checkpointed) await before.checkpoint();
    await before.abandon();
    const rig = await openRig(CHAIN, { stores });
    await checkChain(rig);
    await rig.close();
  }
});

test('a result of many contexts has a bounded number of the newest ones', async () => {
  const rig = await openRig(CHAIN);
  for (let n = 0; n < 40; n++) await send(rig, [{ at: n, k: 'a' }], n);
  await closeAll(rig);
  const [all] = await contextsOf(rig, 'second', 'hundreds', 'a');
  const numbers = (all ?? '').split(',').map(Number);
  assert.equal(numbers.length, EVIDENCE_MAX);
  // Of the newest two windows of ten, which keep the newest four each.
  assert.ok(
    numbers.every((n) => n >= 26),
    all,
  );
  await rig.close();
});

test('an event that its stream refuses takes its context with it, not that of the next one', async () => {
  const [first, ...rest] = CHAIN as [StreamDefinition, ...StreamDefinition[]];
  const schema = timed({ at: 'integer', k: 'string', n: { type: 'integer', optional: true } }, 'at');
  const numbered = { ...first, schema, windows: [], views: [{ name: 'each' }] };
  const sinks = [{ type: 'stream', stream: 'single' }];
  const single = { name: 'single', schema: timed({ at: 'integer', k: 'string', n: 'integer' }, 'at') };
  const rig = await openRig([
    { ...numbered, sinks },
    { ...single, views: [{ name: 'one' }] },
    ...rest.filter(({ name }) => name !== 'single'),
  ]);
  const events = [1, 2, 3, 4, 5, 6].map((v) => ({
    specversion: '1.0',
    id: `${v}`,
    source: '/t',
    type: 't',
    traceparent: trace(v),
    correlationid: `c-${v}`,
    data: v % 2 === 0 ? { at: v, k: `k${v}`, n: v } : { at: v, k: `k${v}` },
  }));
  await rig.send('first', [], { format: 'cloudevents-batch', body: Buffer.from(JSON.stringify(events)) });
  await rig.send('first', []);
  for (const v of [2, 4, 6]) assert.deepEqual(await contextsOf(rig, 'single', 'one', `k${v}`), [`${v}`]);
  assert.equal((await rig.rows('single', 'one')).length, 3);
  await rig.close();
});
