/**
 * Parses the text of an expression.
 *
 *   expression = or [ '?' or ':' expression ]
 *   or … product: binary operators by PRECEDENCE, from the left
 *   signed     = { '-' | '!' } postfix
 *   postfix    = primary { '.' name [ '(' arguments ')' ] }
 *   primary    = literal | name [ '(' arguments ')' ] | '(' expression ')' | '[' arguments ']'
 *
 * Invariants: recursion is bounded by EXPRESSION_DEPTH_MAX, the tree by EXPRESSION_NODES_MAX, so hostile text costs no
 * more than a long one. Throws `ExpressionError`; callers that expect errors catch that class only.
 */
import type { Node } from './ast.ts';
import { ExpressionError } from './error.ts';
import { type BinaryOperator, EXPRESSION_DEPTH_MAX, EXPRESSION_NODES_MAX, KEYWORDS, PRECEDENCE } from './language.ts';
import { type Token, tokensOf } from './tokens.ts';

export function parse(text: string): Node {
  return new Parser(text).whole();
}

const isBinary = (text: string): text is BinaryOperator => Object.hasOwn(PRECEDENCE, text);

class Parser {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;
  #nodes = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokensOf(text);
  }

  whole(): Node {
    const node = this.#expression();
    if (this.#peek().kind !== 'end') throw this.#unexpected('an operator or the end');
    return node;
  }

  #expression(): Node {
    this.#deeper();
    const test = this.#binary(1);
    const at = this.#peek().at;
    let node = test;
    if (this.#taken('?')) {
      const whenTrue = this.#binary(1);
      this.#take(':');
      const whenFalse = this.#expression();
      node = this.#counted({ kind: 'conditional', at, test, whenTrue, whenFalse });
    }
    this.#depth--;
    return node;
  }

  #binary(precedenceMin: number): Node {
    let left = this.#signed();
    for (;;) {
      const token = this.#peek();
      const written = token.kind === 'symbol' || token.kind === 'name' ? token.text : '';
      if (!isBinary(written) || PRECEDENCE[written] < precedenceMin) return left;
      this.#next++;
      const right = this.#binary(PRECEDENCE[written] + 1);
      left = this.#counted({ kind: 'binary', at: token.at, op: written, left, right });
    }
  }

  #signed(): Node {
    const token = this.#peek();
    const sign = token.kind === 'symbol' && (token.text === '-' || token.text === '!') ? token.text : null;
    if (sign === null) return this.#postfix();
    this.#next++;
    this.#deeper();
    const operand = this.#signed();
    this.#depth--;
    return this.#counted({ kind: 'unary', at: token.at, op: sign, operand });
  }

  #postfix(): Node {
    let node = this.#primary();
    while (this.#taken('.')) {
      const token = this.#peek();
      if (token.kind !== 'quoted' && token.kind !== 'name') throw this.#unexpected('a name after the dot');
      this.#next++;
      node =
        token.kind === 'name' && this.#taken('(')
          ? this.#counted({ kind: 'call', at: token.at, fn: token.text, receiver: node, args: this.#listUntil(')') })
          : this.#counted({ kind: 'member', at: token.at, of: node, name: token.text });
    }
    return node;
  }

  #primary(): Node {
    const token = this.#peek();
    const { at } = token;
    this.#next++;
    if (token.kind === 'number') return this.#counted({ kind: 'number', at, value: token.value });
    if (token.kind === 'string') return this.#counted({ kind: 'string', at, value: token.text });
    if (token.kind === 'quoted') return this.#counted({ kind: 'name', at, name: token.text });
    if (token.kind === 'name') return this.#named(token);
    if (token.text === '(') {
      const node = this.#expression();
      this.#take(')');
      return node;
    }
    if (token.text === '[') return this.#counted({ kind: 'list', at, items: this.#listUntil(']') });
    this.#next--;
    throw this.#unexpected('a value');
  }

  #named({ at, text }: Token): Node {
    if (text === 'true' || text === 'false') return this.#counted({ kind: 'boolean', at, value: text === 'true' });
    if (text === 'null') return this.#counted({ kind: 'null', at });
    if (KEYWORDS.includes(text)) {
      this.#next--;
      throw this.#unexpected('a value');
    }
    if (!this.#taken('(')) return this.#counted({ kind: 'name', at, name: text });
    return this.#counted({ kind: 'call', at, fn: text, receiver: null, args: this.#listUntil(')') });
  }

  #listUntil(close: string): Node[] {
    const items: Node[] = [];
    if (this.#taken(close)) return items;
    do items.push(this.#expression());
    while (this.#taken(','));
    this.#take(close);
    return items;
  }

  #peek(): Token {
    return this.#tokens[this.#next] as Token;
  }

  #taken(symbol: string): boolean {
    const token = this.#peek();
    if (token.kind !== 'symbol' || token.text !== symbol) return false;
    this.#next++;
    return true;
  }

  #take(symbol: string): void {
    if (!this.#taken(symbol)) throw this.#unexpected(JSON.stringify(symbol));
  }

  #deeper(): void {
    this.#depth++;
    if (this.#depth <= EXPRESSION_DEPTH_MAX) return;
    const at = this.#peek().at;
    throw new ExpressionError(this.#text, at, 'nesting too deep', `at most ${EXPRESSION_DEPTH_MAX} levels`);
  }

  #counted(node: Node): Node {
    this.#nodes++;
    if (this.#nodes <= EXPRESSION_NODES_MAX) return node;
    throw new ExpressionError(this.#text, node.at, 'expression too large', `at most ${EXPRESSION_NODES_MAX} parts`);
  }

  #unexpected(expected: string): ExpressionError {
    const { kind, at, text, value } = this.#peek();
    const shown = kind === 'number' ? `${value}` : JSON.stringify(text);
    return new ExpressionError(this.#text, at, kind === 'end' ? 'the end' : shown, expected);
  }
}
