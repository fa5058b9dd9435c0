import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { checkIn } from '../../../src/streams/expressions/check.ts';
import type { ScopeNames } from '../../../src/streams/expressions/checked.ts';
import { ExpressionError } from '../../../src/streams/expressions/error.ts';
import { print } from '../../../src/streams/expressions/print.ts';
import { compileScoped, type Environment, objectEnvironment } from '../../../src/streams/expressions/scoped.ts';
import { joinScope, patternScope, resultScope } from '../../../src/streams/expressions/scopes.ts';
import { NUMBERS, TEXTS, trees } from './arbitrary.ts';
import { naive, type Value } from './naive.ts';
import { fieldsOf } from './rows.ts';

const BIDS = fieldsOf({ auction: 'integer', price: 'number', city: 'string' });
const PEOPLE = fieldsOf({ id: 'integer', name: 'string' });

function refused(text: string, scope: ScopeNames): string {
  let error: unknown = null;
  try {
    compileScoped(text, scope);
  } catch (thrown) {
    error = thrown;
  }
  assert.ok(error instanceof ExpressionError, `${text} is not refused`);
  return error.message;
}

describe('results', () => {
  const scope = resultScope(
    new Map([
      ['mean', 'number'],
      ['best', 'list'],
      ['end', 'string'],
    ]),
    new Map([['host', 'string']]),
  );
  const values = { mean: 93, best: [{ value: 'a', count: 2 }], end: 'x', start: 5, key: { host: 'a' } };

  test('have their values, key.*, start and end by name; a value is preferred', () => {
    const text = 'mean > 90 && key.host == "a" && start == 5 && end == "x" && size(best) == 1';
    assert.equal(compileScoped(text, scope, 'boolean').test(objectEnvironment(values)), true);
  });

  test('refuse other names, with the nearest', () => {
    assert.match(refused('maen > 1', scope), /unknown name "maen".* did you mean mean\?/);
    assert.match(refused('key.hots == "a"', scope), /did you mean key\.host\?/);
    assert.match(refused('mean.x', scope), /unknown name/);
    assert.match(refused('count(mean)', scope), /unknown function/);
  });

  test('whose columns nobody knows have any name, of any type', () => {
    const open = resultScope(null, new Map());
    const any = compileScoped('score * 2 > 6 || kind == "gap"', open, 'boolean');
    assert.equal(any.test(objectEnvironment({ score: 4, kind: 1 })), true);
    assert.equal(any.test(objectEnvironment({ score: '4', kind: 'gap' })), true);
    assert.equal(any.test(objectEnvironment({ score: '4' })), false);
  });

  test('take nothing from prototypes, and values of other types as absent', () => {
    const open = resultScope(null, new Map());
    assert.equal(compileScoped('constructor == null', open).value(objectEnvironment({})), true);
    assert.equal(compileScoped('mean + 1', scope).value(objectEnvironment({ mean: 'x' })), null);
    assert.equal(compileScoped('mean', scope).value(objectEnvironment({ mean: Number.NaN })), null);
    assert.equal(compileScoped('a != b', open).value(objectEnvironment({ a: 1, b: 'x' })), false);
    assert.equal(compileScoped('a + b', open).value(objectEnvironment({ a: 'x', b: 'y' })), 'xy');
    assert.equal(compileScoped('2 in a', open).value(objectEnvironment({ a: [1, 2] })), true);
    assert.equal(compileScoped('2 in a', open).value(objectEnvironment({ a: 2 })), false);
  });
});

test('two events are left and right, with their times', () => {
  const scope = joinScope(BIDS, PEOPLE);
  const joined = compileScoped('left.price > 10 && left.auction == right.id && right.ts > left.ts', scope, 'boolean');
  assert.deepEqual(joined.members, [
    ['left', 'price'],
    ['left', 'auction'],
    ['right', 'id'],
    ['right', 'ts'],
    ['left', 'ts'],
  ]);
  const left = { price: 11, auction: 1, ts: 5 };
  assert.equal(joined.test(objectEnvironment({ left, right: { id: 1, ts: 6 } })), true);
  assert.equal(joined.test(objectEnvironment({ left, right: {} })), false);
  assert.match(refused('price > 1', scope), /did you mean left\.price\?/);
  assert.match(refused('left.name == "a"', scope), /unknown name/);
});

describe('steps of a pattern', () => {
  const scope = patternScope(BIDS, ['a', 'b']);

  class Taken implements Environment {
    readonly asked: string[] = [];
    member(path: readonly string[], slot: number): unknown {
      this.asked.push(`${path.join('.')}#${slot}`);
      return { price: 8, 'prev.price': 9, ts: 1 }[path.join('.')];
    }
    aggregate(fn: string, step: string, field: string, slot: number): unknown {
      this.asked.push(`${fn} ${step}.${field}#${slot}`);
      return { first: 10, last: 9, count: 2, sum: 19, avg: 9.5, min: 9, max: 10 }[fn];
    }
  }

  test('are seen through aggregates, the event by bare names, the one before by prev', () => {
    const taken = new Taken();
    const text = 'price < last(a).price && prev.price > price && count(a) == 2 && sum(a.price) - first(a).price == 9';
    const compiled = compileScoped(text, scope, 'boolean');
    assert.equal(compiled.test(taken), true);
    assert.deepEqual(compiled.members, [['price'], ['prev', 'price']]);
    assert.deepEqual(compiled.aggregates, [
      { fn: 'last', step: 'a', field: 'price' },
      { fn: 'count', step: 'a', field: '' },
      { fn: 'sum', step: 'a', field: 'price' },
      { fn: 'first', step: 'a', field: 'price' },
    ]);
    assert.deepEqual(taken.asked.slice(0, 2), ['price#0', 'last a.price#0']);
  });

  test('min and max are of a step with one argument, of numbers with more', () => {
    assert.equal(compileScoped('min(a.price) + max(price, 20)', scope).value(new Taken()), 29);
  });

  test('types follow the fields', () => {
    assert.equal(checkIn('last(a).city', scope).type, 'string');
    assert.match(refused('sum(a.city) > 1', scope), /a string .*expected a number/);
    assert.match(refused('last(a).city > 1', scope), /values of one type/);
  });

  test('what cannot be is refused with what was meant', () => {
    assert.match(refused('price < c.price', scope), /unknown name/);
    assert.match(refused('price < a.price', scope), /expected first\(a\)\.price or last\(a\)\.price/);
    assert.match(refused('price < last(c).price', scope), /unknown step "c".*one of a, b/);
    assert.match(refused('last(a) > 1', scope), /expected a field of it/);
    assert.match(refused('last(a).prize > 1', scope), /unknown field "prize".*did you mean price/);
    assert.match(refused('sum(a) > 1', scope), /expected a\.field/);
    assert.match(refused('count(a.price) > 1', scope), /the name of a step alone/);
    assert.match(refused('sum(price + 1) > 1', scope), /the name of a step in sum/);
  });
});

test('expressions of unknown types give what the plain interpreter gives', () => {
  const names = { number: ['x', 'o.x'], string: ['s', 'o.s'], boolean: ['f'] };
  const scope = resultScope(null, new Map());
  const open: ScopeNames = { ...scope, resolve: () => 'any' };
  const { boolean, number, string } = trees(names);
  const object = fc.record({
    x: fc.option(fc.constantFrom(...NUMBERS)),
    s: fc.option(fc.constantFrom(...TEXTS)),
    f: fc.option(fc.boolean()),
    o: fc.record({ x: fc.option(fc.constantFrom(...NUMBERS)), s: fc.option(fc.constantFrom(...TEXTS)) }),
  });
  fc.assert(
    fc.property(fc.oneof(number, string, boolean), object, (tree, values) => {
      const environment = objectEnvironment(values);
      const expected = naive(tree, (path) => environment.member(path, 0) as Value);
      const given = compileScoped(print(tree), open).value(environment);
      const json = (value: unknown): string => JSON.stringify(typeof value === 'number' ? value + 0 : value);
      assert.equal(json(given), json(expected), print(tree));
    }),
    { numRuns: 800 },
  );
});
