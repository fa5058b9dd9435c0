/**
 * The events behind results: those the log still has, and nothing for ids of any others.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryDeadLetterStore } from '../../../src/streams/dead-letters/memory-store.ts';
import type { FieldDefinition, StreamDefinition } from '../../../src/streams/define/definition.ts';
import { MemoryLog } from '../../../src/streams/log/memory-log.ts';
import { type Appended, type LogRecord, LogUnavailable } from '../../../src/streams/log/port.ts';
import { storesOf } from '../../../src/streams/stores.ts';
import { lastingStores } from './faults.ts';
import { openRig } from './rig.ts';

const STREAM: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer', k: 'string' }, timestamp: { field: 'at' }, key: ['k'] },
  views: [{ name: 'each' }],
};

const TRACE = '00-11111111111111111111111111111111-2222222222222222-01';
/** The record before is that of the plan. */
const FIRST = 2;

test('ids of events are answered with their texts, ids of nothing with nothing', async () => {
  const rig = await openRig([STREAM]);
  try {
    const events = [
      { at: 1, k: 'a' },
      { at: 2, k: 'b' },
    ];
    await rig.send('s', events);
    const [newest, oldest] = await rig.rows('s', 'each');
    const ids = [oldest, newest].flatMap((row) => row?.context?.events ?? []);
    assert.deepEqual(ids, [`${FIRST}:0`, `${FIRST}:1`]);
    const texts = (await rig.service.events('s', ids)).map(({ text }) => JSON.parse(text) as object);
    assert.deepEqual(texts, events);
    for (const none of [`${FIRST}:2`, `${FIRST}:-1`, `${FIRST}:0:1`, '1:0', '0:0', '-2:0', '99:0', ':', '', '1e9:0']) {
      assert.deepEqual(await rig.service.events('s', [none]), [], none);
    }
  } finally {
    await rig.close();
  }
});

test("an event is shown with where it came from, and its context before its batch's", async () => {
  const rig = await openRig([STREAM]);
  try {
    const own = { specversion: '1.0', id: 'e', source: 'plant', type: 't', traceparent: TRACE, correlationid: 'own' };
    const body = Buffer.from(
      JSON.stringify([
        { ...own, data: { at: 1, k: 'a' } },
        { ...own, id: 'f', traceparent: undefined, correlationid: undefined, data: { at: 2, k: 'b' } },
      ]),
    );
    const batch = {
      format: 'cloudevents-batch',
      partition: 'p1',
      position: '17-3',
      batchId: '',
      traceparent: '',
      correlationId: 'batch',
    } as const;
    await rig.service.accept('s', 'redis', { ...batch, body });
    const events = await rig.service.events('s', [`${FIRST}:0`, `${FIRST}:1`]);
    const from = { source: 'redis', partition: 'p1', position: '17-3' };
    assert.deepEqual(
      events.map(({ arrivalMs: _, text: __, ...each }) => each),
      [
        { id: `${FIRST}:0`, ...from, traceparent: TRACE, correlationId: 'own' },
        { id: `${FIRST}:1`, ...from, correlationId: 'batch' },
      ],
    );
    assert.equal(new Set(events.map(({ arrivalMs }) => arrivalMs)).size, 1);
    await rig.send('s', [{ at: 3, k: 'c' }]);
    const [plain = {}] = await rig.service.events('s', [`${FIRST + 1}:0`]);
    assert.deepEqual(Object.keys(plain).sort(), ['arrivalMs', 'id', 'source', 'text']);
  } finally {
    await rig.close();
  }
});

test('members that the schema does not name are shown, unless they are dropped: what came before that, too', async () => {
  const stores = lastingStores();
  const textsOf = async (unknown?: 'drop' | 'keep'): Promise<string[]> => {
    const schema = { ...STREAM.schema, ...(unknown !== undefined && { unknown }) };
    const rig = await openRig([{ ...STREAM, schema }], { stores });
    await rig.send('s', [{ secret: 's', k: 'a', at: 1 }], { batchId: 'b' });
    const events = await rig.service.events('s', [`${FIRST}:0`]);
    await rig.abandon();
    return events.map(({ text }) => text);
  };
  const whole = '{"secret":"s","k":"a","at":1}';
  assert.deepEqual(await textsOf(), [whole]);
  assert.deepEqual(await textsOf('drop'), ['{"at":1,"k":"a"}']);
  assert.deepEqual(await textsOf('keep'), [whole]);
});

test('events that the log has let go of are left out', async () => {
  const rig = await openRig([STREAM]);
  try {
    await rig.send('s', [{ at: 1, k: 'a' }]);
    await rig.checkpoint();
    await rig.send('s', [{ at: 2, k: 'b' }]);
    const rows = await rig.rows('s', 'each');
    const ids = rows.flatMap((row) => row.context?.events ?? []);
    assert.equal(ids.length, 2);
    const events = await rig.service.events('s', ids);
    assert.deepEqual(
      events.map(({ text }) => text),
      ['{"at":2,"k":"b"}'],
    );
  } finally {
    await rig.close();
  }
});

/** Says of a record that it is not durable, and later that it never will be. */
class HeldLog extends MemoryLog {
  isHeld = false;
  refuse = (): void => undefined;

  override append(record: LogRecord): Appended {
    const appended = super.append(record);
    if (!this.isHeld) return appended;
    const durable = new Promise<void>((_resolve, reject) => {
      this.refuse = () => reject(new LogUnavailable('the disk is full'));
    });
    return { ...appended, durable };
  }
}

test('asking for an event that the log then refuses does not make it known: it counts when it is sent again', async () => {
  const eventLog = new HeldLog();
  const stores = () => Promise.resolve(storesOf('', eventLog, null, new MemoryDeadLetterStore()));
  const rig = await openRig([{ ...STREAM, durability: 'fsync' }], { stores });
  try {
    const event = { specversion: '1.0', id: 'e1', source: 'x', type: 't', data: { at: 1, k: 'a' } };
    const send = (): ReturnType<typeof rig.send> =>
      rig.send('s', [], { format: 'cloudevent', body: Buffer.from(JSON.stringify(event)) });
    eventLog.isHeld = true;
    const refused = send().catch(String);
    const asked = await rig.service.events('s', [`${FIRST}:0`]);
    eventLog.refuse();
    assert.match(String(await refused), /disk is full/);
    eventLog.isHeld = false;
    assert.deepEqual(asked, []);
    assert.deepEqual(await send(), { accepted: 1, rejected: 0, late: 0 });
  } finally {
    await rig.close();
  }
});

test('events that were decoded by another schema are left out: others would stand in their rows', async () => {
  const stores = lastingStores();
  const streamWith = (v: FieldDefinition): StreamDefinition => ({
    ...STREAM,
    schema: { ...STREAM.schema, fields: { at: 'integer', k: 'string', v } },
  });
  const loose = streamWith({ type: 'number', optional: true });
  const strict = streamWith({ type: 'number' });
  let rig = await openRig([loose], { stores });
  await rig.send('s', [
    { at: 1, k: 'a' },
    { at: 2, k: 'b', v: 1 },
  ]);
  const ids = (await rig.rows('s', 'each')).flatMap((row) => row.context?.events ?? []);
  const shown = async (): Promise<number> => (await rig.service.events('s', ids)).length;
  assert.equal(await shown(), 2);
  await rig.abandon();
  rig = await openRig([strict], { stores });
  assert.equal(await shown(), 0);
  await rig.send('s', [{ at: 3, k: 'c', v: 2 }]);
  const [newest] = await rig.rows('s', 'each');
  const texts = async (): Promise<string[]> =>
    (await rig.service.events('s', newest?.context?.events ?? [])).map(({ text }) => text);
  assert.deepEqual(await texts(), ['{"at":3,"k":"c","v":2}']);
  // From a checkpoint.
  await rig.abandon();
  rig = await openRig([strict], { stores });
  assert.equal(await shown(), 0);
  assert.deepEqual(await texts(), ['{"at":3,"k":"c","v":2}']);
  // What is decoded alike is shown, whatever else is declared.
  await rig.abandon();
  rig = await openRig([{ ...strict, views: [{ name: 'each' }, { name: 'more' }], title: 'Another' }], { stores });
  assert.deepEqual(await texts(), ['{"at":3,"k":"c","v":2}']);
  await rig.close();
});
