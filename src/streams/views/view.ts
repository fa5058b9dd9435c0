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
import type { Emitter, OperatorInput, OperatorKind, OperatorStats, ResultRow, ShardOperator } from '../operator.ts';
import type { FieldPlan, Plan, ViewPlan } from '../plan.ts';
import { ShardMemory } from '../state/memory.ts';

const STATE_BYTES = 8;

export const viewKind: OperatorKind<ViewPlan> = {
  create: () => ShardMemory.create(STATE_BYTES),
  attach: (view, memory, { plan }) => new View(view, plan, memory),
};

class View implements ShardOperator {
  readonly columns: readonly string[];
  readonly #where: RowExpression | null;
  readonly #select: readonly RowExpression[];
  readonly #given: Float64Array;
  readonly #row: ResultRow;

  constructor({ select, stream, where }: ViewPlan, plan: Plan, memory: ShardMemory) {
    const fields = plan.streams[stream]?.fields ?? [];
    const chosen = select.length === 0 ? fields.map(ofField) : select;
    this.columns = chosen.map(({ name }) => name);
    this.#where = where === '' ? null : compileRow(where, fields, 'boolean');
    this.#select = chosen.map(({ expression }) => compileRow(expression, fields));
    this.#given = new Float64Array(memory.buffer(0), 0, 1);
    this.#row = {
      keyId: -1,
      start: 0,
      end: 0,
      origin: '',
      pane: 0,
      timing: 'on-time',
      final: true,
      retraction: false,
      output: '',
      values: this.#select.map(() => null),
      evidence: null,
    };
  }

  events({ batch, count, keys, provenance, rows }: OperatorInput, out: Emitter): void {
    const where = this.#where;
    const select = this.#select;
    const row = this.#row;
    const values = row.values;
    const given = this.#given;
    for (let i = 0; i < count; i++) {
      const at = rows[i] as number;
      if (where !== null && !where.test(batch, at)) continue;
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
