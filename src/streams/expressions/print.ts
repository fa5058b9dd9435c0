/**
 * Writes a syntax tree as text: the same tree always as the same text, with no more parentheses than needed.
 *
 * Role: two expressions that differ in blanks, quotes or parentheses only are the same one, so that reformatting a
 * definition does not cost an operator its state (`define/state-shape.ts`). `parse(print(tree))` is the tree again.
 */
import type { Node } from './ast.ts';
import { KEYWORDS, PLAIN_NAME, PRECEDENCE, PRECEDENCE_OF_SIGNS } from './language.ts';

export function print(node: Node): string {
  return printed(node, 0);
}

const POSTFIX = PRECEDENCE_OF_SIGNS + 1;

function printed(node: Node, precedenceMin: number): string {
  switch (node.kind) {
    case 'number':
      return `${node.value}`;
    case 'string':
      return JSON.stringify(node.value);
    case 'boolean':
      return `${node.value}`;
    case 'null':
      return 'null';
    case 'name':
      return nameText(node.name);
    case 'member':
      return `${printed(node.of, POSTFIX)}.${nameText(node.name)}`;
    case 'call': {
      const receiver = node.receiver === null ? '' : `${printed(node.receiver, POSTFIX)}.`;
      return `${receiver}${node.fn}(${node.args.map(print).join(', ')})`;
    }
    case 'list':
      return `[${node.items.map(print).join(', ')}]`;
    case 'unary':
      return within(`${node.op}${printed(node.operand, PRECEDENCE_OF_SIGNS)}`, PRECEDENCE_OF_SIGNS, precedenceMin);
    case 'binary': {
      const own = PRECEDENCE[node.op];
      return within(`${printed(node.left, own)} ${node.op} ${printed(node.right, own + 1)}`, own, precedenceMin);
    }
    case 'conditional': {
      const branches = `${printed(node.whenTrue, 1)} : ${printed(node.whenFalse, 0)}`;
      return within(`${printed(node.test, 1)} ? ${branches}`, 0, precedenceMin);
    }
  }
}

function within(text: string, precedence: number, precedenceMin: number): string {
  return precedence < precedenceMin ? `(${text})` : text;
}

function nameText(name: string): string {
  return PLAIN_NAME.test(name) && !KEYWORDS.includes(name) ? name : `\`${name}\``;
}
