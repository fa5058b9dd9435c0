/**
 * Ports of the cluster: who is there (`Membership`) and who may do what only one may (`Leases`).
 *
 * Role: what the rest of the runtime knows of other nodes. A node without Redis has `SoleNode` and `MemoryLeases`, so
 * that nobody asks whether there is a cluster. Reading is local and at once; what was read may be a heartbeat old.
 */

export type NodeStatus = 'starting' | 'running' | 'draining' | 'stopping';

export interface NodeRecord {
  readonly id: string;
  readonly status: NodeStatus;
  /** Base URL other nodes reach it under, `http://host:port`; `''` before it listens. */
  readonly url: string;
  /** Calls in flight and waiting. */
  readonly load: number;
  readonly maxLoad: number;
  /** Its front-end thread did not turn lately: it is stalled, not dead. */
  readonly busy: boolean;
  /** Names of the tools it runs itself, sorted. */
  readonly tools: readonly string[];
  readonly version: string;
  /** Of this start of the node: a later start under the same id has a higher one, whatever the clocks say. */
  readonly epoch: number;
  /** By the clock of Redis. */
  readonly heartbeatAgeMs: number;
}

/** What a node tells about itself; `load`, `busy` and the heartbeat are added by whoever sends it. */
export interface NodeFacts {
  readonly status: NodeStatus;
  readonly url: string;
  readonly maxLoad: number;
  readonly tools: readonly string[];
  readonly version: string;
}

export interface Membership {
  readonly id: string;
  /** All nodes that are alive as far as is known, this one among them, by id. */
  readonly nodes: readonly NodeRecord[];
  node(id: string): NodeRecord | undefined;
  /** Who else there is has been found out, once at least. */
  readonly known: boolean;
  /** Registers this node. Resolves at once when the registry is away: it is tried again, with jitter. */
  join(facts: NodeFacts): Promise<void>;
  /** Told with the next heartbeat at the latest; a change of status at once. */
  update(facts: Partial<NodeFacts>): void;
  /** Says goodbye, so that nobody waits for the heartbeats to stop. */
  leave(): Promise<void>;
  /** Called when nodes came, left, or changed status, url or tools, and when they are known; not for load. Returns unsubscribe. */
  onChange(listener: () => void): () => void;
  /** Another start of the same id has taken over: this one must not write shared state any more. */
  readonly fenced: boolean;
  /** What is wrong, in words of one or two: `redis away`, `fenced`. Empty: nothing. */
  readonly degraded: readonly string[];
}

/** The right to do what only one node may, until it is lost. Every write made under it carries `token`. */
export interface Lease {
  readonly name: string;
  /** Rises with every new holder of `name`, for ever: the store refuses writes with a lower one. */
  readonly token: number;
  /**
   * Whether the holder may still believe in it: false from a safety margin before its TTL ends without renewal, by the
   * monotonic clock of this process.
   */
  readonly held: boolean;
  /** Called once when it is lost, not when it is released. */
  onLost: (() => void) | null;
}

export interface Leases {
  /** Null: another node holds it. Renewed in the background until released. Rejects when the store cannot be asked. */
  acquire(name: string): Promise<Lease | null>;
  /** Gives it back, so that another node need not wait for the TTL. */
  release(lease: Lease): Promise<void>;
  /** Who holds it now; null: nobody. */
  holder(name: string): Promise<{ readonly nodeId: string; readonly token: number } | null>;
  readonly ttlMs: number;
  close(): Promise<void>;
}
