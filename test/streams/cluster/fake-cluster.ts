/**
 * Who is there and who holds what, in this process: membership, leases and messages of nodes that a test starts, stops,
 * cuts off, and leaves believing in a lease they have lost.
 */
import { setImmediate } from 'node:timers/promises';
import { type PeerHandler, type Peers, PeerUnavailable } from '../../../src/cluster/peers/port.ts';
import type { Lease, Leases, Membership, NodeRecord, NodeStatus } from '../../../src/cluster/port.ts';

interface Held {
  readonly nodeId: string;
  readonly lease: { held: boolean; onLost: (() => void) | null } & Lease;
}

interface Member {
  status: NodeStatus;
  readonly handlers: Map<string, PeerHandler>;
  readonly listeners: Set<() => void>;
  /** Messages reach it. */
  reachable: boolean;
}

export class FakeCluster {
  readonly #members = new Map<string, Member>();
  readonly #held = new Map<string, Held>();
  readonly #delays = new Map<string, Promise<void>>();
  #token = 0;
  /** Every lease ever given, in order. */
  readonly given: { readonly name: string; readonly nodeId: string; readonly token: number }[] = [];
  messages = 0;

  join(nodeId: string): { readonly membership: Membership; readonly leases: Leases; readonly peers: Peers } {
    this.#members.set(nodeId, { status: 'running', handlers: new Map(), listeners: new Set(), reachable: true });
    this.#changed();
    return { membership: this.#membershipOf(nodeId), leases: this.#leasesOf(nodeId), peers: this.#peersOf(nodeId) };
  }

  leave(nodeId: string): void {
    this.#members.delete(nodeId);
    this.#changed();
  }

  setStatus(nodeId: string, status: NodeStatus): void {
    const member = this.#members.get(nodeId);
    if (member !== undefined) member.status = status;
    this.#changed();
  }

  setReachable(nodeId: string, reachable: boolean): void {
    const member = this.#members.get(nodeId);
    if (member !== undefined) member.reachable = reachable;
  }

  /** What it asks of others is on its way until the answer is called. */
  delay(nodeId: string): () => void {
    let release = (): void => undefined;
    const delayed = new Promise<void>((resolve) => {
      release = resolve;
    });
    this.#delays.set(nodeId, delayed);
    return () => {
      this.#delays.delete(nodeId);
      release();
    };
  }

  /** The store gives its leases to others; `told`: it knows. */
  expire(nodeId: string, told: boolean): readonly Lease[] {
    const expired: Held[] = [];
    for (const [name, held] of this.#held) {
      if (held.nodeId !== nodeId) continue;
      this.#held.delete(name);
      expired.push(held);
    }
    if (told) for (const { lease } of expired) this.tell(lease);
    return expired.map(({ lease }) => lease);
  }

  /** It learns that it has lost it. */
  tell(lease: Lease): void {
    (lease as Held['lease']).held = false;
    lease.onLost?.();
  }

  holderOf(name: string): string | null {
    return this.#held.get(name)?.nodeId ?? null;
  }

  #changed(): void {
    for (const { listeners } of this.#members.values()) for (const listener of listeners) listener();
  }

  #membershipOf(nodeId: string): Membership {
    const members = this.#members;
    const listeners = (): Set<() => void> => members.get(nodeId)?.listeners ?? new Set();
    const nodes = (): NodeRecord[] => [...members].map(([id, { status }]) => recordOf(id, status));
    return {
      id: nodeId,
      get nodes() {
        return nodes();
      },
      node: (id) => nodes().find((each) => each.id === id),
      join: async () => undefined,
      update: () => undefined,
      leave: async () => undefined,
      onChange(listener) {
        const its = listeners();
        its.add(listener);
        return () => its.delete(listener);
      },
      known: true,
      fenced: false,
      degraded: [],
    };
  }

  #leasesOf(nodeId: string): Leases {
    return {
      ttlMs: 1000,
      acquire: async (name) => {
        await setImmediate();
        if (this.#held.has(name)) return null;
        this.#token += 1;
        const lease: Held['lease'] = { name, token: this.#token, held: true, onLost: null };
        this.#held.set(name, { nodeId, lease });
        this.given.push({ name, nodeId, token: lease.token });
        return lease;
      },
      release: async (lease) => {
        await setImmediate();
        if (this.#held.get(lease.name)?.lease === lease) this.#held.delete(lease.name);
        (lease as Held['lease']).held = false;
      },
      holder: async (name) => {
        await setImmediate();
        const held = this.#held.get(name);
        return held === undefined ? null : { nodeId: held.nodeId, token: held.lease.token };
      },
      close: async () => undefined,
    };
  }

  #peersOf(from: string): Peers {
    const ask: Peers['ask'] = async (nodeId, { body, facts, path }) => {
      await setImmediate();
      this.messages += 1;
      await this.#delays.get(from);
      const member = this.#members.get(nodeId);
      const own = this.#members.get(from);
      const handler = member?.handlers.get(path);
      if (handler === undefined || member?.reachable !== true || own?.reachable !== true) {
        throw new PeerUnavailable(nodeId, 'it does not answer', false);
      }
      const answer = await new Promise<{ status: number; body: Uint8Array }>((resolve) => {
        const sent = { from, facts: JSON.parse(JSON.stringify(facts)), body: Buffer.from(body) };
        handler(sent, {
          open: true,
          send: (status, bytes) => resolve({ status, body: Buffer.from(bytes) }),
          openFrames: () => {
            throw new Error('not needed here');
          },
        });
      });
      // The answer is lost with whoever goes meanwhile, as a connection would be.
      if (this.#members.get(nodeId) !== member || member.reachable !== true) {
        throw new PeerUnavailable(nodeId, 'it broke off', true);
      }
      return answer;
    };
    return {
      ask,
      stream: () => {
        throw new Error('not needed here');
      },
      serve: (path, handler) => void this.#members.get(from)?.handlers.set(path, handler),
      close: () => undefined,
    };
  }
}

function recordOf(id: string, status: NodeStatus): NodeRecord {
  const url = `http://${id}`;
  return { id, status, url, load: 0, maxLoad: 1, busy: false, tools: [], version: '0', epoch: 1, heartbeatAgeMs: 0 };
}
