/**
 * Three nodes that share a Redis, each with a session era of its own, all of which hear one another.
 */
import { eventually } from '../clients/eventually.ts';
import { NodeConnections } from '../redis/node-connections.ts';
import { RedisServer } from '../redis/redis-server.ts';
import { newPrefix } from '../redis/shared-redis.ts';
import { RedisNode } from '../sessions/redis-nodes.ts';
import { type FakeReply, Harness } from './fakes.ts';

export const answered = (reply: FakeReply): Promise<boolean> => eventually('an answer', () => !reply.open, Boolean);

export class ThreeNodes {
  readonly nodes: readonly RedisNode[];
  readonly harnesses: readonly Harness[];
  readonly #server: RedisServer;

  private constructor(server: RedisServer, nodes: readonly RedisNode[]) {
    this.#server = server;
    this.nodes = nodes;
    this.harnesses = nodes.map(({ store, events, relay }) => new Harness({ store, events, relay }));
  }

  static async start(): Promise<ThreeNodes> {
    const server = await RedisServer.start();
    const connections = await Promise.all([0, 1, 2].map(() => new NodeConnections(server.url).ready()));
    const prefix = newPrefix();
    const three = new ThreeNodes(
      server,
      connections.map((each) => new RedisNode(each, prefix)),
    );
    for (const { relay } of three.nodes) {
      for (const other of three.nodes) if (other.relay !== relay) await hears(relay, other);
    }
    return three;
  }

  async end(): Promise<void> {
    for (const node of this.nodes) await node.close();
    for (const { connections } of this.nodes) connections.close();
    await this.#server.end();
  }
}

async function hears(relay: RedisNode['relay'], other: RedisNode): Promise<void> {
  await eventually(
    'listening',
    () => relay.ask(other.relay.tag, 'following', 's', '1'),
    (answer) => answer !== null,
  );
}
