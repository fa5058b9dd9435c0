/**
 * Streams that cannot go on: what a part of the shards has is saved nowhere, and nobody waits for an answer for ever.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { StreamRefusal } from '../../../src/streams/engine/port.ts';
import { type ApplyResult, type ApplyTask, PlanNotLoaded } from '../../../src/streams/engine/task.ts';
import { LocalThreads } from '../../../src/streams/engine/threads/local-threads.ts';
import { lastingStores } from './faults.ts';
import { openRig, type Rig } from './rig.ts';

const STREAM: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer', k: 'string' }, timestamp: { field: 'at' }, key: ['k'] },
  windows: [{ name: 'w', type: 'tumbling', sizeMs: 100, aggregates: { n: 'count' } }],
};
const MORE = { name: 'more', type: 'tumbling', sizeMs: 100, aggregates: { n: 'count' } };
/** Enough for two threads. */
const EVENTS = Array.from({ length: 3000 }, (_, i) => ({ at: i % 90, k: `k${i % 50}` }));

/** Two threads, of which the one with the odd shards can be made unable to load a plan. */
class TwoThreads extends LocalThreads {
  override readonly size = 2;
  failing = false;

  override apply(task: ApplyTask): Promise<ApplyResult> {
    if (this.failing && task.shards.some(({ shard }) => shard % 2 === 1)) {
      return Promise.reject(new PlanNotLoaded('module gone'));
    }
    return super.apply(task);
  }
}

async function withTwo(stores: ReturnType<typeof lastingStores>): Promise<{ rig: Rig; threads: TwoThreads }> {
  let made: TwoThreads | null = null;
  const rig = await openRig([STREAM], {
    stores,
    threads(parts) {
      made = new TwoThreads(parts);
      return made;
    },
  });
  return { rig, threads: made as unknown as TwoThreads };
}

const isStopped = (error: unknown): boolean => error instanceof StreamRefusal && error.refusal === 'stopped';

test('what was applied to a part of the shards is in no checkpoint, and counts once after the next start', async () => {
  const stores = lastingStores();
  const { rig, threads } = await withTwo(stores);
  await rig.send('s', EVENTS);
  threads.failing = true;
  await assert.rejects(rig.send('s', EVENTS), /module gone/);
  threads.failing = false;
  await assert.rejects(rig.checkpoint(), isStopped);
  await assert.rejects(rig.service.define('s', 'windows', MORE), isStopped);
  await assert.rejects(rig.rows('s', 'w', 'open'), isStopped);
  await assert.rejects(rig.send('s', EVENTS), isStopped);
  await rig.close();

  const next = await openRig([STREAM], { stores });
  await next.send('s', [{ at: 1000, k: 'end' }]);
  const counted = (await next.rows('s', 'w')).reduce((sum, { values }) => sum + Number(values['n']), 0);
  assert.equal(counted, 2 * EVENTS.length);
  await next.close();
});

test('a start that cannot apply what the log holds says why, and leaves it for the next one', async () => {
  const stores = lastingStores();
  const before = await openRig([STREAM], { stores });
  for (let at = 0; at < 100; at++) await before.send('s', [{ at, k: 'a' }]);
  await before.abandon();
  const failing = openRig([STREAM], {
    stores,
    threads(parts) {
      const threads = new LocalThreads(parts);
      threads.apply = () => Promise.reject(new PlanNotLoaded('module gone'));
      return threads;
    },
  });
  await assert.rejects(failing, /cannot be applied: module gone/);

  const next = await openRig([STREAM], { stores });
  await next.send('s', [{ at: 1000, k: 'a' }]);
  assert.deepEqual(
    (await next.rows('s', 'w')).map(({ values }) => values),
    [{ n: 100 }],
  );
  await next.close();
});
