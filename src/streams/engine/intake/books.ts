/**
 * What the engine knows of one stream beside its window state: watermark, counters, positions, ids seen.
 *
 * Role: turns a decoded record into steps, in log order, and keeps what an acknowledgement and a restart need. A pure
 * function of the records (time comes with them), so that a replay makes the same books.
 * Bounds: partitions by the tracker; batches that wait by `pendingBytesMax`; batch ids by `batchIdsMax` and `dedupTtlMs`.
 */
import { createDedup, resizedDedup } from '../../decode/dedup-set.ts';
import type { StreamPlan } from '../../plan.ts';
import type { Accepted } from '../../sources/port.ts';
import { type TrackerJson, trackerFromJson, trackerToJson } from '../../time/tracker-json.ts';
import {
  createTracker,
  isNews,
  isSilent,
  silentPartitions,
  type TimeEvent,
  track,
  type WatermarkOptions,
  type WatermarkTracker,
} from '../../time/watermark.ts';
import { StreamRefusal } from '../port.ts';
import type { DecodeResult, ShardReport } from '../task.ts';
import { WhenFull } from './when-full.ts';

export interface Counters {
  accepted: number;
  rejected: number;
  duplicates: number;
  late: number;
  batches: number;
  results: number;
}

/** A batch that came under an id. */
export interface KnownBatch {
  readonly atMs: number;
  readonly digest: number;
  /** What becomes of it. */
  readonly outcome: Promise<Accepted>;
  /** What became of it; null until it is applied. */
  accepted: Accepted | null;
  /** What its sender was told that none could decode and that is kept; null for others. */
  refusal: StreamRefusal | null;
  /**
   * The same batch in an earlier record, which may or may not be applied. Only a replay meets this: when the batch was
   * taken, the earlier one had been left out (its threads were lost) and was sent again.
   */
  earlier: KnownBatch | null;
  /** What its turn in the order of the log has brought. */
  turn: 'waiting' | 'counted' | 'left out';
}

/** JSON form, part of a checkpoint's facts. */
export interface BookFacts {
  readonly tracker: TrackerJson;
  readonly broughtMs: number;
  /** Absent where an earlier version wrote it. */
  readonly readableSince?: number;
  readonly counters: Counters;
  readonly positions: readonly (readonly [string, string])[];
  readonly batches: readonly {
    readonly id: string;
    readonly atMs: number;
    readonly digest: number;
    readonly outcome: Accepted;
    /** Text of its refusal, where it was refused and kept. */
    readonly refused?: string;
  }[];
}

export class StreamBook {
  plan: StreamPlan;
  readonly counters: Counters = { accepted: 0, rejected: 0, duplicates: 0, late: 0, batches: 0, results: 0 };
  /** Bytes accepted and not applied yet. */
  pendingBytes = 0;
  /** How large the latest batch was, as a multiple of its body; 0 before the first one. */
  batchBytesPerByte = 0;
  readonly whenFull = new WhenFull();
  #tracker: WatermarkTracker = createTracker();
  /** Arrival of the newest events. */
  #broughtMs = 0;
  /** Ids of CloudEvents; made when the first one comes. */
  dedup: SharedArrayBuffer | null = null;
  /** `{source}|{partition}` → position after the newest record applied. */
  readonly positions = new Map<string, string>();
  /** Batches that wait for their answer, by source partition. */
  readonly #asking = new Map<string, number>();
  readonly #batches = new Map<string, KnownBatch>();
  /** Records before this one were decoded by another schema: which of their events is which row is not known any more. */
  #readableSince: number;

  /** `seq`: where in the log it begins. */
  constructor(plan: StreamPlan, seq = 0) {
    this.plan = plan;
    this.#readableSince = seq;
  }

  /** Whether decoded again, now, a record has the rows that it had. */
  isReadable(seq: number): boolean {
    return seq >= this.#readableSince;
  }

  /** What was given before goes on under it. `seq`: its record. */
  usePlan(plan: StreamPlan, seq: number): void {
    if (schemaOf(plan) !== schemaOf(this.plan)) this.#readableSince = seq;
    if (this.dedup !== null) this.dedup = resizedDedup(this.dedup, plan.dedupIdsMax);
    this.plan = plan;
  }

  get watermark(): number {
    return this.#tracker.watermark;
  }

  get #time(): WatermarkOptions {
    return { outOfOrderMs: this.plan.outOfOrderMs, idleAfterMs: this.plan.idleAfterMs };
  }

  /** `clockMs`, here and below: of the clock that nobody sets. It decides what a tick names, and nothing else. */
  observe(event: TimeEvent, clockMs: number): void {
    track(this.#tracker, this.#time, event, clockMs);
  }

  /** A batch of the partition, up to this time. */
  brings(partition: string, tsMax: number, arrivalMs: number, clockMs: number): void {
    if (Number.isFinite(tsMax)) this.#broughtMs = arrivalMs;
    this.observe({ kind: 'events', partition, tsMax }, clockMs);
  }

  /** A batch of the partition is offered: until it is answered its source is not silent, it is not being asked. */
  asks(partition: string, clockMs: number): void {
    this.#asking.set(partition, (this.#asking.get(partition) ?? 0) + 1);
    this.observe({ kind: 'paused', partition }, clockMs);
  }

  answered(partition: string, clockMs: number, isTaken: boolean): void {
    const others = (this.#asking.get(partition) ?? 0) - 1;
    if (others > 0) {
      this.#asking.set(partition, others);
      // The one that was answered may have been the first to bring the partition up.
      this.observe({ kind: 'paused', partition }, clockMs);
    } else {
      this.#asking.delete(partition);
      this.observe({ kind: 'resumed', partition }, clockMs);
    }
    if (!isTaken) this.observe({ kind: 'refused', partition }, clockMs);
  }

  /** Whether the partition has not come to this time yet. */
  isNews(partition: string, tsMs: number): boolean {
    return isNews(this.#tracker, partition, tsMs);
  }

  /** Event time as it would be by the clock, of a stream that is silent; null while it is not. */
  silentTime(nowMs: number): number | null {
    if (!isSilent(this.#tracker)) return null;
    // A clock that was set back goes on from here.
    this.#broughtMs = Math.min(this.#broughtMs, nowMs);
    return this.#tracker.maxTs + nowMs - this.#broughtMs;
  }

  /** Partitions the next tick should name. */
  silent(clockMs: number): string[] {
    return silentPartitions(this.#tracker, this.#time, clockMs);
  }

  dedupSet(): SharedArrayBuffer {
    const dedup = this.dedup ?? createDedup(this.plan.dedupIdsMax);
    this.dedup = dedup;
    return dedup;
  }

  /** The outcome of an earlier batch with this id, now or later. Throws `StreamRefusal` if that had another body. */
  known(batchId: string, nowMs: number, digest: () => number): Promise<Accepted> | undefined {
    const known = this.#batches.get(batchId);
    if (known === undefined || nowMs - known.atMs > this.plan.dedupTtlMs) return undefined;
    if (known.digest === digest()) return known.outcome;
    throw StreamRefusal.usedFor('this batch id');
  }

  remember(batchId: string, atMs: number, digest: number, outcome: Promise<Accepted>): KnownBatch {
    const { batchIdsMax, dedupTtlMs } = this.plan;
    const before = this.#batches.get(batchId);
    const isSame = before !== undefined && before.digest === digest && atMs - before.atMs <= dedupTtlMs;
    const batch: KnownBatch = {
      atMs,
      digest,
      outcome,
      accepted: null,
      refusal: null,
      earlier: isSame ? before : null,
      turn: 'waiting',
    };
    this.#batches.delete(batchId);
    this.#batches.set(batchId, batch);
    // What was not taken may be sent again.
    outcome.catch((error: unknown) => {
      if (!(error instanceof StreamRefusal && error.isKept)) this.#forget(batchId, batch);
    });
    for (const [id, { atMs: seenMs }] of this.#batches) {
      if (this.#batches.size <= batchIdsMax && atMs - seenMs <= dedupTtlMs) break;
      this.#batches.delete(id);
    }
    return batch;
  }

  #forget(batchId: string, batch: KnownBatch): void {
    batch.turn = 'left out';
    if (this.#batches.get(batchId) !== batch) return;
    if (batch.earlier === null || batch.earlier.turn === 'left out') this.#batches.delete(batchId);
    else this.#batches.set(batchId, batch.earlier);
  }

  /** The batch's turn, in order of the log. True when an earlier record of it counts: this one does not. */
  repeats(batch: KnownBatch): boolean {
    while (batch.earlier !== null && batch.earlier.turn !== 'counted') batch.earlier = batch.earlier.earlier;
    batch.turn = 'counted';
    return batch.earlier !== null;
  }

  /**
   * What became of a batch. One that could not be decoded (null) counts as one poison event: how many it has is
   * unknown.
   */
  count(isSetAside: boolean, decoded: DecodeResult | null, late: number): Accepted {
    const { counters } = this;
    counters.batches += 1;
    const decodedEvents = decoded?.accepted ?? 0;
    const accepted = isSetAside ? 0 : decodedEvents;
    const rejected = decoded === null ? 1 : decodedEvents - accepted + decoded.rejected.length + decoded.rejectedMore;
    counters.accepted += accepted;
    counters.duplicates += decoded?.duplicates ?? 0;
    counters.rejected += rejected;
    counters.late += late;
    return { accepted, rejected, late };
  }

  facts(): BookFacts {
    return {
      tracker: trackerToJson(this.#tracker),
      broughtMs: this.#broughtMs,
      readableSince: this.#readableSince,
      counters: { ...this.counters },
      positions: [...this.positions],
      batches: [...this.#batches].flatMap(([id, { accepted, atMs, digest, refusal }]) => {
        if (accepted === null) return [];
        return [{ id, atMs, digest, outcome: accepted, ...(refusal !== null && { refused: refusal.message }) }];
      }),
    };
  }

  restore(facts: BookFacts): void {
    this.#tracker = trackerFromJson(facts.tracker);
    this.#broughtMs = facts.broughtMs;
    this.#readableSince = facts.readableSince ?? 0;
    Object.assign(this.counters, facts.counters);
    for (const [name, position] of facts.positions) this.positions.set(name, position);
    for (const { id, atMs, digest, outcome, refused } of facts.batches) {
      const refusal = refused === undefined ? null : new StreamRefusal('undecodable', refused);
      const answer = refusal === null ? Promise.resolve(outcome) : Promise.reject(refusal);
      const batch = this.remember(id, atMs, digest, answer);
      Object.assign(batch, { accepted: outcome, refusal });
      batch.turn = 'counted';
    }
  }
}

/** All by which an event is taken or refused. */
function schemaOf({ fields, key, maxFutureMs, timestampField, timestampUnit }: StreamPlan): string {
  return JSON.stringify([fields, key, maxFutureMs, timestampField, timestampUnit]);
}

/** Events of a record that were late for a window, of the window that had most of them. */
export function lateOf(seq: number, reports: readonly ShardReport[]): number {
  const byOperator = new Map<number, number>();
  for (const { letGo } of reports) {
    for (const entry of letGo) {
      if (entry.kind !== 'late' || entry.seq !== seq) continue;
      byOperator.set(entry.operator, (byOperator.get(entry.operator) ?? 0) + entry.count);
    }
  }
  return Math.max(0, ...byOperator.values());
}
