/**
 * The facts of the expression language: value types, limits, functions and operators. LANGUAGE.md tells them to people.
 *
 * Role: the one table that the parser, the checker, the code generator and the documentation's test go by. A subset of
 * CEL in spelling and precedence, with other rules for what is missing: numbers are doubles, and there are no errors at
 * run time. What has no value is *absent* (null): absent fields, arithmetic with something absent, a division by zero,
 * a function outside its domain. A comparison with something absent is false (`!=` too); as a condition absent is false.
 * `x == null` and `x != null`, with the literal, ask whether x is absent.
 */
import type { FieldType } from '../define/definition.ts';

export type ValueType = 'number' | 'string' | 'boolean' | 'null' | 'list' | 'any';

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [member: string]: JsonValue };

/** UTF-16 units of one expression. */
export const EXPRESSION_CHARACTERS_MAX = 4096;
/** Parentheses, lists, calls, signs and conditionals within one another. */
export const EXPRESSION_DEPTH_MAX = 64;
/** Nodes of the syntax tree. */
export const EXPRESSION_NODES_MAX = 512;
/**
 * UTF-16 units of a text that `+` makes; a longer one is absent. Every aggregate and every value of a match may be such
 * a text: one large field, joined to itself as often as an expression allows, would exceed all memory.
 */
export const JOINED_CHARACTERS_MAX = 65_536;
/** Of a name in backticks. */
export const NAME_CHARACTERS_MAX = 64;

export const KEYWORDS: readonly string[] = ['true', 'false', 'null', 'in'];
export const PLAIN_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

export function typeOfField(type: FieldType): ValueType {
  return type === 'integer' ? 'number' : type;
}

/** `sized`: a string or a list. */
export type ParameterType = ValueType | 'sized';

export interface FunctionFacts {
  readonly parameters: readonly ParameterType[];
  /** More arguments of the last parameter's type may follow. */
  readonly more: boolean;
  /** `same`: the one type of all arguments. */
  readonly result: ValueType | 'same';
  /** Whether it is also, or only, written `x.f(…)`. */
  readonly method: 'never' | 'also' | 'only';
}

function facts(
  parameters: readonly ParameterType[],
  result: FunctionFacts['result'],
  method: FunctionFacts['method'] = 'never',
  more = false,
): FunctionFacts {
  return { parameters, more, result, method };
}

const FACTS = {
  abs: facts(['number'], 'number'),
  floor: facts(['number'], 'number'),
  ceil: facts(['number'], 'number'),
  round: facts(['number'], 'number'),
  sqrt: facts(['number'], 'number'),
  min: facts(['number', 'number'], 'number', 'never', true),
  max: facts(['number', 'number'], 'number', 'never', true),
  size: facts(['sized'], 'number', 'also'),
  lower: facts(['string'], 'string', 'also'),
  upper: facts(['string'], 'string', 'also'),
  contains: facts(['string', 'string'], 'boolean', 'only'),
  startsWith: facts(['string', 'string'], 'boolean', 'only'),
  endsWith: facts(['string', 'string'], 'boolean', 'only'),
  occurrences: facts(['string', 'string'], 'number'),
  part: facts(['string', 'string', 'number'], 'string'),
  has: facts(['any'], 'boolean'),
  coalesce: facts(['any', 'any'], 'same', 'never', true),
  hour: facts(['number'], 'number'),
  day: facts(['number'], 'number'),
  dayOfWeek: facts(['number'], 'number'),
  date: facts(['number'], 'string'),
} as const;

export type FunctionName = keyof typeof FACTS;

export const FUNCTIONS: ReadonlyMap<string, FunctionFacts> = new Map(Object.entries(FACTS));

export function isFunctionName(name: string): name is FunctionName {
  return FUNCTIONS.has(name);
}

/** Functions over the events that a step of a pattern took so far. */
export const STEP_FUNCTIONS = ['first', 'last', 'count', 'sum', 'avg', 'min', 'max'] as const;
export type StepFunction = (typeof STEP_FUNCTIONS)[number];

export function isStepFunction(name: string): name is StepFunction {
  return (STEP_FUNCTIONS as readonly string[]).includes(name);
}

export type BinaryOperator = '||' | '&&' | '==' | '!=' | '<' | '<=' | '>' | '>=' | 'in' | '+' | '-' | '*' | '/' | '%';

/** How tightly operators bind; all of them group from the left. The conditional binds least (0), signs most (6). */
export const PRECEDENCE: Readonly<Record<BinaryOperator, number>> = {
  '||': 1,
  '&&': 2,
  '==': 3,
  '!=': 3,
  '<': 3,
  '<=': 3,
  '>': 3,
  '>=': 3,
  in: 3,
  '+': 4,
  '-': 4,
  '*': 5,
  '/': 5,
  '%': 5,
};
export const PRECEDENCE_OF_SIGNS = 6;
