/** The event log in Redis keeps to the contract on a server and on a Cluster, and goes from node to node. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { REVISION_2025_11_25 } from '../../src/protocol/revisions.ts';
import { RedisUnavailable } from '../../src/redis/unavailable.ts';
import { STANDALONE_STREAM } from '../../src/sessions/port.ts';
import { sessionKeys } from '../../src/sessions/redis-keys.ts';
import { APPEND } from '../../src/sessions/redis-log-scripts.ts';
import { eventually } from '../clients/eventually.ts';
import { NodeConnections } from '../redis/node-connections.ts';
import { RedisServer } from '../redis/redis-server.ts';
import { newPrefix, type SharedRedis, TOPOLOGIES } from '../redis/shared-redis.ts';
import { eventLogContract } from './event-log.contract.ts';
import { RedisNode } from './redis-nodes.ts';

for (const [name, start] of TOPOLOGIES) {
  describe(name, () => {
    let servers: SharedRedis;
    let connections: NodeConnections;
    before(async () => {
      servers = await start();
      connections = await new NodeConnections(servers.url).ready();
    });
    after(async () => {
      connections.close();
      await servers.end();
    });
    eventLogContract(name, async (limits) => {
      const node = new RedisNode(connections, newPrefix(), limits);
      await node.known('one', 'two', 's');
      return node.events;
    });
  });
}

describe('the event log of several nodes', () => {
  let server: RedisServer;
  let connections: NodeConnections[];
  const nodes = (count: number, limits = {}): RedisNode[] => {
    const prefix = newPrefix();
    return connections.slice(0, count).map((each) => new RedisNode(each, prefix, limits));
  };
  before(async () => {
    server = await RedisServer.start();
    connections = await Promise.all([1, 2, 3].map(() => new NodeConnections(server.url, 10_000).ready()));
  });
  after(async () => {
    for (const each of connections) each.close();
    await server.end();
  });

  test('what one node wrote another one resumes, and stream ids never meet', async () => {
    const [a, b] = nodes(2) as [RedisNode, RedisNode];
    await a.known('s');
    const [ofA, ofB] = [a.events.newStream('s'), b.events.newStream('s')];
    assert.notEqual(ofA, ofB);
    assert.equal(b.relay.ownerOf(ofA), a.relay.tag);
    const primed = a.events.mark('s', ofA);
    const id = a.events.append('s', ofA, 'of a');
    b.events.append('s', ofB, 'of b');
    await a.events.stored('s');
    assert.deepEqual(await b.events.after('s', primed), { streamId: ofA, events: [{ id, message: 'of a' }] });
  });

  test('the standalone stream goes on under another node, and the former one writes nothing any more', async () => {
    const [a, b] = nodes(2) as [RedisNode, RedisNode];
    await a.known('s');
    const fenced: string[] = [];
    a.events.onFenced = (sessionId) => fenced.push(sessionId);
    assert.equal(await a.events.standaloneHolder('s'), '');
    await a.events.takeStandalone('s', '');
    const first = a.events.append('s', STANDALONE_STREAM, 'of a');
    await a.events.stored('s');
    assert.equal(await b.events.standaloneHolder('s'), a.relay.tag);
    await b.events.takeStandalone('s', first);
    a.events.append('s', STANDALONE_STREAM, 'too late');
    const second = b.events.append('s', STANDALONE_STREAM, 'of b');
    await a.events.stored('s');
    assert.deepEqual(fenced, ['s']);
    assert.deepEqual((await b.events.after('s', first))?.events, [{ id: second, message: 'of b' }]);
  });

  test('numbering goes on above what a client has seen of a node that died before it stored it', async () => {
    const [a, b] = nodes(2) as [RedisNode, RedisNode];
    await a.known('s');
    await a.events.takeStandalone('s', '');
    a.events.append('s', STANDALONE_STREAM, 'stored');
    await a.events.stored('s');
    // Sent to the client, and never stored: two further on.
    const seen = '0.2';
    assert.deepEqual((await b.events.after('s', seen))?.events, []);
    await b.events.takeStandalone('s', seen);
    const next = b.events.append('s', STANDALONE_STREAM, 'next');
    assert.equal(next, '0.3');
    assert.deepEqual((await b.events.after('s', seen))?.events, [{ id: next, message: 'next' }]);
    assert.equal(await b.events.after('s', '0.0'), null, 'what is missing in between is not passed over');
    assert.equal(await b.events.after('s', '0.zzzz'), null);
  });

  test('what a session says in a turn goes out in one step, and whoever waits is told when it can be read', async () => {
    const [a, b] = nodes(2) as [RedisNode, RedisNode];
    await a.known('s');
    const calls = async (): Promise<number> => {
      const stats = String(await server.run('INFO', 'commandstats'));
      return Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1] ?? 0);
    };
    const before = await calls();
    const stream = a.events.newStream('s');
    const first = a.events.mark('s', stream);
    for (let i = 0; i < 20; i++) a.events.append('s', stream, `${i}`);
    let place = 0;
    const told = await new Promise<number>((resolve) => {
      const stored = (at: number): boolean => {
        resolve(at);
        return false;
      };
      place = a.events.untilStored('s', { stored });
    });
    assert.equal(place, 21);
    assert.equal(told, place);
    assert.equal((await calls()) - before, 1);
    assert.equal((await b.events.after('s', first))?.events.length, 20);
    assert.equal(a.events.untilStored('s', { stored: () => false }), 0, 'nothing waits');
  });

  test('nobody waits for what cannot be stored: Redis is full', async () => {
    const [a] = nodes(1) as [RedisNode];
    await a.known('s');
    const stream = a.events.newStream('s');
    const nextTold = (): Promise<number> =>
      new Promise((resolve) => {
        a.events.append('s', stream, 'x');
        const stored = (at: number): boolean => {
          resolve(at);
          return false;
        };
        const place = a.events.untilStored('s', { stored });
        if (place === 0) resolve(0);
      });
    await server.run('CONFIG', 'SET', 'maxmemory', '1', 'maxmemory-policy', 'noeviction');
    try {
      assert.equal(await nextTold(), Number.POSITIVE_INFINITY);
      assert.equal(await nextTold(), 0, 'as long as it is known');
    } finally {
      await server.run('CONFIG', 'SET', 'maxmemory', '0');
    }
    await eventually('storing again', nextTold, (at) => at > 0 && at !== Number.POSITIVE_INFINITY);
    await a.events.stored('s');
  });

  test('a number that never came counts as dropped, and a batch that comes again changes nothing', async () => {
    const [a] = nodes(1) as [RedisNode];
    await a.known('s');
    const batch = [60_000, 10, 10_000, 96, '', '4', 0, 'm', 'first', '4', 2, 'm', 'third'];
    for (let i = 0; i < 2; i++) await connections[0]?.commands.script(APPEND, sessionKeys(a.prefix, 's'), batch);
    assert.equal(await a.events.after('s', '4.0'), null);
    assert.deepEqual((await a.events.after('s', '4.1'))?.events, [{ id: '4.2', message: 'third' }]);
  });

  test('a session that is gone takes no events, and its streams cannot be taken', async () => {
    const [a] = nodes(1) as [RedisNode];
    const id = a.events.append('gone', 4, 'to nobody');
    await a.events.stored('gone');
    assert.equal(await a.events.after('gone', id), null);
    assert.equal(await a.events.takeStandalone('gone', ''), false);
    assert.deepEqual(await server.run('KEYS', `${a.prefix}*`), []);
  });

  test('events that come after the end of their session, for their script had to be sent again, leave nothing', async () => {
    const [a] = nodes(1) as [RedisNode];
    const init = {
      revision: REVISION_2025_11_25,
      principalId: null,
      clientCapabilities: {},
      clientInfo: { name: 'c', version: '1' },
    };
    const { id } = await a.store.create(init, 0);
    const other = await a.store.create(init, 0);
    await server.run('SCRIPT', 'FLUSH');
    // The script that ends a session is known again, the one that appends is not.
    await a.store.delete(other.id);
    a.events.append(id, 4, 'late');
    // It is on its way by the end of the turn.
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(await a.store.delete(id), true);
    await a.events.stored(id);
    assert.deepEqual(await server.run('KEYS', `${a.prefix}session:*`), []);
  });

  test('everything of a session ends with its time to live', async () => {
    const [a] = nodes(1, { ttlMs: 200 }) as [RedisNode];
    const { id } = await a.store.create(
      {
        revision: REVISION_2025_11_25,
        principalId: null,
        clientCapabilities: {},
        clientInfo: { name: 'c', version: '1' },
      },
      0,
    );
    a.events.append(id, 4, 'message');
    await a.events.stored(id);
    await eventually(
      'keys',
      async () => server.run('KEYS', `${a.prefix}*`),
      (keys) => Array.isArray(keys) && keys.length === 0,
    );
  });
});

describe('the event log while Redis is away', () => {
  test('what is said waits, is bounded, and is complete or refused when Redis is back', async () => {
    const server = await RedisServer.start();
    const connections = await new NodeConnections(server.url, 1_000).ready();
    try {
      const node = new RedisNode(connections, newPrefix(), { eventsMax: 20 });
      await node.known('s', 'churn');
      const primed = node.events.mark('s', 4);
      const early = node.events.mark('churn', 5);
      await node.events.stored('s');
      await node.events.stored('churn');
      server.pause();
      const ids = [1, 2, 3].map((n) => node.events.append('s', 4, `${n}`));
      for (let i = 0; i < 1000; i++) node.events.append('churn', 5, `${i}`);
      await assert.rejects(Promise.resolve(node.events.stored('s')), RedisUnavailable);
      await assert.rejects(node.events.after('s', primed), RedisUnavailable);
      server.resume();
      const found = await eventually(
        'resumption',
        () => node.events.after('s', primed).catch(() => null),
        (events) => events !== null,
      );
      assert.deepEqual(
        found?.events.map(({ id }) => id),
        ids,
      );
      await eventually(
        'the rest',
        () =>
          Promise.resolve(node.events.stored('churn')).then(
            () => true,
            () => false,
          ),
        Boolean,
      );
      assert.equal(await node.events.after('churn', early), null, 'dropped events are never passed over');
      await node.close();
    } finally {
      connections.close();
      await server.end();
    }
  });
});
