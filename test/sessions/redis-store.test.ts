/** The session store in Redis keeps to the contract on a server and on a Cluster, and several nodes see one store. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { REVISION_2025_11_25 } from '../../src/protocol/revisions.ts';
import { shardOf } from '../../src/redis/shard.ts';
import { RedisUnavailable } from '../../src/redis/unavailable.ts';
import type { Session, SessionInit } from '../../src/sessions/port.ts';
import { eventually } from '../clients/eventually.ts';
import { NodeConnections } from '../redis/node-connections.ts';
import { RedisServer } from '../redis/redis-server.ts';
import { newPrefix, type SharedRedis, TOPOLOGIES } from '../redis/shared-redis.ts';
import { type NodeLimits, RedisNode } from './redis-nodes.ts';
import { type StoreTime, sessionStoreContract } from './session-store.contract.ts';

const realTime = (): StoreTime => ({ nowMs: () => performance.now(), pass: (ms) => delay(ms) });
const now = (): number => performance.now();
const initOf = (principalId: string | null): SessionInit => ({
  revision: REVISION_2025_11_25,
  principalId,
  clientCapabilities: { elicitation: {} },
  clientInfo: { name: 'client', version: '1' },
});

/** Where all nodes hear of a session. */
const allChannel = ({ prefix }: RedisNode, id: string): string => `${prefix}sessions:all:${shardOf(id, 16)}`;

for (const [name, start] of TOPOLOGIES) {
  describe(name, () => {
    let servers: SharedRedis;
    let connections: NodeConnections[];
    const nodes = (limits: Partial<NodeLimits> = {}): RedisNode[] => {
      const prefix = newPrefix();
      return connections.map((each) => new RedisNode(each, prefix, limits));
    };
    before(async () => {
      servers = await start();
      connections = await Promise.all([1, 2, 3].map(() => new NodeConnections(servers.url).ready()));
    });
    after(async () => {
      for (const each of connections) each.close();
      await servers.end();
    });

    sessionStoreContract(name, async (limits) => (nodes(limits)[0] as RedisNode).store, realTime);

    test('what any node is asked is what the model says, whichever nodes did it', async () => {
      const step = fc.oneof(
        fc.record({ do: fc.constantFrom('create' as const, 'delete' as const), on: fc.nat(2), pick: fc.nat(5) }),
        fc.record({ do: fc.constant('get' as const), on: fc.nat(2), pick: fc.nat(5) }),
        fc.record({ do: fc.constant('subscribe' as const), on: fc.nat(2), pick: fc.nat(5), uri: fc.nat(3) }),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
          const all = nodes();
          const model = new Map<string, Set<string>>();
          const ids: string[] = [];
          for (const s of steps) {
            const { store } = all[s.on] as RedisNode;
            const id = ids.at(-1 - s.pick) ?? 'x'.repeat(32);
            const known = model.get(id);
            if (s.do === 'create') {
              const made = await store.create(initOf(null), now());
              ids.push(made.id);
              model.set(made.id, new Set());
            } else if (s.do === 'delete') {
              assert.equal(await store.delete(id), model.delete(id));
            } else {
              // A message of another node may still be on its way to a copy here.
              const session = await eventually(
                'a copy',
                async () => store.get(id, null, now()),
                (found) => agrees(found, known),
              );
              if (s.do !== 'subscribe' || session === undefined) continue;
              session.subscriptions.add(`test://${s.uri}`);
              known?.add(`test://${s.uri}`);
              await session.save();
            }
          }
        }),
        { numRuns: 30 },
      );
    });

    test('changes of different nodes at the same moment lose nothing', async () => {
      const all = nodes();
      const { id } = await (all[0] as RedisNode).store.create(initOf(null), now());
      const copies = await Promise.all(all.map(async ({ store }) => store.get(id, null, now())));
      await Promise.all(
        copies.map(async (copy, i) => {
          copy?.subscriptions.add(`test://${i}`);
          if (i === 1 && copy !== undefined) copy.logLevel = 'error';
          await copy?.save();
        }),
      );
      for (const { store } of all) {
        const session = await eventually(
          'all changes',
          async () => store.get(id, null, now()),
          (found) => found?.subscriptions.size === 3 && found.logLevel === 'error',
        );
        assert.deepEqual([...(session?.subscriptions ?? [])].sort(), ['test://0', 'test://1', 'test://2']);
      }
    });

    test('a session is served to the principal that opened it alone, by every node', async () => {
      const all = nodes();
      const { id } = await (all[0] as RedisNode).store.create(initOf('ada'), now());
      for (const { store } of all) {
        for (const other of [null, 'bob']) assert.equal(await store.get(id, other, now()), undefined);
        assert.equal((await store.get(id, 'ada', now()))?.principalId, 'ada');
        for (const other of [null, 'bob']) assert.equal(await store.get(id, other, now()), undefined);
      }
    });

    test('an ending on one node is told on every node that holds the session', async () => {
      const [a, b] = nodes() as [RedisNode, RedisNode];
      const ended: string[] = [];
      b.store.onEnd = (_session, why) => ended.push(why);
      const { id } = await a.store.create(initOf(null), now());
      await b.store.get(id, null, now());
      await a.store.delete(id);
      await eventually(
        'the ending',
        () => ended,
        (all) => all.length === 1,
      );
      // The mark of B's own use may reach Redis after the deletion, and find nothing there before the message comes.
      assert.match(ended.join(), /^(deleted|expired)$/);
    });

    test('a change of subscriptions on one node is told on the others', async () => {
      const [a, b] = nodes() as [RedisNode, RedisNode];
      const told: string[] = [];
      b.store.onSubscriptions = (session, uri) => told.push(`${uri} ${session.subscriptions.has(uri)}`);
      const session = await a.store.create(initOf(null), now());
      await b.store.get(session.id, null, now());
      session.subscriptions.add('test://a');
      await session.save();
      await eventually(
        'the subscription',
        () => told.length,
        (count) => count === 1,
      );
      session.subscriptions.delete('test://a');
      await session.save();
      await eventually(
        'its end',
        () => told.length,
        (count) => count === 2,
      );
      assert.deepEqual(told, ['test://a true', 'test://a false']);
    });

    for (const known of [true, false]) {
      test(`a change made while ${known ? 'a copy is read again' : 'a session is read first'} is not overlooked`, async () => {
        const [a, b] = nodes() as [RedisNode, RedisNode];
        const session = await a.store.create(initOf(null), now());
        // For `b` no time passes: after some a copy is looked after anyway.
        const atMs = now();
        if (known) await b.store.get(session.id, null, atMs);
        const { commands } = b.connections;
        const read = commands.commandBytes;
        const held: (() => void)[] = [];
        let told = 0;
        // What was read arrives late.
        commands.commandBytes = async (...command) => {
          const answer = await read.apply(commands, command);
          if (command[0] === 'HGETALL' && held.length === 0) await new Promise<void>((resolve) => held.push(resolve));
          return answer;
        };
        const stop = b.connections.subscriber.on(allChannel(b, session.id), () => told++);
        try {
          const subscribe = async (uri: string): Promise<void> => {
            session.subscriptions.add(uri);
            await session.save();
          };
          if (known) await subscribe('test://0');
          const found = known ? null : b.store.get(session.id, null, atMs);
          await eventually('reading', () => held.length, Boolean);
          const before = told;
          await subscribe('test://1');
          await eventually('the word', () => told > before, Boolean);
          held[0]?.();
          if (!known) assert.ok((await found)?.subscriptions.has('test://1'));
          await eventually(
            'the subscription',
            async () => b.store.get(session.id, null, atMs),
            (copy) => copy?.subscriptions.has('test://1') === true,
          );
        } finally {
          stop();
          commands.commandBytes = read;
        }
      });
    }

    test('the sessions of all nodes are bounded together', async () => {
      const all = nodes({ max: 6 });
      const ids: string[] = [];
      for (let i = 0; i < 18; i++) ids.push((await (all[i % 3] as RedisNode).store.create(initOf(null), now())).id);
      const [reader] = nodes() as [RedisNode];
      const fresh = new RedisNode(reader.connections, (all[0] as RedisNode).prefix, { max: 100 });
      const alive = await eventually(
        'sessions left',
        async () => (await Promise.all(ids.map(async (id) => fresh.store.get(id, null, now())))).filter(Boolean).length,
        (count) => count <= 6,
      );
      assert.equal(alive, 6);
    });

    test('a session not used here is let go of here only, while it is used elsewhere', async () => {
      const ttlMs = 60_000;
      const [a, b] = nodes({ ttlMs }) as [RedisNode, RedisNode];
      const ended: string[] = [];
      a.store.onEnd = (_session, why) => ended.push(why);
      const { id } = await a.store.create(initOf(null), now());
      assert.equal((await b.store.get(id, null, now()))?.id, id);
      a.store.sweep(now() + ttlMs + 1);
      await eventually(
        'letting go',
        () => ended,
        (all) => all.length > 0,
      );
      assert.deepEqual(ended, ['released']);
      assert.equal((await a.store.get(id, null, now()))?.id, id);
    });
  });
}

function agrees(found: Session | undefined, known: ReadonlySet<string> | undefined): boolean {
  if (found === undefined || known === undefined) return found === known;
  return found.subscriptions.size === known.size && [...known].every((uri) => found.subscriptions.has(uri));
}

describe('a session store whose Redis hurts', () => {
  let server: RedisServer;
  let a: RedisNode;
  let b: RedisNode;
  let all: NodeConnections[];
  const restart = async (): Promise<void> => {
    server = await RedisServer.start();
    all = await Promise.all([1, 2].map(() => new NodeConnections(server.url, 1_000).ready()));
    const prefix = newPrefix();
    [a, b] = all.map((each) => new RedisNode(each, prefix)) as [RedisNode, RedisNode];
  };
  const end = async (): Promise<void> => {
    for (const each of all) each.close();
    await server.end();
  };

  test('serves what it knows, calls nothing unknown, and stores or takes back', async () => {
    await restart();
    try {
      const session = await a.store.create(initOf(null), now());
      server.pause();
      assert.equal((await a.store.get(session.id, null, now()))?.id, session.id);
      await assert.rejects(Promise.resolve(b.store.get(session.id, null, now())), RedisUnavailable);
      await assert.rejects(Promise.resolve(b.store.get('x'.repeat(32), null, now())), RedisUnavailable);
      await assert.rejects(Promise.resolve(a.store.create(initOf(null), now())), RedisUnavailable);
      await assert.rejects(Promise.resolve(a.store.delete(session.id)), RedisUnavailable);
      session.subscriptions.add('test://a');
      session.logLevel = 'error';
      await assert.rejects(Promise.resolve(session.save()), RedisUnavailable);
      assert.equal(session.subscriptions.size, 0);
      assert.equal(session.logLevel, '');
      assert.equal((await a.store.get(session.id, null, now()))?.id, session.id, 'and is still served');
      server.resume();
    } finally {
      await end();
    }
  });

  test('restarted empty, its sessions are gone for every node', async () => {
    await restart();
    try {
      const { id } = await a.store.create(initOf(null), now());
      await b.store.get(id, null, now());
      await server.end();
      await server.startAgain();
      for (const { store } of [a, b]) {
        await eventually(
          'the session',
          async () => {
            try {
              return await store.get(id, null, now());
            } catch (error) {
              assert.ok(error instanceof RedisUnavailable);
              return 'away';
            }
          },
          (found) => found === undefined,
        );
      }
      const made = await a.store.create(initOf(null), now());
      assert.equal((await b.store.get(made.id, null, now()))?.id, made.id);
    } finally {
      await end();
    }
  });
});
