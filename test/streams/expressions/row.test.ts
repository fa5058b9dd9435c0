import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Node } from '../../../src/streams/expressions/ast.ts';
import { JOINED_CHARACTERS_MAX } from '../../../src/streams/expressions/language.ts';
import { parse } from '../../../src/streams/expressions/parse.ts';
import { print } from '../../../src/streams/expressions/print.ts';
import { compileRow, rowScope } from '../../../src/streams/expressions/row.ts';
import { NUMBERS, TEXTS, trees } from './arbitrary.ts';
import { naive, type Value } from './naive.ts';
import { batchOf, type Event, fieldsOf } from './rows.ts';

const FIELDS = fieldsOf({ n: 'number', i: 'integer', s: 'string', t: 'string', flag: 'boolean', 'cpu-load': 'number' });

const events = fc.record({
  ts: fc.constantFrom(-1, 0, 86_399_999, 1_700_000_000_123, 951_782_400_000),
  n: fc.option(fc.oneof(fc.constantFrom(...NUMBERS), fc.double({ noNaN: true, noDefaultInfinity: true }))),
  i: fc.option(fc.integer()),
  s: fc.option(fc.constantFrom(...TEXTS)),
  t: fc.option(fc.oneof(fc.constantFrom(...TEXTS), fc.string({ unit: 'binary' }))),
  flag: fc.option(fc.boolean()),
  'cpu-load': fc.option(fc.constantFrom(...NUMBERS)),
});

const { number, string, boolean } = trees({
  number: ['n', 'i', 'ts', 'cpu-load'],
  string: ['s', 't'],
  boolean: ['flag'],
});

/** -0 is written as 0; infinities as null. */
function asJson(value: Value): Value {
  if (typeof value !== 'number') return value;
  return Number.isFinite(value) ? value + 0 : null;
}

function agrees(tree: Node, rows: readonly Event[]): void {
  const text = print(tree);
  const compiled = compileRow(text, FIELDS);
  const batch = batchOf(FIELDS, rows);
  rows.forEach((event, row) => {
    const expected = naive(tree, ([name = '']) => event[name] ?? null);
    const context = `${text} of ${JSON.stringify(event)}`;
    assert.equal(asJson(compiled.value(batch, row) as Value), asJson(expected), context);
    assert.equal(compiled.test(batch, row), expected === true, context);
    const asNumber = typeof expected === 'boolean' ? Number(expected) : typeof expected === 'number' ? expected : NaN;
    assert.equal(compiled.number(batch, row) + 0, asNumber + 0, context);
  });
}

describe('an expression over events', () => {
  for (const [name, tree] of [
    ['numbers', number],
    ['strings', string],
    ['conditions', boolean],
  ] as const) {
    test(`gives what the plain interpreter gives: ${name}`, () => {
      fc.assert(
        fc.property(tree, fc.array(events, { minLength: 1, maxLength: 4 }), (node, rows) => agrees(node, rows)),
        { numRuns: 800 },
      );
    });
  }

  const one = (text: string, event: Event): unknown => compileRow(text, FIELDS).value(batchOf(FIELDS, [event]), 0);
  const EVENT: Event = {
    ts: 1_700_000_000_123,
    n: 7,
    i: 3,
    s: 'Ünter/den/Linden',
    t: 'aaab',
    flag: true,
    'cpu-load': 2,
  };
  const TABLE: readonly [string, unknown][] = [
    ['n / i', 7 / 3],
    ['n % i', 1],
    ['-n % i', -1],
    ['n / (i - 3)', null],
    ['n % 0', null],
    ['n / 0 > 1', false],
    ['!(n / 0 > 1)', true],
    ['n / 0 == null', true],
    ['sqrt(-1)', null],
    ['round(2.5)', 3],
    ['round(-2.5)', -3],
    ['1 + 2 * 3 - 4', 3],
    ['`cpu-load` * 2', 4],
    ['flag && n > 5 ? "high" : "low"', 'high'],
    ['i in [1, 2, 3]', true],
    ['t in ["b", "aaab"]', true],
    ['s.startsWith("Ü")', true],
    ['s.endsWith("din")', false],
    ['t.contains("aab")', true],
    ['size(s)', 16],
    ["part(s, '/', 1)", 'den'],
    ["part(s, '/', 3)", null],
    ['occurrences(t, "a")', 3],
    ['occurrences(t, "aa")', 1],
    ['lower(s)', 'ünter/den/linden'],
    ['hour(ts)', 22],
    ['dayOfWeek(ts)', 2],
    ['date(ts) + " " + upper(t)', '2023-11-14 AAAB'],
    ['has(n) && n != null', true],
    ['"a" < "b" && true == flag', true],
    ["'it\\'s \\u00fc' + '😀'", "it's ü😀"],
  ];
  for (const [text, expected] of TABLE) test(`${text} is ${expected}`, () => assert.equal(one(text, EVENT), expected));

  test('is absent or false where fields are', () => {
    const nothing: Event = { ts: 0 };
    for (const text of ['n + 1', 's + "x"', 'size(s)', 'min(n, 1)', 'flag', 'lower(s)', '-n']) {
      assert.equal(one(text, nothing), null, text);
    }
    for (const text of ['n < 1', 'n != 1', 's != "x"', 's in ["x"]', 's.contains("")', 'flag == false', 'has(s)']) {
      assert.equal(one(text, nothing), false, text);
    }
    for (const text of ['n == null', '!flag', '!(s == "x")', 'coalesce(s, "x") == "x"']) {
      assert.equal(one(text, nothing), true, text);
    }
  });

  test('joins strings up to a length: more is absent, however it is asked for', () => {
    const s = 'é'.repeat(JOINED_CHARACTERS_MAX / 2);
    const event: Event = { ts: 0, s };
    assert.equal(one('s + s', event), s + s);
    for (const text of ['s + s + "x"', '"x" + (s + s)', 'coalesce(t, s + s + s)', `${'s + '.repeat(200)}s`]) {
      assert.equal(one(text, event), null, text);
    }
    assert.equal(one('has(s + s + s)', event), false);
    assert.equal(one('size(s + s)', event), JOINED_CHARACTERS_MAX);
  });

  test('knows when it is a field and nothing else', () => {
    const sum = compileRow('n + i + n', FIELDS);
    assert.deepEqual([sum.field, sum.type], [-1, 'number']);
    assert.equal(compileRow('(i)', FIELDS).field, 1);
    assert.equal(compileRow('ts', FIELDS).field, -1);
  });

  test('takes a field named ts before the event time', () => {
    const fields = fieldsOf({ ts: 'string' });
    assert.equal(rowScope(fields).resolve(['ts']), 'string');
    const batch = batchOf(fields, [{ ts: 5 }]);
    assert.equal(compileRow('ts', fields).value(batch, 0), '5');
  });

  test('is compiled once per text and list of fields', () => {
    assert.equal(compileRow('n > 41', FIELDS), compileRow('n > 41', FIELDS));
  });

  test('contains no text of its author as program text', () => {
    const text = `s == "\\"); globalThis.broken = 1; (\\"" || s in ["\`\${1}"] || \`cpu-load\` > 1`;
    assert.equal(one(text, EVENT), true);
    assert.equal('broken' in globalThis, false);
  });
});

test('dates agree with Date over the whole range', () => {
  const fields = fieldsOf({ n: 'number' });
  fc.assert(
    fc.property(fc.double({ min: -8.64e15, max: 8.64e15, noNaN: true }), (n) => {
      const batch = batchOf(fields, [{ ts: 0, n }]);
      const at = new Date(Math.floor(n));
      assert.equal(compileRow('hour(n)', fields).number(batch, 0), at.getUTCHours());
      assert.equal(compileRow('day(n)', fields).number(batch, 0), at.getUTCDate());
      assert.equal(compileRow('dayOfWeek(n)', fields).number(batch, 0), at.getUTCDay());
    }),
    { numRuns: 500 },
  );
});

test('a tree read back from its text is the tree', () => {
  const stripped = (tree: Node): string => JSON.stringify(tree, (key, value) => (key === 'at' ? 0 : value));
  fc.assert(
    fc.property(fc.oneof(number, string, boolean), (tree) => {
      const text = print(tree);
      assert.equal(stripped(parse(text)), stripped(tree));
      assert.equal(print(parse(text)), text);
    }),
    { numRuns: 1000 },
  );
});
