/**
 * A step that cannot be applied is left out wherever it is tried again: after a thread that is lost later, too.
 */
import assert from 'node:assert/strict';
import { extname } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { type ApplyTask, ThreadLost } from '../../../src/streams/engine/task.ts';
import { LocalThreads } from '../../../src/streams/engine/threads/local-threads.ts';
import { openRig } from './rig.ts';

const module = fileURLToPath(new URL(`./counting-reducer${extname(import.meta.url)}`, import.meta.url));

const DEFINED: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer', k: 'string', v: 'integer' }, timestamp: { field: 'at' }, key: ['k'] },
  windows: [
    {
      name: 'w',
      type: 'tumbling',
      sizeMs: 100,
      aggregates: { list: { fn: 'custom', of: 'v', module, export: 'fragile' } },
    },
  ],
};

const EVENTS = ['a', 'b', 'c', 'd', 'e', 'f'].map((k, i) => ({ at: i, k, v: i }));
const listOf = (values: unknown): unknown => (values as { list: unknown }).list;

test('a step that throws is not tried again when its shards are restored', async () => {
  let losing = 0;
  const rig = await openRig([DEFINED], {
    threads(parts) {
      const threads = new LocalThreads(parts);
      return {
        size: 3,
        usePlan: (plan) => threads.usePlan(plan),
        decode: (task) => threads.decode(task),
        async apply(task) {
          const result = await threads.apply(task);
          if (losing === 0) return result;
          losing -= 1;
          throw new ThreadLost('ended by the test');
        },
      };
    },
  });
  await rig.send('s', EVENTS);
  await assert.rejects(rig.send('s', [...EVENTS, { at: 9, k: 'a', v: -1 }]), { refusal: 'undecodable' });
  losing = 3;
  await rig.send('s', EVENTS);
  assert.deepEqual(rig.service.degraded, []);
  await rig.send('s', [{ at: 1000, k: 'z', v: 0 }]);
  const rows = (await rig.rows('s', 'w')).map(({ key, values }) => [key['k'], listOf(values)]);
  const lists = new Map(rows as [string, number[]][]);
  // What was left out is the whole batch with the poison, and only that.
  for (const [i, { k }] of EVENTS.entries()) assert.deepEqual(lists.get(k), [i, i]);
  await rig.close();
});

test('the step a thread hangs in is known, and tried no second time', async () => {
  const tried: number[] = [];
  const hangs = (task: ApplyTask): boolean => task.steps.some((step) => step.kind === 'events' && step.seq === 3);
  const rig = await openRig([DEFINED], {
    threads(parts) {
      const threads = new LocalThreads(parts);
      return {
        size: 1,
        usePlan: (plan) => threads.usePlan(plan),
        decode: (task) => threads.decode(task),
        async apply(task) {
          if (!hangs(task)) return threads.apply(task);
          tried.push(task.steps.length);
          const before = task.steps.findIndex((step) => step.kind === 'events' && step.seq === 3);
          await threads.apply({ ...task, steps: task.steps.slice(0, before) });
          // One thread at a time works on the shards: the first of them is where it hangs.
          Atomics.store(new Int32Array(task.progress), 0, before + 1);
          throw new ThreadLost('ended for taking too long', true);
        },
      };
    },
  });
  const sent = await Promise.allSettled([1, 2, 3, 4].map((n) => rig.send('s', [{ at: n, k: 'a', v: n }])));
  assert.deepEqual(
    sent.map(({ status }) => status === 'fulfilled'),
    [true, false, true, true],
  );
  await rig.send('s', [{ at: 1000, k: 'z', v: 0 }]);
  assert.equal(tried.length, 1, `${tried}`);
  const [row] = await rig.rows('s', 'w');
  assert.equal((listOf(row?.values) as unknown[]).length, 3);
  assert.equal(rig.troubles.filter(({ message }) => message.includes('left out')).length, 1);
  await rig.close();
});
