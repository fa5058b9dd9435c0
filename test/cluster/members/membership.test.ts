/**
 * Several members of one cluster in this process, each with its heartbeat thread, and a real Redis.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { LoadBoard } from '../../../src/cluster/heartbeat/load-board.ts';
import { RedisMembership } from '../../../src/cluster/members/redis-membership.ts';
import { SoleNode } from '../../../src/cluster/members/sole-node.ts';
import type { Membership } from '../../../src/cluster/port.ts';
import { eventually } from '../../clients/eventually.ts';
import { RedisClusterServers } from '../../redis/redis-cluster-servers.ts';
import { RedisServer } from '../../redis/redis-server.ts';
import { newPrefix } from '../../redis/shared-redis.ts';
import { TcpProxy } from '../../redis/tcp-proxy.ts';
import { FACTS, membershipContract } from './membership.contract.ts';

const HEARTBEAT_MS = 400;
const PATIENCE_MS = 60_000;
/** Of members that are to miss nobody, though they stand still for seconds. */
const SLOW_BEAT_MS = 1500;
const QUIET = { info: (): void => undefined, warn: (): void => undefined };

let redis: RedisServer;
let servers: RedisClusterServers;
before(async () => {
  [redis, servers] = await Promise.all([RedisServer.start(), RedisClusterServers.start()]);
});
after(() => Promise.all([redis.end(), servers.end()]));

membershipContract('alone', () => ({
  several: false,
  open: (id, load) => new SoleNode(id, load),
  end: async () => undefined,
}));
membershipContract('Redis', () => clusterAt(redis.url));
membershipContract('Redis Cluster', () => clusterAt(servers.url));

function clusterAt(redisUrl: string) {
  const prefix = newPrefix();
  const opened: { board: LoadBoard; membership: RedisMembership }[] = [];
  return {
    several: true,
    open(id: string, load: () => number) {
      const board = new LoadBoard();
      board.start(load);
      const setup = { id, redisUrl, tlsCaFile: '', commandMsMax: 2000, prefix, heartbeatMs: HEARTBEAT_MS };
      starts += 1;
      const presence = { key: `${prefix}there:${id}`, start: `${id} ${starts}` };
      const membership = new RedisMembership({ ...setup, presence, board, log: QUIET });
      opened.push({ board, membership });
      return membership;
    },
    async end() {
      for (const { board, membership } of opened) {
        await membership.leave();
        board.stop();
      }
    },
  };
}

let starts = 0;
const open: { leave(): Promise<void>; board: LoadBoard }[] = [];
afterEach(async () => {
  for (const { board, leave } of open.splice(0)) {
    await leave();
    board.stop();
  }
});

const presenceOf = (id: string): string => `mcp:there:${id}`;

function member(
  id: string,
  url = redis.url,
  load: () => number = () => 0,
  heartbeatMs = HEARTBEAT_MS,
): RedisMembership {
  const board = new LoadBoard();
  board.start(load);
  const setup = { id, redisUrl: url, tlsCaFile: '', commandMsMax: 500, prefix: 'mcp:', heartbeatMs };
  starts += 1;
  const presence = { key: presenceOf(id), start: `${id} ${starts}` };
  const membership = new RedisMembership({ ...setup, presence, board, log: QUIET });
  open.push({ board, leave: () => membership.leave() });
  return membership;
}

async function joined(
  id: string,
  url = redis.url,
  load?: () => number,
  heartbeatMs?: number,
): Promise<RedisMembership> {
  const membership = member(id, url, load, heartbeatMs);
  await membership.join(FACTS);
  return membership;
}

/** Joining waits for a while only: on a machine that is busy the epoch may come later. */
const epochOf = (membership: Membership): Promise<number> =>
  eventually(
    'the epoch',
    () => membership.node(membership.id)?.epoch ?? 0,
    (epoch) => epoch > 0,
    PATIENCE_MS,
  );

const ids = (membership: Membership): string => membership.nodes.map(({ id }) => id).join();

async function sees(membership: Membership, wanted: string): Promise<void> {
  await eventually(
    `the nodes of ${membership.id}`,
    () => ids(membership),
    (seen) => seen === wanted,
    PATIENCE_MS,
  );
}

async function degradedBy(membership: Membership, wanted: string): Promise<void> {
  await eventually(
    'what is wrong',
    () => membership.degraded.join(),
    (text) => text === wanted,
    PATIENCE_MS,
  );
}

/** The fields of a hash, none of which is missing. */
const thereAgain = async (read: () => Promise<unknown>): Promise<readonly unknown[]> =>
  eventually(
    'all fields',
    async () => (await read()) as readonly unknown[],
    (values) => !values.includes(null),
  );

/** When a change of a kind was told. */
function changes(membership: Membership): { count: number } {
  const told = { count: 0 };
  membership.onChange(() => told.count++);
  return told;
}

describe('a cluster', () => {
  test('nodes see one another come, change and go, and Redis holds what is promised to others', async () => {
    const one = await joined('n1', redis.url, () => 7);
    const two = await joined('n2');
    await sees(one, 'n1,n2');
    await sees(two, 'n1,n2');
    const listed = await redis.run('SMEMBERS', 'mcp:nodes');
    assert.deepEqual([...(listed as string[])].sort(), ['n1', 'n2']);
    // What has a time to live may be gone until the next heartbeat.
    const fields = ['status', 'url', 'load', 'maxLoad', 'tools', 'version', 'lastHeartbeat', 'epoch'];
    const stored = await thereAgain(() => redis.run('HMGET', 'mcp:node:n1', ...fields));
    const [beat, epoch] = stored.slice(-2) as [string, string];
    assert.deepEqual(stored.slice(0, -2), ['running', FACTS.url, '7', '10', '["echo"]', '1']);
    const [seconds] = (await redis.run('TIME')) as [string];
    assert.ok(Math.abs(Number(beat) / 1000 - Number(seconds)) < 60, beat);
    assert.equal(Number(epoch), one.node('n1')?.epoch);
    const there = await thereAgain(() => redis.run('HMGET', presenceOf('n1'), 'epoch', 'start'));
    assert.deepEqual(there, [epoch, `n1 ${starts - 1}`]);
    for (const key of ['mcp:node:n1', presenceOf('n1')]) {
      // -2: it is not there, -1: for ever.
      const leftMs = async (): Promise<number> => Number(await redis.run('PTTL', key));
      const ms = await eventually(key, leftMs, (left) => left !== -2);
      assert.ok(ms >= 0 && ms <= 3 * HEARTBEAT_MS, `${key}: ${ms}`);
    }

    const told = changes(two);
    one.update({ status: 'draining', tools: ['echo', 'hash'] });
    await eventually(
      'the change',
      () => two.node('n1')?.status,
      (status) => status === 'draining',
      PATIENCE_MS,
    );
    assert.deepEqual(two.node('n1')?.tools, ['echo', 'hash']);
    assert.ok(told.count >= 1);
    await one.leave();
    await sees(two, 'n2');
    assert.equal(await redis.run('EXISTS', 'mcp:node:n1'), 0);
    assert.equal(await redis.run('EXISTS', presenceOf('n1')), 0);
    assert.deepEqual(await redis.run('SMEMBERS', 'mcp:nodes'), ['n2']);
  });

  test('the later of two starts under one id stays; the earlier one is fenced and writes no more', async () => {
    const early = await joined('same');
    const epoch = await epochOf(early);
    const late = await joined('same');
    await eventually(
      'the fence',
      () => early.fenced,
      (fenced) => fenced,
      PATIENCE_MS,
    );
    assert.deepEqual(early.degraded, ['fenced']);
    assert.equal(late.fenced, false);
    const higher = await epochOf(late);
    assert.ok(higher > epoch);
    early.update({ version: 'of the fenced one' });
    const beat = await redis.run('HGET', 'mcp:node:same', 'lastHeartbeat');
    await eventually(
      'a heartbeat of the later one',
      () => redis.run('HGET', 'mcp:node:same', 'lastHeartbeat'),
      (now) => now !== beat,
      PATIENCE_MS,
    );
    const kept = await thereAgain(() => redis.run('HMGET', 'mcp:node:same', 'epoch', 'version'));
    assert.deepEqual(kept, [String(higher), '1']);
    // What the earlier one shows under its id is the one that is there.
    await eventually(
      'its view',
      () => early.node('same')?.epoch,
      (seen) => seen === higher,
      PATIENCE_MS,
    );
    await early.leave();
    const [stays] = await thereAgain(() => redis.run('HMGET', 'mcp:node:same', 'epoch'));
    assert.equal(stays, String(higher));
    const present = await thereAgain(() => redis.run('HMGET', presenceOf('same'), 'epoch', 'start'));
    assert.deepEqual(present, [String(higher), `same ${starts}`]);
  });

  test('epochs rise, also after Redis has lost everything', async () => {
    const before = await joined('again');
    const epoch = await epochOf(before);
    await before.leave();
    await redis.run('FLUSHALL');
    const after = await joined('again');
    assert.ok((await epochOf(after)) > epoch);
  });

  test('FLUSHALL removes nobody from anybody, and all register anew', async () => {
    const one = await joined('n1', redis.url, undefined, SLOW_BEAT_MS);
    const two = await joined('n2', redis.url, undefined, SLOW_BEAT_MS);
    await sees(one, 'n1,n2');
    await sees(two, 'n1,n2');
    const told = changes(two);
    await redis.run('FLUSHALL');
    const registered = async (): Promise<number> => Number(await redis.run('SCARD', 'mcp:nodes'));
    await eventually('the registry', registered, (count) => count === 2, PATIENCE_MS);
    assert.equal(ids(two), 'n1,n2');
    assert.equal(told.count, 0);
  });

  test('a node in Redis that nobody keeps alive is gone, and its id is taken off the list', async () => {
    await redis.run('SADD', 'mcp:nodes', 'ghost', 'odd');
    await redis.run('HSET', 'mcp:node:odd', 'status', 'dancing', 'epoch', 'x');
    const one = await joined('n1');
    assert.equal(ids(one), 'n1');
    await eventually(
      'the list',
      () => redis.run('SMEMBERS', 'mcp:nodes'),
      (list) => String(list) === 'n1',
      PATIENCE_MS,
    );
  });
});

describe('without Redis', () => {
  test('joining resolves, the node knows itself and says what is wrong, and joins when Redis is there', async () => {
    const proxy = await TcpProxy.start(redis.port);
    await proxy.refuse();
    const url = `redis://127.0.0.1:${proxy.port}`;
    try {
      const one = await joined('n1', url);
      assert.equal(ids(one), 'n1');
      assert.equal(one.node('n1')?.url, FACTS.url);
      await degradedBy(one, 'redis away');
      const two = await joined('n2');
      await proxy.accept();
      await sees(one, 'n1,n2');
      await sees(two, 'n1,n2');
      await degradedBy(one, '');
      // And away again: those who were there stay known.
      await proxy.refuse();
      await degradedBy(one, 'redis away');
      assert.equal(ids(one), 'n1,n2');
      await one.leave();
    } finally {
      await proxy.end();
    }
  });

  test('a black hole: joining resolves all the same, and a full Redis is told as such', async () => {
    const proxy = await TcpProxy.start(redis.port);
    try {
      proxy.blackHole();
      const one = await joined('n1', `redis://127.0.0.1:${proxy.port}`);
      await eventually(
        'what is wrong',
        () => one.degraded.length,
        (count) => count > 0,
        PATIENCE_MS,
      );
      proxy.heal();
      await degradedBy(one, '');
      await redis.run('CONFIG', 'SET', 'maxmemory', '1');
      await degradedBy(one, 'redis full');
      await redis.run('CONFIG', 'SET', 'maxmemory', '0');
      await degradedBy(one, '');
    } finally {
      await redis.run('CONFIG', 'SET', 'maxmemory', '0');
      await Promise.all(open.map(({ leave }) => leave()));
      await proxy.end();
    }
  });

  test('a heartbeat thread that cannot live is told, and neither joining nor leaving waits for it', async () => {
    const one = member('n1', 'nowhere');
    await one.join(FACTS);
    await degradedBy(one, 'heartbeat');
    assert.equal(ids(one), 'n1');
    await one.leave();
  });

  test('a node alone is its own cluster', async () => {
    const sole = new SoleNode('n1', () => 3);
    const told = changes(sole);
    await sole.join(FACTS);
    sole.update({ status: 'draining' });
    sole.update({ status: 'draining' });
    assert.equal(told.count, 2);
    assert.deepEqual(sole.nodes, [
      { ...FACTS, status: 'draining', id: 'n1', load: 3, busy: false, epoch: 1, heartbeatAgeMs: 0 },
    ]);
    assert.equal(sole.node('n1')?.status, 'draining');
    assert.equal(sole.node('n2'), undefined);
    assert.deepEqual([sole.fenced, sole.degraded], [false, []]);
    await sole.leave();
  });
});

describe('on a Cluster of Redis', () => {
  test('nodes see one another come and go', async () => {
    const one = await joined('n1', servers.url);
    const two = await joined('n2', servers.url);
    await sees(one, 'n1,n2');
    await sees(two, 'n1,n2');
    await one.leave();
    await sees(two, 'n2');
    await two.leave();
  });
});
