/**
 * Leases of a node that is alone: one holder per name in this process, never lost.
 *
 * Role: what the runtime has without Redis; the same contract (`test/cluster/members/leases.contract.ts`).
 */
import type { Lease, Leases } from '../port.ts';

class MemoryLease implements Lease {
  readonly name: string;
  readonly token: number;
  onLost: (() => void) | null = null;
  held = true;

  constructor(name: string, token: number) {
    this.name = name;
    this.token = token;
  }
}

export class MemoryLeases implements Leases {
  readonly ttlMs: number = Number.POSITIVE_INFINITY;
  readonly #nodeId: string;
  readonly #leases = new Map<string, MemoryLease>();
  /**
   * One count for all names: it rises for each of them. Microseconds at first, higher than those before a restart as far
   * as the clock of this machine knows.
   */
  #lastToken = Math.floor((performance.timeOrigin + performance.now()) * 1000);
  #closed = false;

  constructor(nodeId: string) {
    this.#nodeId = nodeId;
  }

  async acquire(name: string): Promise<Lease | null> {
    if (this.#closed) throw new Error('the leases of this node are closed');
    if (this.#leases.has(name)) return null;
    this.#lastToken += 1;
    const lease = new MemoryLease(name, this.#lastToken);
    this.#leases.set(name, lease);
    return lease;
  }

  async release(lease: Lease): Promise<void> {
    const own = this.#leases.get(lease.name);
    if (own === undefined || own !== lease) return;
    own.held = false;
    this.#leases.delete(lease.name);
  }

  async holder(name: string): Promise<{ nodeId: string; token: number } | null> {
    const lease = this.#leases.get(name);
    return lease === undefined ? null : { nodeId: this.#nodeId, token: lease.token };
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const lease of this.#leases.values()) lease.held = false;
    this.#leases.clear();
  }
}
