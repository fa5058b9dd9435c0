/**
 * The way to a unit: to its engine when this node runs it, else to the node that holds its lease.
 *
 * Role: keeps what this node knows of a unit: its own part in it (`ownership`), who runs it elsewhere, what is in force.
 * Who holds the lease is asked of the store and remembered for `HOLDER_MS`; what proves wrong is asked again once. A unit
 * that nobody runs, or that is moving, is refused with a time to wait.
 * Invariant: what another node sent here is never sent on.
 */
import { type Peers, PeerUnavailable } from '../../cluster/peers/port.ts';
import type { Leases } from '../../cluster/port.ts';
import { RedisUnavailable } from '../../redis/unavailable.ts';
import type { StreamDefinition } from '../define/definition.ts';
import { type StreamFacts, StreamRefusal } from '../engine/port.ts';
import type { UnitEngine } from './unit-engine.ts';
import { askNode, NotOwner, type UnitMessage } from './unit-messages.ts';
import { leaseName, type UnitOwnership } from './unit-ownership.ts';
import type { Unit } from './units.ts';

const HOLDER_MS = 5_000;
const RETRY_AFTER_MS = 1000;

export interface RoutePorts {
  readonly nodeId: string;
  readonly leases: Leases;
  readonly peers: Peers;
  /** Monotonic ms. */
  readonly now: () => number;
}

export class UnitRoute {
  readonly unit: Unit;
  readonly ownership: UnitOwnership;
  /** In force with the owner, as far as is known here. */
  definitions: readonly StreamDefinition[];
  /** As the owner last told them. */
  facts: readonly StreamFacts[] = [];
  readonly #ports: RoutePorts;
  #holder: { readonly nodeId: string; readonly atMs: number } | null = null;

  constructor(unit: Unit, ownership: UnitOwnership, ports: RoutePorts) {
    this.unit = unit;
    this.ownership = ownership;
    this.definitions = unit.definitions;
    this.#ports = ports;
  }

  get names(): readonly string[] {
    return this.definitions.map(({ name }) => name);
  }

  /** By the engine of this node. Rejects with `NotOwner`, or with `StreamRefusal` when it ends meanwhile. */
  async answer<T>(work: (engine: UnitEngine) => T | Promise<T>): Promise<T> {
    const { engine } = this.ownership;
    if (engine === null) throw new NotOwner(`unit ${this.unit.name} is not run here`);
    try {
      return await work(engine);
    } catch (error) {
      if (error instanceof StreamRefusal) throw error;
      if (!engine.live) throw this.#moving();
      if (!(error instanceof RedisUnavailable)) throw error;
      throw new StreamRefusal('unavailable', `${this.#shown}: ${error.message}`, RETRY_AFTER_MS);
    }
  }

  /** Here when this node runs it, else there. Rejects with `StreamRefusal`. */
  async ask<T>(here: (engine: UnitEngine) => T | Promise<T>, there: UnitMessage): Promise<T> {
    for (let tries = 1; ; tries++) {
      const { engine } = this.ownership;
      if (engine !== null) return this.answer(here);
      const nodeId = await this.#holderNow(tries > 1);
      if (nodeId === null || nodeId === this.#ports.nodeId) throw this.#moving();
      try {
        return (await askNode(this.#ports.peers, nodeId, there)) as T;
      } catch (error) {
        // The owner's own answer.
        if (error instanceof StreamRefusal) throw error;
        this.#holder = null;
        if (error instanceof NotOwner && tries === 1) continue;
        if (error instanceof NotOwner) throw this.#moving();
        if (!(error instanceof PeerUnavailable)) throw error;
        // What had left may have been taken: only who sends a batch id may be asked twice.
        if (!error.maybeDone && tries === 1) continue;
        throw this.#unreachable(nodeId, error);
      }
    }
  }

  async #holderNow(anew: boolean): Promise<string | null> {
    const { leases, now } = this.#ports;
    const known = this.#holder;
    if (!anew && known !== null && now() - known.atMs < HOLDER_MS) return known.nodeId;
    let holder: Awaited<ReturnType<Leases['holder']>>;
    try {
      holder = await leases.holder(leaseName(this.unit.name));
    } catch {
      // Told by the connection already; who asks is to come again.
      throw new StreamRefusal('unavailable', `who runs ${this.#shown} is not known: Redis is away`, RETRY_AFTER_MS);
    }
    this.#holder = holder === null ? null : { nodeId: holder.nodeId, atMs: now() };
    return holder?.nodeId ?? null;
  }

  /** The one that was known may be so no more. */
  forgetHolder(): void {
    this.#holder = null;
  }

  get #shown(): string {
    return `stream ${this.names.join(', ').slice(0, 200)}`;
  }

  #moving(): StreamRefusal {
    const why =
      this.ownership.trouble === ''
        ? 'is moving between nodes'
        : 'is run by no node: this one could not take it over, and its log says why';
    return new StreamRefusal('stopped', `${this.#shown} ${why}`, RETRY_AFTER_MS);
  }

  #unreachable(nodeId: string, { message }: PeerUnavailable): StreamRefusal {
    const text = `node ${nodeId}, which runs ${this.#shown}, cannot be reached: ${message}`;
    return new StreamRefusal('unavailable', text, RETRY_AFTER_MS);
  }
}
