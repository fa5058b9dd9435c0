/**
 * Decides, for one unit, whether this node runs it, and does what follows.
 *
 *   away ──lease acquired──► opening ──opened──► owning ──asked to yield, stopped──► closing ──► away
 *                               │ failed: lease given back, tried again later    │
 *                               └──────────────► away ◄──lease or token lost: ended at once──┘
 *
 * Role: the node that ranks first (`rendezvous.ts`) takes the lease when it is free, and asks the holder to yield when it
 * is not; the holder closes with a checkpoint and gives the lease back, as long as it sees the asker before itself. So
 * nobody gives a unit away to a node that does not come for it, and views that differ for a moment move nothing. A node
 * that ranks later takes a lease that has been free for longer than its turn: a first one that cannot open it does not
 * keep the unit down.
 * Invariants: one step at a time; an engine lives only under a lease that was held when it began, and is ended in the
 * turn in which that is lost; what was not written by then is refused by its token.
 */
import type { Lease, Leases, Membership } from '../../cluster/port.ts';
import { RedisUnavailable } from '../../redis/unavailable.ts';
import type { EngineLog } from '../engine/engine.ts';
import { ranking } from './rendezvous.ts';
import type { UnitEngine } from './unit-engine.ts';
import type { Unit } from './units.ts';

/** How long a free lease is left to each node that ranks before this one. */
const TURN_MS = 2_000;
const PAUSE_MS = 250;
const PAUSE_MS_MAX = 30_000;
/** While Redis is away, however long: whoever waits for it wants the unit soon after it is back, and asking costs nothing. */
const AWAY_PAUSE_MS = 1_000;
/** Between two requests to yield. */
const ASK_MS = 2_000;
/** A node that could not open a unit takes it from nobody who can for so long. */
const ASK_AFTER_FAILURE_MS = 60_000;

export interface OwnershipPorts {
  readonly leases: Leases;
  readonly membership: Membership;
  /** Rejects, soon, when it is `unwanted` before it is open. */
  open(unit: Unit, lease: Lease, lost: (reason: string) => void, unwanted: AbortSignal): Promise<UnitEngine>;
  /** Resolves when the other node has given it back, or never had it; rejects when it does not or cannot be asked. */
  askToYield(nodeId: string, unit: string): Promise<void>;
  /** The engine came or went. */
  changed(): void;
  readonly log: EngineLog;
  /** Monotonic ms. */
  readonly now: () => number;
}

export const leaseName = (unit: string): string => `stream:${unit}`;

export class UnitOwnership {
  readonly unit: Unit;
  readonly #ports: OwnershipPorts;
  #engine: UnitEngine | null = null;
  /** Of the engine that is being opened. */
  #opening: AbortController | null = null;
  #stopped = false;
  #turn: Promise<unknown> = Promise.resolve();
  /** Waits for its turn. */
  #nextLook: Promise<void> | null = null;
  #failures = 0;
  #retryAtMs = 0;
  #askAtMs = 0;
  #freeSinceMs: number | null = null;
  /** Why the last opening failed; `''` when it did not, or when another node runs it. */
  trouble = '';

  constructor(unit: Unit, ports: OwnershipPorts) {
    this.unit = unit;
    this.#ports = ports;
  }

  /** Of this node, and good to be asked; null otherwise. */
  get engine(): UnitEngine | null {
    return this.#engine?.live === true ? this.#engine : null;
  }

  /** Does what is to be done now. Never rejects. */
  look(): Promise<void> {
    this.#nextLook ??= this.#inTurn(async () => {
      this.#nextLook = null;
      try {
        await this.#step();
      } catch (error) {
        this.#failed(error);
      }
    });
    return this.#nextLook;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #step(): Promise<void> {
    if (this.#stopped) return;
    if (this.#engine !== null) {
      const reason = this.#whyToEnd(this.#engine);
      if (reason !== '') await this.#end(reason);
      return;
    }
    const { now } = this.#ports;
    const rank = this.#rankOf(this.#ports.membership.id);
    if (rank < 0 || now() < this.#retryAtMs) return;
    if (rank > 0 && !(await this.#isOverdue(rank))) return;
    const lease = await this.#ports.leases.acquire(leaseName(this.unit.name));
    if (lease !== null) {
      await this.#open(lease);
      return;
    }
    this.trouble = '';
    if (rank === 0) await this.#ask();
  }

  #whyToEnd(engine: UnitEngine): string {
    if (this.#ports.membership.fenced) return 'another start of this node has taken over';
    if (engine.broken) return 'its engine cannot go on';
    return engine.live ? '' : 'the lease was lost';
  }

  /** −1: it should run nothing. */
  #rankOf(nodeId: string): number {
    if (nodeId === this.#ports.membership.id && this.#ports.membership.fenced) return -1;
    const running = this.#ports.membership.nodes.filter(({ status }) => status === 'running').map(({ id }) => id);
    return ranking(this.unit.name, running).indexOf(nodeId);
  }

  async #isOverdue(rank: number): Promise<boolean> {
    const { leases, now } = this.#ports;
    if ((await leases.holder(leaseName(this.unit.name))) !== null) {
      this.#freeSinceMs = null;
      this.trouble = '';
      return false;
    }
    this.#freeSinceMs ??= now();
    return now() - this.#freeSinceMs >= rank * TURN_MS;
  }

  async #open(lease: Lease): Promise<void> {
    const { log } = this.#ports;
    const unit = this.unit.name;
    this.#freeSinceMs = null;
    let reason = '';
    const opening = new AbortController();
    const lost = (why: string): void => {
      reason = why;
      opening.abort();
      this.#lost(lease, why);
    };
    lease.onLost = () => lost('the lease was lost');
    this.#opening = opening;
    try {
      const engine = await this.#ports.open(this.unit, lease, lost, opening.signal);
      if (this.#stopped || reason !== '' || !engine.live) {
        await (this.#stopped ? engine.close() : engine.abandon());
        throw new Error(reason === '' ? 'the node is stopping' : reason);
      }
      this.#engine = engine;
    } catch (error) {
      await this.#giveBack(lease);
      throw error;
    } finally {
      this.#opening = null;
    }
    this.#failures = 0;
    this.trouble = '';
    log.info({ unit, token: lease.token }, 'this node runs these streams now');
    this.#ports.changed();
  }

  /** In the turn in which it is known. */
  #lost(lease: Lease, reason: string): void {
    const engine = this.#engine;
    if (engine === null || engine.lease !== lease) return;
    this.#ports.log.warn({ unit: this.unit.name, reason }, 'this node does not run these streams any more');
    engine.abandon().catch((error: unknown) => this.#note(error, 'streams that were lost could not be ended cleanly'));
    void this.look();
  }

  async #end(reason: string): Promise<void> {
    const engine = this.#engine as UnitEngine;
    this.#ports.log.warn({ unit: this.unit.name, reason }, 'these streams are ended here');
    await engine.abandon().catch((error: unknown) => this.#note(error, 'streams could not be ended cleanly'));
    await this.#giveBack(engine.lease);
    this.#engine = null;
    this.#ports.changed();
    this.#pause();
  }

  async #ask(): Promise<void> {
    const { askToYield, leases, membership, now } = this.#ports;
    if (now() < this.#askAtMs) return;
    const holder = await leases.holder(leaseName(this.unit.name));
    if (holder === null || holder.nodeId === membership.id || membership.node(holder.nodeId) === undefined) return;
    this.#askAtMs = now() + ASK_MS;
    try {
      await askToYield(holder.nodeId, this.unit.name);
    } catch (error) {
      // It may be gone, or see the nodes otherwise: the lease ends, or the views meet.
      this.#ports.log.info(
        { err: error, unit: this.unit.name, holder: holder.nodeId },
        'the holder does not yield yet',
      );
      return;
    }
    void this.look();
  }

  /** True when this node does not have it (any more): saved and closed, the lease is free. */
  yieldTo(nodeId: string): Promise<boolean> {
    return this.#inTurn(async () => {
      if (this.#engine === null) return true;
      const theirs = this.#rankOf(nodeId);
      const mine = this.#rankOf(this.#ports.membership.id);
      if (theirs < 0 || (mine >= 0 && mine < theirs)) return false;
      await this.#closeEngine();
      return true;
    });
  }

  async #closeEngine(): Promise<void> {
    const engine = this.#engine;
    if (engine === null) return;
    try {
      await engine.close();
    } catch (error) {
      this.#note(error, 'streams could not be closed cleanly');
    }
    this.#engine = null;
    await this.#giveBack(engine.lease);
    this.#ports.changed();
  }

  /** Closes for good. */
  stop(): Promise<void> {
    this.#stopped = true;
    this.#opening?.abort();
    return this.#inTurn(() => this.#closeEngine());
  }

  /** Ends at once and gives nothing back, as a crash would. */
  async abandon(): Promise<void> {
    this.#stopped = true;
    this.#opening?.abort();
    await this.#engine?.abandon();
  }

  async #giveBack(lease: Lease): Promise<void> {
    lease.onLost = null;
    // Without it the lease ends by itself.
    await this.#ports.leases.release(lease).catch(() => undefined);
  }

  #failed(error: unknown): void {
    const before = this.trouble;
    this.trouble = error instanceof Error ? error.message : String(error);
    // What Redis refuses for what is in it, another look does not change.
    const isAway = error instanceof RedisUnavailable && error.why !== 'refused';
    if (!isAway || this.trouble !== before) this.#note(error, 'streams could not be taken over; retrying');
    if (isAway) {
      this.#retryAtMs = this.#ports.now() + AWAY_PAUSE_MS;
      return;
    }
    this.#askAtMs = this.#ports.now() + ASK_AFTER_FAILURE_MS;
    this.#pause();
  }

  #pause(): void {
    this.#failures += 1;
    this.#retryAtMs = this.#ports.now() + Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** Math.min(16, this.#failures - 1));
  }

  #note(error: unknown, message: string): void {
    this.#ports.log.warn({ err: error, unit: this.unit.name }, message);
  }
}
