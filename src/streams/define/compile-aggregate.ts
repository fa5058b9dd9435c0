/**
 * From an aggregate's definition to its plan, with all defaults, and the type of its result.
 *
 * Role: part of `compile-window.ts`. A table says which options a function takes and what it can be computed of; an
 * option that would be ignored is refused.
 */
import type { ScopeNames } from '../expressions/checked.ts';
import type { ValueType } from '../expressions/language.ts';
import { aggregateType } from '../expressions/result-columns.ts';
import type { AggregatePlan } from '../plan.ts';
import { checkExpression } from './check-expression.ts';
import type { AggregateDefinition } from './definition.ts';
import { at, type Findings } from './definition-problem.ts';

type Options = Exclude<AggregateDefinition, string>;
type OptionName = 'q' | 'relativeError' | 'limit' | 'alpha' | 'perMs' | 'module' | 'export';

interface Facts {
  /** `numbers`: it calculates, conditions are 1 and 0. `events`: it can do without. */
  readonly of: 'numbers' | 'values' | 'events';
  readonly options: readonly OptionName[];
}

const NUMBERS: Facts = { of: 'numbers', options: [] };
const VALUES: Facts = { of: 'values', options: [] };

const FACTS: Readonly<Record<AggregatePlan['fn'], Facts>> = {
  count: { of: 'events', options: [] },
  sum: NUMBERS,
  mean: NUMBERS,
  min: NUMBERS,
  max: NUMBERS,
  variance: NUMBERS,
  stddev: NUMBERS,
  first: VALUES,
  last: VALUES,
  distinct: VALUES,
  quantile: { of: 'numbers', options: ['q', 'relativeError'] },
  top: { of: 'values', options: ['limit'] },
  rate: { of: 'events', options: ['perMs'] },
  ewma: { of: 'numbers', options: ['alpha'] },
  collect: { of: 'values', options: ['limit'] },
  custom: { of: 'events', options: ['module', 'export'] },
};

const OPTIONS: readonly OptionName[] = ['q', 'relativeError', 'limit', 'alpha', 'perMs', 'module', 'export'];

export interface CompiledAggregate {
  readonly plan: AggregatePlan;
  readonly type: ValueType;
}

export function aggregatePlan(
  name: string,
  definition: AggregateDefinition,
  scope: ScopeNames,
  path: string,
  findings: Findings,
): CompiledAggregate {
  const given: Options = typeof definition === 'string' ? { fn: definition } : definition;
  const fn = given.fn as AggregatePlan['fn'];
  const facts = FACTS[fn];
  checkOptions(given, fn, facts, path, findings);
  const ofType = checkExpression(given.of, scope, 'any', at(path, 'of'), findings);
  if (facts.of === 'numbers' && (ofType === 'string' || ofType === 'list')) {
    findings.add(at(path, 'of'), given.of, `a number for ${fn}, not a ${ofType}`);
  }
  checkExpression(given.where, scope, 'boolean', at(path, 'where'), findings);
  const plan: AggregatePlan = {
    name,
    fn,
    of: given.of ?? '',
    where: given.where ?? '',
    q: given.q ?? 0,
    relativeError: given.relativeError ?? 0.01,
    limit: given.limit ?? (fn === 'top' ? 10 : 100),
    alpha: given.alpha ?? 0.3,
    perMs: given.perMs ?? 1000,
    module: given.module ?? '',
    exportName: given.export ?? (fn === 'custom' ? 'default' : ''),
  };
  return { plan, type: aggregateType(fn, ofType ?? 'any') };
}

function checkOptions(given: Options, fn: string, facts: Facts, path: string, findings: Findings): void {
  if (given.of === undefined && facts.of !== 'events') {
    findings.add(at(path, 'of'), undefined, `what ${fn} is computed of: a field or an expression`);
  }
  for (const option of OPTIONS) {
    const value = given[option];
    if (value !== undefined && !facts.options.includes(option)) {
      findings.add(at(path, option), value, `nothing: ${fn} has no such option`);
    }
  }
  if (fn === 'quantile' && given.q === undefined) findings.add(at(path, 'q'), undefined, 'the quantile, 0 to 1');
  if (fn === 'custom' && given.module === undefined)
    findings.add(at(path, 'module'), undefined, 'the path of a module');
}
