/**
 * Checks of the expressions of a definition, with their problems in the words of definitions.
 *
 * Role: for the compilers of operators. The canonical text (`print(parse(text))`) stands for an expression wherever
 * state is compared, so that blanks and quotes do not matter.
 */
import { checkIn, type Wanted } from '../expressions/check.ts';
import type { ScopeNames } from '../expressions/checked.ts';
import { ExpressionError } from '../expressions/error.ts';
import type { ValueType } from '../expressions/language.ts';
import { parse } from '../expressions/parse.ts';
import { print } from '../expressions/print.ts';
import { checkTemplate } from '../expressions/template.ts';
import { at, excerptOf, type Findings } from './definition-problem.ts';

/** Type of an expression; null, with a problem, when it is wrong. `''` and undefined: none, null. */
export function checkExpression(
  text: string | undefined,
  scope: ScopeNames,
  wanted: Wanted,
  path: string,
  findings: Findings,
): ValueType | null {
  if (text === undefined || text === '') return null;
  try {
    return checkIn(text, scope, wanted).type;
  } catch (error) {
    tell(text, error, path, findings);
    return null;
  }
}

export function checkMessage(text: string | undefined, scope: ScopeNames, path: string, findings: Findings): void {
  const error = text === undefined ? null : checkTemplate(text, scope);
  if (error !== null) tell(text ?? '', error, path, findings);
}

function tell(text: string, error: unknown, path: string, findings: Findings): void {
  if (!(error instanceof ExpressionError)) throw error;
  const { expected, found, position, suggestion } = error;
  findings.put({ path, value: `${excerptOf(text)} (at position ${position}: ${found})`, expected, suggestion });
}

/** A `select` as a plan has it. */
export function selected(
  select: Readonly<Record<string, string>> | undefined,
  scope: ScopeNames,
  path: string,
  findings: Findings,
): { readonly name: string; readonly expression: string }[] {
  return Object.entries(select ?? {}).map(([name, expression]) => {
    checkExpression(expression, scope, 'any', at(path, name), findings);
    return { name, expression };
  });
}

/** One text for all ways to write an expression that was checked. */
export function canonical(text: string): string {
  return text === '' ? '' : print(parse(text));
}
