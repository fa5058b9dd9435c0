// HOT PATH
/**
 * Values of expressions over events, written as JSON without being made.
 *
 * Role: what views write their results with. A string of an event goes from the batch's bytes to the line's, a number
 * from its column; other expressions are computed. What is written is what `JSON.stringify` makes of `value`.
 */
import { ABSENT, type EventBatch } from '../decode/event-batch.ts';
import type { LineBuffer } from '../lines/line-buffer.ts';
import type { FieldPlan } from '../plan.ts';
import type { RowExpression } from './row.ts';

const STRING_FIELD = 0;
const NUMBER_FIELD = 1;
const NUMBER = 2;
const OTHER = 3;

export class RowText {
  readonly #kind: number;
  readonly #field: number;
  readonly #expression: RowExpression;

  constructor(expression: RowExpression, fields: readonly FieldPlan[]) {
    const type = fields[expression.field]?.type;
    this.#expression = expression;
    this.#field = expression.field;
    if (type === undefined) this.#kind = expression.type === 'number' ? NUMBER : OTHER;
    else this.#kind = type === 'string' ? STRING_FIELD : type === 'boolean' ? OTHER : NUMBER_FIELD;
  }

  write(batch: EventBatch, row: number, out: LineBuffer): void {
    const field = this.#field;
    switch (this.#kind) {
      case STRING_FIELD: {
        const length = (batch.length[field] as Uint32Array)[row] as number;
        if (length === ABSENT) out.value(null);
        else out.string(batch.view, (batch.at[field] as Uint32Array)[row] as number, length);
        break;
      }
      case NUMBER_FIELD:
        out.number((batch.values[field] as Float64Array)[row] as number);
        break;
      case NUMBER:
        out.number(this.#expression.number(batch, row));
        break;
      default:
        out.value(this.#expression.value(batch, row));
    }
  }
}
