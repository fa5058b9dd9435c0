/** The bus over Redis keeps to the contract for listeners of its own node, and reaches those of the others. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { RedisConnection } from '../../src/redis/connection.ts';
import type { RedisSubscriber } from '../../src/redis/subscriber.ts';
import { MemoryBus } from '../../src/subscriptions/memory-bus.ts';
import type { Change } from '../../src/subscriptions/port.ts';
import { RedisBus } from '../../src/subscriptions/redis-bus.ts';
import { eventually } from '../clients/eventually.ts';
import { NodeConnections } from '../redis/node-connections.ts';
import { RedisServer } from '../redis/redis-server.ts';
import { newPrefix, type SharedRedis, TOPOLOGIES } from '../redis/shared-redis.ts';
import { busContract } from './bus.contract.ts';

const JOINED = 'joined ';

/** One node's connections and bus, and what its listener heard. */
class Node {
  readonly commands: RedisConnection;
  readonly subscriber: RedisSubscriber;
  readonly #connections: NodeConnections;
  readonly bus: RedisBus;
  readonly heard: Change[] = [];
  /** Changes that only show that it listens. */
  readonly joined = new Set<string>();
  listening = false;

  constructor(url: string, prefix: string) {
    this.#connections = new NodeConnections(url, 10_000);
    this.commands = this.#connections.commands;
    this.subscriber = this.#connections.subscriber;
    const local = new MemoryBus({ log: { error: () => undefined } });
    this.bus = new RedisBus({ commands: this.commands, subscriber: this.subscriber, prefix, local });
    this.subscriber.onGap = () => {
      this.bus.gap();
      this.listening = true;
    };
    this.bus.subscribe((change) => {
      if (change.kind === 'resource' && change.uri.startsWith(JOINED)) this.joined.add(change.uri);
      else this.heard.push(change);
    });
  }

  async ready(): Promise<this> {
    await this.#connections.ready();
    // Before it listened it may have missed something, which it is told.
    await eventually('listening', () => this.listening, Boolean);
    await rounds();
    this.heard.length = 0;
    return this;
  }

  async hears(count: number): Promise<readonly Change[]> {
    return eventually(
      'changes heard',
      () => this.heard,
      (heard) => heard.length >= count,
    );
  }

  close(): void {
    void this.bus.close();
    this.#connections.close();
  }
}

/** Listeners are there: a change of each node has reached all of them. */
async function joined(nodes: readonly Node[]): Promise<void> {
  for (const [i, from] of nodes.entries()) {
    // One of each channel.
    const uris = Array.from({ length: 64 }, (_, n) => `${JOINED}${i}.${n}`);
    await eventually(
      'all listening',
      () => {
        for (const uri of uris) from.bus.publish({ kind: 'resource', uri });
        return nodes.every(({ joined: heard }) => uris.every((uri) => heard.has(uri)));
      },
      Boolean,
    );
  }
}

async function rounds(): Promise<void> {
  for (let n = 0; n < 4; n += 1) await new Promise((resolve) => setImmediate(resolve));
}

for (const [name, start] of TOPOLOGIES) {
  describe(name, () => {
    let servers: SharedRedis;
    let nodes: Node[];
    before(async () => {
      servers = await start();
      const prefix = newPrefix();
      nodes = await Promise.all([1, 2, 3].map(() => new Node(servers.url, prefix).ready()));
      await joined(nodes);
    });
    after(async () => {
      for (const node of nodes) node.close();
      await servers.end();
    });

    busContract(name, async () => {
      const node = await new Node(servers.url, newPrefix()).ready();
      return { bus: node.bus, settle: rounds, close: async () => node.close() };
    });

    test('a change reaches the listeners of every node once, with its content', async () => {
      const [a, ...others] = nodes as [Node, Node, Node];
      for (const node of nodes) node.heard.length = 0;
      const sent: Change[] = [
        { kind: 'tools' },
        { kind: 'resource', uri: 'test://ä?b=1' },
        { kind: 'task', taskId: 't', taskJson: '{"taskId":"t"}' },
      ];
      for (const change of sent) a.bus.publish(change);
      for (const node of others) {
        const heard = await node.hears(3);
        assert.deepEqual(
          new Set(heard.map((change) => JSON.stringify(change))),
          new Set(sent.map((each) => JSON.stringify(each))),
        );
      }
      // What another node publishes afterwards comes after anything that might be echoed.
      others[0]?.bus.publish({ kind: 'prompts' });
      await eventually(
        'the last',
        () => a.heard,
        (heard) => heard.some(({ kind }) => kind === 'prompts'),
      );
      assert.deepEqual(a.heard, [...sent, { kind: 'prompts' }]);
    });

    test('many equal changes travel as a few', async () => {
      const [a, b] = nodes as [Node, Node, Node];
      for (const node of nodes) node.heard.length = 0;
      for (let i = 0; i < 2_000; i++) {
        a.bus.publish({ kind: 'resource', uri: `test://${i % 10}` });
        if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      a.bus.publish({ kind: 'resource', uri: 'test://last' });
      const heard = await eventually(
        'all of them',
        () => b.heard,
        (all) => new Set(all.map((change) => JSON.stringify(change))).size === 11,
      );
      assert.ok(heard.length < 1_000, `${heard.length} changes`);
    });

    test('a change of a node that goes right afterwards is told', async () => {
      const [a, , c] = nodes as [Node, Node, Node];
      for (const node of nodes) node.heard.length = 0;
      c.bus.publish({ kind: 'resource', uri: 'test://parting' });
      await c.bus.close();
      c.commands.close();
      assert.deepEqual(await a.hears(1), [{ kind: 'resource', uri: 'test://parting' }]);
    });
  });
}

describe('a bus whose Redis is restarted', () => {
  test('tells its listeners that changes may have been missed, and sends what was published meanwhile', async () => {
    const server = await RedisServer.start();
    const prefix = newPrefix();
    const nodes = await Promise.all([1, 2].map(() => new Node(server.url, prefix).ready()));
    try {
      await joined(nodes);
      const [a, b] = nodes as [Node, Node];
      await server.end();
      await eventually(
        'away',
        () => a.commands.up || b.subscriber.up,
        (up) => !up,
      );
      a.bus.publish({ kind: 'resource', uri: 'test://meanwhile' });
      await a.hears(1);
      await server.startAgain();
      const missed = (heard: readonly Change[]): boolean => heard.some(({ kind }) => kind === 'missed');
      await eventually('a gap', () => [...a.heard], missed);
      await eventually('a gap', () => [...b.heard], missed);
      a.bus.publish({ kind: 'tools' });
      await eventually(
        'what follows',
        () => b.heard,
        (heard) => heard.some(({ kind }) => kind === 'tools'),
      );
    } finally {
      for (const node of nodes) node.close();
      await server.end();
    }
  });
});
