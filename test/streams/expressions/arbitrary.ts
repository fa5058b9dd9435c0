/** Random expressions that make sense: trees of a wanted type over the names of each type. */
import fc from 'fast-check';
import type { Node } from '../../../src/streams/expressions/ast.ts';
import type { BinaryOperator } from '../../../src/streams/expressions/language.ts';

export interface NamesOfType {
  readonly number: readonly string[];
  readonly string: readonly string[];
  readonly boolean: readonly string[];
}

/** Few and close together, so that comparisons hold about as often as not. */
export const TEXTS = ['', 'a', 'ab', 'aab', 'b', 'ä', 'a/b', 'x/ab/y', '😀a', "it's", 'Oslo'];
export const NUMBERS = [0, 1, 2, 2.5, 3, 60, 1e15, 86_400_000, 1_700_000_000_000];

const at = 0;
const call = (fn: string, receiver: Node | null, args: Node[]): Node => ({ kind: 'call', at, fn, receiver, args });

/** `x.y` of `"x.y"`. */
function named(name: string): Node {
  const [first = '', ...rest] = name.split('.');
  return rest.reduce<Node>((of, member) => ({ kind: 'member', at, of, name: member }), {
    kind: 'name',
    at,
    name: first,
  });
}

export function trees(names: NamesOfType): {
  number: fc.Arbitrary<Node>;
  string: fc.Arbitrary<Node>;
  boolean: fc.Arbitrary<Node>;
} {
  return fc.letrec<{ number: Node; string: Node; boolean: Node }>((tie) => {
    const [n, s, b] = [tie('number'), tie('string'), tie('boolean')];
    const binary = (ops: readonly BinaryOperator[], left: fc.Arbitrary<Node>, right: fc.Arbitrary<Node>) =>
      fc.record({
        kind: fc.constant('binary' as const),
        at: fc.constant(at),
        op: fc.constantFrom(...ops),
        left,
        right,
      });
    const conditional = (branch: fc.Arbitrary<Node>) =>
      fc.record({
        kind: fc.constant('conditional' as const),
        at: fc.constant(at),
        test: b,
        whenTrue: branch,
        whenFalse: branch,
      });
    const coalesce = (of: fc.Arbitrary<Node>) =>
      fc.array(of, { minLength: 2, maxLength: 3 }).map((args) => call('coalesce', null, args));
    const listOf = (of: fc.Arbitrary<Node>) =>
      fc.array(of, { maxLength: 4 }).map((items): Node => ({ kind: 'list', at, items }));
    const name = (list: readonly string[]) => fc.constantFrom(...list).map(named);
    const numbers = fc.constantFrom(...NUMBERS).map((value): Node => ({ kind: 'number', at, value }));
    const texts = fc.constantFrom(...TEXTS).map((value): Node => ({ kind: 'string', at, value }));
    const nothing = fc.constant<Node>({ kind: 'null', at });
    const unary = (op: '-' | '!', of: fc.Arbitrary<Node>) =>
      of.map((operand): Node => ({ kind: 'unary', at, op, operand }));
    const leaf = { maxDepth: 4, depthSize: 'small' } as const;
    return {
      number: fc.oneof(
        leaf,
        fc.oneof(numbers, name(names.number)),
        binary(['+', '-', '*', '/', '%'], n, n),
        unary('-', n),
        conditional(n),
        coalesce(n),
        fc
          .tuple(fc.constantFrom('abs', 'floor', 'ceil', 'round', 'sqrt', 'hour', 'day', 'dayOfWeek'), n)
          .map(([fn, x]) => call(fn, null, [x])),
        fc.tuple(fc.constantFrom('min', 'max'), n, n).map(([fn, x, y]) => call(fn, null, [x, y])),
        s.map((x) => call('size', x, [])),
        fc.tuple(s, s).map(([x, y]) => call('occurrences', null, [x, y])),
      ),
      string: fc.oneof(
        leaf,
        fc.oneof(texts, name(names.string)),
        binary(['+'], s, s),
        conditional(s),
        coalesce(s),
        fc.tuple(fc.constantFrom('lower', 'upper'), s).map(([fn, x]) => call(fn, null, [x])),
        fc.tuple(s, s, fc.oneof(n, numbers)).map((args) => call('part', null, args)),
        n.map((x) => call('date', null, [x])),
      ),
      boolean: fc.oneof(
        leaf,
        fc.oneof(
          name(names.boolean),
          fc.boolean().map((value): Node => ({ kind: 'boolean', at, value })),
        ),
        binary(['==', '!=', '<', '<=', '>', '>='], n, n),
        binary(['==', '!=', '<', '<=', '>', '>='], s, s),
        binary(['==', '!='], name(names.string), texts),
        binary(['==', '!='], b, b),
        binary(['==', '!='], fc.oneof(n, s, b), nothing),
        binary(['&&', '||'], b, b),
        unary('!', b),
        binary(['in'], n, listOf(n)),
        binary(['in'], s, listOf(s)),
        binary(['in'], name(names.string), listOf(texts)),
        binary(['in'], n, listOf(numbers)),
        conditional(b),
        coalesce(b),
        fc.oneof(n, s, b).map((x) => call('has', null, [x])),
        fc
          .tuple(fc.constantFrom('contains', 'startsWith', 'endsWith'), s, fc.oneof(s, texts))
          .map(([fn, x, y]) => call(fn, x, [y])),
      ),
    };
  });
}
