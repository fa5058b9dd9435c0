/**
 * A checkpoint is made, and the process ends, while the poison events of a batch are being put aside.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { lastingStores } from '../engine/faults.ts';
import { createTap, openRig } from '../engine/rig.ts';

const TURNS = 50;
const DEFINITIONS: StreamDefinition[] = [
  {
    name: 's',
    schema: { fields: { at: 'integer' }, timestamp: { field: 'at' } },
    windows: [{ name: 'w', type: 'tumbling', sizeMs: 10, aggregates: { n: 'count' } }],
    sinks: [{ type: 'tap' }],
  },
];
const BATCH = [{ at: 1 }, { at: 'poison' }, { at: 2 }];

test('neither the poison events nor the id of their batch are lost', async () => {
  const stores = lastingStores();
  const { deadLetters } = await stores();
  const add = deadLetters.add.bind(deadLetters);
  deadLetters.add = () => new Promise(() => undefined);
  const tap = createTap();
  let rig = await openRig(DEFINITIONS, { stores, tap });
  const unanswered = rig.send('s', BATCH, { batchId: 'b1' });
  unanswered.catch(() => undefined);
  while (rig.service.list()[0]?.counters.accepted !== 2) await turn();
  const saved = rig.checkpoint().then(() => true);
  for (let n = 0; n < TURNS && !(await Promise.race([saved, turn(false)])); n++);
  await rig.abandon();
  deadLetters.add = add;
  rig = await openRig(DEFINITIONS, { stores, tap });
  assert.deepEqual(await rig.send('s', BATCH, { batchId: 'b1' }), { accepted: 2, rejected: 1, late: 0 });
  await rig.send('s', [{ at: 50 }]);
  await rig.settled();
  assert.deepEqual(
    tap.lines().map((line) => JSON.parse(line).values),
    [{ n: 2 }],
  );
  const letters = await rig.service.deadLetters('s', '', 10);
  assert.deepEqual(
    letters.map(({ text }) => text),
    ['{"at":"poison"}'],
  );
  await rig.close();
});

test('that they cannot be kept is said, and the others count once', async () => {
  const stores = lastingStores();
  const { deadLetters } = await stores();
  deadLetters.add = () => Promise.reject(new Error('no space'));
  const rig = await openRig(DEFINITIONS, { stores });
  const answer = { accepted: 2, rejected: 1, late: 0 };
  assert.deepEqual(await rig.send('s', BATCH, { batchId: 'b1' }), answer);
  assert.deepEqual(await rig.send('s', BATCH, { batchId: 'b1' }), answer);
  await rig.send('s', [{ at: 50 }]);
  await rig.settled();
  assert.deepEqual(
    rig.tap.lines().map((line) => JSON.parse(line).values),
    [{ n: 2 }],
  );
  assert.deepEqual(
    rig.troubles.map(({ level, message }) => [level, message]),
    [['error', 'poison events cannot be kept as dead letters yet; they are offered again']],
  );
  await rig.close();
});

test('those that could not be kept are kept later, in their order', async () => {
  for (const isLast of [false, true]) {
    const stores = lastingStores();
    const { deadLetters } = await stores();
    const add = deadLetters.add.bind(deadLetters);
    deadLetters.add = () => Promise.reject(new Error('no space'));
    const rig = await openRig(DEFINITIONS, { stores });
    await rig.send('s', [{ at: 'one' }]);
    await rig.send('s', [{ at: 'two' }]);
    deadLetters.add = add;
    if (isLast) await rig.checkpoint();
    else await rig.send('s', [{ at: 'three' }]);
    const letters = await rig.service.deadLetters('s', '', 10);
    const expected = isLast ? ['one', 'two'] : ['one', 'two', 'three'];
    assert.deepEqual(
      letters.map(({ text }) => (JSON.parse(text) as { at: string }).at),
      expected,
    );
    await rig.close();
  }
});

test('no checkpoint passes over those that cannot be kept, however often it is tried and however the process ends', async () => {
  for (const end of ['abandon', 'close'] as const) {
    const stores = lastingStores();
    const { deadLetters } = await stores();
    const add = deadLetters.add.bind(deadLetters);
    const tap = createTap();
    let rig = await openRig(DEFINITIONS, { stores, tap });
    await rig.send('s', [{ at: 1 }]);
    deadLetters.add = () => Promise.reject(new Error('no space'));
    await rig.send('s', BATCH, { batchId: 'b1' });
    for (let i = 0; i < 2; i++) await assert.rejects(rig.checkpoint(), /1 poison events cannot be kept/);
    assert.deepEqual(rig.service.degraded, ['stream dead letters']);
    await rig.send('s', [{ at: 50 }]);
    await rig[end]();

    deadLetters.add = add;
    rig = await openRig(DEFINITIONS, { stores, tap });
    assert.deepEqual(await rig.send('s', BATCH, { batchId: 'b1' }), { accepted: 2, rejected: 1, late: 0 });
    const letters = await rig.service.deadLetters('s', '', 10);
    assert.deepEqual(
      letters.map(({ text }) => text),
      ['{"at":"poison"}'],
    );
    await rig.checkpoint();
    assert.deepEqual(rig.service.degraded, []);
    await rig.close();
    assert.deepEqual(
      tap.lines().map((line) => JSON.parse(line).values),
      [{ n: 3 }],
    );
  }
});
