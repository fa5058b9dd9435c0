import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fenced } from '../../../src/streams/cluster/fence.ts';
import { RedisDeadLetterStore } from '../../../src/streams/dead-letters/redis-store.ts';
import { redisUnits } from '../cluster/redis-unit.ts';
import { letter, list, stored } from './letters.ts';
import { storeContract } from './store-contract.ts';

const units = redisUnits();

storeContract('Redis', async (_scratch, limits) => RedisDeadLetterStore.open(await units.claim(), limits));

test('the next owner holds the same letters; the one before can add and take none', async () => {
  const fence = await units.claim();
  const store = await RedisDeadLetterStore.open(fence);
  await store.add([letter('s', 1, 0), letter('s', 2, 0), letter('t', 2, 0)]);
  const counts = store.counts();
  const next = await RedisDeadLetterStore.open(await units.takeOver(fence));
  assert.deepEqual(next.counts(), counts);
  await assert.rejects(store.add([letter('s', 3, 0)]), Fenced);
  await assert.rejects(store.take('s', ['1:0']), Fenced);
  assert.deepEqual(await list(next, 's'), [letter('s', 1, 0), letter('s', 2, 0)].map(stored));
  await next.add([letter('s', 2, 0), letter('s', 3, 0)]);
  assert.equal((await list(next, 's')).length, 3);
});

test('many megabytes at once are kept, in order', async () => {
  const store = await RedisDeadLetterStore.open(await units.claim());
  await store.add(Array.from({ length: 1500 }, (_, i) => letter('s', 1, i, 4000)));
  const kept = await list(store, 's', '', 1000);
  assert.deepEqual([kept.length, kept[999]?.id, store.counts()[0]?.letters], [1000, '1:999', 1500]);
});
