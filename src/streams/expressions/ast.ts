/**
 * The syntax tree of an expression, as written: nothing is resolved or typed yet.
 *
 * Role: between `parse.ts` and those who read it (`check.ts`, `print.ts`). A closed union of plain objects; `at` is the
 * position in the text. Parentheses leave no trace.
 */
import type { BinaryOperator } from './language.ts';

export type Node =
  | { readonly kind: 'number'; readonly at: number; readonly value: number }
  | { readonly kind: 'string'; readonly at: number; readonly value: string }
  | { readonly kind: 'boolean'; readonly at: number; readonly value: boolean }
  | { readonly kind: 'null'; readonly at: number }
  | { readonly kind: 'name'; readonly at: number; readonly name: string }
  | { readonly kind: 'member'; readonly at: number; readonly of: Node; readonly name: string }
  | CallNode
  | { readonly kind: 'list'; readonly at: number; readonly items: readonly Node[] }
  | { readonly kind: 'unary'; readonly at: number; readonly op: '-' | '!'; readonly operand: Node }
  | {
      readonly kind: 'binary';
      readonly at: number;
      readonly op: BinaryOperator;
      readonly left: Node;
      readonly right: Node;
    }
  | {
      readonly kind: 'conditional';
      readonly at: number;
      readonly test: Node;
      readonly whenTrue: Node;
      readonly whenFalse: Node;
    };

export interface CallNode {
  readonly kind: 'call';
  readonly at: number;
  readonly fn: string;
  /** `x` of `x.f(…)`; null for `f(…)`. */
  readonly receiver: Node | null;
  readonly args: readonly Node[];
}

export function childrenOf(node: Node): readonly Node[] {
  switch (node.kind) {
    case 'member':
      return [node.of];
    case 'call':
      return node.receiver === null ? node.args : [node.receiver, ...node.args];
    case 'list':
      return node.items;
    case 'unary':
      return [node.operand];
    case 'binary':
      return [node.left, node.right];
    case 'conditional':
      return [node.test, node.whenTrue, node.whenFalse];
    default:
      return [];
  }
}
