/**
 * The session era's parts of several nodes that share one Redis, a server or a Cluster, without the rest of a runtime.
 *
 * Each `RedisNode` has keys of its own, so that many can share a server one after the other.
 */
import type { EventLogLimits } from '../../src/sessions/memory-event-log.ts';
import { NodeNumber } from '../../src/sessions/node-number.ts';
import { RedisEventLog } from '../../src/sessions/redis-event-log.ts';
import { sessionKeys } from '../../src/sessions/redis-keys.ts';
import { APPEND } from '../../src/sessions/redis-log-scripts.ts';
import { RedisSessionRelay } from '../../src/sessions/redis-relay.ts';
import { RedisSessionStore } from '../../src/sessions/redis-store.ts';
import type { NodeConnections } from '../redis/node-connections.ts';
import { QUIET } from '../redis/redis-server.ts';

export interface NodeLimits extends EventLogLimits {
  readonly max: number;
  readonly ttlMs: number;
}

const LIMITS: NodeLimits = { max: 1000, ttlMs: 60_000, eventsMax: 100, eventBytesMax: 1 << 20 };
const NOTHING = (): void => undefined;
const LOG = { ...QUIET, error: NOTHING, debug: NOTHING };

export class RedisNode {
  readonly relay: RedisSessionRelay;
  readonly store: RedisSessionStore;
  readonly events: RedisEventLog;
  readonly node = NodeNumber.random();
  readonly connections: NodeConnections;
  readonly prefix: string;

  constructor(connections: NodeConnections, prefix: string, limits: Partial<NodeLimits> = {}) {
    this.connections = connections;
    this.prefix = prefix;
    const { commands, subscriber } = connections;
    const all = { ...LIMITS, ...limits };
    this.relay = new RedisSessionRelay({ commands, subscriber, prefix, tag: this.node.tag, log: LOG });
    this.store = new RedisSessionStore({ commands, relay: this.relay, prefix, limits: all, log: LOG });
    const { ttlMs } = this.store;
    this.events = new RedisEventLog({ commands, prefix, node: this.node, limits: all, ttlMs, log: LOG });
    subscriber.onGap = () => this.store.gap();
  }

  /**
   * A session of that id as far as its events are concerned. The script that appends is known to its server then: one
   * that is sent again, whole, would come after what was sent meanwhile, which matters where an id is used again.
   */
  async known(...sessionIds: readonly string[]): Promise<void> {
    const { commands } = this.connections;
    for (const id of sessionIds) {
      const [record, ...rest] = sessionKeys(this.prefix, id);
      await commands.command('HSET', record, 'v', 1);
      await commands.script(APPEND, [record, ...rest], [60_000, 1, 1, 1, '', '1', 0, 'k', '']);
      await commands.command('DEL', ...rest);
    }
  }

  async close(): Promise<void> {
    await this.events.close();
    this.relay.close();
  }
}
