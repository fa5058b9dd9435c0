/**
 * An engine that is ended in the middle of something: while it starts, while a checkpoint waits. Nobody waits for it in
 * vain, and whoever goes on from its stores has everything.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { StreamRefusal } from '../../../src/streams/engine/port.ts';
import type { ShardParts } from '../../../src/streams/engine/shards/shard.ts';
import { type ApplyTask, PlanNotLoaded, type StreamThreads } from '../../../src/streams/engine/task.ts';
import { LocalThreads } from '../../../src/streams/engine/threads/local-threads.ts';
import type { MemoryCheckpointStore } from '../checkpoints/memory-store.ts';
import { lastingStores } from './faults.ts';
import { createTap, openRig } from './rig.ts';

const COUNTED: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer' }, timestamp: { field: 'at' } },
  windows: [{ name: 'w', type: 'tumbling', sizeMs: 10, aggregates: { n: 'count' } }],
  sinks: [
    { type: 'tap', of: ['w'] },
    { type: 'stream', stream: 'sums', of: ['w'] },
  ],
};
const SUMS: StreamDefinition = {
  name: 'sums',
  schema: { fields: { end: 'integer', n: 'integer' }, timestamp: { field: 'end' } },
  windows: [{ name: 'all', type: 'tumbling', sizeMs: 1000, aggregates: { n: { fn: 'sum', of: 'n' } } }],
};

/** Threads that `before` is awaited in front of each round with events of. */
function threadsAfter(parts: ShardParts, before: (task: ApplyTask) => Promise<void>): StreamThreads {
  const threads = new LocalThreads(parts);
  return {
    size: 1,
    usePlan: (plan) => threads.usePlan(plan),
    decode: (task) => threads.decode(task),
    async apply(task) {
      if (task.steps.some(({ kind }) => kind === 'events')) await before(task);
      return threads.apply(task);
    },
  };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a checkpoint that waits when the engine is ended is none: results and derived events are computed again', async () => {
  const stores = lastingStores();
  const tap = createTap();
  let go = (): void => undefined;
  let gate = Promise.resolve();
  let begun = false;
  const first = await openRig([COUNTED, SUMS], {
    stores,
    tap,
    threads: (parts) =>
      threadsAfter(parts, () => {
        begun = true;
        return gate;
      }),
  });
  await first.send('s', [{ at: 1 }, { at: 2 }]);
  gate = new Promise((resolve) => {
    go = resolve;
  });
  begun = false;
  const sent = first.send('s', [{ at: 2_000 }]);
  while (!begun) await turn();
  const checkpoint = first.checkpoint();
  const ended = first.abandon();
  go();
  await Promise.allSettled([sent, checkpoint, ended]);

  const next = await openRig([COUNTED, SUMS], { stores, tap });
  await next.send('s', [{ at: 4_000 }]);
  await next.settled();
  const lines = tap.lines().map((line) => JSON.parse(line) as { start: number; values: object });
  assert.deepEqual(
    lines.map(({ start, values }) => [start, values]),
    [
      [0, { n: 2 }],
      [2000, { n: 1 }],
    ],
  );
  assert.deepEqual((await next.rows('sums', 'all', 'all')).map(({ start, values }) => [start, values]).sort(), [
    [0, { n: 2 }],
    [2000, { n: 1 }],
  ]);
  await next.close();
});

test('a state that cannot be saved when it closes is told, and nothing stays open', async () => {
  const stores = await lastingStores()();
  const { checkpoints } = stores;
  let open = true;
  const rig = await openRig([COUNTED, SUMS], {
    stores: () =>
      Promise.resolve({
        ...stores,
        close: async () => {
          open = false;
        },
      }),
  });
  await rig.send('s', [{ at: 1 }]);
  (checkpoints as MemoryCheckpointStore).save = () => Promise.reject(new Error('disk full'));
  await assert.rejects(rig.close(), /disk full/);
  assert.equal(open, false);
});

for (const more of [0, 600]) {
  test(`a start that breaks at a record with ${more} behind it is told, and ends`, async () => {
    const stores = lastingStores();
    const first = await openRig([COUNTED, SUMS], { stores });
    for (let n = 0; n <= more; n++) await first.send('s', [{ at: n }]);
    await first.abandon();
    const threads = (parts: ShardParts): StreamThreads =>
      threadsAfter(parts, () => Promise.reject(new PlanNotLoaded('reducer module m cannot be loaded')));
    const never = new Promise((resolve) => setTimeout(resolve, 120_000, 'never').unref());
    const start = openRig([COUNTED, SUMS], { stores, threads }).then(
      () => 'started',
      (error: unknown) => String(error),
    );
    assert.match(String(await Promise.race([start, never])), /reducer module m cannot be loaded/);
    const next = await openRig([COUNTED, SUMS], { stores });
    assert.equal(next.service.list()[0]?.counters.accepted, more + 1);
    await next.close();
  });
}

test('a start that is not wanted any more ends in the middle of the log', async () => {
  const stores = lastingStores();
  const first = await openRig([COUNTED, SUMS], { stores });
  for (let n = 0; n < 600; n++) await first.send('s', [{ at: n }]);
  await first.abandon();
  const controller = new AbortController();
  let rounds = 0;
  const threads = (parts: ShardParts): StreamThreads =>
    threadsAfter(parts, async () => {
      rounds += 1;
      controller.abort();
    });
  await assert.rejects(openRig([COUNTED, SUMS], { stores, threads, unwanted: controller.signal }), StreamRefusal);
  assert.equal(rounds, 1);
  await assert.rejects(openRig([COUNTED, SUMS], { stores, unwanted: AbortSignal.abort() }), StreamRefusal);
  const next = await openRig([COUNTED, SUMS], { stores });
  assert.equal(next.service.list()[0]?.counters.accepted, 600);
  await next.close();
});
