/**
 * Turns a checked expression into JavaScript functions.
 *
 * Role: shared by expressions over rows and over scopes; where values come from is told by a `Backend`. The program is
 * made of numbers, slots and names of `LIBRARY` only: strings and lists of literals are constants that are passed in,
 * so no text of a user becomes program text.
 * Each node has up to three forms: as a number (absent is NaN), as a condition (absent is false), as a value (absent is
 * null). The form wanted goes down the tree, so that `price * 2 > limit` touches doubles only.
 */
import type { Checked, CheckedExpression } from './checked.ts';
import type { FunctionName } from './language.ts';
import { LIBRARY } from './library.ts';

/** Where values come from, as program text. */
export interface Backend {
  /** Parameters of the generated functions. */
  readonly parameters: string;
  /** Further functions that its texts call. */
  readonly library: Readonly<Record<string, unknown>>;
  number(slot: number): string;
  condition(slot: number): string;
  value(slot: number): string;
  /** Value of an aggregate over a step. */
  aggregate(slot: number): string;
  /** A faster text for a node, or null. A number or a condition, as the node's type has it. */
  special(node: Checked, constants: Constants): string | null;
}

/** Values handed to the program. */
export class Constants {
  readonly values: unknown[] = [];

  /** Program text that gives the value. */
  text(value: unknown): string {
    this.values.push(value);
    return `k${this.values.length - 1}`;
  }
}

/** `number`, `test`, `value` by the backend's parameters. The caller names their type. */
export function generate<F>(checked: CheckedExpression, backend: Backend): F {
  const constants = new Constants();
  const generator = new Generator(backend, constants);
  const { root } = checked;
  const bodies = [
    `number(${backend.parameters}) { return ${generator.outerNumber(root)}; }`,
    `test(${backend.parameters}) { return ${generator.condition(root)}; }`,
    `value(${backend.parameters}) { return ${generator.outerValue(root)}; }`,
  ];
  const names = [...Object.keys(LIBRARY), ...Object.keys(backend.library)];
  const known = constants.values.map((_, i) => `k${i} = k[${i}]`).join(', ');
  const head = `"use strict"; const { ${names.join(', ')} } = library;${known === '' ? '' : ` const ${known};`}`;
  const make = new Function('library', 'k', `${head}\nreturn {\n${bodies.join(',\n')}\n};`);
  return make({ ...LIBRARY, ...backend.library }, constants.values) as F;
}

/** Calls that give numbers, of arguments as numbers. */
const OF_NUMBERS: Partial<Record<FunctionName, string>> = {
  abs: 'Math.abs',
  floor: 'Math.floor',
  ceil: 'Math.ceil',
  sqrt: 'Math.sqrt',
  round: 'round',
  min: 'Math.min',
  max: 'Math.max',
  hour: 'hour',
  day: 'day',
  dayOfWeek: 'dayOfWeek',
};

const COMPARISONS = { '==': 'eq', '!=': 'ne', '<': 'lt', '<=': 'le', '>': 'gt', '>=': 'ge' } as const;

class Generator {
  readonly #backend: Backend;
  readonly #constants: Constants;

  constructor(backend: Backend, constants: Constants) {
    this.#backend = backend;
    this.#constants = constants;
  }

  /** What an aggregate takes: conditions count as 1 and 0. */
  outerNumber(node: Checked): string {
    if (node.type !== 'boolean') return this.number(node);
    return neverAbsent(node) ? `(${this.condition(node)} ? 1 : 0)` : `flagNumber(${this.value(node)})`;
  }

  outerValue(node: Checked): string {
    return node.type === 'number' ? `finiteOrNull(${this.number(node)})` : this.value(node);
  }

  number(node: Checked): string {
    if (node.type !== 'number' && node.type !== 'any') return 'NaN';
    switch (node.kind) {
      case 'literal':
        return `(${node.value})`;
      case 'member':
        return this.#backend.number(node.slot);
      case 'negate':
        return `(-${this.number(node.operand)})`;
      case 'arithmetic': {
        if (node.type === 'any') return `asNumber(${this.value(node)})`;
        const left = this.number(node.left);
        const right = this.number(node.right);
        return node.op === '/' ? `div(${left}, ${right})` : `(${left} ${node.op} ${right})`;
      }
      case 'conditional':
        return `(${this.condition(node.test)} ? ${this.number(node.whenTrue)} : ${this.number(node.whenFalse)})`;
      case 'call':
        return node.type === 'any' ? `asNumber(${this.value(node)})` : this.#numberCall(node);
      default:
        return `asNumber(${this.value(node)})`;
    }
  }

  #numberCall(node: Checked & { kind: 'call' }): string {
    if (node.fn === 'coalesce') {
      const numbers = node.args.map((arg) => this.number(arg));
      return numbers.reduceRight((rest, each) => `firstNumber(${each}, ${rest})`);
    }
    const ofNumbers = OF_NUMBERS[node.fn];
    if (ofNumbers !== undefined) return `${ofNumbers}(${node.args.map((arg) => this.number(arg)).join(', ')})`;
    return this.#backend.special(node, this.#constants) ?? `${node.fn}(${this.#values(node.args)})`;
  }

  condition(node: Checked): string {
    const special = node.type === 'boolean' ? this.#backend.special(node, this.#constants) : null;
    if (special !== null) return special;
    switch (node.kind) {
      case 'literal':
        return node.value === true ? 'true' : 'false';
      case 'member':
        return node.type === 'boolean' || node.type === 'any' ? this.#backend.condition(node.slot) : 'false';
      case 'not':
        return `(!${this.condition(node.operand)})`;
      case 'logic':
        return `(${this.condition(node.left)} ${node.op} ${this.condition(node.right)})`;
      case 'compare':
        return this.#compare(node);
      case 'absent':
        return this.#presence(node.operand, !node.negated);
      case 'in':
        return this.#in(node);
      case 'conditional':
        return `(${this.condition(node.test)} ? ${this.condition(node.whenTrue)} : ${this.condition(node.whenFalse)})`;
      case 'call':
        if (node.fn === 'has') return this.#presence(node.args[0] as Checked, false);
        if (node.type === 'boolean' && node.fn !== 'coalesce') return `${node.fn}(${this.#values(node.args)})`;
        return `(${this.value(node)} === true)`;
      default:
        return `(${this.value(node)} === true)`;
    }
  }

  #compare({ op, left, right }: Checked & { kind: 'compare' }): string {
    if (left.type !== 'number' && right.type !== 'number') {
      return `${COMPARISONS[op]}(${this.value(left)}, ${this.value(right)})`;
    }
    const a = this.number(left);
    const b = this.number(right);
    if (op === '!=') return `differ(${a}, ${b})`;
    return `(${a} ${op === '==' ? '===' : op} ${b})`;
  }

  #presence(node: Checked, wantAbsent: boolean): string {
    if (node.type === 'number') return `(${wantAbsent ? '!' : ''}present(${this.number(node)}))`;
    return `(${this.value(node)} ${wantAbsent ? '===' : '!=='} null)`;
  }

  #in({ item, list }: Checked & { kind: 'in' }): string {
    const literals = literalsOf(list);
    if (literals === null) return `among(${this.value(item)}, ${this.value(list)})`;
    const set = this.#constants.text(new Set(literals));
    return `${set}.has(${item.type === 'number' ? this.number(item) : this.value(item)})`;
  }

  value(node: Checked): string {
    switch (node.kind) {
      case 'literal':
        return typeof node.value === 'string' ? this.#constants.text(node.value) : `${node.value}`;
      case 'member':
        return this.#backend.value(node.slot);
      case 'aggregate':
        return this.#backend.aggregate(node.slot);
      case 'list':
        return `[${this.#values(node.items)}]`;
      case 'conditional':
        return `(${this.condition(node.test)} ? ${this.value(node.whenTrue)} : ${this.value(node.whenFalse)})`;
      case 'arithmetic':
        if (node.type === 'number') return `orNull(${this.number(node)})`;
        return `${node.type === 'string' ? 'concat' : 'add'}(${this.value(node.left)}, ${this.value(node.right)})`;
      case 'negate':
        return `orNull(${this.number(node)})`;
      case 'call':
        return this.#callValue(node);
      default:
        return this.condition(node);
    }
  }

  #callValue(node: Checked & { kind: 'call' }): string {
    if (node.fn === 'coalesce') return `(${node.args.map((arg) => this.value(arg)).join(' ?? ')})`;
    if (node.type === 'number') return `orNull(${this.number(node)})`;
    if (node.type === 'boolean') return this.condition(node);
    if (node.fn === 'date') return `date(${this.number(node.args[0] as Checked)})`;
    if (node.fn !== 'part') return `${node.fn}(${this.#values(node.args)})`;
    const [text, separator, n] = node.args as [Checked, Checked, Checked];
    return `part(${this.value(text)}, ${this.value(separator)}, ${this.number(n)})`;
  }

  #values(nodes: readonly Checked[]): string {
    return nodes.map((node) => this.value(node)).join(', ');
  }
}

/** Whether it is a condition that is always true or false. */
function neverAbsent(node: Checked): boolean {
  return (
    ['not', 'logic', 'compare', 'absent', 'in'].includes(node.kind) || (node.kind === 'call' && node.fn !== 'coalesce')
  );
}

/** The entries of a list of literals, null left out: nothing equals it. Null when it has other entries. */
export function literalsOf(list: Checked): (string | number | boolean)[] | null {
  if (list.kind !== 'list') return null;
  const values: (string | number | boolean)[] = [];
  for (const item of list.items) {
    if (item.kind !== 'literal') return null;
    if (item.value !== null) values.push(item.value);
  }
  return values;
}
