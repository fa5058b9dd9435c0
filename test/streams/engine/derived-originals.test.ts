/**
 * The events behind results of streams that are fed by results: what they were made of is shown, with the place of the
 * result, and never another event in its place.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import type { OriginalEvent, ResultLine } from '../../../src/streams/engine/port.ts';
import { DERIVED_BYTES_MAX } from '../../../src/streams/engine/results/derived-limits.ts';
import { lastingStores } from './faults.ts';
import { openRig, type Rig } from './rig.ts';

const timed = (fields: StreamDefinition['schema']['fields'], field: string): StreamDefinition['schema'] => ({
  fields,
  timestamp: { field },
  key: ['k'],
});

/** Windows of ten, and single events that are large, of one stream become events of another. */
const FIRST: StreamDefinition = {
  name: 'first',
  schema: timed({ at: 'integer', k: 'string', n: 'integer' }, 'at'),
  windows: [{ name: 'tens', type: 'tumbling', sizeMs: 10, aggregates: { n: { fn: 'sum', of: 'n' } } }],
  views: [{ name: 'large', where: 'n > 100', select: { n: 'n' } }],
  sinks: [{ type: 'stream', stream: 'second' }],
};
const SECOND: StreamDefinition = {
  name: 'second',
  schema: timed({ end: 'integer', k: 'string', n: { type: 'integer', optional: true } }, 'end'),
  windows: [{ name: 'hundreds', type: 'tumbling', sizeMs: 100, aggregates: { n: { fn: 'sum', of: 'n' } } }],
  views: [{ name: 'seen' }],
  sinks: [{ type: 'stream', stream: 'third', of: ['hundreds'] }],
};
const THIRD: StreamDefinition = {
  name: 'third',
  schema: timed({ end: 'integer', k: 'string', n: 'integer' }, 'end'),
  views: [{ name: 'told' }],
};
const CHAIN = [FIRST, SECOND, THIRD];

const event = (at: number, k: string, n: number): object => ({ at, k, n });
const TRACE = '00-11111111111111111111111111111111-2222222222222222-01';

async function behind(rig: Rig, stream: string, row: ResultLine | undefined): Promise<readonly OriginalEvent[]> {
  return rig.service.events(stream, row?.context?.events ?? []);
}

const rowOf = async (rig: Rig, stream: string, name: string, k: string): Promise<ResultLine | undefined> =>
  (await rig.rows(stream, name, 'all')).find(({ key }) => key['k'] === k);

async function sendSome(rig: Rig): Promise<void> {
  await rig.send('first', [event(1, 'a', 3), event(2, 'b', 500)], { traceparent: TRACE, correlationId: 'c' });
  await rig.send('first', [event(3, 'a', 4)]);
  await rig.send('first', [event(15, 'a', 5)]);
  await rig.send('first', [event(1000, 'z', 0)]);
  await rig.send('first', [event(2000, 'z', 0)]);
  await rig.settled();
}

test('what a result was made of leads to the results before it, and these to what came in', async () => {
  const rig = await openRig(CHAIN);
  await sendSome(rig);
  const [last, ...more] = await behind(rig, 'third', await rowOf(rig, 'third', 'told', 'a'));
  assert.equal(more.length, 0);
  assert.deepEqual(last?.result, {
    ...{ stream: 'second', name: 'hundreds', key: { k: 'a' } },
    start: 0,
    end: 100,
    pane: 0,
  });
  assert.deepEqual([JSON.parse(last?.text ?? '').n, last?.source], [12, 'stream']);
  assert.equal(last?.position, last?.id.split('.')[0]);

  const tens = await behind(rig, 'second', await rowOf(rig, 'second', 'hundreds', 'a'));
  const place = { stream: 'first', name: 'tens', key: { k: 'a' }, pane: 0 };
  assert.deepEqual(
    tens.map(({ result }) => result).toSorted((a, b) => Number(a?.start) - Number(b?.start)),
    [
      { ...place, start: 0, end: 10 },
      { ...place, start: 10, end: 20 },
    ],
  );
  // As its place says.
  const { stream, name, key, start, end } = { ...place, start: 0, end: 10 };
  const query = { stream, name, key, fromMs: start, toMs: end, limit: 10, by: '', include: 'closed' } as const;
  const { rows } = await rig.service.query(query);
  assert.equal(rows.length, 1);
  const texts = (await behind(rig, 'first', rows[0])).map(({ text }) => JSON.parse(text) as object);
  assert.deepEqual(texts, [event(3, 'a', 4), event(1, 'a', 3)]);
  await rig.close();
});

test('each event of a batch is told with the operator it came from, its context, and its own bytes', async () => {
  const rig = await openRig(CHAIN);
  await rig.send('first', [event(1, 'a', 300)]);
  // One record closes a window and is an event of its own.
  await rig.send('first', [event(50, 'b', 700)], { traceparent: TRACE, correlationId: 'c' });
  await rig.settled();
  const rows = await rig.rows('second', 'seen');
  const all = (await Promise.all(rows.map((row) => behind(rig, 'second', row)))).flat();
  const told = all.map(({ correlationId = '', result, text, traceparent = '' }) => {
    const { k, n } = JSON.parse(text) as { k: string; n: number };
    return [result?.name, result?.key['k'], k, n, correlationId, traceparent === TRACE];
  });
  assert.deepEqual(told.toSorted(), [
    ['large', 'a', 'a', 300, '', false],
    ['large', 'b', 'b', 700, 'c', true],
    ['tens', 'a', 'a', 300, '', false],
  ]);
  assert.equal(new Set(all.map(({ id }) => id)).size, 3);
  await rig.close();
});

test('events that their stream refuses stand in nobody’s place', async () => {
  const single: StreamDefinition = {
    name: 'single',
    schema: timed({ end: 'integer', k: 'string', n: 'integer' }, 'end'),
    views: [{ name: 'one' }],
  };
  const source: StreamDefinition = {
    name: 'source',
    schema: timed({ end: 'integer', k: 'string', n: { type: 'integer', optional: true } }, 'end'),
    views: [{ name: 'each', select: { n: 'n' } }],
    sinks: [{ type: 'stream', stream: 'single' }],
  };
  const rig = await openRig([source, single]);
  const given = [1, null, 3, null, 5].map((n, i) => ({ end: i, k: `k${i}`, ...(n === null ? {} : { n }) }));
  await rig.send('source', given);
  await rig.settled();
  const rows = await rig.rows('single', 'one');
  assert.equal(rows.length, 3);
  for (const row of rows) {
    const [only] = await behind(rig, 'single', row);
    assert.deepEqual([JSON.parse(only?.text ?? '').k, only?.result?.key], [row.key['k'], row.key]);
  }
  for (const none of [':0', '2.5:', '2.5:0', '999.001953125:0', `${rows[0]?.context?.events[0]?.split(':')[0]}:3`]) {
    assert.deepEqual(await rig.service.events('single', [none]), [], none);
  }
  await rig.close();
});

test('a restart has those that its replay makes again, and shows nothing for the others', async () => {
  for (const saves of [false, true]) {
    const stores = lastingStores();
    const before = await openRig(CHAIN, { stores });
    await sendSome(before);
    const shown = await behind(before, 'second', await rowOf(before, 'second', 'hundreds', 'a'));
    assert.equal(shown.length, 2);
    if (saves) await before.checkpoint();
    await before.abandon();
    const rig = await openRig(CHAIN, { stores });
    const again = await behind(rig, 'second', await rowOf(rig, 'second', 'hundreds', 'a'));
    assert.deepEqual(again, saves ? [] : shown);
    await rig.close();
  }
});

test('what was decoded by another schema is not shown', async () => {
  const stores = lastingStores();
  const before = await openRig(CHAIN, { stores });
  await sendSome(before);
  await before.abandon();
  const schema = timed({ end: 'integer', k: 'string', n: 'integer' }, 'end');
  const rig = await openRig([FIRST, { ...SECOND, schema }, THIRD], { stores });
  assert.deepEqual(await behind(rig, 'second', await rowOf(rig, 'second', 'seen', 'a')), []);
  await rig.close();
});

test('the newest are kept, as many as there is room for', async () => {
  const wide: StreamDefinition[] = [
    {
      name: 'wide',
      schema: timed({ at: 'integer', k: 'string', text: 'string' }, 'at'),
      views: [{ name: 'each' }],
      sinks: [{ type: 'stream', stream: 'fed' }],
    },
    {
      name: 'fed',
      schema: timed({ at: 'integer', k: 'string', text: 'string' }, 'at'),
      views: [{ name: 'one', select: { n: 'at' } }],
    },
  ];
  const rig = await openRig(wide);
  const text = 'x'.repeat(DERIVED_BYTES_MAX / 4);
  for (let at = 1; at <= 6; at++) await rig.send('wide', [{ at, k: `${at}`, text }]);
  await rig.settled();
  const held = async (k: string): Promise<number> =>
    (await behind(rig, 'fed', await rowOf(rig, 'fed', 'one', k))).length;
  assert.deepEqual([await held('1'), await held('2'), await held('4'), await held('6')], [0, 0, 1, 1]);
  await rig.close();
});
