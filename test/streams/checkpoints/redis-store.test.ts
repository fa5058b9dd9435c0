import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RedisCheckpointStore } from '../../../src/streams/checkpoints/redis-store.ts';
import { Fenced } from '../../../src/streams/cluster/fence.ts';
import { redisUnits } from '../cluster/redis-unit.ts';
import { notDamaged, numberedCheckpoint, plain, smallCheckpoint } from './samples.ts';
import { storeContract } from './store-contract.ts';

const units = redisUnits();

storeContract('Redis', async (_scratch, keep) => RedisCheckpointStore.open(await units.claim(), keep));

test('the next owner finds the newest, and what the one before saves afterwards is refused', async () => {
  const fence = await units.claim();
  const store = await RedisCheckpointStore.open(fence);
  for (const seq of [3, 8]) await store.save(numberedCheckpoint(seq));
  const nextFence = await units.takeOver(fence);
  const next = await RedisCheckpointStore.open(nextFence);
  await assert.rejects(store.save(numberedCheckpoint(666)), Fenced);
  assert.deepEqual(plain(await next.newest(notDamaged)), plain(numberedCheckpoint(8)));
  assert.equal(next.oldestSeq(), 3);
  await next.save(numberedCheckpoint(9));
  const third = await RedisCheckpointStore.open(await units.takeOver(nextFence));
  assert.deepEqual(plain(await third.newest(notDamaged)), plain(numberedCheckpoint(9)));
});

test('a save that was cut short is not there, and its pieces go with the next one', async () => {
  const fence = await units.claim();
  const store = await RedisCheckpointStore.open(fence);
  await store.save(smallCheckpoint(1));
  const run = fence.run.bind(fence);
  let calls = 0;
  fence.run = (...args) => {
    calls += 1;
    return calls === 3 ? Promise.reject(new Error('cut short by the test')) : run(...args);
  };
  await assert.rejects(store.save(smallCheckpoint(2)), /cut short/);
  fence.run = run;
  const pieces = fence.keys.pieces(2);
  assert.equal(await units.redis.command('EXISTS', pieces), 1, 'the manifest is what was missing');
  assert.deepEqual(plain(await store.newest(notDamaged)), plain(smallCheckpoint(1)));
  await store.save(smallCheckpoint(3));
  assert.equal(await units.redis.command('EXISTS', pieces), 0);
});

test('a save whose last answer was lost is not there for anyone once the next one has begun', async () => {
  const fence = await units.claim();
  const store = await RedisCheckpointStore.open(fence);
  await store.save(smallCheckpoint(1));
  const run = fence.run.bind(fence);
  let calls = 0;
  fence.run = async (...args) => {
    const reply = await run(...args);
    calls += 1;
    if (calls === 3) throw new Error('lost by the test');
    return reply;
  };
  await assert.rejects(store.save(smallCheckpoint(2)), /lost by the test/);
  calls = 3;
  fence.run = async (...args) => {
    calls += 1;
    // The next one gets no further than what it clears up, and an id of its own.
    if (calls > 5) throw new Error('ended by the test');
    return run(...args);
  };
  await assert.rejects(store.save(smallCheckpoint(3)), /ended by the test/);
  const next = await RedisCheckpointStore.open(await units.takeOver(fence));
  assert.deepEqual(plain(await next.newest(notDamaged)), plain(smallCheckpoint(1)));
});

test('a damaged one is passed over, told, and goes first', async () => {
  const fence = await units.claim();
  const store = await RedisCheckpointStore.open(fence, 2);
  for (const seq of [1, 2]) await store.save(smallCheckpoint(seq));
  await units.redis.command('HSET', fence.keys.pieces(2), '2/0', 'other bytes');
  const told: number[] = [];
  const newest = await store.newest((seq) => void told.push(seq));
  assert.deepEqual([told, newest?.seq], [[2], 1]);
  await store.save(smallCheckpoint(3));
  assert.equal(store.oldestSeq(), 1);
  assert.equal(await units.redis.command('EXISTS', fence.keys.pieces(2)), 0);
});
