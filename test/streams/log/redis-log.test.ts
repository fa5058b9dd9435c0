import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RedisConnection } from '../../../src/redis/connection.ts';
import { RedisUnavailable } from '../../../src/redis/unavailable.ts';
import { Fenced, UnitFence } from '../../../src/streams/cluster/fence.ts';
import { type EventLog, LogDamaged, LogUnavailable } from '../../../src/streams/log/port.ts';
import { openRedisLog } from '../../../src/streams/log/redis-log.ts';
import { QUIET } from '../../redis/redis-server.ts';
import { TcpProxy } from '../../redis/tcp-proxy.ts';
import { redisUnits } from '../cluster/redis-unit.ts';
import { logContract } from './log-contract.ts';
import { numberedRecord, plain, readAll } from './records.ts';

/** An answer that did come is never as late as that. */
const GIVEN_UP_MS = 2000;

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
    const redis = new RedisConnection(`redis://127.0.0.1:${proxy.port}`, 'test', QUIET, { commandMsMax: GIVEN_UP_MS });
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

/**
 * A connection that gives up on calls of a script, which Redis then carries out when the test says: networks keep what was
 * sent over a connection that has been given up, and bring it when they can.
 */
function lateRedis(): { redis: RedisConnection; giveUpOn(part: string): void; arrive(): Promise<void> } {
  const late: (() => Promise<unknown>)[] = [];
  let wanted = '';
  const { redis: real } = units;
  const redis = {
    command: (...args: Parameters<RedisConnection['command']>) => real.command(...args),
    commandBytes: (...args: Parameters<RedisConnection['commandBytes']>) => real.commandBytes(...args),
    script(...args: Parameters<RedisConnection['script']>) {
      if (wanted === '' || !args[0].text.includes(wanted)) return real.script(...args);
      wanted = '';
      late.push(() => real.script(...args));
      return Promise.reject(new RedisUnavailable('slow', 'no answer within 300 ms', true));
    },
  } as unknown as RedisConnection;
  return {
    redis,
    giveUpOn(part) {
      wanted = part;
    },
    async arrive() {
      for (const each of late.splice(0)) await each();
    },
  };
}

describe('a call that arrives after it was given up', () => {
  test('of a recovery takes nothing from what was acknowledged since', async () => {
    const { arrive, giveUpOn, redis } = lateRedis();
    const { fence } = await UnitFence.claim(redis, units.newKeys(), 1);
    const log = await openRedisLog(fence);
    await log.append(numberedRecord(1, 500)).durable;
    giveUpOn('XADD');
    await assert.rejects(log.append(numberedRecord(666, 500)).durable, LogUnavailable);
    giveUpOn('XDEL');
    await assert.rejects(log.recover(), LogUnavailable);
    await log.recover();
    for (let i = 2; i <= 3; i++) await log.append(numberedRecord(i, 500)).durable;
    await arrive();
    await log.append(numberedRecord(4, 500)).durable;
    const next = await openRedisLog(await units.takeOver(fence));
    assert.deepEqual(
      (await readAll(next, 0)).map(({ record }) => record),
      numbers(1, 4),
    );
  });

  test('of a truncation leaves the log one that the next owner can open', async () => {
    const { arrive, giveUpOn, redis } = lateRedis();
    const { fence } = await UnitFence.claim(redis, units.newKeys(), 1);
    const log = await openRedisLog(fence);
    for (let i = 1; i <= 6; i++) await log.append(numberedRecord(i, 500)).durable;
    giveUpOn('XTRIM');
    await assert.rejects(log.truncate(2), LogUnavailable);
    await log.truncate(4);
    await arrive();
    const next = await openRedisLog(await units.takeOver(fence));
    assert.deepEqual([next.first, next.last], [5, 6]);
    assert.deepEqual(
      (await readAll(next, 4)).map(({ record }) => record),
      numbers(5, 2),
    );
  });
});

test('records that were removed and given again are truncated as any others, wherever the cut is', async () => {
  for (let cut = 10; cut <= 14; cut++) {
    const { arrive, giveUpOn, redis } = lateRedis();
    const { fence } = await UnitFence.claim(redis, units.newKeys(), 1);
    const log = await openRedisLog(fence);
    for (let i = 1; i <= 10; i++) await log.append(numberedRecord(i, 50)).durable;
    giveUpOn('XADD');
    const refused = [666, 667, 668].map((n) => log.append(numberedRecord(n, 50)).durable);
    for (const each of refused) await assert.rejects(each, LogUnavailable);
    // They are there, and nobody knows.
    await arrive();
    await log.recover();
    for (let i = 11; i <= 14; i++) await log.append(numberedRecord(i, 50)).durable;
    await log.truncate(cut);
    const next = await openRedisLog(await units.takeOver(fence));
    assert.deepEqual([next.first, next.last], [cut + 1, 14]);
    assert.deepEqual(
      (await readAll(next, cut)).map(({ record }) => plain(record)),
      Array.from({ length: 14 - cut }, (_, i) => plain(numberedRecord(cut + 1 + i, 50))),
    );
  }
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
