/**
 * Resolves the names of an expression in a scope and infers its types.
 *
 * Role: between the syntax tree and the code generator, which trusts what it is given. Refuses what can never make
 * sense (a number compared with a string, an unknown name or function, a condition that is a number) with the position
 * of the part concerned. `any` goes with every type: such values are looked at when they come.
 */
import type { CallNode, Node } from './ast.ts';
import type { Arithmetic, Checked, CheckedExpression, Comparison, ScopeNames, StepAggregate } from './checked.ts';
import { ExpressionError } from './error.ts';
import {
  FUNCTIONS,
  type FunctionFacts,
  isFunctionName,
  isStepFunction,
  type ParameterType,
  STEP_FUNCTIONS,
  type ValueType,
} from './language.ts';
import { parse } from './parse.ts';

/** What the place of an expression asks of its type. */
export type Wanted = 'boolean' | 'number' | 'any';

const NAMES: Readonly<Record<ParameterType, string>> = {
  number: 'a number',
  string: 'a string',
  boolean: 'a condition (true or false)',
  null: 'null',
  list: 'a list',
  any: 'any value',
  sized: 'a string or a list',
};

/** Checks a text against a scope. Throws `ExpressionError`. */
export function checkIn(text: string, scope: ScopeNames, wanted: Wanted = 'any'): CheckedExpression {
  const tree = parse(text);
  const checker = new Checker(text, scope);
  const root = checker.need(tree, wanted);
  return { root, type: root.type, members: checker.members, aggregates: checker.aggregates };
}

/** Whether a value of one type can stand where the other is wanted. */
function fits(type: ValueType, wanted: ParameterType): boolean {
  if (type === wanted || type === 'any' || type === 'null' || wanted === 'any') return true;
  return wanted === 'sized' && (type === 'string' || type === 'list');
}

/** The type of two values of which one is taken; null when they have none in common. */
function common(a: ValueType, b: ValueType): ValueType | null {
  if (a === b || b === 'null') return a;
  if (a === 'null') return b;
  return a === 'any' || b === 'any' ? 'any' : null;
}

class Checker {
  readonly members: string[][] = [];
  readonly aggregates: StepAggregate[] = [];
  readonly #slots = new Map<string, number>();
  readonly #text: string;
  readonly #scope: ScopeNames;

  constructor(text: string, scope: ScopeNames) {
    this.#text = text;
    this.#scope = scope;
  }

  need(node: Node, wanted: ParameterType): Checked {
    const checked = this.#check(node);
    if (!fits(checked.type, wanted)) throw this.#error(node, NAMES[checked.type], NAMES[wanted]);
    return checked;
  }

  #check(node: Node): Checked {
    switch (node.kind) {
      case 'number':
      case 'string':
      case 'boolean':
        return { kind: 'literal', type: node.kind, value: node.value };
      case 'null':
        return { kind: 'literal', type: 'null', value: null };
      case 'name':
      case 'member':
        return this.#member(node);
      case 'list':
        return { kind: 'list', type: 'list', items: node.items.map((item) => this.#check(item)) };
      case 'unary': {
        if (node.op === '!') return { kind: 'not', type: 'boolean', operand: this.need(node.operand, 'boolean') };
        return { kind: 'negate', type: 'number', operand: this.need(node.operand, 'number') };
      }
      case 'binary':
        return this.#binary(node);
      case 'conditional':
        return this.#conditional(node);
      case 'call':
        return this.#call(node);
    }
  }

  #binary(node: Node & { kind: 'binary' }): Checked {
    const { op } = node;
    if (op === '&&' || op === '||') {
      const left = this.need(node.left, 'boolean');
      return { kind: 'logic', type: 'boolean', op, left, right: this.need(node.right, 'boolean') };
    }
    if (op === 'in') return this.#in(node);
    if (op === '+' || op === '-' || op === '*' || op === '/' || op === '%') return this.#arithmetic(node, op);
    return this.#compare(node, op);
  }

  #compare(node: Node & { kind: 'binary' }, op: Comparison): Checked {
    const left = this.#check(node.left);
    const right = this.#check(node.right);
    if (op === '==' || op === '!=') {
      const negated = op === '!=';
      if (node.right.kind === 'null') return { kind: 'absent', type: 'boolean', operand: left, negated };
      if (node.left.kind === 'null') return { kind: 'absent', type: 'boolean', operand: right, negated };
    }
    this.#refuseList(node.left, left);
    this.#refuseList(node.right, right);
    if (common(left.type, right.type) === null) {
      throw this.#error(node, `${NAMES[left.type]} compared with ${NAMES[right.type]}`, 'values of one type');
    }
    const isOrder = op !== '==' && op !== '!=';
    if (isOrder && (left.type === 'boolean' || right.type === 'boolean')) {
      throw this.#error(node, `${op} of conditions`, 'numbers or strings');
    }
    return { kind: 'compare', type: 'boolean', op, left, right };
  }

  #refuseList(node: Node, checked: Checked): void {
    if (checked.type === 'list') throw this.#error(node, 'a list', 'a single value to compare, or `in`');
  }

  #in(node: Node & { kind: 'binary' }): Checked {
    const item = this.#check(node.left);
    this.#refuseList(node.left, item);
    const list = this.need(node.right, 'list');
    if (list.kind === 'list') {
      for (const [i, entry] of list.items.entries()) {
        if (common(item.type, entry.type) !== null) continue;
        const at = node.right.kind === 'list' ? (node.right.items[i] ?? node) : node;
        throw this.#error(at, NAMES[entry.type], NAMES[item.type]);
      }
    }
    return { kind: 'in', type: 'boolean', item, list };
  }

  #arithmetic(node: Node & { kind: 'binary' }, op: Arithmetic): Checked {
    if (op !== '+') {
      const left = this.need(node.left, 'number');
      return { kind: 'arithmetic', type: 'number', op, left, right: this.need(node.right, 'number') };
    }
    const left = this.#check(node.left);
    const right = this.#check(node.right);
    for (const [part, { type }] of [[node.left, left] as const, [node.right, right] as const]) {
      if (type === 'boolean' || type === 'list') throw this.#error(part, NAMES[type], 'numbers or strings to add');
    }
    const both = common(left.type, right.type);
    if (both === null) throw this.#error(node, `${NAMES[left.type]} plus ${NAMES[right.type]}`, 'values of one type');
    const known = left.type === 'any' ? right.type : left.type;
    const type = both === 'any' && known !== 'null' ? known : both;
    return { kind: 'arithmetic', type, op, left, right };
  }

  #conditional(node: Node & { kind: 'conditional' }): Checked {
    const test = this.need(node.test, 'boolean');
    const whenTrue = this.#check(node.whenTrue);
    const whenFalse = this.#check(node.whenFalse);
    const type = common(whenTrue.type, whenFalse.type);
    if (type !== null) return { kind: 'conditional', type, test, whenTrue, whenFalse };
    throw this.#error(node.whenFalse, NAMES[whenFalse.type], `${NAMES[whenTrue.type]}, as before the colon`);
  }

  #call(node: CallNode): Checked {
    const overStep = this.#stepAggregate(node);
    if (overStep !== null) return overStep;
    const { fn } = node;
    const facts = FUNCTIONS.get(fn);
    if (facts === undefined || !isFunctionName(fn)) {
      const known = [...FUNCTIONS.keys(), ...(this.#scope.steps.length > 0 ? STEP_FUNCTIONS : [])];
      throw ExpressionError.unknownName(this.#text, node.at, 'function', fn, known);
    }
    if (node.receiver !== null && facts.method === 'never') throw this.#error(node, `.${fn}(…)`, `${fn}(…)`);
    if (node.receiver === null && facts.method === 'only') throw this.#error(node, `${fn}(…)`, `a.${fn}(…)`);
    const parts = node.receiver === null ? node.args : [node.receiver, ...node.args];
    const least = facts.parameters.length;
    if (parts.length < least || (!facts.more && parts.length > least)) {
      const before = node.receiver === null ? 0 : 1;
      const expected = `${facts.more ? 'at least ' : ''}${least - before} of them`;
      throw this.#error(node, `${parts.length - before} arguments of ${fn}`, expected);
    }
    const args = parts.map((part, i) => this.need(part, facts.parameters[Math.min(i, least - 1)] as ParameterType));
    return { kind: 'call', type: this.#resultType(parts, args, facts), fn, args };
  }

  #resultType(parts: readonly Node[], args: readonly Checked[], facts: FunctionFacts): ValueType {
    if (facts.result !== 'same') return facts.result;
    let type: ValueType = 'null';
    for (const [i, arg] of args.entries()) {
      const both = common(type, arg.type);
      if (both === null) throw this.#error(parts[i] as Node, NAMES[arg.type], `${NAMES[type]}, as before`);
      type = both;
    }
    return type;
  }

  /** `count(a)`, `sum(a.price)`; null when it is another kind of call. */
  #stepAggregate(node: CallNode): Checked | null {
    const { fn, args } = node;
    const arg = args[0];
    if (this.#scope.steps.length === 0 || node.receiver !== null || !isStepFunction(fn) || arg === undefined)
      return null;
    if (args.length !== 1) return null;
    const path = pathOf(arg);
    if (path === null) throw this.#error(arg, 'a computed value', `the name of a step in ${fn}(…)`);
    const [step = '', field = '', ...rest] = path;
    if (fn === 'first' || fn === 'last') throw this.#error(node, `${fn}(…) alone`, `a field of it: ${fn}(step).field`);
    if (!this.#scope.steps.includes(step)) throw this.#unknownStep(arg, step);
    if (fn === 'count' && field !== '') throw this.#error(arg, path.join('.'), 'the name of a step alone');
    if (rest.length > 0 || (fn !== 'count' && field === '')) throw this.#error(arg, path.join('.'), `${step}.field`);
    return this.#aggregate(node, fn, step, field);
  }

  #aggregate(node: Node, fn: StepAggregate['fn'], step: string, field: string): Checked {
    const type = this.#scope.aggregate?.(fn, step, field);
    if (type === undefined) throw ExpressionError.unknownName(this.#text, node.at, 'field', field, this.#scope.known);
    if (fn !== 'first' && fn !== 'last' && !fits(type, 'number')) throw this.#error(node, NAMES[type], NAMES.number);
    const slot = this.#slot(`aggregate ${fn} ${step} ${field}`, this.aggregates, { fn, step, field });
    return { kind: 'aggregate', type, slot };
  }

  #member(node: Node & { kind: 'name' | 'member' }): Checked {
    if (node.kind === 'member' && node.of.kind === 'call') return this.#fieldOfStep(node, node.of);
    const path = pathOf(node);
    if (path === null) throw this.#error(node, 'a member of a computed value', 'a name before the dot');
    const type = this.#scope.resolve(path);
    if (type === undefined) {
      const name = path.join('.');
      const isStep = this.#scope.steps.includes(path[0] ?? '') && path.length === 2;
      if (isStep) throw this.#error(node, name, `first(${path[0]}).${path[1]} or last(${path[0]}).${path[1]}`);
      throw ExpressionError.unknownName(this.#text, node.at, 'name', name, this.#scope.known);
    }
    return { kind: 'member', type, slot: this.#slot(`member ${JSON.stringify(path)}`, this.members, path) };
  }

  #fieldOfStep(node: Node & { kind: 'member' }, call: CallNode): Checked {
    const [arg] = call.args;
    const isPick = (call.fn === 'first' || call.fn === 'last') && call.receiver === null && call.args.length === 1;
    if (!isPick || arg === undefined || this.#scope.steps.length === 0) {
      throw this.#error(node, `a member of ${call.fn}(…)`, 'a name before the dot');
    }
    if (arg.kind !== 'name') throw this.#error(arg, 'a computed value', `the name of a step in ${call.fn}(…)`);
    if (!this.#scope.steps.includes(arg.name)) throw this.#unknownStep(arg, arg.name);
    return this.#aggregate(node, call.fn as 'first' | 'last', arg.name, node.name);
  }

  #slot<T>(id: string, list: T[], entry: T): number {
    const known = this.#slots.get(id);
    if (known !== undefined) return known;
    this.#slots.set(id, list.length);
    list.push(entry);
    return list.length - 1;
  }

  #unknownStep(node: Node, step: string): ExpressionError {
    return ExpressionError.unknownName(this.#text, node.at, 'step', step, this.#scope.steps);
  }

  #error(node: Node, found: string, expected: string): ExpressionError {
    return new ExpressionError(this.#text, node.at, found, expected);
  }
}

/** `['a', 'b']` of `a.b`; null for anything else. */
function pathOf(node: Node): string[] | null {
  if (node.kind === 'name') return [node.name];
  if (node.kind !== 'member') return null;
  const before = pathOf(node.of);
  before?.push(node.name);
  return before;
}
