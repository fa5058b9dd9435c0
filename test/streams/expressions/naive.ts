/**
 * The meaning of an expression, the plain way: a walk over the syntax tree with JSON values, null for what is absent.
 * Written from LANGUAGE.md, it shares nothing with the code generator but the tree.
 */
import type { Node } from '../../../src/streams/expressions/ast.ts';

export type Value = string | number | boolean | null | readonly Value[];
export type Names = (path: readonly string[]) => Value;

export function naive(node: Node, names: Names): Value {
  switch (node.kind) {
    case 'number':
    case 'string':
    case 'boolean':
      return node.value;
    case 'null':
      return null;
    case 'name':
      return names([node.name]);
    case 'member':
      return names([...pathOf(node.of), node.name]);
    case 'list':
      return node.items.map((item) => naive(item, names));
    case 'unary': {
      const value = naive(node.operand, names);
      if (node.op === '!') return value !== true;
      return typeof value === 'number' ? -value : null;
    }
    case 'conditional':
      return naive(naive(node.test, names) === true ? node.whenTrue : node.whenFalse, names);
    case 'call': {
      const parts = node.receiver === null ? node.args : [node.receiver, ...node.args];
      return called(
        node.fn,
        parts.map((part) => naive(part, names)),
      );
    }
    case 'binary':
      return binary(node, naive(node.left, names), naive(node.right, names));
  }
}

function pathOf(node: Node): string[] {
  if (node.kind === 'name') return [node.name];
  if (node.kind === 'member') return [...pathOf(node.of), node.name];
  throw new TypeError('not a path');
}

function binary({ op, left, right }: Node & { kind: 'binary' }, a: Value, b: Value): Value {
  if (op === '&&') return a === true && b === true;
  if (op === '||') return a === true || b === true;
  if (op === 'in') return a !== null && Array.isArray(b) && b.some((item) => item === a);
  if (op === '==' || op === '!=') {
    if (right.kind === 'null') return (a === null) === (op === '==');
    if (left.kind === 'null') return (b === null) === (op === '==');
    if (a === null || b === null || typeof a !== typeof b) return false;
    return (a === b) === (op === '==');
  }
  if (a === null || b === null || typeof a !== typeof b) return op === '+' || '-*/%'.includes(op) ? null : false;
  if (op === '<') return a < b;
  if (op === '<=') return a <= b;
  if (op === '>') return a > b;
  if (op === '>=') return a >= b;
  if (op === '+' && typeof a === 'string') return a + String(b);
  const [x, y] = [a as number, b as number];
  if (op === '+') return valued(x + y);
  if (op === '-') return valued(x - y);
  if (op === '*') return valued(x * y);
  if (y === 0) return null;
  return valued(op === '/' ? x / y : x % y);
}

const valued = (value: number): number | null => (Number.isNaN(value) ? null : value);

const OF_NUMBERS: Readonly<Record<string, (...numbers: number[]) => number>> = {
  abs: Math.abs,
  floor: Math.floor,
  ceil: Math.ceil,
  sqrt: Math.sqrt,
  round: (x) => Math.sign(x) * Math.round(Math.abs(x)),
  min: Math.min,
  max: Math.max,
  hour: (x) => new Date(Math.floor(x)).getUTCHours(),
  day: (x) => new Date(Math.floor(x)).getUTCDate(),
  dayOfWeek: (x) => new Date(Math.floor(x)).getUTCDay(),
};

function called(fn: string, args: readonly Value[]): Value {
  const [a = null, b = null, c = null] = args;
  if (fn === 'has') return a !== null;
  if (fn === 'coalesce') return args.find((arg) => arg !== null) ?? null;
  const ofNumbers = OF_NUMBERS[fn];
  if (ofNumbers !== undefined) return args.includes(null) ? null : valued(ofNumbers(...(args as number[])));
  if (fn === 'date') {
    if (a === null || Number.isNaN(new Date(Math.floor(a as number)).getTime())) return null;
    return new Date(Math.floor(a as number)).toISOString().split('T')[0] as string;
  }
  if (fn === 'contains' || fn === 'startsWith' || fn === 'endsWith') {
    if (a === null || b === null) return false;
    const [text, wanted] = [a as string, b as string];
    return fn === 'contains'
      ? text.includes(wanted)
      : fn === 'startsWith'
        ? text.startsWith(wanted)
        : text.endsWith(wanted);
  }
  if (args.includes(null)) return null;
  if (fn === 'size') return typeof a === 'string' ? [...a].length : (a as readonly Value[]).length;
  if (fn === 'lower') return (a as string).toLowerCase();
  if (fn === 'upper') return (a as string).toUpperCase();
  if (fn === 'occurrences') return b === '' ? 0 : (a as string).split(b as string).length - 1;
  if (fn === 'part') return b === '' ? null : ((a as string).split(b as string)[Math.floor(c as number)] ?? null);
  throw new TypeError(fn);
}
