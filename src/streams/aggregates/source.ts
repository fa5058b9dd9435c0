/**
 * What an aggregate is of: a field, or an expression over the event's fields.
 *
 * Role: from the text `of` to how compiled programs read it. Fields of numbers and booleans are read from their column,
 * texts are taken as bytes where they stand, expressions are called.
 */
import type { EventBatch } from '../decode/event-batch.ts';
import type { FieldPlan } from '../plan.ts';

/** An expression over the rows of a batch, as far as aggregates use it. */
export interface RowReader {
  readonly type: string;
  /** Index of the field that the whole expression is, else −1. */
  readonly field: number;
  number(batch: EventBatch, row: number): number;
  test(batch: EventBatch, row: number): boolean;
  value(batch: EventBatch, row: number): unknown;
}

export type CompileRow = (text: string, fields: readonly FieldPlan[]) => RowReader;

export interface Source {
  /** How it is read: a number in `v` (NaN when absent), bytes in `t` and `n`, or any value in `v` (null when absent). */
  readonly form: 'number' | 'text' | 'any';
  /** How results show it: `number` and `boolean` are doubles in a row, other values are cells. */
  readonly shown: 'number' | 'boolean' | 'cell';
  /** Never absent. */
  readonly always: boolean;
  /** Column, or −1 for `reader`. */
  readonly field: number;
  readonly reader: RowReader | null;
}

/** `asNumber`: the aggregate calculates with it. Null for an empty text: the events themselves. */
export function sourceOf(
  of: string,
  asNumber: boolean,
  fields: readonly FieldPlan[],
  compile: CompileRow,
): Source | null {
  if (of === '') return null;
  const named = fields.findIndex((field) => field.name === of);
  if (named >= 0) return sourceOfField(fields, named);
  const reader = compile(of, fields);
  if (reader.field >= 0) return sourceOfField(fields, reader.field);
  const shown = reader.type === 'number' || reader.type === 'boolean' ? reader.type : 'cell';
  const form = asNumber || shown !== 'cell' ? 'number' : 'any';
  return { form, shown, always: false, field: -1, reader };
}

function sourceOfField(fields: readonly FieldPlan[], field: number): Source {
  const { type, optional } = fields[field] as FieldPlan;
  const form = type === 'string' ? 'text' : 'number';
  const shown = type === 'string' ? 'cell' : type === 'boolean' ? 'boolean' : 'number';
  return { form, shown, always: !optional, field, reader: null };
}
