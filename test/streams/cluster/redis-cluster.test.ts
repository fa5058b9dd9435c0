/**
 * All keys of a unit are in one slot: log, checkpoints and dead letters work on a Redis Cluster, units on several of its
 * nodes.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { RedisConnection } from '../../../src/redis/connection.ts';
import { RedisCheckpointStore } from '../../../src/streams/checkpoints/redis-store.ts';
import { UnitFence } from '../../../src/streams/cluster/fence.ts';
import { openClusterStreams } from '../../../src/streams/cluster/open.ts';
import { unitKeys } from '../../../src/streams/cluster/unit-keys.ts';
import { RedisDeadLetterStore } from '../../../src/streams/dead-letters/redis-store.ts';
import { LogUnavailable } from '../../../src/streams/log/port.ts';
import { openRedisLog } from '../../../src/streams/log/redis-log.ts';
import { RedisClusterServers } from '../../redis/redis-cluster-servers.ts';
import { QUIET } from '../../redis/redis-server.ts';
import { notDamaged, numberedCheckpoint, plain as plainCheckpoint } from '../checkpoints/samples.ts';
import { letter, list, stored } from '../dead-letters/letters.ts';
import { numberedRecord, plain, readAll } from '../log/records.ts';
import { FakeCluster } from './fake-cluster.ts';

let servers: RedisClusterServers;
let redis: RedisConnection;
before(async () => {
  servers = await RedisClusterServers.start();
  redis = new RedisConnection(servers.url, 'test', QUIET);
  await redis.ready();
});
after(async () => {
  redis?.close();
  await servers?.end();
});

test('units are written, taken over and fenced wherever their slot is', async () => {
  for (const unit of ['a', 'b', 'c', 'd', 'e', 'f']) {
    const keys = unitKeys('test:', unit);
    const { fence } = await UnitFence.claim(redis, keys, 1);
    const log = await openRedisLog(fence);
    for (let i = 1; i <= 20; i++) await log.append(numberedRecord(i, 100)).durable;
    await (await RedisCheckpointStore.open(fence)).save(numberedCheckpoint(7));
    await (await RedisDeadLetterStore.open(fence)).add([letter('s', 3, 0)]);
    await log.truncate(5);
    const next = (await UnitFence.claim(redis, keys, 2)).fence;
    const nextLog = await openRedisLog(next);
    assert.deepEqual(
      (await readAll(nextLog, 5)).map(({ record }) => record),
      Array.from({ length: 15 }, (_, i) => plain(numberedRecord(6 + i, 100))),
    );
    const checkpoint = await (await RedisCheckpointStore.open(next)).newest(notDamaged);
    assert.deepEqual(plainCheckpoint(checkpoint), plainCheckpoint(numberedCheckpoint(7)));
    assert.deepEqual(await list(await RedisDeadLetterStore.open(next), 's'), [stored(letter('s', 3, 0))]);
    await assert.rejects(log.append(numberedRecord(21, 100)).durable, LogUnavailable);
  }
});

test('replicas cannot be waited for there, which is said at the start', async () => {
  const options = {
    ...new FakeCluster().join('n1'),
    definitions: [{ name: 's', schema: { fields: { at: 'integer' as const } }, durability: 'replicated' as const }],
    redis,
    prefix: 'test:',
    replicasMin: 1,
    askMsMax: 1000,
    shards: 1,
    logBytesMax: 2 ** 20,
    checkpointMs: 1000,
    tickMs: 1000,
    kinds: { sources: new Map(), sinks: new Map() },
    stores: () => Promise.reject(new Error('not asked for')),
    threads: () => assert.fail('not asked for'),
    log: { error: () => undefined, warn: () => undefined, info: () => undefined },
    now: Date.now,
  };
  await assert.rejects(openClusterStreams(options), /min-replicas-to-write/);
});
