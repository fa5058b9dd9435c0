/**
 * Leases that Redis keeps: one holder per name over all nodes, while it lives and a time to live after it died.
 *
 * Role: renews what is held in the background and tells when it cannot. Invariants: `held` is false from `MARGIN_SHARE` of
 * the time to live before Redis could give the lease to another, counted by the monotonic clock from before the renewal
 * was sent; a lease that was lost is never held again. Whoever slept through its end must find its writes refused: what
 * is written under a lease carries its token, which is checked there (`streams/cluster/fence.ts`).
 */
import { randomUUID } from 'node:crypto';
import type { RedisConnection } from '../../redis/connection.ts';
import { RedisUnavailable } from '../../redis/unavailable.ts';
import type { Lease, Leases } from '../port.ts';
import { ACQUIRE, HOLDER, leaseKey, RELEASE, RENEW } from './lease-script.ts';

export const LEASE_TTL_MS = 10_000;
/** Held by one node at once. */
const LEASES_MAX = 10_000;
/** Part of the time to live that is given away for clocks that do not run alike and code between a look and a write. */
const MARGIN_SHARE = 0.2;
/** A renewal is due after a third of it; one that failed is tried again twice as often. */
const RENEWALS = 3;
const LOOKS = 6;

export interface RedisLeasesOptions {
  readonly commands: RedisConnection;
  readonly nodeId: string;
  readonly prefix: string;
  /** Default `LEASE_TTL_MS`. */
  readonly ttlMs?: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

class RedisLease implements Lease {
  readonly name: string;
  readonly token: number;
  onLost: (() => void) | null = null;
  readonly #now: () => number;
  #heldUntilMs: number;
  renewedAtMs: number;
  renewing = false;
  ended = false;

  constructor(name: string, token: number, now: () => number, sentAtMs: number, heldUntilMs: number) {
    this.name = name;
    this.token = token;
    this.#now = now;
    this.renewedAtMs = sentAtMs;
    this.#heldUntilMs = heldUntilMs;
  }

  get held(): boolean {
    return !this.ended && this.#now() < this.#heldUntilMs;
  }

  renewed(sentAtMs: number, heldUntilMs: number): void {
    this.renewedAtMs = sentAtMs;
    this.#heldUntilMs = heldUntilMs;
  }
}

export class RedisLeases implements Leases {
  readonly ttlMs: number;
  readonly #options: RedisLeasesOptions;
  /** Another start of this node has another one. */
  readonly #instance = randomUUID();
  readonly #leases = new Map<string, RedisLease>();
  /** Names being acquired now. */
  readonly #asked = new Set<string>();
  readonly #timer: NodeJS.Timeout;
  #closed = false;

  constructor(options: RedisLeasesOptions) {
    this.#options = options;
    this.ttlMs = options.ttlMs ?? LEASE_TTL_MS;
    this.#timer = setInterval(() => this.#look(), this.ttlMs / LOOKS);
    this.#timer.unref();
  }

  async acquire(name: string): Promise<Lease | null> {
    if (this.#closed) throw new RedisUnavailable('away', 'the leases of this node are closed', false);
    if (this.#leases.has(name) || this.#asked.has(name)) return null;
    if (this.#leases.size + this.#asked.size >= LEASES_MAX) {
      throw new RedisUnavailable('busy', `this node holds ${LEASES_MAX} leases`, false);
    }
    this.#asked.add(name);
    try {
      return await this.#ask(name);
    } finally {
      this.#asked.delete(name);
    }
  }

  async #ask(name: string): Promise<Lease | null> {
    const { commands, nodeId, now } = this.#options;
    const sentAtMs = now();
    const reply = await commands.script(ACQUIRE, [this.#key(name)], [nodeId, this.#instance, this.ttlMs]);
    if (reply === null) return null;
    const lease = new RedisLease(name, Number(reply), now, sentAtMs, this.#heldUntilMs(sentAtMs));
    if (this.#closed) {
      await this.#giveBack(lease);
      return null;
    }
    this.#leases.set(name, lease);
    return lease;
  }

  #heldUntilMs(sentAtMs: number): number {
    return sentAtMs + this.ttlMs * (1 - MARGIN_SHARE);
  }

  async release(lease: Lease): Promise<void> {
    const own = this.#leases.get(lease.name);
    if (own === undefined || own !== lease) return;
    own.ended = true;
    this.#leases.delete(lease.name);
    await this.#giveBack(own);
  }

  /** What cannot be given back ends by itself. */
  async #giveBack(lease: RedisLease): Promise<void> {
    try {
      await this.#options.commands.script(RELEASE, [this.#key(lease.name)], [lease.token]);
    } catch (error) {
      if (!(error instanceof RedisUnavailable)) throw error;
    }
  }

  async holder(name: string): Promise<{ nodeId: string; token: number } | null> {
    const reply = await this.#options.commands.script(HOLDER, [this.#key(name)], []);
    if (!Array.isArray(reply)) return null;
    return { nodeId: String(reply[0]), token: Number(reply[1]) };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    await Promise.all([...this.#leases.values()].map((lease) => this.release(lease)));
  }

  #look(): void {
    const nowMs = this.#options.now();
    for (const lease of [...this.#leases.values()]) {
      if (!lease.held) this.#lose(lease);
      else if (!lease.renewing && nowMs - lease.renewedAtMs >= this.ttlMs / RENEWALS) void this.#renew(lease);
    }
  }

  async #renew(lease: RedisLease): Promise<void> {
    lease.renewing = true;
    const { commands, now } = this.#options;
    const sentAtMs = now();
    try {
      const reply = await commands.script(RENEW, [this.#key(lease.name)], [lease.token, this.ttlMs]);
      if (reply === 1 && lease.held) lease.renewed(sentAtMs, this.#heldUntilMs(sentAtMs));
      else this.#lose(lease);
    } catch (error) {
      if (!(error instanceof RedisUnavailable)) throw error;
      // Tried again at the next look, until it is no longer held.
    } finally {
      lease.renewing = false;
    }
  }

  #lose(lease: RedisLease): void {
    if (lease.ended) return;
    lease.ended = true;
    this.#leases.delete(lease.name);
    lease.onLost?.();
  }

  #key(name: string): string {
    return leaseKey(this.#options.prefix, name);
  }
}
