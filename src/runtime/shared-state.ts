/**
 * What nodes share: sessions, their events, the bus, tasks, results, budgets, leases, and who is there.
 *
 * Role: chooses the implementation behind each port, embedded or Redis, in one place. With no Redis configured nothing
 * here opens a connection, and the code that would (`redis-state.ts`) is not loaded.
 */
import { MemoryLeases } from '../cluster/leases/memory-leases.ts';
import { SoleNode } from '../cluster/members/sole-node.ts';
import type { Settings } from '../config/settings.ts';
import type { Log } from '../observe/port.ts';
import { SharedSecret } from '../protocol/shared-secret.ts';
import { MemoryEventLog } from '../sessions/memory-event-log.ts';
import { MemorySessionStore } from '../sessions/memory-store.ts';
import { MemoryBus } from '../subscriptions/memory-bus.ts';
import { MemoryTaskStore } from '../tasks/memory-store.ts';
import type { SharedState } from './shared-port.ts';

export async function openSharedState(settings: Settings, log: Log): Promise<SharedState> {
  const embedded = embeddedState(settings, log);
  if (settings.redisUrl === '') return embedded;
  const { openRedisState } = await import('./redis-state.ts');
  return openRedisState(settings, log, embedded);
}

function embeddedState(settings: Settings, log: Log): SharedState {
  const sessions = new MemorySessionStore(settings.sessions);
  const events = new MemoryEventLog(settings.sessions);
  return {
    redis: null,
    sessions,
    events,
    relay: null,
    connectionSessions: { store: sessions, events },
    bus: new MemoryBus({ log }),
    tasks: new MemoryTaskStore({ tasksMax: settings.tasks.max }),
    membership: new SoleNode(settings.nodeId),
    runs: () => true,
    leases: new MemoryLeases(settings.nodeId),
    reportLoad: () => undefined,
    peers: null,
    secret: SharedSecret.of(settings.stateSecret),
    degraded: [],
    close: async () => undefined,
  };
}
