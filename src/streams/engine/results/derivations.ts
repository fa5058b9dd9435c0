/**
 * Results that become events of streams: gathered per record and stream, and given out when nothing more can come.
 *
 * Role: between the fan-out, which brings results, and the engine, which makes a batch of them. A record of the log
 * leads to at most one batch per stream: it is given out once every stream that feeds this one, and has events of the
 * record, is done with the record. Its number is the record's plus the stream's rank (`feeds.ts`) in parts of
 * `BETWEEN_RECORDS`: no two batches have the same number, those of a record come in order of the streams, and the same
 * log leads to the same batches, however its records were gathered into rounds.
 * Rule: retractions, and the outputs `late` and `timeout`, become events only of a stream whose schema can say so: by a
 * boolean field `retraction`, and a text field `output` (`''` for the main one). Otherwise they would count as new
 * results.
 * Bound: what one record gave, over all parts of its time, since that is one batch; the pipeline takes nothing further
 * until it is applied.
 */
import { type Feed, FeedGraph } from '../../feeds.ts';
import { BETWEEN_RECORDS } from '../../operator.ts';
import type { Plan } from '../../plan.ts';
import { recordOfPart } from '../shards/time-parts.ts';
import type { ResultChunk } from '../task.ts';
import type { DerivedEvents } from './derived-body.ts';
import { collectInto, type Wants } from './result-event.ts';

interface Target extends Wants {
  readonly index: number;
}

/** Of one record. */
interface Gathered {
  readonly waiting: Map<number, DerivedEvents>;
  /** Streams whose batch is on its way. */
  readonly underway: Set<number>;
}

/** `stream` by index; `seq` is between the log's whole numbers. */
export type Derive = (stream: number, seq: number, events: DerivedEvents) => void;

export class Derivations {
  #graph: FeedGraph;
  /** By operator. */
  #targets: readonly (readonly Target[])[];
  readonly #records = new Map<number, Gathered>();

  constructor(plan: Plan, feeds: readonly Feed[]) {
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
      const events = this.#eventsOf(chunk.seq, target.index);
      events.from.push({ operator: chunk.operator, first: events.lines.length });
      collectInto(events, chunk, target);
    }
  }

  #eventsOf(seq: number, target: number): DerivedEvents {
    const record = Math.floor(recordOfPart(seq));
    const gathered = this.#records.get(record) ?? { waiting: new Map(), underway: new Set() };
    this.#records.set(record, gathered);
    const events = gathered.waiting.get(target) ?? { lines: [], from: [], contexts: [] };
    gathered.waiting.set(target, events);
    return events;
  }

  /** A record, or the batch of a stream that was made of its results, is applied or left out: its results are all here. */
  done(stream: number, seq: number, derive: Derive): void {
    const record = Math.floor(seq);
    const gathered = this.#records.get(record);
    if (gathered === undefined) return;
    const { underway, waiting } = gathered;
    if (seq !== record) underway.delete(stream);
    for (const [target, { lines }] of waiting) if (lines.length === 0) waiting.delete(target);
    for (const target of [...waiting.keys()].sort((a, b) => this.#rankOf(a) - this.#rankOf(b))) {
      if (this.#isFed(target, underway) || this.#isFed(target, waiting.keys())) continue;
      const events = waiting.get(target) as DerivedEvents;
      waiting.delete(target);
      underway.add(target);
      derive(target, record + this.#rankOf(target) / BETWEEN_RECORDS, events);
    }
    if (underway.size === 0) this.#records.delete(record);
  }

  #rankOf(stream: number): number {
    return this.#graph.rankOf[stream] as number;
  }

  #isFed(target: number, by: Iterable<number>): boolean {
    for (const stream of by) if (this.#graph.below(stream).has(target)) return true;
    return false;
  }
}
