/**
 * From a pattern's plan to what its operator runs: the program, the fields that are kept, and the values of a match.
 *
 * Role: the one place of patterns that knows expressions. A condition whose names are those of the event alone is
 * compiled for rows of batches and decided when an event comes; one that names steps or `prev` is asked for each
 * partial match.
 */
import type { StepAggregate } from '../expressions/checked.ts';
import { ExpressionError } from '../expressions/error.ts';
import type { JsonValue } from '../expressions/language.ts';
import { checkRow, compileRow } from '../expressions/row.ts';
import { compileScoped, type ScopedExpression } from '../expressions/scoped.ts';
import { patternScope } from '../expressions/scopes.ts';
import type { FieldPlan, PatternPlan } from '../plan.ts';
import { ChainEnvironment, type ChainNames, StepTotals, TS } from './chain-names.ts';
import { PatternFields, type RowCondition } from './fields.ts';
import { compileProgram, isForbidding, type PatternProgram, type StepCondition, UNTIL } from './program.ts';
import type { Taken } from './taken.ts';

export interface CompiledPattern {
  readonly program: PatternProgram;
  readonly fields: PatternFields;
  readonly columns: readonly string[];
  /** Values of a match, or of the part of one, by column. */
  values(taken: Taken): JsonValue[];
}

/** Values when the definition names none. */
const DEFAULT_COLUMNS: readonly string[] = ['firstTs', 'lastTs', 'count'];
/** Name of the newest step that took an event: in every result, after the others. */
export const STEP_COLUMN = 'step';

export function compilePattern(plan: PatternPlan, fields: readonly FieldPlan[]): CompiledPattern {
  return new Compilation(plan, fields).result();
}

class Compilation {
  readonly #plan: PatternPlan;
  readonly #fields: readonly FieldPlan[];
  readonly #kept: number[] = [];
  readonly #totals = new StepTotals();
  readonly #names: ChainNames;
  readonly #positions: readonly string[];
  readonly #ofRow: RowCondition[] = [];
  readonly #conditions: (StepCondition | null)[] = [];

  constructor(plan: PatternPlan, fields: readonly FieldPlan[]) {
    this.#plan = plan;
    this.#fields = fields;
    this.#positions = plan.steps.filter((step) => !isForbidding(step)).map(({ name }) => name);
    this.#names = {
      field: (name) => this.#keep(name),
      position: (step) => this.#positions.indexOf(step),
    };
  }

  result(): CompiledPattern {
    const { steps, select } = this.#plan;
    for (const [i, { where, until }] of steps.entries()) {
      this.#conditions[i] = this.#condition(i, where);
      this.#conditions[UNTIL + i] = until === '' ? null : this.#condition(UNTIL + i, until);
    }
    const selected = select.map(({ expression }) => this.#value(expression));
    const names = select.length > 0 ? select.map(({ name }) => name) : DEFAULT_COLUMNS;
    const withStep = !names.includes(STEP_COLUMN);
    const positions = this.#positions;
    return {
      program: compileProgram(this.#plan, this.#conditions),
      fields: new PatternFields(this.#fields, this.#kept, this.#ofRow),
      columns: withStep ? [...names, STEP_COLUMN] : names,
      values: (taken) => {
        const values: JsonValue[] =
          select.length > 0 ? selected.map((each) => each(taken)) : [taken.first.ts, taken.event.ts, taken.size];
        if (withStep) values.push(positions[taken.step] as string);
        return values;
      },
    };
  }

  /** Place of a field among the kept ones, which it is from now on. */
  #keep(name: string): number {
    const index = this.#fields.findIndex((field) => field.name === name);
    if (index < 0) return TS;
    const at = this.#kept.indexOf(index);
    return at >= 0 ? at : this.#kept.push(index) - 1;
  }

  #condition(condition: number, text: string): StepCondition | null {
    if (text === '') {
      this.#ofRow.push({ condition, expression: null });
      return null;
    }
    if (!(checkRow(text, this.#fields, 'boolean') instanceof ExpressionError)) {
      this.#ofRow.push({ condition, expression: compileRow(text, this.#fields, 'boolean') });
      return null;
    }
    const { expression, environment } = this.#scoped(text, 'boolean');
    return (event, taken) => {
      environment.event = event;
      environment.taken = taken;
      environment.before = taken === null ? null : taken.event;
      return expression.test(environment);
    };
  }

  /** A value of a match: bare names are fields of its newest event. */
  #value(text: string): (taken: Taken) => JsonValue {
    const { expression, environment } = this.#scoped(text, 'any');
    return (taken) => {
      environment.event = taken.event;
      environment.taken = taken;
      environment.before = taken.parent === null ? null : taken.parent.event;
      return expression.value(environment);
    };
  }

  #scoped(text: string, wanted: 'boolean' | 'any'): { expression: ScopedExpression; environment: ChainEnvironment } {
    const scope = patternScope(
      this.#fields,
      this.#plan.steps.map(({ name }) => name),
    );
    const expression = compileScoped(text, scope, wanted);
    const aggregates: readonly StepAggregate[] = expression.aggregates;
    return { expression, environment: new ChainEnvironment(expression.members, aggregates, this.#names, this.#totals) };
  }
}
