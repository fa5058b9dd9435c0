/**
 * Expressions over anything that has names: results (alerts), two events (joins), steps (patterns).
 *
 * Role: the caller says what names there are (`ScopeNames`, for checking; ready ones are in `scopes.ts`) and gives their
 * values when it evaluates (`Environment`). Each distinct name and aggregate of an expression has a slot, so a caller
 * that evaluates often prepares an array by `members` and `aggregates` once and looks at the slot only.
 *
 *   const raised = compileScoped('mean > 90 && key.host != "test"', resultScope(columns, keyTypes), 'boolean');
 *   raised.test(objectEnvironment({ mean: 93, key: { host: 'a' } }));
 */
import { checkIn, type Wanted } from './check.ts';
import type { CheckedExpression, ScopeNames, StepAggregate } from './checked.ts';
import { type Backend, generate } from './generate.ts';
import type { JsonValue, StepFunction } from './language.ts';

/** Values of names. What is undefined, null or NaN is absent. `slot`: index into the expression's list. */
export interface Environment {
  member(path: readonly string[], slot: number): unknown;
  /** Patterns only. `count(a)` has field `''`. */
  aggregate?(fn: StepFunction, step: string, field: string, slot: number): unknown;
}

export interface ScopedExpression {
  /** Dotted names used, by slot. */
  readonly members: readonly (readonly string[])[];
  /** Aggregates over steps used, by slot. */
  readonly aggregates: readonly StepAggregate[];
  /** NaN when absent; conditions are 1 and 0. */
  number(environment: Environment): number;
  /** Whether it holds; absent does not. */
  test(environment: Environment): boolean;
  value(environment: Environment): JsonValue;
}

/** Throws `ExpressionError`. */
export function compileScoped(text: string, scope: ScopeNames, wanted: Wanted = 'any'): ScopedExpression {
  const checked = checkIn(text, scope, wanted);
  const backend = new ScopedBackend(checked);
  const program = generate<Pick<ScopedExpression, 'number' | 'test' | 'value'>>(checked, backend);
  return {
    members: checked.members,
    aggregates: checked.aggregates,
    number: program.number,
    test: program.test,
    value: program.value,
  };
}

class ScopedBackend implements Backend {
  readonly parameters = 'e';
  readonly library: Readonly<Record<string, unknown>>;

  constructor({ members, aggregates }: CheckedExpression) {
    // Methods are called on the environment, so that classes can be one.
    this.library = {
      memberAt: (e: Environment, slot: number): unknown => e.member(members[slot] as readonly string[], slot),
      aggregateAt: (e: Environment, slot: number): unknown => {
        const { fn, step, field } = aggregates[slot] as StepAggregate;
        return e.aggregate?.(fn, step, field, slot);
      },
    };
  }

  number(slot: number): string {
    return `asNumber(memberAt(e, ${slot}))`;
  }

  condition(slot: number): string {
    return `(memberAt(e, ${slot}) === true)`;
  }

  value(slot: number): string {
    return `clean(memberAt(e, ${slot}))`;
  }

  aggregate(slot: number): string {
    return `clean(aggregateAt(e, ${slot}))`;
  }

  special(): null {
    return null;
  }
}

/** Names are own members of a plain object, dotted ones of objects in it. */
export function objectEnvironment(values: Readonly<Record<string, unknown>>): Environment {
  return {
    member(path) {
      let value: unknown = values;
      for (const name of path) {
        if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return null;
        value = (value as Readonly<Record<string, unknown>>)[name];
      }
      return value;
    },
  };
}
