/**
 * What nodes share: sessions, their events, the bus, tasks, results, budgets, leases, and who is there.
 *
 * Role: chooses the implementation behind each port, embedded or Redis, in one place. With no Redis configured nothing
 * here opens a connection, and the code that would (`redis-state.ts`) is not loaded.
 */
import type { ResultCache } from '../cache/port.ts';
import type { ToolDefinition } from '../catalogue/define.ts';
import { MemoryLeases } from '../cluster/leases/memory-leases.ts';
import { SoleNode } from '../cluster/members/sole-node.ts';
import type { HttpPeers } from '../cluster/peers/http-peers.ts';
import type { Leases, Membership } from '../cluster/port.ts';
import type { Settings } from '../config/settings.ts';
import type { Ledger } from '../ledger/port.ts';
import type { Log } from '../observe/port.ts';
import { SharedSecret } from '../protocol/shared-secret.ts';
import type { RateBudgets } from '../rates/port.ts';
import { MemoryEventLog } from '../sessions/memory-event-log.ts';
import { MemorySessionStore } from '../sessions/memory-store.ts';
import type { EventLog, SessionRelay, SessionStore } from '../sessions/port.ts';
import { MemoryBus } from '../subscriptions/memory-bus.ts';
import type { Bus } from '../subscriptions/port.ts';
import { MemoryTaskStore } from '../tasks/memory-store.ts';
import type { SharedTaskStore, TaskStore } from '../tasks/port.ts';
import type { ClusterNode, ClusterParts } from './cluster.ts';

/** What is made of a Redis when the parts that need it are put together. `now`: monotonic milliseconds. */
export interface SharedRedis {
  openResults(now: () => number): ResultCache;
  openLedger(): Ledger;
  openRates(now: () => number): RateBudgets;
  joinCluster(parts: ClusterParts): ClusterNode;
}

export interface SharedState {
  /** Null: this node is alone. */
  readonly redis: SharedRedis | null;
  /** Sessions over HTTP: any node serves them. */
  readonly sessions: SessionStore;
  readonly events: EventLog;
  /** What nodes tell each other about sessions; null when this node is alone. */
  readonly relay: SessionRelay | null;
  /** Sessions that live with a connection of this node. */
  readonly connectionSessions: { readonly store: SessionStore; readonly events: EventLog };
  readonly bus: Bus;
  readonly tasks: TaskStore | SharedTaskStore;
  readonly membership: Membership;
  /** Whether this node runs a tool itself. Alone it runs all of them, whatever it offers. */
  readonly runs: (tool: ToolDefinition) => boolean;
  readonly leases: Leases;
  /** Where membership has the load of this node from. */
  readonly reportLoad: (read: () => number) => void;
  /** Messages to and from other nodes; null when this node is alone. */
  readonly peers: HttpPeers | null;
  /** Seals request state and cursors; the same on all nodes. */
  readonly secret: SharedSecret;
  readonly degraded: readonly string[];
  close(): Promise<void>;
}

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
