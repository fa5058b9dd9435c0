/**
 * Questions to a node whose connection that listens was lost: it is not taken for gone before it had time to come back.
 * Nor is one whose answer waits while the node that asked stands still.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../clients/eventually.ts';
import { standStill } from '../clients/stand-still.ts';
import { NodeConnections } from '../redis/node-connections.ts';
import { RedisServer } from '../redis/redis-server.ts';
import { newPrefix } from '../redis/shared-redis.ts';
import { RedisNode } from './redis-nodes.ts';

test('a node that listens again is asked again; one that does not is gone', async () => {
  const server = await RedisServer.start();
  const prefix = newPrefix();
  const connections: NodeConnections[] = [];
  const nodes: RedisNode[] = [];
  const newNode = async (): Promise<RedisNode> => {
    const own = await new NodeConnections(server.url).ready();
    connections.push(own);
    nodes.push(new RedisNode(own, prefix));
    return nodes.at(-1) as RedisNode;
  };
  /** Oldest first. */
  const listening = async (): Promise<number[]> => {
    const lines = String(await server.run('CLIENT', 'LIST', 'TYPE', 'pubsub'))
      .trim()
      .split('\n');
    return lines.map((line) => Number(/id=(\d+)/.exec(line)?.[1])).toSorted((a, b) => a - b);
  };
  try {
    const asker = await newNode();
    const other = await newNode();
    other.relay.on('greet', ({ payload }) => `hello ${payload}`);
    const ask = (payload: string): Promise<string | null> => asker.relay.ask(other.relay.tag, 'greet', 's', payload);
    assert.equal(await ask('before'), 'hello before');
    const ids = await listening();
    assert.equal(ids.length, 2);
    await server.run('CLIENT', 'KILL', 'ID', String(ids[1]));
    assert.equal(await ask('after'), 'hello after');
    connections[1]?.close();
    await eventually('its end', listening, ({ length }) => length === 1);
    assert.equal(await ask('nobody'), null);
  } finally {
    for (const node of nodes) await node.close();
    for (const each of connections) each.close();
    await server.end();
  }
});

test('an answer that came while the node that asked stood still is taken', async () => {
  const server = await RedisServer.start();
  const prefix = newPrefix();
  const connections = await Promise.all([0, 1].map(() => new NodeConnections(server.url).ready()));
  const [asker, other] = connections.map((own) => new RedisNode(own, prefix)) as [RedisNode, RedisNode];
  try {
    other.relay.on('greet', ({ payload }) => {
      // As soon as the answer has been sent.
      setImmediate(() => standStill(2_000));
      return `hello ${payload}`;
    });
    assert.equal(await asker.relay.ask(other.relay.tag, 'greet', 's', 'before'), 'hello before');
  } finally {
    for (const node of [asker, other]) await node.close();
    for (const each of connections) each.close();
    await server.end();
  }
});
