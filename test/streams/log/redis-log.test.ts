import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RedisConnection } from '../../../src/redis/connection.ts';
import { Fenced, UnitFence } from '../../../src/streams/cluster/fence.ts';
import { type EventLog, LogDamaged, LogUnavailable } from '../../../src/streams/log/port.ts';
import { openRedisLog } from '../../../src/streams/log/redis-log.ts';
import { QUIET } from '../../redis/redis-server.ts';
import { TcpProxy } from '../../redis/tcp-proxy.ts';
import { redisUnits } from '../cluster/redis-unit.ts';
import { logContract } from './log-contract.ts';
import { numberedRecord, plain, readAll } from './records.ts';

const units = redisUnits();

logContract('Redis', async (_scratch, bytesMax) =>
  openRedisLog(await units.claim(), bytesMax === undefined ? {} : { bytesMax }),
);

async function filled(records: number): Promise<{ fence: UnitFence; log: EventLog }> {
  const fence = await units.claim();
  const log = await openRedisLog(fence);
  let durable = Promise.resolve();
  for (let i = 1; i <= records; i++) durable = log.append(numberedRecord(i, 500)).durable;
  await durable;
  return { fence, log };
}

const numbers = (from: number, count: number): unknown[] =>
  Array.from({ length: count }, (_, i) => plain(numberedRecord(from + i, 500)));

describe('a log that the next owner opens', () => {
  test('holds the same records and goes on where it ended', async () => {
    const { fence, log } = await filled(1200);
    await log.truncate(3);
    const { bytes } = log;
    await log.close();
    const next = await openRedisLog(await units.takeOver(fence));
    assert.deepEqual([next.first, next.last, next.bytes], [4, 1200, bytes]);
    assert.equal(next.append(numberedRecord(1201, 500)).seq, 1201);
    assert.deepEqual(
      (await readAll(next, 3)).map(({ record }) => record),
      numbers(4, 1198),
    );
  });

  test('goes on counting when all of it was truncated', async () => {
    const { fence, log } = await filled(10);
    await log.truncate(10);
    const next = await openRedisLog(await units.takeOver(fence));
    assert.deepEqual([next.first, next.last, next.bytes], [11, 10, 0]);
    assert.equal(next.append(numberedRecord(11, 5)).seq, 11);
  });

  test('takes nothing of the one before any more: not a record, not a truncation, not a recovery', async () => {
    const { fence, log } = await filled(5);
    const next = await openRedisLog(await units.takeOver(fence));
    await next.append(numberedRecord(6, 500)).durable;
    let reason = '';
    fence.onLost = (why) => {
      reason = why;
    };
    await assert.rejects(log.append(numberedRecord(666, 500)).durable, LogUnavailable);
    assert.equal(reason, 'another node has taken over');
    assert.deepEqual([log.available, log.last], [false, 5]);
    assert.throws(() => log.append(numberedRecord(667, 500)), LogUnavailable);
    await assert.rejects(log.truncate(4), LogUnavailable);
    await assert.rejects(log.recover(), LogUnavailable);
    await next.append(numberedRecord(7, 500)).durable;
    assert.deepEqual(
      (await readAll(next, 0)).map(({ record }) => record),
      numbers(1, 7),
    );
  });

  test('cannot be claimed with an older token', async () => {
    const { fence } = await filled(1);
    await units.takeOver(fence);
    await assert.rejects(UnitFence.claim(units.redis, fence.keys, fence.token), Fenced);
  });
});

describe('a connection that breaks', () => {
  test('leaves nothing that was not acknowledged, whether or not it had arrived', async () => {
    const proxy = await TcpProxy.start(units.server.port);
    const redis = new RedisConnection(`redis://127.0.0.1:${proxy.port}`, 'test', QUIET, { commandMsMax: 300 });
    try {
      await redis.ready();
      const { fence } = await UnitFence.claim(redis, units.newKeys(), 1);
      const log = await openRedisLog(fence);
      await log.append(numberedRecord(1, 500)).durable;
      proxy.blackHole();
      // Arrives when the hole is closed, after the sender has given up.
      await assert.rejects(log.append(numberedRecord(666, 500)).durable, LogUnavailable);
      assert.deepEqual([log.available, log.last], [false, 1]);
      proxy.heal();
      for (;;) {
        try {
          await redis.ready();
          await log.recover();
          break;
        } catch (error) {
          assert.ok(!(error instanceof LogDamaged), String(error));
        }
      }
      for (let i = 2; i <= 4; i++) await log.append(numberedRecord(i, 500)).durable;
      const next = await openRedisLog(await units.takeOver(fence));
      assert.deepEqual(
        (await readAll(next, 0)).map(({ record }) => record),
        numbers(1, 4),
      );
    } finally {
      redis.close();
      await proxy.end();
    }
  });

  test('a record that arrived and was never confirmed goes when the log recovers, and its number is given again', async () => {
    const { fence, log } = await filled(3);
    // As if the answer to the call had been lost: it is there, and this side does not know.
    const other = await openRedisLog(fence);
    await other.append(numberedRecord(666, 500)).durable;
    await assert.rejects(log.append(numberedRecord(4, 500)).durable, LogUnavailable);
    await log.recover();
    assert.equal(log.append(numberedRecord(4, 500)).seq, 4);
    await assert.rejects(other.append(numberedRecord(667, 500)).durable, LogUnavailable, 'an earlier attempt');
    assert.deepEqual(
      (await readAll(log, 0)).map(({ record }) => record),
      numbers(1, 4),
    );
  });
});

describe('a Redis that is not what it was', () => {
  test('emptied: nothing is appended to the new one by an owner of the old one', async () => {
    const { fence, log } = await filled(3);
    await units.redis.command('DEL', fence.keys.head, fence.keys.log);
    let reason = '';
    fence.onLost = (why) => {
      reason = why;
    };
    await assert.rejects(log.append(numberedRecord(4, 500)).durable, LogUnavailable);
    assert.equal(reason, 'Redis does not hold what was written');
    assert.equal(await units.redis.command('EXISTS', fence.keys.log), 0);
  });

  test('back at an earlier state: told as damage, and nothing follows', async () => {
    const { fence, log } = await filled(5);
    await units.redis.command('XDEL', fence.keys.log, '5-0');
    await units.redis.command('HSET', fence.keys.head, 'last', '4');
    await assert.rejects(log.append(numberedRecord(6, 500)).durable, LogUnavailable);
    await assert.rejects(log.recover(), LogDamaged);
    assert.notEqual(fence.lost, '');
  });

  test('a record that was altered, or is missing, is told', async () => {
    const { fence } = await filled(5);
    await units.redis.command('XDEL', fence.keys.log, '3-0');
    await assert.rejects(openRedisLog(await units.takeOver(fence)), LogDamaged);
  });
});

test('refuses what would wait for Redis beyond its bound', async () => {
  const log = await openRedisLog(await units.claim(), { pendingBytesMax: 3000 });
  const taken = [log.append(numberedRecord(1, 1000)), log.append(numberedRecord(2, 1000))];
  assert.throws(() => log.append(numberedRecord(3, 1000)), LogUnavailable);
  await Promise.all(taken.map(({ durable }) => durable));
  assert.equal(log.append(numberedRecord(3, 1000)).seq, 3);
});

test('a record that should have a replica counts only when one has it', async () => {
  const log = await openRedisLog(await units.claim(), { replicasMin: 1 });
  await assert.rejects(log.append(numberedRecord(1, 10)).durable, /0 of 1 replicas/);
  await log.recover();
  assert.deepEqual(await readAll(log, 0), []);
});

test('many megabytes at once go in several calls, in order', async () => {
  const log = await openRedisLog(await units.claim());
  let durable = Promise.resolve();
  for (let i = 1; i <= 24; i++) durable = log.append(numberedRecord(i, 500_000)).durable;
  await durable;
  assert.deepEqual(
    (await readAll(log, 0)).map(({ seq }) => seq),
    Array.from({ length: 24 }, (_, i) => i + 1),
  );
});
