// HOT PATH
/**
 * The fields of events that a pattern keeps: those that conditions over several events, or `select`, will read.
 *
 * Role: turns a row of a batch into a `KeptEvent`. Conditions that look at one event alone are decided here, on the
 * columns, and kept as bits: their fields need not be kept.
 */
import type { EventBatch } from '../decode/event-batch.ts';
import type { RowExpression } from '../expressions/row.ts';
import type { Provenance } from '../operator.ts';
import type { FieldPlan } from '../plan.ts';
import { KeptEvent, type KeptValue } from './taken.ts';

/** A condition by number (null: it always holds). */
export interface RowCondition {
  readonly condition: number;
  readonly expression: RowExpression | null;
}

export class PatternFields {
  readonly fields: readonly FieldPlan[];
  /** Indexes of kept fields. */
  readonly kept: readonly number[];
  readonly #conditions: readonly RowCondition[];

  constructor(fields: readonly FieldPlan[], kept: readonly number[], conditions: readonly RowCondition[]) {
    this.fields = fields;
    this.kept = kept;
    this.#conditions = conditions;
  }

  /** Bits of the conditions that hold for the row. */
  holds(batch: EventBatch, row: number): number {
    let bits = 0;
    for (let i = 0; i < this.#conditions.length; i++) {
      const { condition, expression } = this.#conditions[i] as RowCondition;
      if (expression === null || expression.test(batch, row)) bits |= 1 << condition;
    }
    return bits;
  }

  keep(batch: EventBatch, row: number, holds: number, from: Provenance): KeptEvent {
    const kept = this.kept;
    const values: KeptValue[] = new Array(kept.length);
    for (let i = 0; i < kept.length; i++) values[i] = this.#value(batch, row, kept[i] as number);
    const context = batch.context(row);
    const ts = batch.ts[row] as number;
    return new KeptEvent(ts, from.seq, row, holds, values, context, from.traceparent, from.correlationId);
  }

  #value(batch: EventBatch, row: number, field: number): KeptValue {
    const { type } = this.fields[field] as FieldPlan;
    if (type === 'string') return batch.text(field, row);
    const value = (batch.values[field] as Float64Array)[row] as number;
    if (type !== 'boolean') return value;
    return Number.isNaN(value) ? null : value === 1;
  }
}
