/**
 * Which batches are aggregated ahead of their shards, and doing so: what keeps hot keys from making one shard do it all.
 *
 * Role: runs where a batch was decoded, on any thread. A group of a stream takes part when every operator that sees its
 * events is a window that can merge what was aggregated (`canPreAggregate`); a batch does when its keys repeat: it has
 * `EVENTS_MIN` events or more and at most one key in `REPEATED_MIN` events. Otherwise looking up each key twice costs more
 * than it saves.
 * Invariant: a function of plan and batch, so that a replay decides alike. Events with a context of their own are left
 * single, since a merged row knows its batch only.
 */
import { type EventBatch, groupInputs } from '../../decode/event-batch.ts';
import type { OperatorPlan, Plan, WindowPlan } from '../../plan.ts';
import type { PartialCombiner } from '../../windows/partials.ts';
import type { Partials } from '../task.ts';

const EVENTS_MIN = 256;
const REPEATED_MIN = 16;

/** Makes combiners: of `sliceWindowKind`. */
export type MakeCombiner = (operator: WindowPlan, plan: Plan) => PartialCombiner | null;

interface Combined {
  readonly operator: number;
  readonly combiner: PartialCombiner;
}

export class PreAggregation {
  /** By stream, by input of it: the combiners of the group, or null. */
  readonly #inputs: readonly (readonly (readonly Combined[] | null)[])[];
  readonly #plan: Plan;
  #rows = new Uint32Array(1024);

  constructor(plan: Plan, make: MakeCombiner) {
    this.#plan = plan;
    this.#inputs = plan.streams.map(({ index }) =>
      groupInputs(plan, index).map(({ group }) => combinersOf(plan, index, group, make)),
    );
  }

  /** By input of the batch's stream: what its operators merge, or null where the events go one by one. */
  of(batch: EventBatch, seq: number): readonly (Partials | null)[] {
    const inputs = this.#inputs[batch.stream] ?? [];
    return inputs.map((combined, k) => (combined === null ? null : this.#combine(batch, k, combined, seq)));
  }

  #combine(batch: EventBatch, input: number, combined: readonly Combined[], seq: number): Partials | null {
    const { count } = batch;
    const hashes = batch.hashes[input] as Uint32Array;
    if (count < EVENTS_MIN || batch.hasContexts || !repeats(batch, input)) return null;
    const { fields } = groupInputs(this.#plan, batch.stream)[input] as { fields: readonly number[] };
    const rows = this.#allRows(count);
    return combined.map(({ combiner, operator }) => ({
      operator,
      rows: combiner.combine(batch, fields, hashes, rows, count, seq),
    }));
  }

  #allRows(count: number): Uint32Array {
    if (this.#rows.length < count || this.#rows[1] !== 1) {
      this.#rows = Uint32Array.from({ length: Math.max(count, this.#rows.length) }, (_, row) => row);
    }
    return this.#rows;
  }
}

function repeats(batch: EventBatch, input: number): boolean {
  const keys = batch.differentKeys(input);
  return keys > 0 && keys * REPEATED_MIN <= batch.count;
}

function combinersOf(plan: Plan, stream: number, group: number, make: MakeCombiner): readonly Combined[] | null {
  const combined: Combined[] = [];
  for (const operator of plan.operators) {
    if (operator.group !== group || !seesEvents(operator)) continue;
    const combiner = operator.kind === 'window' && operator.stream === stream ? combinerOf(operator, plan, make) : null;
    if (combiner === null) return null;
    combined.push({ operator: operator.index, combiner });
  }
  return combined.length === 0 ? null : combined;
}

const SLICED: ReadonlySet<string> = new Set(['tumbling', 'hopping', 'cumulating']);

const combinerOf = (operator: WindowPlan, plan: Plan, make: MakeCombiner): PartialCombiner | null =>
  SLICED.has(operator.type) ? make(operator, plan) : null;

/** Alerts, and anomalies over results, only see what other operators say. */
const seesEvents = (operator: OperatorPlan): boolean =>
  operator.kind !== 'alert' && !(operator.kind === 'anomaly' && operator.source >= 0);
