/**
 * One task at a time works on a shard, whatever is asked meanwhile; a state that cannot be copied is not forgotten.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import type { ShardParts } from '../../../src/streams/engine/shards/shard.ts';
import type { ApplyResult, ApplyTask, StreamThreads } from '../../../src/streams/engine/task.ts';
import { LocalThreads } from '../../../src/streams/engine/threads/local-threads.ts';
import { lastingStores } from './faults.ts';
import { openRig } from './rig.ts';

const COUNTED: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer' }, timestamp: { field: 'at' } },
  windows: [{ name: 'w', type: 'tumbling', sizeMs: 10, aggregates: { n: 'count' } }],
};

/** Threads that `apply` goes through first. */
function watched(parts: ShardParts, apply: (task: ApplyTask, on: LocalThreads) => Promise<ApplyResult>): StreamThreads {
  const threads = new LocalThreads(parts);
  return {
    size: 3,
    usePlan: (plan) => threads.usePlan(plan),
    decode: (task) => threads.decode(task),
    apply: (task) => apply(task, threads),
  };
}

test('a question during a checkpoint waits for it', async () => {
  const busy = new Set<number>();
  const clashes: number[] = [];
  const rig = await openRig([COUNTED], {
    threads: (parts) =>
      watched(parts, async (task, on) => {
        const shards = task.shards.map(({ shard }) => shard);
        clashes.push(...shards.filter((shard) => busy.has(shard)));
        for (const shard of shards) busy.add(shard);
        const result = await on.apply(task);
        for (const shard of shards) busy.delete(shard);
        return result;
      }),
  });
  for (let i = 0; i < 10; i++) {
    await rig.send('s', [{ at: i }]);
    await Promise.all([rig.checkpoint(), ...Array.from({ length: 8 }, () => rig.rows('s', 'w', 'open'))]);
  }
  assert.deepEqual(clashes, []);
  await rig.close();
});

test('a checkpoint whose copies fail is none, and nothing since the last one is lost', async () => {
  let failing = false;
  const stores = lastingStores();
  const rig = await openRig([COUNTED], {
    stores,
    threads: (parts) =>
      watched(parts, (task, on) => {
        if (failing && task.steps.some(({ kind }) => kind === 'copy'))
          return Promise.reject(new Error('no memory left'));
        return on.apply(task);
      }),
  });
  await rig.send('s', [{ at: 1 }, { at: 2 }]);
  failing = true;
  await assert.rejects(rig.checkpoint(), /could not be copied/);
  failing = false;
  await rig.send('s', [{ at: 3 }]);
  await rig.abandon();
  const next = await openRig([COUNTED], { stores });
  await next.send('s', [{ at: 100 }]);
  assert.deepEqual(
    (await next.rows('s', 'w')).map(({ values }) => values),
    [{ n: 3 }],
  );
  await next.close();
});
