/**
 * A Redis server and the nodes that run on it, for the tests of one file: after each of them every node is killed and
 * Redis is empty again.
 */
import { after, afterEach, before } from 'node:test';
import { ranking } from '../../../src/streams/cluster/rendezvous.ts';
import { RedisServer } from '../../redis/redis-server.ts';
import { type NodeOptions, RigNode } from './node-rig.ts';

export class NodeSet {
  readonly byId = new Map<string, RigNode>();
  #redis: RedisServer | null = null;

  constructor() {
    before(async () => {
      this.#redis = await RedisServer.start();
    });
    afterEach(async () => {
      for (const node of this.running()) await node.kill();
      this.byId.clear();
      await this.redis.run('FLUSHALL');
    });
    after(() => this.redis.end());
  }

  get redis(): RedisServer {
    return this.#redis as RedisServer;
  }

  async start(options: Omit<NodeOptions, 'redis'>, ...ids: string[]): Promise<RigNode[]> {
    const { redis } = this;
    const started = await Promise.all(ids.map((id) => RigNode.start(id, { redis, ...options })));
    for (const node of started) this.byId.set(node.id, node);
    return started;
  }

  readonly running = (): RigNode[] => [...this.byId.values()];

  ownersOf(unit: string): RigNode[] {
    return this.running().filter(({ streams }) => streams.owned.includes(unit));
  }

  isAtHome(unit: string): boolean {
    return this.ownersOf(unit)[0]?.id === ranking(unit, [...this.byId.keys()])[0];
  }

  /** What the streams' Redis sink holds. */
  async linesOf(stream: string): Promise<string[]> {
    const entries = (await this.redis.run('XRANGE', `results:${stream}`, '-', '+')) as [string, string[]][];
    return entries.map(([, fields]) => fields[3] as string);
  }
}
