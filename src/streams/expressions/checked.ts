/**
 * The checked tree of an expression: every name resolved to a slot, every node typed.
 *
 * Role: from `check.ts` to the code generator. It carries no text of the user but string literals, which become
 * constants that are passed in; a slot is an index into `members` or `aggregates`.
 */
import type { FunctionName, StepFunction, ValueType } from './language.ts';

export interface StepAggregate {
  readonly fn: StepFunction;
  readonly step: string;
  /** `''` for `count(step)`. */
  readonly field: string;
}

/** What names mean where an expression stands. */
export interface ScopeNames {
  /** Type of a dotted name; undefined when there is none. */
  resolve(path: readonly string[]): ValueType | undefined;
  /** Names there are, dotted, for messages. */
  readonly known: readonly string[];
  /** Steps whose events can be aggregated. Empty but in patterns. */
  readonly steps: readonly string[];
  /** Type of `first(step).field`, `sum(step.field)` …, `count(step)` (field `''`); undefined when there is none. */
  aggregate?(fn: StepFunction, step: string, field: string): ValueType | undefined;
}

export type Comparison = '==' | '!=' | '<' | '<=' | '>' | '>=';
export type Arithmetic = '+' | '-' | '*' | '/' | '%';

export type Checked =
  | { readonly kind: 'literal'; readonly type: ValueType; readonly value: string | number | boolean | null }
  | { readonly kind: 'member'; readonly type: ValueType; readonly slot: number }
  | { readonly kind: 'aggregate'; readonly type: ValueType; readonly slot: number }
  | { readonly kind: 'list'; readonly type: 'list'; readonly items: readonly Checked[] }
  | { readonly kind: 'call'; readonly type: ValueType; readonly fn: FunctionName; readonly args: readonly Checked[] }
  | { readonly kind: 'not'; readonly type: 'boolean'; readonly operand: Checked }
  | { readonly kind: 'negate'; readonly type: 'number'; readonly operand: Checked }
  | {
      readonly kind: 'arithmetic';
      readonly type: ValueType;
      readonly op: Arithmetic;
      readonly left: Checked;
      readonly right: Checked;
    }
  | {
      readonly kind: 'compare';
      readonly type: 'boolean';
      readonly op: Comparison;
      readonly left: Checked;
      readonly right: Checked;
    }
  /** `x == null`; negated: `x != null`. */
  | { readonly kind: 'absent'; readonly type: 'boolean'; readonly operand: Checked; readonly negated: boolean }
  | { readonly kind: 'in'; readonly type: 'boolean'; readonly item: Checked; readonly list: Checked }
  | {
      readonly kind: 'logic';
      readonly type: 'boolean';
      readonly op: '&&' | '||';
      readonly left: Checked;
      readonly right: Checked;
    }
  | {
      readonly kind: 'conditional';
      readonly type: ValueType;
      readonly test: Checked;
      readonly whenTrue: Checked;
      readonly whenFalse: Checked;
    };

export interface CheckedExpression {
  readonly root: Checked;
  readonly type: ValueType;
  /** Dotted names used, by slot. */
  readonly members: readonly (readonly string[])[];
  /** Aggregates over steps used, by slot. */
  readonly aggregates: readonly StepAggregate[];
}
