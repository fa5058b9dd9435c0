/**
 * Reads a URI template (RFC 6570) into the steps that `uri-template.ts` matches with.
 *
 * Role: all refusals about templates happen here, at registration. Levels 1 to 3 are read, and of level 4 the one form
 * that resources need, `{/path*}`, a run of path segments. `{?a,b}` and `{&a,b}` must come last, or be followed by
 * `{#fragment}` alone: their parameters are then taken in any order, as clients write them.
 *
 * A template becomes a row of steps; each step is a prefix and, unless `cls` is null, the value after it:
 *
 *   note://{owner}/docs{/path*}{?page}
 *   └prefix┘└value┘└prefix┘└ '/' value, may be absent ┘  └ query: page
 */
import { DefinitionError } from './definition-error.ts';

export const TEMPLATE_CHARS_MAX = 2048;
export const TEMPLATE_VARIABLES_MAX = 32;

/** Which characters a value may hold. */
export const VALUE_CLASS = {
  /** No `/ ? #`. */
  segment: 1,
  /** As `segment`, and no comma: the expression lists several variables. */
  listed: 2,
  /** As `segment`, and no dot. */
  label: 4,
  /** As `segment`, and no semicolon or comma. */
  parameter: 8,
  /** As `segment`, and slashes. */
  segments: 16,
  /** Anything. */
  any: 32,
} as const;
export type ValueClass = (typeof VALUE_CLASS)[keyof typeof VALUE_CLASS];

export interface Step {
  readonly prefix: string;
  /** Name of the variable; `''` for literal text. */
  readonly name: string;
  /** 0: no value, literal text only. */
  readonly cls: ValueClass | 0;
  /** Whether the value may be empty. */
  readonly mayBeEmpty: boolean;
  /** `;name` without `=` is the empty value: the prefix is `;name`, and a value is preceded by this. */
  readonly equals: boolean;
  /** Step to go on with when this one is absent; -1 when it must be there. */
  readonly skipTo: number;
}

export interface TemplateSyntax {
  readonly steps: readonly Step[];
  /** Names of query parameters; empty when there is no query expression. */
  readonly query: readonly string[];
  /** What the first query parameter may follow: `?`, `&` or both. */
  readonly queryStarts: string;
  /** Name of the variable of a `{#fragment}` that follows a query; `''` when there is none. */
  readonly queryFragment: string;
  /** Every variable, in order. */
  readonly variables: readonly string[];
  /** Characters of literal text; the more, the more specific the template. */
  readonly literalChars: number;
}

interface Draft {
  readonly template: string;
  readonly steps: Step[];
  readonly query: string[];
  queryStarts: string;
  queryFragment: string;
  readonly variables: string[];
  literalChars: number;
}

/** Throws `DefinitionError` for a template that cannot be served. */
export function readTemplate(template: string): TemplateSyntax {
  if (template.length > TEMPLATE_CHARS_MAX) {
    throw new DefinitionError(`URI template of ${template.length} characters; at most ${TEMPLATE_CHARS_MAX}`);
  }
  const draft: Draft = {
    template,
    steps: [],
    query: [],
    queryStarts: '',
    queryFragment: '',
    variables: [],
    literalChars: 0,
  };
  let at = 0;
  while (at < template.length) {
    const open = template.indexOf('{', at);
    const literal = open < 0 ? template.slice(at) : template.slice(at, open);
    if (literal !== '') addLiteral(draft, literal);
    if (open < 0) break;
    const close = template.indexOf('}', open);
    if (close < 0) throw refusal(draft, `the "{" at character ${open} is never closed`);
    addExpression(draft, template.slice(open + 1, close));
    at = close + 1;
  }
  if (draft.variables.length > TEMPLATE_VARIABLES_MAX) {
    throw refusal(draft, `${draft.variables.length} variables; at most ${TEMPLATE_VARIABLES_MAX}`);
  }
  return draft;
}

function refusal(draft: Draft, why: string): DefinitionError {
  return new DefinitionError(`URI template ${JSON.stringify(draft.template)}: ${why}`);
}

function addLiteral(draft: Draft, text: string): void {
  if (text.includes('}')) throw refusal(draft, 'a "}" without its "{"');
  if (draft.queryStarts !== '') throw refusal(draft, `text after a query expression: ${JSON.stringify(text)}`);
  draft.literalChars += text.length;
  draft.steps.push({ prefix: text, name: '', cls: 0, mayBeEmpty: true, equals: false, skipTo: -1 });
}

const OPERATORS = '+#./;?&';
const NAME = /^(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})(?:\.?(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2}))*$/;

function addExpression(draft: Draft, expression: string): void {
  const first = expression.charAt(0);
  const operator = first !== '' && OPERATORS.includes(first) ? first : '';
  const specs = expression.slice(operator.length).split(',');
  const names: string[] = [];
  let explode = false;
  for (const spec of specs) {
    const exploded = spec.endsWith('*');
    if (exploded && operator !== '/') throw refusal(draft, `"${spec}": of the "*" forms only {/name*} is understood`);
    explode ||= exploded;
    const name = exploded ? spec.slice(0, -1) : spec;
    if (name.includes(':')) throw refusal(draft, `"${spec}": prefix lengths (level 4) are not understood`);
    if (!NAME.test(name)) throw refusal(draft, `"${spec}" in {${expression}} is not a variable name`);
    if (draft.variables.includes(name)) throw refusal(draft, `the variable "${name}" occurs twice`);
    draft.variables.push(name);
    names.push(name);
  }
  if (explode && names.length > 1) throw refusal(draft, `{${expression}}: {/name*} takes one variable`);
  if (operator === '?' || operator === '&') addQuery(draft, operator, names);
  else if (draft.queryStarts !== '') addQueryFragment(draft, operator, names, expression);
  else addValues(draft, operator, names, explode);
}

function addQuery(draft: Draft, operator: '?' | '&', names: readonly string[]): void {
  if (draft.queryFragment !== '') throw refusal(draft, 'a query expression after a fragment');
  draft.query.push(...names);
  if (!draft.queryStarts.includes(operator)) draft.queryStarts += operator;
}

function addQueryFragment(draft: Draft, operator: string, names: readonly string[], expression: string): void {
  const name = names[0];
  if (operator !== '#' || names.length !== 1 || name === undefined || draft.queryFragment !== '') {
    throw refusal(draft, `{${expression}} after a query expression; only one {#name} may follow it`);
  }
  draft.queryFragment = name;
}

function addValues(draft: Draft, operator: string, names: readonly string[], explode: boolean): void {
  const cls = classOf(operator, names.length, explode);
  const groupEnd = draft.steps.length + names.length;
  // Simple and reserved expansion: the first variable must be there, since without it nothing marks the place.
  const required = operator === '' || operator === '+';
  const listing = required || operator === '#';
  for (const [index, name] of names.entries()) {
    const next = draft.steps.length + 1;
    draft.steps.push({
      prefix: prefixOf(operator, name, index),
      name,
      cls,
      mayBeEmpty: !required,
      equals: operator === ';',
      skipTo: required && index === 0 ? -1 : listing ? groupEnd : next,
    });
  }
}

function prefixOf(operator: string, name: string, index: number): string {
  switch (operator) {
    case '':
    case '+':
      return index === 0 ? '' : ',';
    case '#':
      return index === 0 ? '#' : ',';
    case ';':
      return `;${name}`;
    default:
      return operator;
  }
}

function classOf(operator: string, variables: number, explode: boolean): ValueClass {
  switch (operator) {
    case '+':
    case '#':
      return VALUE_CLASS.any;
    case '.':
      return VALUE_CLASS.label;
    case ';':
      return VALUE_CLASS.parameter;
    case '/':
      return explode ? VALUE_CLASS.segments : VALUE_CLASS.segment;
    default:
      return variables > 1 ? VALUE_CLASS.listed : VALUE_CLASS.segment;
  }
}
