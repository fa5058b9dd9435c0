/**
 * Which nodes are believed to be alive, from what the registry said last and when.
 *
 * Role: pure; times come in and are monotonic ones of this process, so that a clock that is set forward or back changes
 * nothing. A node is known until its time to live has passed since its last heartbeat. It goes at once when it says
 * goodbye, but not when the registry forgot it before its time: a Redis that lost everything has not killed any node.
 * While the registry cannot be asked, or has lost this node too, no node goes, however long that takes: one that is
 * dead is found out by whoever calls it. Once the registry is back, every node has its time to live to be seen again.
 */
import type { NodeRecord } from '../port.ts';
import { HEARTBEATS_TO_LIVE, type Seen } from './node-hash.ts';

interface Known {
  readonly record: NodeRecord;
  /** When it was as old as its record says. */
  readonly seenAtMs: number;
  goneAtMs: number;
}

export class KnownNodes {
  readonly #known = new Map<string, Known>();
  /** Epochs of nodes that said goodbye a moment ago: an answer that was on its way then must not bring them back. */
  readonly #goodbyes = new Map<string, { readonly epoch: number; readonly untilMs: number }>();
  readonly #heartbeatMs: number;
  #away = false;

  constructor(heartbeatMs: number) {
    this.#heartbeatMs = heartbeatMs;
  }

  get #ttlMs(): number {
    return HEARTBEATS_TO_LIVE * this.#heartbeatMs;
  }

  /** What the registry told of all nodes it has, asked at `askedAtMs`. */
  told(all: readonly Seen[], askedAtMs: number): void {
    if (this.#away) {
      this.#away = false;
      for (const known of this.#known.values()) known.goneAtMs = Math.max(known.goneAtMs, askedAtMs + this.#ttlMs);
    }
    for (const { leftMs, record } of all) {
      const before = this.#known.get(record.id);
      // Read before a new start or a goodbye was heard of.
      if (before !== undefined && before.record.epoch > record.epoch) continue;
      if ((this.#goodbyes.get(record.id)?.epoch ?? -1) >= record.epoch) continue;
      this.#known.set(record.id, { record, seenAtMs: askedAtMs, goneAtMs: askedAtMs + leftMs });
    }
    this.#drop(askedAtMs);
  }

  /** It could not be asked. */
  away(): void {
    this.#away = true;
  }

  /** Whom another one knew who has gone, as this one begins. */
  recall(nodes: readonly NodeRecord[], nowMs: number): void {
    this.away();
    for (const record of nodes) this.#known.set(record.id, { record, seenAtMs: nowMs, goneAtMs: nowMs + this.#ttlMs });
  }

  /** It said goodbye. */
  left(id: string, epoch: number, nowMs: number): void {
    this.#goodbyes.set(id, { epoch, untilMs: nowMs + this.#ttlMs });
    const known = this.#known.get(id);
    if (known !== undefined && known.record.epoch <= epoch) this.#known.delete(id);
  }

  #drop(nowMs: number): void {
    for (const [id, { goneAtMs }] of this.#known) if (goneAtMs <= nowMs) this.#known.delete(id);
    for (const [id, { untilMs }] of this.#goodbyes) if (untilMs <= nowMs) this.#goodbyes.delete(id);
  }

  /** When the next one is due to go, if nothing is heard of it. */
  get nextGoneAtMs(): number {
    let next = Number.POSITIVE_INFINITY;
    if (this.#away) return next;
    for (const { goneAtMs } of this.#known.values()) next = Math.min(next, goneAtMs);
    return next;
  }

  has(id: string): boolean {
    return this.#known.has(id);
  }

  /** By id, as old as they are now. */
  list(nowMs: number): NodeRecord[] {
    return [...this.#known.values()]
      .map(({ record, seenAtMs }) => ({
        ...record,
        heartbeatAgeMs: Math.round(record.heartbeatAgeMs + nowMs - seenAtMs),
      }))
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  }
}
