/**
 * How an event of one side of a join stands in memory: a head, then 8 bytes per field that the join's expressions name.
 *
 * Layout of a row:
 *   0 time (double)   8 sequence number of its record (double)   16 row in its batch, and flags   20 offset of its text
 *   24 fields: numbers as doubles, NaN when absent; booleans as 1 and 0; texts as offset and length, length ABSENT when
 *      absent. Offsets are places in the arena.
 * Invariant: which fields there are and in what order follows from the expressions alone, so an operator attached anew
 * reads what an earlier one wrote.
 */
import type { FieldPlan } from '../plan.ts';

export const ROW_HEAD_BYTES = 24;

export class RowLayout {
  /** Index of each field in its stream. */
  readonly fields: readonly number[];
  readonly types: readonly FieldPlan['type'][];
  readonly strideBytes: number;
  readonly hasTexts: boolean;
  readonly #positions: ReadonlyMap<string, number>;

  /** Names that are no field (`ts`) stand for the event time and take no place. */
  constructor(fields: readonly FieldPlan[], names: readonly string[]) {
    const known = [...new Set(names)].filter((name) => fields.some((field) => field.name === name));
    this.#positions = new Map(known.map((name, i) => [name, i]));
    this.fields = known.map((name) => fields.findIndex((field) => field.name === name));
    this.types = this.fields.map((index) => (fields[index] as FieldPlan).type);
    this.hasTexts = this.types.includes('string');
    this.strideBytes = ROW_HEAD_BYTES + 8 * known.length;
  }

  /** −1: the event time. */
  position(name: string): number {
    return this.#positions.get(name) ?? -1;
  }
}
