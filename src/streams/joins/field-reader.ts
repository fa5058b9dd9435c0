/**
 * Reads the fields of an event that a join's expressions name, as JSON values.
 */
import type { EventBatch } from '../decode/event-batch.ts';
import type { FieldPlan } from '../plan.ts';

export class FieldReader {
  readonly #fields: readonly { readonly index: number; readonly type: FieldPlan['type'] }[];
  readonly #positions: ReadonlyMap<string, number>;

  /** Names that are no field (`ts`) stand for the event time and are not read. */
  constructor(fields: readonly FieldPlan[], names: readonly string[]) {
    const known = names.filter((name) => fields.some((field) => field.name === name));
    this.#positions = new Map(known.map((name, i) => [name, i]));
    this.#fields = known.map((name) => {
      const index = fields.findIndex((field) => field.name === name);
      return { index, type: (fields[index] as FieldPlan).type };
    });
  }

  /** −1: the event time. */
  position(name: string): number {
    return this.#positions.get(name) ?? -1;
  }

  read(batch: EventBatch, row: number): unknown[] {
    return this.#fields.map(({ index, type }) => {
      if (type === 'string') return batch.text(index, row);
      const value = (batch.values[index] as Float64Array)[row] as number;
      if (Number.isNaN(value)) return null;
      return type === 'boolean' ? value === 1 : value;
    });
  }
}
