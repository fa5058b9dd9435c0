/**
 * Names and types of the values of an operator's results, read from the plan.
 *
 * Role: alerts and anomalies look at results of other operators; definitions are checked and conditions compiled in the
 * same scope, `scopeOfResults`. Expressions in a plan have been checked; while a plan is being made one that is wrong
 * counts as `any`, and is a problem of its own.
 */
import type { AggregatePlan, FieldPlan, GroupPlan, OperatorPlan, StreamPlan } from '../plan.ts';
import { checkIn } from './check.ts';
import type { ScopeNames } from './checked.ts';
import { ExpressionError } from './error.ts';
import { typeOfField, type ValueType } from './language.ts';
import { rowScope } from './row.ts';
import { fieldTypes, joinScope, type NamedTypes, patternScope, resultScope } from './scopes.ts';

/** What is needed of a plan. */
export interface PlanParts {
  readonly streams: readonly StreamPlan[];
  readonly groups: readonly GroupPlan[];
  readonly operators: readonly OperatorPlan[];
}

const OF_ITS_INPUT: readonly string[] = ['first', 'last'];
const LISTS: readonly string[] = ['top', 'collect'];

/** What an alert says of itself; the values of the result it watches are in `values`. */
const ALERT_COLUMNS: readonly string[] = ['state', 'severity', 'message', 'values'];

/** Of a pattern without `select`; every match also names its newest step. */
const MATCH_COLUMNS: NamedTypes = new Map<string, ValueType>([
  ['firstTs', 'number'],
  ['lastTs', 'number'],
  ['count', 'number'],
]);

const ANOMALY_COLUMNS: NamedTypes = new Map<string, ValueType>([
  ['value', 'number'],
  ['expected', 'number'],
  ['score', 'number'],
  ['kind', 'string'],
]);

/** `ofType`: of the expression it is computed of. */
export function aggregateType(fn: AggregatePlan['fn'], ofType: ValueType): ValueType {
  if (OF_ITS_INPUT.includes(fn)) return ofType;
  if (LISTS.includes(fn)) return 'list';
  return fn === 'custom' ? 'any' : 'number';
}

/** Names of an operator's results for conditions and messages: values, `key.*`, `start`, `end`. */
export function scopeOfResults(plan: PlanParts, operator: OperatorPlan): ScopeNames {
  return resultScope(columnTypes(plan, operator), keyTypes(plan, operator.group));
}

export function keyTypes(plan: PlanParts, group: number): NamedTypes {
  const { inputs, keyNames } = plan.groups[group] as GroupPlan;
  const fields = plan.streams[inputs[0]?.stream ?? -1]?.fields ?? [];
  return new Map(
    keyNames.map((name) => [name, typeOfField(fields.find((field) => field.name === name)?.type ?? 'string')]),
  );
}

/** Types of the values of an operator's results by name; null when any name may come. */
export function columnTypes({ streams }: PlanParts, operator: OperatorPlan): NamedTypes | null {
  const fields = fieldsOf(streams, operator.stream);
  switch (operator.kind) {
    case 'window': {
      const scope = rowScope(fields);
      return new Map(operator.aggregates.map(({ fn, name, of }) => [name, aggregateType(fn, typeIn(of, scope))]));
    }
    case 'view':
      return operator.select.length === 0 ? fieldTypes(fields) : selectedTypes(operator.select, rowScope(fields));
    case 'join':
      return selectedTypes(operator.select, joinScope(fields, fieldsOf(streams, operator.right)));
    case 'pattern': {
      const steps = operator.steps.filter(
        ({ contiguity }) => contiguity !== 'notNext' && contiguity !== 'notFollowedBy',
      );
      const names = steps.map(({ name }) => name);
      const chosen =
        operator.select.length === 0 ? MATCH_COLUMNS : selectedTypes(operator.select, patternScope(fields, names));
      return chosen.has('step') ? chosen : new Map([...chosen, ['step', 'string']]);
    }
    case 'anomaly':
      return ANOMALY_COLUMNS;
    case 'alert':
      return null;
  }
}

/** Names of the values of an operator's results, as they are given out. */
export function columnNames(plan: PlanParts, operator: OperatorPlan): readonly string[] {
  return [...(columnTypes(plan, operator)?.keys() ?? ALERT_COLUMNS)];
}

const fieldsOf = (streams: readonly StreamPlan[], index: number): readonly FieldPlan[] => streams[index]?.fields ?? [];

function selectedTypes(
  select: readonly { readonly name: string; readonly expression: string }[],
  scope: ScopeNames,
): NamedTypes {
  return new Map(select.map(({ name, expression }) => [name, typeIn(expression, scope)]));
}

function typeIn(text: string, scope: ScopeNames): ValueType {
  if (text === '') return 'any';
  try {
    return checkIn(text, scope).type;
  } catch (error) {
    if (error instanceof ExpressionError) return 'any';
    throw error;
  }
}
