/**
 * Expressions over the events of a batch: filters and projections of windows, views, patterns' first steps, aggregates.
 *
 * Role: `compileRow` is called where operators are attached, its functions per event. Names are the stream's fields;
 * `ts` is the event time in ms unless a field has that name. Numbers are read from their columns, strings are compared
 * as bytes where they stand against literals.
 */
import type { EventBatch } from '../decode/event-batch.ts';
import type { FieldPlan } from '../plan.ts';
import { checkIn, type Wanted } from './check.ts';
import type { Checked, CheckedExpression, ScopeNames } from './checked.ts';
import { ExpressionError } from './error.ts';
import { type Backend, type Constants, generate, literalsOf } from './generate.ts';
import { type JsonValue, typeOfField, type ValueType } from './language.ts';
import { BYTES, Needle } from './row-bytes.ts';

export interface RowExpression {
  readonly type: ValueType;
  /** Index of the field the whole expression is; −1 when it is more, or `ts`. */
  readonly field: number;
  /** NaN when absent; conditions are 1 and 0. */
  number(batch: EventBatch, row: number): number;
  /** Whether it holds; absent does not. */
  test(batch: EventBatch, row: number): boolean;
  value(batch: EventBatch, row: number): JsonValue;
}

/** Event time, as a field index of programs. */
const TS = -1;
/** Compiled expressions kept per list of fields: an operator attached again compiles nothing. */
export const ROW_EXPRESSIONS_KEPT_MAX = 4096;
const kept = new WeakMap<readonly FieldPlan[], Map<string, RowExpression>>();

/** The names of a stream's events. */
export function rowScope(fields: readonly FieldPlan[]): ScopeNames {
  const types = new Map<string, ValueType>([['ts', 'number']]);
  for (const field of fields) types.set(field.name, typeOfField(field.type));
  return {
    resolve: (path) => (path.length === 1 ? types.get(path[0] as string) : undefined),
    known: [...types.keys()],
    steps: [],
  };
}

/** Whether a text is an expression over these fields, of the type wanted. */
export function checkRow(
  text: string,
  fields: readonly FieldPlan[],
  wanted: Wanted = 'any',
): CheckedExpression | ExpressionError {
  try {
    return checkIn(text, rowScope(fields), wanted);
  } catch (error) {
    if (error instanceof ExpressionError) return error;
    throw error;
  }
}

/** Throws `ExpressionError`. */
export function compileRow(text: string, fields: readonly FieldPlan[], wanted: Wanted = 'any'): RowExpression {
  let known = kept.get(fields);
  if (known === undefined) {
    known = new Map();
    kept.set(fields, known);
  }
  const id = `${wanted} ${text}`;
  let compiled = known.get(id);
  if (compiled === undefined) {
    compiled = build(checkIn(text, rowScope(fields), wanted), fields);
    if (known.size < ROW_EXPRESSIONS_KEPT_MAX) known.set(id, compiled);
  }
  return compiled;
}

function build(checked: CheckedExpression, fields: readonly FieldPlan[]): RowExpression {
  const slots = checked.members.map(([name]) => fields.findIndex((field) => field.name === name));
  const program = generate<Pick<RowExpression, 'number' | 'test' | 'value'>>(checked, new RowBackend(slots, fields));
  return {
    type: checked.type,
    field: checked.root.kind === 'member' ? (slots[checked.root.slot] as number) : -1,
    number: program.number,
    test: program.test,
    value: program.value,
  };
}

class RowBackend implements Backend {
  readonly parameters = 'batch, row';
  readonly library = BYTES;
  readonly #slots: readonly number[];
  readonly #fields: readonly FieldPlan[];

  /** `slots`: field index of each name used, or TS. */
  constructor(slots: readonly number[], fields: readonly FieldPlan[]) {
    this.#slots = slots;
    this.#fields = fields;
  }

  number(slot: number): string {
    const field = this.#slots[slot] as number;
    return field === TS ? 'batch.ts[row]' : `batch.values[${field}][row]`;
  }

  condition(slot: number): string {
    return `(${this.number(slot)} === 1)`;
  }

  value(slot: number): string {
    const field = this.#slots[slot] as number;
    const type = this.#fields[field]?.type ?? 'number';
    if (type === 'string') return `batch.text(${field}, row)`;
    if (type !== 'boolean') return `orNull(${this.number(slot)})`;
    return `(present(${this.number(slot)}) ? ${this.number(slot)} === 1 : null)`;
  }

  aggregate(): string {
    throw new TypeError('events of a stream have no steps');
  }

  /** Strings of events against literals, as bytes. */
  special(node: Checked, constants: Constants): string | null {
    if (node.kind === 'compare') return this.#comparison(node, constants);
    if (node.kind === 'in') {
      const at = this.#stringField(node.item);
      const literals = at === null ? null : literalsOf(node.list);
      if (literals === null) return null;
      return this.#call('bytesIn', at, constants.text(literals.map((text) => new Needle(String(text)))));
    }
    if (node.kind === 'absent') {
      const at = this.#stringField(node.operand);
      return at === null ? null : `(${node.negated ? '' : '!'}${this.#call('bytesPresent', at)})`;
    }
    return node.kind === 'call' ? this.#function(node, constants) : null;
  }

  #comparison({ op, left, right }: Checked & { kind: 'compare' }, constants: Constants): string | null {
    if (op !== '==' && op !== '!=') return null;
    const [field, other] = right.kind === 'literal' ? [left, right] : [right, left];
    const at = this.#stringField(field);
    if (at === null || other.kind !== 'literal' || typeof other.value !== 'string') return null;
    return this.#call(op === '==' ? 'bytesEqual' : 'bytesDiffer', at, constants.text(new Needle(other.value)));
  }

  #function({ fn, args }: Checked & { kind: 'call' }, constants: Constants): string | null {
    const [text, literal] = args;
    const at = text === undefined ? null : this.#stringField(text);
    if (at === null) return null;
    if (fn === 'size') return this.#call('bytesSize', at);
    if (fn === 'has') return this.#call('bytesPresent', at);
    const name = OF_LITERAL[fn];
    if (name === undefined || literal?.kind !== 'literal' || typeof literal.value !== 'string') return null;
    return this.#call(name, at, constants.text(new Needle(literal.value)));
  }

  #call(name: keyof typeof BYTES, field: number | null, needle?: string): string {
    return `${name}(batch, ${field}, row${needle === undefined ? '' : `, ${needle}`})`;
  }

  /** Index of the string field a node is. */
  #stringField(node: Checked): number | null {
    return node.kind === 'member' && node.type === 'string' ? (this.#slots[node.slot] as number) : null;
  }
}

const OF_LITERAL: Readonly<Record<string, keyof typeof BYTES>> = {
  startsWith: 'bytesStart',
  endsWith: 'bytesEnd',
  contains: 'bytesContain',
  occurrences: 'bytesCount',
};
