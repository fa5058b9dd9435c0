/**
 * What is wrong with an expression: where, what stands there, what was expected, and the nearest name that exists.
 *
 * Role: the one error of the language. Who asks about a text that may be wrong (`checkRow`, `checkTemplate`) is given it as
 * a value; `checkIn` and the `compile…` functions throw it.
 */
import { nearest } from '../../config/nearest.ts';
import { PLAIN_NAME } from './language.ts';

const EXCERPT_BEFORE = 16;
const EXCERPT_AFTER = 24;
const LISTED_MAX = 8;

export class ExpressionError extends Error {
  /** Index of the first UTF-16 unit concerned. */
  readonly position: number;
  /** The text around it. */
  readonly excerpt: string;
  /** What stands there, or is wrong with it. */
  readonly found: string;
  readonly expected: string;
  readonly suggestion: string | null;

  constructor(text: string, position: number, found: string, expected: string, suggestion: string | null = null) {
    const excerpt = excerptOf(text, position);
    const hint = suggestion === null ? '' : `; did you mean ${suggestion}?`;
    super(`${found} at position ${position} (${JSON.stringify(excerpt)}), expected ${expected}${hint}`);
    this.name = 'ExpressionError';
    this.position = position;
    this.excerpt = excerpt;
    this.found = found;
    this.expected = expected;
    this.suggestion = suggestion;
  }

  /** A name that does not exist among those that do. */
  static unknownName(text: string, position: number, what: string, name: string, known: readonly string[]) {
    const found = `unknown ${what} ${JSON.stringify(name)}`;
    return new ExpressionError(text, position, found, listed(known), suggestionFor(text, position, name, known));
  }
}

/** A name that lacks backticks, or what stands before the dot; else the nearest. */
function suggestionFor(text: string, position: number, name: string, known: readonly string[]): string | null {
  const unquoted = known.find((each) => !PLAIN_NAME.test(each) && text.startsWith(each, position));
  if (unquoted !== undefined) return `\`${unquoted}\``;
  const inside = known.find((each) => each.endsWith(`.${name}`));
  // Of a name of one or two letters every other one is near.
  return inside ?? (name.length > 2 ? nearest(name, known) : null);
}

function listed(known: readonly string[]): string {
  if (known.length === 0) return 'none: there are no names here';
  const shown = known.slice(0, LISTED_MAX).join(', ');
  return `one of ${shown}${known.length > LISTED_MAX ? `, … (${known.length})` : ''}`;
}

function excerptOf(text: string, position: number): string {
  const from = Math.max(0, position - EXCERPT_BEFORE);
  const to = Math.min(text.length, position + EXCERPT_AFTER);
  return `${from > 0 ? '…' : ''}${text.slice(from, to)}${to < text.length ? '…' : ''}`;
}
