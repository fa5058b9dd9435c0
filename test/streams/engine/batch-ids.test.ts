/**
 * Batch ids: as many as the definition says, through a restart, and each for one body.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { DefinitionProblem } from '../../../src/streams/define/definition-problem.ts';
import { BATCH_IDS_MAX } from '../../../src/streams/define/limits.ts';
import { StreamRefusal } from '../../../src/streams/engine/port.ts';
import { lastingStores } from './faults.ts';
import { openRig, type Rig } from './rig.ts';

const streamOf = (batchIdsMax: number): StreamDefinition => ({
  name: 's',
  schema: { fields: { k: 'string' } },
  dedup: { batchIdsMax, ttlMs: 10_000 },
});

const accepted = (rig: Rig): number | undefined => rig.service.list()[0]?.counters.accepted;

test('remembers as many as it may, the newest, and forgets them after their time', async () => {
  const rig = await openRig([streamOf(3)]);
  try {
    const send = (n: number): Promise<unknown> => rig.send('s', [{ k: `k${n}` }], { batchId: `b${n}` });
    for (const n of [1, 2, 3, 1, 2, 3]) await send(n);
    assert.equal(accepted(rig), 3);
    await send(4);
    for (const n of [2, 3, 4]) await send(n);
    assert.equal(accepted(rig), 4);
    await send(1);
    assert.equal(accepted(rig), 5);
    rig.nowMs += 10_001;
    await send(4);
    assert.equal(accepted(rig), 6);
  } finally {
    await rig.close();
  }
});

test('remembers more than a hundred thousand where it is told to', async () => {
  const rig = await openRig([streamOf(100_500)]);
  try {
    for (let n = 0; n < 100_500; n += 300) {
      const sent = Array.from({ length: 300 }, (_, i) => rig.send('s', [{ k: 'k' }], { batchId: `b${n + i}` }));
      await Promise.all(sent);
    }
    const before = accepted(rig);
    await rig.send('s', [{ k: 'k' }], { batchId: 'b0' });
    assert.equal(accepted(rig), before);
  } finally {
    await rig.close();
  }
});

test('more than fit into memory are refused with the limit', async () => {
  await assert.rejects(openRig([streamOf(BATCH_IDS_MAX + 1)]), (error) => {
    assert.ok(error instanceof DefinitionProblem);
    assert.match(error.message, /dedup\.batchIdsMax: 1000001, expected a whole number from 0 to 1000000/);
    return true;
  });
});

test('an id is of one body, before and after a restart', async () => {
  for (const checkpoint of [false, true]) {
    const stores = lastingStores();
    let rig = await openRig([streamOf(10)], { stores });
    const send = (k: string): Promise<unknown> => rig.send('s', [{ k }], { batchId: 'b' });
    const isRefused = (sent: Promise<unknown>): Promise<void> =>
      assert.rejects(sent, (error) => error instanceof StreamRefusal && error.refusal === 'conflict');
    const [first, other] = await Promise.allSettled([send('a'), send('b')]);
    assert.deepEqual([first.status, other.status], ['fulfilled', 'rejected']);
    await isRefused(send('b'));
    if (checkpoint) await rig.checkpoint();
    await rig.abandon();
    rig = await openRig([streamOf(10)], { stores });
    try {
      await isRefused(send('b'));
      await send('a');
      assert.equal(accepted(rig), 1);
    } finally {
      await rig.close();
    }
  }
});
