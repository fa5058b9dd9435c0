// HOT PATH
/**
 * Views as operators: each event that passes the filter is one result, projected.
 *
 * Role: what derived streams and sinks of plain events are made of. A result's start and end are the event's time; it is
 * final. Results of one key at one time are told apart by `pane`, the number of the result in this shard.
 * Layout of the one buffer: Float64, results given so far. A number beyond 2^53 is not reached: at ten million events a
 * second that takes 28 years.
 */
import { evidenceOfEvent } from '../event-context.ts';
import { compileRow, type RowExpression } from '../expressions/row.ts';
import { RowText } from '../expressions/row-text.ts';
import {
  type Emitter,
  type EventResults,
  newResultRow,
  type OperatorInput,
  type OperatorKind,
  type OperatorStats,
  type ResultRow,
  type ShardOperator,
} from '../operator.ts';
import type { FieldPlan, Plan, ViewPlan } from '../plan.ts';
import { ShardMemory } from '../state/memory.ts';

const STATE_BYTES = 8;
const ROWS_AT_START = 256;

export const viewKind: OperatorKind<ViewPlan> = {
  create: () => ShardMemory.create(STATE_BYTES),
  attach: (view, memory, { plan }) => new View(view, plan, memory),
};

class View implements ShardOperator {
  readonly columns: readonly string[];
  readonly #where: RowExpression | null;
  readonly #select: readonly RowExpression[];
  readonly #texts: readonly RowText[];
  readonly #given: Float64Array;
  /** Rows that pass, and their keys. */
  #rows = new Uint32Array(ROWS_AT_START);
  #keys = new Uint32Array(ROWS_AT_START);
  readonly #row: ResultRow;

  constructor({ select, stream, where }: ViewPlan, plan: Plan, memory: ShardMemory) {
    const fields = plan.streams[stream]?.fields ?? [];
    const chosen = select.length === 0 ? fields.map(ofField) : select;
    this.columns = chosen.map(({ name }) => name);
    this.#where = where === '' ? null : compileRow(where, fields, 'boolean');
    this.#select = chosen.map(({ expression }) => compileRow(expression, fields));
    this.#texts = this.#select.map((expression) => new RowText(expression, fields));
    this.#given = new Float64Array(memory.buffer(0), 0, 1);
    this.#row = newResultRow(this.#select.map(() => null));
  }

  events(input: OperatorInput, out: Emitter): void {
    const { batch, provenance } = input;
    const count = this.#pick(input);
    const given = this.#given;
    const pane = given[0] as number;
    const values = this.#texts;
    const results: EventResults = { batch, provenance, count, rows: this.#rows, keys: this.#keys, pane, values };
    if (count === 0) return;
    if (out.emitEvents?.(results) === true) given[0] = pane + count;
    else this.#emit(results, out);
  }

  /** How many pass. */
  #pick({ batch, count, keys, rows }: OperatorInput): number {
    if (this.#rows.length < count) {
      this.#rows = new Uint32Array(2 ** Math.ceil(Math.log2(count)));
      this.#keys = new Uint32Array(this.#rows.length);
    }
    const where = this.#where;
    const pickedRows = this.#rows;
    const pickedKeys = this.#keys;
    let picked = 0;
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number;
      if (where !== null && !where.test(batch, row)) continue;
      pickedRows[picked] = row;
      pickedKeys[picked] = keys[i] as number;
      picked += 1;
    }
    return picked;
  }

  #emit({ batch, count, keys, provenance, rows }: EventResults, out: Emitter): void {
    const select = this.#select;
    const row = this.#row;
    const values = row.values;
    const given = this.#given;
    for (let i = 0; i < count; i++) {
      const at = rows[i] as number;
      row.keyId = keys[i] as number;
      row.start = batch.ts[at] as number;
      row.end = row.start;
      row.pane = given[0] as number;
      given[0] = row.pane + 1;
      for (let k = 0; k < select.length; k++) values[k] = (select[k] as RowExpression).value(batch, at);
      row.evidence = evidenceOfEvent(batch, at, provenance);
      out.emit(row);
    }
  }

  stats(): OperatorStats {
    return { rows: 0, bytes: STATE_BYTES, late: 0 };
  }
}

/** In backticks any field's name is an expression. */
function ofField({ name }: FieldPlan): { readonly name: string; readonly expression: string } {
  return { name, expression: `\`${name}\`` };
}
