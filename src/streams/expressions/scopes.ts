/**
 * The scopes expressions stand in, beside events: results, pairs of events, and patterns.
 *
 * Role: one description of the names, used where definitions are checked and where operators compile. Types of names
 * come from plans; a column whose type nobody can tell is `any`.
 */
import type { FieldPlan } from '../plan.ts';
import type { ScopeNames } from './checked.ts';
import { type StepFunction, typeOfField, type ValueType } from './language.ts';

export type NamedTypes = ReadonlyMap<string, ValueType>;

export function fieldTypes(fields: readonly FieldPlan[]): NamedTypes {
  return new Map(fields.map((field) => [field.name, typeOfField(field.type)]));
}

/**
 * A result: its values by name, `key.*`, `start`, `end` (unless a value has that name). `columns` null: any name is a
 * value.
 */
export function resultScope(columns: NamedTypes | null, key: NamedTypes): ScopeNames {
  const bounds = (name: string): ValueType | undefined => (name === 'start' || name === 'end' ? 'number' : undefined);
  return {
    resolve: ([name = '', member, ...rest]) => {
      if (rest.length > 0) return undefined;
      if (member !== undefined) return name === 'key' ? key.get(member) : undefined;
      return columns?.get(name) ?? bounds(name) ?? (columns === null ? 'any' : undefined);
    },
    known: [...(columns?.keys() ?? []), ...[...key.keys()].map((name) => `key.${name}`), 'start', 'end'],
    steps: [],
  };
}

/** Two events: `left.x`, `right.y`, and their times `left.ts`, `right.ts` unless fields have that name. */
export function joinScope(left: readonly FieldPlan[], right: readonly FieldPlan[]): ScopeNames {
  const sides = new Map([
    ['left', new Map([['ts', 'number' as ValueType], ...fieldTypes(left)])],
    ['right', new Map([['ts', 'number' as ValueType], ...fieldTypes(right)])],
  ]);
  return {
    resolve: ([side = '', field = '', ...rest]) => (rest.length === 0 ? sides.get(side)?.get(field) : undefined),
    known: [...sides].flatMap(([side, types]) => [...types.keys()].map((name) => `${side}.${name}`)),
    steps: [],
  };
}

/**
 * Steps of a pattern. Bare names: fields of the event looked at, and its time `ts`; in `select` of the match's last
 * event. `prev.x`: of the event taken before it, absent for the first. `first(a).x`, `last(a).x`, `count(a)`,
 * `sum(a.x)`, `avg`, `min`, `max` over the events step a took so far, in this match; over no events all are absent but
 * `count`, which is 0, and `sum`, which is 0.
 */
export function patternScope(fields: readonly FieldPlan[], steps: readonly string[]): ScopeNames {
  const types = new Map<string, ValueType>([['ts', 'number'], ...fieldTypes(fields)]);
  return {
    resolve: ([name = '', member, ...rest]) => {
      if (rest.length > 0) return undefined;
      if (member === undefined) return types.get(name);
      return name === 'prev' ? types.get(member) : undefined;
    },
    known: [...types.keys(), ...[...types.keys()].map((name) => `prev.${name}`)],
    steps,
    aggregate: (fn: StepFunction, step: string, field: string) => {
      if (!steps.includes(step)) return undefined;
      return fn === 'count' ? 'number' : types.get(field);
    },
  };
}
