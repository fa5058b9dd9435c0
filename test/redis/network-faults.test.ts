/**
 * What a connection to Redis does while the network or the server hurts, and that it comes back by itself within five
 * seconds of being healed.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { RedisConnection } from '../../src/redis/connection.ts';
import { slotOf } from '../../src/redis/slot.ts';
import type { RedisUnavailable } from '../../src/redis/unavailable.ts';
import { eventually } from '../clients/eventually.ts';
import {
  answersAgain,
  expectUnavailable,
  heard,
  PATIENCE_MS,
  clientsOf as patientClientsOf,
} from './connection.contract.ts';
import type { NodeConnections } from './node-connections.ts';
import { RedisClusterServers } from './redis-cluster-servers.ts';
import { QUIET, RedisServer } from './redis-server.ts';
import { DOWN_AFTER_MS, SENTINEL_NAME, SentinelGroup } from './sentinel-group.ts';
import { TcpProxy } from './tcp-proxy.ts';

const COMMAND_MS_MAX = 500;
const BACK_MS_MAX = 5000;
/** What hangs takes longer than a machine that stands still now and then. */
const LATE_MS = 30_000;

const clientsOf = (url: string): Promise<NodeConnections> => patientClientsOf(url, '', COMMAND_MS_MAX);

/** How long a command took to fail, and why it did. */
async function failure(commands: RedisConnection): Promise<{ ms: number; why: RedisUnavailable['why'] }> {
  const from = performance.now();
  const failed = await commands.command('GET', 'x').then(() => assert.fail('it was answered'), expectUnavailable);
  return { ms: performance.now() - from, why: failed.why };
}

async function failsInTime(commands: RedisConnection): Promise<void> {
  const { ms, why } = await failure(commands);
  assert.ok(ms < COMMAND_MS_MAX + LATE_MS, `${why} after ${ms} ms`);
}

async function goesAway(commands: RedisConnection): Promise<void> {
  const ask = async (): Promise<boolean> => {
    await failsInTime(commands);
    return commands.up;
  };
  await eventually('the connection', ask, (up) => !up, PATIENCE_MS);
  assert.notEqual(commands.trouble, '');
}

test('an address where nobody listens is named once', async () => {
  const redis = await RedisServer.start();
  const { url } = redis;
  await redis.end();
  const commands = new RedisConnection(url, 'test', QUIET);
  try {
    await assert.rejects(commands.ready(), ({ message }: Error) => {
      assert.equal(message.split('cannot reach Redis at').length, 2, message);
      return true;
    });
  } finally {
    commands.close();
  }
});

describe('one server behind a network', () => {
  let server: RedisServer;
  let proxy: TcpProxy;
  let clients: NodeConnections;
  before(async () => {
    server = await RedisServer.start();
    proxy = await TcpProxy.start(server.port);
    clients = await clientsOf(`redis://127.0.0.1:${proxy.port}`);
  });
  after(async () => {
    clients.close();
    await proxy.end();
    await server.end();
  });
  beforeEach(async () => {
    await answersAgain(clients.commands);
    await heard(clients, 'before', 'x');
  });

  /** How long each return took; what the machine does now and then does not change what half of them took. */
  const backMs: number[] = [];
  after(() => {
    const median = backMs.sort((a, b) => a - b)[backMs.length >> 1] ?? Number.POSITIVE_INFINITY;
    assert.ok(median < BACK_MS_MAX, `back after ${median} ms`);
  });

  async function comesBack(): Promise<void> {
    const fromMs = performance.now();
    await answersAgain(clients.commands);
    backMs.push(performance.now() - fromMs);
    assert.equal(clients.commands.trouble, '');
    await heard(clients, 'after', 'x');
  }

  test('a black hole: commands fail in time, then at once, and nothing is queued', async () => {
    proxy.blackHole();
    await goesAway(clients.commands);
    const failures = await Promise.all(Array.from({ length: 1000 }, () => failure(clients.commands)));
    assert.deepEqual(
      [...new Set(failures.map(({ why }) => why))].filter((why) => why !== 'away' && why !== 'slow'),
      [],
    );
    proxy.heal();
    await comesBack();
  });

  test('connections that a firewall forgot are given up, those that only listen too', async () => {
    let gaps = 0;
    clients.subscriber.onGap = () => gaps++;
    proxy.lose();
    await goesAway(clients.commands);
    await comesBack();
    await eventually(
      'gaps told',
      () => gaps,
      (count) => count > 0,
      PATIENCE_MS,
    );
    clients.subscriber.onGap = null;
  });

  test('a channel that was left while the connection was away is not listened to afterwards', async () => {
    const { commands, subscriber } = clients;
    const [, leave] = ['kept', 'left'].map((channel) => subscriber.on(channel, () => undefined)) as [
      () => void,
      () => void,
    ];
    const listeners = async (): Promise<unknown[]> => {
      const reply = (await commands.command('PUBSUB', 'NUMSUB', 'kept', 'left').catch(expectUnavailable)) as unknown[];
      return [reply[1], reply[3]];
    };
    await eventually('both', listeners, ([kept, left]) => kept === 1 && left === 1, PATIENCE_MS);
    await proxy.refuse();
    await eventually(
      'the end of the connection',
      () => subscriber.up,
      (up) => !up,
      PATIENCE_MS,
    );
    leave();
    await proxy.accept();
    await comesBack();
    await eventually('the one that was kept', listeners, ([kept]) => kept === 1, PATIENCE_MS);
    assert.deepEqual(await listeners(), [1, 0]);
  });

  test('answers two seconds late: commands fail in time, and it is back when they are in time', async () => {
    proxy.delayMs = 2000;
    await failsInTime(clients.commands);
    await goesAway(clients.commands);
    proxy.heal();
    await comesBack();
  });

  test('nobody listens: it is tried again until somebody does', async () => {
    await proxy.refuse();
    await goesAway(clients.commands);
    assert.equal((await failure(clients.commands)).why, 'away');
    await proxy.accept();
    await comesBack();
  });

  test('a server that stands still fails commands in time', async () => {
    server.pause();
    await goesAway(clients.commands);
    server.resume();
    await comesBack();
  });

  test('commands under way are bounded, and those over the bound say busy', async () => {
    proxy.blackHole();
    const under = Array.from({ length: 20_000 }, () => clients.commands.command('GET', 'x').catch(expectUnavailable));
    assert.equal((await failure(clients.commands)).why, 'busy');
    await Promise.all(under);
    proxy.heal();
    await comesBack();
  });

  test('a full server and one without enough replicas refuse writes, and say so until they take them again', async () => {
    const write = (): Promise<unknown> =>
      clients.commands.command('SET', 'y', 'y'.repeat(100)).catch(expectUnavailable);
    for (const [setting, hurt, well, why] of [
      ['maxmemory', '1', '0', 'full'],
      ['min-replicas-to-write', '1', '0', 'readonly'],
    ] as const) {
      await server.run('CONFIG', 'SET', setting, hurt);
      // A busy machine may be late, which is another reason.
      await eventually(setting, write, (reply) => (reply as RedisUnavailable).why === why, PATIENCE_MS);
      assert.equal(clients.commands.trouble, why);
      await server.run('CONFIG', 'SET', setting, well);
      await eventually(setting, write, (reply) => reply === 'OK', PATIENCE_MS);
      assert.equal(clients.commands.trouble, '');
    }
  });
});

describe('Sentinel', () => {
  let group: SentinelGroup;
  let clients: NodeConnections;
  before(async () => {
    group = await SentinelGroup.start(DOWN_AFTER_MS);
    clients = await clientsOf(group.url);
  });
  after(async () => {
    clients.close();
    await group.end();
  });

  test('a failover, then the death of the new primary: writes go to whoever is primary', async () => {
    await answersAgain(clients.commands);
    await group.failover();
    await answersAgain(clients.commands);
    await heard(clients, 'failover', 'x');
    // The old primary has to be in step before it can take over again.
    await group.settled();
    await group.killPrimary();
    await answersAgain(clients.commands);
    await heard(clients, 'death', 'x');
  });

  test('news of a failover that come while it asks who is primary', async () => {
    const other = await SentinelGroup.start();
    const proxy = await TcpProxy.start(other.sentinelPort(0));
    const asking = await clientsOf(`redis-sentinel://127.0.0.1:${proxy.port}/${SENTINEL_NAME}`);
    try {
      await heard(asking, 'before', 'x');
      // It has listened to the other sentinels by now; this one does not answer any more.
      proxy.holdAnswers();
      let isOver = false;
      const over = other.failover(1).then(() => {
        isOver = true;
      });
      while (!isOver) {
        await other.killClients();
        await delay(50);
      }
      await over;
      proxy.heal();
      await answersAgain(asking.commands);
      await heard(asking, 'after', 'x');
    } finally {
      asking.close();
      await proxy.end();
      await other.end();
    }
  });
});

/** Resolves when all of them are heard, and stay so. */
async function listen(clients: NodeConnections, channels: readonly string[]): Promise<void> {
  for (const channel of channels) {
    clients.subscriber.on(channel, () => undefined);
    await heard(clients, channel, 'before');
  }
}

describe('Cluster', () => {
  /** Of all who end nobody in it. */
  let cluster: RedisClusterServers;
  before(async () => {
    cluster = await RedisClusterServers.start({ args: ['--cluster-require-full-coverage', 'no'] });
  });
  after(() => cluster.end());

  test('servers that stand still fail commands in time, and are back after it', async () => {
    const clients = await clientsOf(cluster.url);
    try {
      await heard(clients, 'before', 'x');
      cluster.pause();
      await goesAway(clients.commands);
      cluster.resume();
      await answersAgain(clients.commands);
      await heard(clients, 'after', 'x');
      await heard(clients, 'before', 'again');
    } finally {
      clients.close();
      cluster.resume();
    }
  });

  test('a primary dies and its replica takes over: its channels are heard again, and the others all the time', async () => {
    // However long its replica stands still, it may take over.
    const cluster = await RedisClusterServers.start({ replicas: 1, args: ['--cluster-replica-validity-factor', '0'] });
    const clients = await clientsOf(cluster.url);
    const channels = Array.from({ length: 12 }, (_, i) => `channel:${i}`);
    let gaps = 0;
    try {
      await listen(clients, channels);
      clients.subscriber.onGap = () => gaps++;
      const replica = await cluster.replicaOf('channel:0');
      await cluster.killPrimaryOf('channel:0');
      replica.signal('SIGSTOP');
      await eventually(
        'the loss',
        () => clients.subscriber.up,
        (up) => !up,
        PATIENCE_MS,
      );
      assert.equal(gaps, 0, 'told when everything is heard again');
      replica.signal('SIGCONT');
      await cluster.promoted('channel:0');
      await answersAgain(clients.commands);
      await eventually(
        'the gap',
        () => gaps,
        (count) => count > 0,
        PATIENCE_MS,
      );
      assert.equal(clients.subscriber.up, true);
      for (const channel of channels) await heard(clients, channel, 'after');
      // What was missed is read anew by everybody, each time it is told.
      assert.ok(gaps <= 10, `${gaps} gaps`);
    } finally {
      clients.close();
      await cluster.end();
    }
  });

  test('a server that stands still is not listened to any more, and is again when it goes on', async () => {
    const clients = await clientsOf(cluster.url);
    try {
      await listen(clients, ['a', 'b', 'c']);
      await cluster.pausePrimaryOf('a');
      await eventually(
        'the loss',
        () => clients.subscriber.up,
        (up) => !up,
        PATIENCE_MS,
      );
      cluster.resume();
      await eventually('its return', () => clients.subscriber.up, Boolean, PATIENCE_MS);
      await answersAgain(clients.commands);
      for (const channel of ['a', 'b', 'c']) await heard(clients, channel, 'after');
    } finally {
      clients.close();
      cluster.resume();
    }
  });

  test('slots of names are those the servers count with', async () => {
    const names = [
      '',
      'a',
      '123456789',
      'ключ',
      '{tag}',
      'x{tag}y',
      '{}tag',
      '{}{tag}',
      '{a}{b}',
      '{{a}}',
      'a{b',
      'a}b{c}',
    ];
    for (const name of names) assert.equal(slotOf(name), await cluster.run('CLUSTER', 'KEYSLOT', name), name);
  });
});
