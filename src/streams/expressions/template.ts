/**
 * Texts for people with expressions in braces: `{key.host} at {round(mean)}`. `{{` and `}}` are braces.
 *
 * Role: messages of alerts. Values are written for reading: numbers to three decimals (small ones to three digits),
 * what is absent as `n/a`. The text made is bounded.
 */
import type { ScopeNames } from './checked.ts';
import { ExpressionError } from './error.ts';
import type { JsonValue } from './language.ts';
import { compileScoped, type Environment, type ScopedExpression } from './scoped.ts';

export const TEMPLATE_CHARACTERS_MAX = 2000;
export const TEMPLATE_EXPRESSIONS_MAX = 32;
/** Of the text made. */
export const MESSAGE_CHARACTERS_MAX = 4000;

const HALF_AT_END = /\p{Surrogate}$/u;

export interface Template {
  render(environment: Environment): string;
}

/** Throws `ExpressionError`. */
export function compileTemplate(text: string, scope: ScopeNames): Template {
  if (text.length > TEMPLATE_CHARACTERS_MAX) {
    const found = `${text.length} characters`;
    throw new ExpressionError(text, TEMPLATE_CHARACTERS_MAX, found, `at most ${TEMPLATE_CHARACTERS_MAX}`);
  }
  const parts = partsOf(text, scope);
  const expressions = parts.filter((part) => typeof part !== 'string').length;
  if (expressions > TEMPLATE_EXPRESSIONS_MAX) {
    throw new ExpressionError(text, 0, `${expressions} expressions`, `at most ${TEMPLATE_EXPRESSIONS_MAX}`);
  }
  return {
    render(environment) {
      let message = '';
      for (const part of parts) message += typeof part === 'string' ? part : written(part.value(environment));
      if (message.length <= MESSAGE_CHARACTERS_MAX) return message;
      // The cut may go through a surrogate pair.
      return `${message.slice(0, MESSAGE_CHARACTERS_MAX - 1).replace(HALF_AT_END, '')}…`;
    },
  };
}

/** Whether a text is a template in this scope; null when it is. */
export function checkTemplate(text: string, scope: ScopeNames): ExpressionError | null {
  try {
    compileTemplate(text, scope);
    return null;
  } catch (error) {
    if (error instanceof ExpressionError) return error;
    throw error;
  }
}

function partsOf(text: string, scope: ScopeNames): (string | ScopedExpression)[] {
  const parts: (string | ScopedExpression)[] = [];
  let plain = '';
  let at = 0;
  while (at < text.length) {
    const char = text.charAt(at);
    if ((char === '{' || char === '}') && text.charAt(at + 1) === char) {
      plain += char;
      at += 2;
    } else if (char === '}') {
      throw new ExpressionError(text, at, '}', '{ before it, or }} for a brace');
    } else if (char === '{') {
      const end = endOf(text, at);
      parts.push(plain, compileAt(text, at + 1, end, scope));
      plain = '';
      at = end + 1;
    } else {
      plain += char;
      at += 1;
    }
  }
  parts.push(plain);
  return parts;
}

/** Where the brace opened at `open` closes; braces in strings do not count. */
function endOf(text: string, open: number): number {
  let quote = '';
  for (let at = open + 1; at < text.length; at++) {
    const char = text.charAt(at);
    if (quote === '') {
      if (char === '}') return at;
      if (char === '"' || char === "'" || char === '`') quote = char;
    } else if (char === '\\') at++;
    else if (char === quote) quote = '';
  }
  throw new ExpressionError(text, open, '{ without an end', '} after the expression, or {{ for a brace');
}

function compileAt(text: string, from: number, to: number, scope: ScopeNames): ScopedExpression {
  // Blanks in front keep positions those of the whole text.
  return compileScoped(' '.repeat(from) + text.slice(from, to), scope);
}

function written(value: JsonValue): string {
  if (value === null) return 'n/a';
  if (typeof value === 'string') return value;
  if (typeof value !== 'number') return JSON.stringify(value);
  // As where it is written down: a number that became too large has no form.
  if (!Number.isFinite(value)) return 'n/a';
  if (Number.isInteger(value)) return `${value}`;
  return `${Number(Math.abs(value) >= 1 ? value.toFixed(3) : value.toPrecision(3))}`;
}
