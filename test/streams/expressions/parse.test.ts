import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ExpressionError } from '../../../src/streams/expressions/error.ts';
import { FUNCTIONS, STEP_FUNCTIONS } from '../../../src/streams/expressions/language.ts';
import { parse } from '../../../src/streams/expressions/parse.ts';
import { print } from '../../../src/streams/expressions/print.ts';
import { checkRow, compileRow } from '../../../src/streams/expressions/row.ts';
import { fastestMs, LINEAR_MS } from '../../clients/processor-time.ts';
import { fieldsOf } from './rows.ts';

const FIELDS = fieldsOf({ price: 'number', city: 'string', flag: 'boolean', 'cpu-load': 'number' });

function refused(text: string, wanted: 'any' | 'boolean' = 'any'): ExpressionError {
  const error = checkRow(text, FIELDS, wanted);
  assert.ok(error instanceof ExpressionError, `${text} is not refused`);
  return error;
}

describe('precedence is that of CEL', () => {
  const TABLE: readonly [string, string][] = [
    ['1 + 2 * 3', '1 + 2 * 3'],
    ['(1 + 2) * 3', '(1 + 2) * 3'],
    ['1 - 2 - 3', '1 - 2 - 3'],
    ['1 - (2 - 3)', '1 - (2 - 3)'],
    ['a || b && c', 'a || b && c'],
    ['(a || b) && c', '(a || b) && c'],
    ['(a + b) < (c * d)', 'a + b < c * d'],
    ['!(a) && -(b) < 1', '!a && -b < 1'],
    ['!(a && b)', '!(a && b)'],
    ['(a) ? (b) : (c ? d : e)', 'a ? b : c ? d : e'],
    ['(a ? b : c) ? d : e', '(a ? b : c) ? d : e'],
    ['a ? (b ? c : d) : e', 'a ? (b ? c : d) : e'],
    ["'it\\'s' in ['x']", '"it\'s" in ["x"]'],
    ['`in`.x == `cpu-load`', '`in`.x == `cpu-load`'],
    ['"a".contains( "b" )', '"a".contains("b")'],
    ['0x1F + .5 + 1e+21', '31 + 0.5 + 1e+21'],
    ['(a == b) == c', 'a == b == c'],
  ];
  for (const [text, canonical] of TABLE) {
    test(`${text} is ${canonical}`, () => assert.equal(print(parse(text)), canonical));
  }
});

describe('what is wrong is told with its position', () => {
  /** text, position, what is expected, suggestion. */
  const TABLE: readonly [string, number, RegExp, string | null][] = [
    ['', 0, /^a value$/, null],
    ['price >', 7, /^a value$/, null],
    ['price > > 1', 8, /^a value$/, null],
    ['price 1', 6, /^an operator or the end$/, null],
    ['(price', 6, /^"\)"$/, null],
    ['price = 1', 6, /value or an operator/, '=='],
    ['price & flag', 6, /value or an operator/, '&&'],
    ['pricee > 1', 0, /^one of ts, price, city, flag/, 'price'],
    ['1 + abs(prize)', 8, /^one of/, 'price'],
    ['flor(price)', 0, /^one of abs, floor/, 'floor'],
    ['price == "a"', 6, /values of one type/, null],
    ['city < flag', 5, /values of one type/, null],
    ['flag < true', 5, /numbers or strings/, null],
    ['price && flag', 0, /a condition/, null],
    ['!price', 1, /a condition/, null],
    ['-city', 1, /a number/, null],
    ['city * 2', 0, /a number/, null],
    ['city + price', 5, /values of one type/, null],
    ['flag ? 1 : "a"', 11, /a number, as before/, null],
    ['price in [1, "a"]', 13, /a number/, null],
    ['price in city', 9, /a list/, null],
    ['[1] == [1]', 0, /a single value/, null],
    ['abs()', 0, /1 of them/, null],
    ['abs(1, 2)', 0, /1 of them/, null],
    ['min(1)', 0, /at least 2/, null],
    ['city.abs()', 5, /abs\(…\)/, null],
    ['contains(city, "a")', 0, /a\.contains/, null],
    ['city.contains(1)', 14, /a string/, null],
    ['price.x', 6, /^one of/, 'price'],
    ['abs(price).x', 11, /a name before the dot/, null],
    ['coalesce(price, city)', 16, /a number, as before/, null],
    ['"abc', 0, /on the same line/, null],
    ['"a\\q"', 2, /\\u0000/, null],
    ['"\\ud800"', 0, /whole characters/, null],
    ['1a', 1, /an operator or a blank/, null],
    ['1e999', 0, /less than/, null],
    ['price @ 1', 6, /a value or an operator/, null],
    ['cpu-load > 1', 0, /^one of/, '`cpu-load`'],
    ['`cpu', 0, /backticks/, null],
    ['count(price)', 0, /^one of/, null],
    ['in > 1', 0, /a value/, null],
  ];
  for (const [text, position, expected, suggestion] of TABLE) {
    test(text === '' ? 'an empty text' : text, () => {
      const error = refused(text);
      assert.equal(error.position, position, error.message);
      assert.match(error.expected, expected);
      if (suggestion !== null) assert.equal(error.suggestion, suggestion);
    });
  }

  test('with what stands there and the nearest name', () => {
    const message =
      'unknown name "pricee" at position 0 ("pricee > 1"), expected one of ts, price, city, flag, cpu-load; did you mean price?';
    assert.equal(refused('pricee > 1').message, message);
    assert.equal(
      refused(`${'price + '.repeat(9)}priec + price + price * 2`).excerpt,
      '…price + price + priec + price + price * …',
    );
  });

  test('a condition is wanted where there is to be one', () => {
    assert.match(refused('price', 'boolean').message, /a number at position 0 .*expected a condition/);
    assert.throws(() => compileRow('price', FIELDS, 'boolean'), ExpressionError);
  });
});

describe('hostile texts are refused fast', () => {
  const HOSTILE: readonly [string, string][] = [
    ['50,000 parentheses', '('.repeat(50_000)],
    ['2,000 parentheses', '('.repeat(2000)],
    ['parentheses that close', `${'('.repeat(2000)}1${')'.repeat(2000)}`],
    ['brackets', '['.repeat(4000)],
    ['signs', `${'-'.repeat(4000)}1`],
    ['conditionals', '1 ? 1 : '.repeat(500)],
    ['calls', 'abs('.repeat(1000)],
    ['a long sum', '1+'.repeat(2000)],
    ['members', `a${'.a'.repeat(2000)}`],
    ['a million characters', 'a'.repeat(1_000_000)],
    ['a string without an end', `"${'\\n'.repeat(2000)}`],
  ];
  for (const [name, text] of HOSTILE) {
    test(name, () => {
      assert.ok(fastestMs(3, () => refused(text)) < LINEAR_MS);
    });
  }

  test('any text at all is an expression or an ExpressionError', () => {
    const words = [
      '(',
      ')',
      '[',
      '"',
      "'",
      '`',
      '.',
      ',',
      '?',
      ':',
      ' ',
      '-',
      '!',
      '==',
      '&&',
      'in',
      'null',
      '1',
      'price',
      'abs',
      '\\',
      '😀',
      '__proto__',
      'constructor',
    ];
    const texts = fc.oneof(
      fc.string(),
      fc.array(fc.constantFrom(...words), { maxLength: 30 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const outcome = checkRow(text, FIELDS);
        if (!(outcome instanceof ExpressionError)) compileRow(text, FIELDS);
      }),
      { numRuns: 2000 },
    );
  });

  test('names of Object.prototype are no names', () => {
    for (const name of ['constructor', 'toString', '__proto__', 'hasOwnProperty']) {
      assert.match(refused(name).message, /unknown name/);
      assert.match(refused(`${name}(1)`).message, /unknown function/);
    }
  });
});

test('LANGUAGE.md tells of every function', () => {
  const text = readFileSync('src/streams/expressions/LANGUAGE.md', 'utf8');
  for (const name of [...FUNCTIONS.keys(), ...STEP_FUNCTIONS]) assert.ok(text.includes(`${name}(`), name);
});
