/**
 * Which aggregates make sense over which values.
 *
 * Role: asked when streams are declared, for a message, and again before a program is compiled, where a problem is a bug.
 * Ranges of options are the definition's business.
 */
import type { AggregatePlan, FieldPlan } from '../plan.ts';
import { type CompileRow, sourceOf } from './source.ts';

/** Those that calculate with the values: texts and lists are refused, booleans are 1 and 0. */
const OF_NUMBERS: ReadonlySet<AggregatePlan['fn']> = new Set([
  'sum',
  'mean',
  'min',
  'max',
  'variance',
  'stddev',
  'quantile',
  'ewma',
]);
/** Those that can be of the events themselves. */
const OF_EVENTS: ReadonlySet<AggregatePlan['fn']> = new Set(['count', 'rate', 'custom']);

export function calculates(fn: AggregatePlan['fn']): boolean {
  return OF_NUMBERS.has(fn);
}

/** What is wrong with an aggregate, or null. `compile` throws for texts that are no expressions. */
export function aggregateProblem(
  { fn, of }: Pick<AggregatePlan, 'fn' | 'of'>,
  fields: readonly FieldPlan[],
  compile: CompileRow,
): string | null {
  if (of === '') return OF_EVENTS.has(fn) ? null : `${fn} needs \`of\`: a field or an expression`;
  if (!calculates(fn)) return null;
  const source = sourceOf(of, true, fields, compile);
  const type = source?.reader?.type ?? (source?.form === 'text' ? 'string' : 'number');
  return type === 'string' || type === 'list' ? `${fn} needs numbers, and \`${of}\` is a ${type}` : null;
}
