/**
 * Leases: the contract for both implementations, and what only more than one node and a failing Redis show.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { leaseKey } from '../../../src/cluster/leases/lease-script.ts';
import { MemoryLeases } from '../../../src/cluster/leases/memory-leases.ts';
import { RedisLeases } from '../../../src/cluster/leases/redis-leases.ts';
import type { Lease } from '../../../src/cluster/port.ts';
import { RedisConnection } from '../../../src/redis/connection.ts';
import { RedisUnavailable } from '../../../src/redis/unavailable.ts';
import { eventually } from '../../clients/eventually.ts';
import { RedisClusterServers } from '../../redis/redis-cluster-servers.ts';
import { QUIET, RedisServer } from '../../redis/redis-server.ts';
import { TcpProxy } from '../../redis/tcp-proxy.ts';
import { guardedScript, isFenced } from './guarded-script.ts';
import { acquired, leasesContract } from './leases.contract.ts';

/** A holder has to be heard of within a part of it, on a busy machine too. */
const TTL_MS = 2000;
/** Far more than a busy machine needs. */
const COMMAND_MS_MAX = 10_000;
/** Of a connection that is made silent. */
const SILENT_MS_MAX = 600;
/** Whoever stands still for longer may miss a renewal. */
const STILL_MS = 500;
const AGAIN_MAX = 5;
const PATIENCE_MS = 60_000;
/** Where nothing is to end by itself. */
const LONG_TTL_MS = 600_000;
const PREFIX = 'mcp:';
const SAVE = guardedScript(`return redis.call('SET', KEYS[2], ARGV[2])`);

let redis: RedisServer;
let proxy: TcpProxy;
let cluster: RedisClusterServers;
const connections: RedisConnection[] = [];
before(async () => {
  redis = await RedisServer.start();
  proxy = await TcpProxy.start(redis.port);
  cluster = await RedisClusterServers.start();
});
after(async () => {
  for (const connection of connections) connection.close();
  await proxy.end();
  await redis.end();
  await cluster.end();
});

interface Node {
  readonly commands: RedisConnection;
  readonly leases: RedisLeases;
}

async function nodeAt(url: string, nodeId = 'n1', commandMsMax = COMMAND_MS_MAX, ttlMs = TTL_MS): Promise<Node> {
  const commands = new RedisConnection(url, nodeId, QUIET, { commandMsMax });
  connections.push(commands);
  await commands.ready();
  const leases = new RedisLeases({ commands, nodeId, prefix: PREFIX, ttlMs, now: () => performance.now() });
  return { commands, leases };
}

/** Null: it was refused, since the lease does not hold. */
async function save({ commands }: Node, lease: Lease, value: string): Promise<unknown> {
  try {
    const keys = [leaseKey(PREFIX, lease.name), `data:{${lease.name}}`];
    return String(await commands.script(SAVE, keys, [lease.token, value]));
  } catch (error) {
    if (isFenced(error)) return null;
    throw error;
  }
}

/** Refused as well where this process stood still: its lease is over, or Redis did not answer in time. */
const saveNow = (one: Node, lease: Lease): Promise<unknown> => save(one, lease, 'first').catch(() => null);

/**
 * A lease of `one` that nobody else gets for longer than it lives without being renewed. A holder that stood still, or
 * waited for Redis, for too long of its time may lose it: then another one is watched. `begin`: done to each.
 */
async function renewedLease(one: Node, two: Node, name: string, begin = async (): Promise<unknown> => null) {
  for (;;) {
    const lease = await acquired(one.leases, name);
    await begin();
    let atMs = performance.now();
    let stillMs = 0;
    const endMs = atMs + 2.5 * TTL_MS;
    for (;;) {
      const other = await two.leases.acquire(name);
      const { held } = lease;
      const nowMs = performance.now();
      stillMs = Math.max(stillMs, nowMs - atMs);
      atMs = nowMs;
      if (other === null && held && atMs > endMs) return lease;
      if (other !== null || !held) {
        assert.ok(stillMs > STILL_MS, `lost, and nothing stood still for more than ${stillMs} ms`);
        if (other !== null) await two.leases.release(other);
        await one.leases.release(lease);
        break;
      }
      await delay(5);
    }
  }
}

leasesContract('memory', async () => new MemoryLeases('n1'));
const openLong = async (url: string): Promise<RedisLeases> =>
  (await nodeAt(url, 'n1', COMMAND_MS_MAX, LONG_TTL_MS)).leases;
leasesContract('Redis', () => openLong(redis.url));
leasesContract('a Cluster of Redis', () => openLong(cluster.url));

describe('leases of several nodes, over their time to live', { concurrency: true }, () => {
  test('a lease is renewed for as long as its holder lives, and is free after its time to live when it does not', async () => {
    const [one, two] = [
      await nodeAt(`redis://127.0.0.1:${proxy.port}`, 'n1', SILENT_MS_MAX),
      await nodeAt(redis.url, 'n2'),
    ];
    try {
      let lease = await renewedLease(one, two, 'renewed');
      let saved = await saveNow(one, lease);
      for (let again = 0; saved !== 'OK' && again < AGAIN_MAX; again++) {
        await one.leases.release(lease);
        lease = await renewedLease(one, two, 'renewed');
        saved = await saveNow(one, lease);
      }
      assert.equal(saved, 'OK');

      let lost = 0;
      lease.onLost = () => lost++;
      proxy.blackHole();
      const next = await eventually(
        'the lease',
        () => two.leases.acquire('renewed'),
        (got) => {
          // Never two that believe in it.
          assert.ok(got === null || !lease.held);
          return got !== null;
        },
        PATIENCE_MS,
      );
      assert.ok(next !== null && next.token > lease.token);
      await eventually(
        'the loss',
        () => lost,
        (count) => count === 1,
        PATIENCE_MS,
      );
      assert.equal(await save(two, next, 'second'), 'OK');
      proxy.heal();
      await eventually(
        'Redis',
        () =>
          one.commands.ready().then(
            () => one.commands.up,
            () => false,
          ),
        (up) => up,
        PATIENCE_MS,
      );
      assert.equal(await save(one, lease, 'late'), null);
      assert.equal(await redis.run('GET', 'data:{renewed}'), 'second');
      assert.equal(lost, 1);
      assert.deepEqual(await one.leases.holder('renewed'), { nodeId: 'n2', token: next.token });
    } finally {
      proxy.heal();
      await one.leases.close();
      await two.leases.close();
    }
  });

  test('a lease whose holder died is free after its time to live though the clock of Redis was set back', async () => {
    const [one, two] = [await nodeAt(redis.url, 'n1'), await nodeAt(redis.url, 'n2')];
    const lease = await acquired(one.leases, 'clock');
    one.commands.close();
    // As it stands when the clock goes back by an hour.
    const key = leaseKey(PREFIX, 'clock');
    const until = Number(await redis.run('HGET', key, 'until'));
    await redis.run('HSET', key, 'until', String(until + 3_600_000));
    const taken = await eventually(
      'it is free',
      () => two.leases.acquire('clock'),
      (next) => next !== null,
    );
    assert.ok((taken?.token as number) > lease.token);
    await two.leases.close();
  });

  test('one that lives keeps its lease though the clock of Redis was set back', async () => {
    const [one, two] = [await nodeAt(redis.url, 'n1'), await nodeAt(redis.url, 'n2')];
    const hourAhead = (): Promise<unknown> =>
      redis.run('HSET', leaseKey(PREFIX, 'clock back'), 'until', String(Date.now() + 3_600_000));
    await renewedLease(one, two, 'clock back', hourAhead);
    await one.leases.close();
    await two.leases.close();
  });
});

describe('leases of several nodes', () => {
  test('tokens rise also after Redis has lost everything, and holders learn of their loss', async () => {
    const one = await nodeAt(redis.url, 'n1');
    try {
      const lease = await acquired(one.leases, 'flushed');
      const lost = new Promise<void>((resolve) => {
        lease.onLost = resolve;
      });
      await redis.run('FLUSHALL');
      assert.equal(await save(one, lease, 'x'), null);
      await lost;
      assert.equal(lease.held, false);
      assert.ok((await acquired(one.leases, 'flushed')).token > lease.token);
    } finally {
      await one.leases.close();
    }
  });

  test('a lease that is over refuses writes though nobody has taken it', async () => {
    const one = await nodeAt(redis.url, 'n1');
    const lease = await acquired(one.leases, 'over');
    await redis.run('HSET', leaseKey(PREFIX, 'over'), 'until', '1');
    assert.equal(await save(one, lease, 'x'), null);
    await one.leases.close();
  });

  test('asking while Redis is away rejects at once, and what is held stays so until its time is over', async () => {
    const away = await TcpProxy.start(redis.port);
    const one = await nodeAt(`redis://127.0.0.1:${away.port}`, 'n1', SILENT_MS_MAX);
    try {
      const lease = await acquired(one.leases, 'away');
      await away.refuse();
      await eventually(
        'the connection',
        () => one.commands.up,
        (up) => !up,
        PATIENCE_MS,
      );
      await assert.rejects(one.leases.acquire('other'), RedisUnavailable);
      await away.accept();
      const lease2 = await eventually(
        'a lease',
        () => one.leases.acquire('other').catch(() => null),
        // Both: it may have been over when this was asked.
        (got) => got?.held === true,
        PATIENCE_MS,
      );
      assert.ok(lease2 !== null);
      await eventually(
        'the end of the first or its renewal',
        () => one.leases.holder('away'),
        (got) => (got !== null) === lease.held,
        PATIENCE_MS,
      );
    } finally {
      await one.leases.close();
      await away.end();
    }
  });

  test('the names of keys: the name is the tag, unless it has one', () => {
    assert.equal(leaseKey('mcp:', 'tasks'), 'mcp:lease:{tasks}');
    assert.equal(leaseKey('mcp:', 'streams:{prices}:3'), 'mcp:lease:streams:{prices}:3');
  });
});
