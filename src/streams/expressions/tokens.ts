/**
 * Cuts the text of an expression into tokens.
 *
 * Role: before `parse.ts`. One pass, no regular expression that could backtrack over hostile text; a text that is too
 * long is refused before anything is looked at.
 */
import { ExpressionError } from './error.ts';
import { EXPRESSION_CHARACTERS_MAX, NAME_CHARACTERS_MAX } from './language.ts';

export interface Token {
  /** `name`: an identifier or keyword. `quoted`: a name in backticks, never a keyword. */
  readonly kind: 'number' | 'string' | 'name' | 'quoted' | 'symbol' | 'end';
  readonly at: number;
  /** Of strings, names and symbols: the content. */
  readonly text: string;
  /** Of numbers. */
  readonly value: number;
}

const SYMBOLS_OF_TWO: readonly string[] = ['||', '&&', '==', '!=', '<=', '>='];
const SYMBOLS_OF_ONE = '<>+-*/%!?:()[],.';
const NUMBER = /0[xX][0-9a-fA-F]{1,13}|(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?/y;
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const QUOTED_NAME = /`([A-Za-z0-9_.\-/ ]+)`/y;
const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  b: '\b',
  f: '\f',
  '\\': '\\',
  "'": "'",
  '"': '"',
  '`': '`',
};

export function tokensOf(text: string): readonly Token[] {
  if (text.length > EXPRESSION_CHARACTERS_MAX) {
    const limit = `at most ${EXPRESSION_CHARACTERS_MAX}`;
    throw new ExpressionError(text, EXPRESSION_CHARACTERS_MAX, `${text.length} characters`, limit);
  }
  const tokens: Token[] = [];
  let at = 0;
  for (;;) {
    while (at < text.length && ' \t\r\n'.includes(text.charAt(at))) at++;
    if (at === text.length) break;
    const next = numberAt(text, at) ?? nameAt(text, at) ?? stringAt(text, at) ?? symbolAt(text, at);
    tokens.push(next.token);
    at = next.end;
  }
  tokens.push({ kind: 'end', at, text: '', value: 0 });
  return tokens;
}

interface Read {
  readonly token: Token;
  readonly end: number;
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

function numberAt(text: string, at: number): Read | null {
  const written = matchAt(NUMBER, text, at)?.[0];
  if (written === undefined) return null;
  const end = at + written.length;
  if (/[A-Za-z0-9_]/.test(text.charAt(end))) {
    throw new ExpressionError(
      text,
      end,
      `${JSON.stringify(text.charAt(end))} after a number`,
      'an operator or a blank',
    );
  }
  const value = Number(written);
  if (!Number.isFinite(value)) throw new ExpressionError(text, at, `number ${written}`, 'less than 1.8e308');
  return { token: { kind: 'number', at, text: '', value }, end };
}

function nameAt(text: string, at: number): Read | null {
  const plain = matchAt(NAME, text, at)?.[0];
  if (plain !== undefined) return { token: { kind: 'name', at, text: plain, value: 0 }, end: at + plain.length };
  if (text.charAt(at) !== '`') return null;
  const quoted = matchAt(QUOTED_NAME, text, at)?.[1];
  if (quoted === undefined || quoted.length > NAME_CHARACTERS_MAX) {
    const expected = `a name of at most ${NAME_CHARACTERS_MAX} letters, digits, _ - . / or blanks between backticks`;
    throw new ExpressionError(text, at, 'backtick', expected);
  }
  return { token: { kind: 'quoted', at, text: quoted, value: 0 }, end: at + quoted.length + 2 };
}

function stringAt(text: string, at: number): Read | null {
  const quote = text.charAt(at);
  if (quote !== '"' && quote !== "'") return null;
  let content = '';
  let i = at + 1;
  for (;;) {
    const char = text.charAt(i);
    if (char === '' || char === '\n' || char === '\r') {
      throw new ExpressionError(text, at, 'string without an end', `${quote} on the same line`);
    }
    if (char === quote) break;
    if (char !== '\\') {
      content += char;
      i += 1;
    } else if (text.charAt(i + 1) === 'u' && /^[0-9a-fA-F]{4}$/.test(text.slice(i + 2, i + 6))) {
      content += String.fromCharCode(Number.parseInt(text.slice(i + 2, i + 6), 16));
      i += 6;
    } else {
      const meant = ESCAPES[text.charAt(i + 1)];
      if (meant === undefined)
        throw new ExpressionError(text, i, 'backslash', '\\n \\r \\t \\b \\f \\\\ \\\' \\" or \\u0000');
      content += meant;
      i += 2;
    }
  }
  if (/\p{Surrogate}/u.test(content)) throw new ExpressionError(text, at, 'half a surrogate pair', 'whole characters');
  return { token: { kind: 'string', at, text: content, value: 0 }, end: i + 1 };
}

function symbolAt(text: string, at: number): Read {
  const two = text.slice(at, at + 2);
  if (SYMBOLS_OF_TWO.includes(two)) return { token: { kind: 'symbol', at, text: two, value: 0 }, end: at + 2 };
  const one = text.charAt(at);
  if (SYMBOLS_OF_ONE.includes(one)) return { token: { kind: 'symbol', at, text: one, value: 0 }, end: at + 1 };
  const meant: Readonly<Record<string, string>> = { '=': '==', '&': '&&', '|': '||' };
  const shown = JSON.stringify(String.fromCodePoint(text.codePointAt(at) ?? 0));
  throw new ExpressionError(text, at, shown, 'a value or an operator', meant[one] ?? null);
}
