/**
 * The seam between what nodes share and the parts that use it: `shared-state.ts` chooses what is behind it.
 */
import type { ResultCache } from '../cache/port.ts';
import type { ToolDefinition } from '../catalogue/define.ts';
import type { HttpPeers } from '../cluster/peers/http-peers.ts';
import type { Leases, Membership } from '../cluster/port.ts';
import type { Ledger } from '../ledger/port.ts';
import type { SharedSecret } from '../protocol/shared-secret.ts';
import type { RateBudgets } from '../rates/port.ts';
import type { EventLog, SessionRelay, SessionStore } from '../sessions/port.ts';
import type { Bus } from '../subscriptions/port.ts';
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
