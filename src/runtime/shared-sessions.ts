/**
 * The session era among nodes: sessions, their events, what nodes tell each other about them, and the bus, all in Redis.
 *
 * Role: makes the four and ties them together. A session of a WebSocket or of stdio lives and ends with a connection of
 * this node; nobody else ever asks for it, so those are kept here, whatever the rest does.
 */
import type { Settings } from '../config/settings.ts';
import type { Log } from '../observe/port.ts';
import type { RedisConnection } from '../redis/connection.ts';
import type { RedisSubscriber } from '../redis/subscriber.ts';
import { NodeNumber } from '../sessions/node-number.ts';
import type { EventLog, SessionRelay, SessionStore } from '../sessions/port.ts';
import { RedisEventLog } from '../sessions/redis-event-log.ts';
import { RedisSessionRelay } from '../sessions/redis-relay.ts';
import { RedisSessionStore } from '../sessions/redis-store.ts';
import { MemoryBus } from '../subscriptions/memory-bus.ts';
import type { Bus } from '../subscriptions/port.ts';
import { RedisBus } from '../subscriptions/redis-bus.ts';

export interface SharedSessions {
  readonly sessions: SessionStore;
  readonly events: EventLog;
  readonly relay: SessionRelay;
  readonly bus: Bus;
  /** Messages of other nodes may have been missed. */
  gap(): void;
  /** What was not stored yet is, if Redis is there. */
  close(): Promise<void>;
}

export function openSharedSessions(
  settings: Settings,
  log: Log,
  commands: RedisConnection,
  subscriber: RedisSubscriber,
): SharedSessions {
  const { prefix } = settings.cluster;
  const limits = settings.sessions;
  const node = NodeNumber.random();
  const relay = new RedisSessionRelay({ commands, subscriber, prefix, tag: node.tag, log });
  const sessions = new RedisSessionStore({ commands, relay, prefix, limits, log });
  const events = new RedisEventLog({ commands, prefix, node, limits, ttlMs: sessions.ttlMs, log });
  const bus = new RedisBus({ commands, subscriber, prefix, local: new MemoryBus({ log }) });
  return {
    sessions,
    events,
    relay,
    bus,
    gap() {
      sessions.gap();
      bus.gap();
    },
    async close() {
      await bus.close();
      await events.close();
      relay.close();
    },
  };
}
