/**
 * Results that become events of streams: gathered per record and stream, and given out when nothing more can come.
 *
 * Role: between the fan-out, which brings results, and the engine, which makes batches of them. What a record of the log
 * leads to for a stream is given out once every stream that feeds this one, and has events of the record itself, is done
 * with it: one batch, or, where time went on in parts (`shards/time-parts.ts`), one of several parts each time that
 * `batchBytes` have come. Their numbers are the record's plus 1, 2, … parts of `BETWEEN_RECORDS`, in the order in which
 * they are given out: that follows from the plan and the results, so that the same log leads to the same batches, however
 * its records were gathered into rounds.
 * Rule: retractions, and the outputs `late` and `timeout`, become events only of a stream whose schema can say so: by a
 * boolean field `retraction`, and a text field `output` (`''` for the main one). Otherwise they would count as new
 * results.
 * Bounds: of one record `recordBytesMax` of events, for all streams together; the results behind those are left out.
 * With so many batches, and as many streams as there may be, there are numbers for all. The pipeline takes nothing
 * further until they are applied.
 */
import { type Feed, FeedGraph } from '../../feeds.ts';
import { BETWEEN_RECORDS } from '../../operator.ts';
import type { Plan } from '../../plan.ts';
import { recordOfPart } from '../shards/time-parts.ts';
import type { ResultChunk } from '../task.ts';
import { DerivedEvents } from './derived-body.ts';
import { collectInto, type Wants } from './result-event.ts';

interface Target extends Wants {
  readonly index: number;
}

export const DERIVED_BOUNDS: DerivedBounds = { batchBytes: 8 * 1024 * 1024, recordBytesMax: 512 * 1024 * 1024 };

/** Of one record. */
interface Gathered {
  /** By stream; of the last one there may be more. */
  readonly waiting: Map<number, DerivedEvents[]>;
  /** Streams whose batches are on their way, by the batches' numbers. */
  readonly underway: Map<number, number>;
  /** Batches so far. */
  batches: number;
  /** Room for more: bytes. */
  room: number;
  /** By stream: results that there was none for. */
  readonly leftOut: Map<number, number>;
}

/** Streams by index. */
export interface DerivedPorts {
  /** `seq` is between the log's whole numbers. */
  derive(stream: number, seq: number, events: DerivedEvents): void;
  /** So many results of the record that there was no room for. */
  leftOut(stream: number, record: number, results: number): void;
}

export interface DerivedBounds {
  readonly batchBytes: number;
  readonly recordBytesMax: number;
}

export class Derivations {
  #graph: FeedGraph;
  /** By operator. */
  #targets: readonly (readonly Target[])[];
  readonly #records = new Map<number, Gathered>();

  readonly #bounds: DerivedBounds;

  constructor(plan: Plan, feeds: readonly Feed[], bounds = DERIVED_BOUNDS) {
    this.#bounds = bounds;
    this.#graph = new FeedGraph(plan, feeds);
    const targets = plan.streams.map(({ fields, index }) => ({
      index,
      takesRetractions: fields.some(({ name, type }) => name === 'retraction' && type === 'boolean'),
      takesOutputs: fields.some(({ name, type }) => name === 'output' && type === 'string'),
    }));
    this.#targets = plan.operators.map(({ index }) => {
      const indexes = new Set(feeds.filter(({ operator }) => operator === index).map(({ target }) => target));
      return [...indexes].map((target) => targets[target] as Target);
    });
  }

  get graph(): FeedGraph {
    return this.#graph;
  }

  /** Takes the results of an operator, in order. */
  collect(chunk: ResultChunk): void {
    for (const target of this.#targets[chunk.operator] ?? []) {
      if (chunk.output !== '' && !target.takesOutputs) continue;
      this.#gather(chunk, target);
    }
  }

  #gather(chunk: ResultChunk, target: Target): void {
    const record = Math.floor(recordOfPart(chunk.seq));
    const gathered = this.#records.get(record) ?? this.#begun(record);
    const batches = gathered.waiting.get(target.index) ?? [new DerivedEvents(chunk.seq)];
    gathered.waiting.set(target.index, batches);
    let events = batches.at(-1) as DerivedEvents;
    if (events.seq !== chunk.seq && events.bytes >= this.#bounds.batchBytes) {
      events = new DerivedEvents(chunk.seq);
      batches.push(events);
    }
    events.seq = chunk.seq;
    const before = events.bytes;
    const leftOut = collectInto(events, chunk, target, gathered.room);
    gathered.room -= events.bytes - before;
    if (leftOut === 0) return;
    // Nor do shorter ones come in behind those: which they are may change with how results were cut into chunks.
    gathered.room = 0;
    gathered.leftOut.set(target.index, (gathered.leftOut.get(target.index) ?? 0) + leftOut);
  }

  #begun(record: number): Gathered {
    const room = this.#bounds.recordBytesMax;
    const gathered = { waiting: new Map(), underway: new Map(), batches: 0, room, leftOut: new Map() };
    this.#records.set(record, gathered);
    return gathered;
  }

  /** A record, or a batch of a stream that was made of its results, is applied or left out: its results are all here. */
  done(seq: number, { derive, leftOut }: DerivedPorts): void {
    const record = Math.floor(seq);
    const gathered = this.#records.get(record);
    if (gathered === undefined) return;
    const { underway, waiting } = gathered;
    underway.delete(seq);
    for (const [target, batches] of waiting) {
      const filled = batches.filter(({ count }) => count > 0);
      if (filled.length > 0) waiting.set(target, filled);
      else waiting.delete(target);
    }
    for (const target of [...waiting.keys()].sort((a, b) => this.#rankOf(a) - this.#rankOf(b))) {
      if (this.#isFed(target, underway.values()) || this.#isFed(target, waiting.keys())) continue;
      const batches = waiting.get(target) ?? [];
      waiting.delete(target);
      for (const events of batches) {
        gathered.batches += 1;
        const at = record + gathered.batches / BETWEEN_RECORDS;
        underway.set(at, target);
        derive(target, at, events);
      }
    }
    if (underway.size > 0) return;
    this.#records.delete(record);
    for (const [target, results] of gathered.leftOut) leftOut(target, record, results);
  }

  #rankOf(stream: number): number {
    return this.#graph.rankOf[stream] as number;
  }

  #isFed(target: number, by: Iterable<number>): boolean {
    for (const stream of by) if (this.#graph.below(stream).has(target)) return true;
    return false;
  }
}
