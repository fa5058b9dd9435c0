/**
 * The comparer accepts what says the same, panes and all, and names what does not; the other readings of a definition
 * (aggregates, joins, expressions) give values worked out by hand.
 */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { StreamDefinition, WindowDefinition } from '../../../src/streams/define/definition.ts';
import type { Expected } from './aggregates-sql.ts';
import { randomCase } from './arbitrary.ts';
import { encodeBatch, type OracleBatch, type OracleCase, type Scalar } from './case.ts';
import { comparePairs, compareResults, meets, type ResultLine } from './compare.ts';
import { oracleDatabase } from './database.ts';
import { expressionSql } from './expression-sql.ts';
import { type ExpectedWindow, expectedWindows } from './windows.ts';

after(async () => (await oracleDatabase()).close());

function lineOf(row: ExpectedWindow, over: Partial<ResultLine> = {}): string {
  const values = Object.fromEntries(Object.entries(row.values).map(([name, value]) => [name, value.value]));
  const { end, final, key, start } = row;
  const line = { id: '', stream: 's', name: 'w', key, start, end, pane: 0, timing: 'on-time', final, values };
  return JSON.stringify({ ...line, ...over });
}

const windowOfCase = (given: OracleCase): WindowDefinition => given.streams[0]?.windows?.[0] as WindowDefinition;

describe('comparing results', () => {
  test('lines that say what is expected agree, whatever the case', async () => {
    for (let seed = 0; seed < 40; seed++) {
      const given = randomCase(seed);
      const expected = await expectedWindows(given);
      const lines = expected.map((row) => lineOf(row));
      assert.equal(compareResults(expected, lines, windowOfCase(given)), '', `seed ${seed}`);
    }
  });

  test('each way to be wrong is named', async () => {
    let looked = 0;
    for (let seed = 0; seed < 20; seed++) {
      const given = randomCase(seed);
      const expected = await expectedWindows(given);
      const [first] = expected;
      if (first === undefined) continue;
      looked++;
      const lines = expected.map((row) => lineOf(row));
      const window = windowOfCase(given);
      assert.match(compareResults(expected, lines.slice(1), window), /^1 of \d+ expected results differ\nmissing/);
      const moved = lineOf(first, { start: first.start - 7, end: first.start - 3 });
      assert.match(compareResults(expected, [...lines, moved], window), /unexpected/);
      const values = { ...JSON.parse(lines[0] as string).values, events: first.events + 1 };
      const wrong = lineOf(first, { values });
      assert.match(compareResults(expected, [wrong, ...lines.slice(1)], window), /wrong .* events: expected/);
    }
    assert.ok(looked > 10);
  });

  const window: WindowDefinition = { name: 'w', type: 'tumbling', sizeMs: 10, aggregates: { n: 'count' } };
  const row = (n: number, start = 0, end = 10): ExpectedWindow => ({
    key: { key: 'a' },
    start,
    end,
    final: true,
    events: n,
    values: { n: { rule: 'equal', value: n } },
  });

  test('the last pane counts, and early ones are no report', () => {
    const early = lineOf(row(2), { timing: 'early', final: false });
    const onTime = lineOf(row(3), { pane: 1 });
    assert.equal(compareResults([row(3)], [early, onTime], window), '');
    assert.match(compareResults([row(2)], [early], window), /missing/);
  });

  test('discarded panes are added up, retracted ones taken away', () => {
    const panes = [lineOf(row(2), { final: false }), lineOf(row(1), { pane: 1, timing: 'late' })];
    assert.equal(compareResults([row(3)], panes, { ...window, accumulation: 'discarding' }), '');
    const [first = '', second = ''] = panes;
    const retraction = JSON.stringify({ ...JSON.parse(first), retraction: true });
    assert.equal(compareResults([row(1)], [first, retraction, second], window), '');
    assert.match(compareResults([row(1)], [first, second, retraction], window), /missing/);
  });

  test('a session reported before it grew is no result of its own', () => {
    const session: WindowDefinition = { name: 'w', type: 'session', gapMs: 5, aggregates: { n: 'count' } };
    const smaller = lineOf(row(1, 0, 5), { final: false });
    assert.equal(compareResults([row(2, 0, 8)], [smaller, lineOf(row(2, 0, 8))], session), '');
    assert.match(compareResults([row(2, 0, 8)], [lineOf(row(1, 0, 5)), lineOf(row(2, 0, 8))], session), /unexpected/);
  });

  test('numbers within their tolerance are right, others not', () => {
    const near: Expected = { rule: 'near', value: 1000, relative: 1e-9, absolute: 1e-6 };
    assert.ok(meets(near, 1000.0000005));
    assert.ok(!meets(near, 1000.00001));
    assert.ok(!meets(near, null));
    assert.ok(meets({ rule: 'equal', value: null }, undefined));
    assert.ok(!meets({ rule: 'equal', value: 1 }, 1.0000001));
  });
});

test('aggregates of one window, by hand', async () => {
  const values = [4, 1, null, 3, 8];
  const stream: StreamDefinition = {
    name: 's',
    schema: { fields: { at: 'integer', v: { type: 'number', optional: true } }, timestamp: { field: 'at' } },
    time: { outOfOrderMs: 0 },
    windows: [
      {
        name: 'w',
        type: 'tumbling',
        sizeMs: 10,
        aggregates: {
          n: 'count',
          big: { fn: 'count', where: 'v > 3' },
          sum: { fn: 'sum', of: 'v' },
          mean: { fn: 'mean', of: 'v' },
          variance: { fn: 'variance', of: 'v' },
          deviation: { fn: 'stddev', of: 'v', where: 'v == 8' },
          median: { fn: 'quantile', of: 'v', q: 0.5 },
          top: { fn: 'quantile', of: 'v', q: 0.75 },
          first: { fn: 'first', of: 'v' },
          last: { fn: 'last', of: 'v' },
          distinct: { fn: 'distinct', of: 'v % 2' },
          none: { fn: 'max', of: 'v', where: 'v > 100' },
        },
      },
    ],
  };
  // The last two events share a time: the later arrival is last.
  const times = [2, 1, 0, 5, 5];
  const events = values.map((v, i) => ({ id: '', fields: { at: times[i] as number, v } }));
  const batch = { stream: 's', partition: 'p', source: '', arrivalMs: 0, events };
  const close = { ...batch, events: [{ id: '', fields: { at: 100, v: 0 } }] };
  const [row] = await expectedWindows({ streams: [stream], steps: [batch, close] });
  const got = Object.entries(row?.values ?? {}).map(([name, value]) => [name, value.value]);
  const rounded = got.map(([name, value]) => [name, typeof value === 'number' ? Number(value.toFixed(4)) : value]);
  assert.deepEqual(Object.fromEntries(rounded), {
    n: 5,
    big: 2,
    sum: 16,
    mean: 4,
    variance: 8.6667,
    deviation: null,
    median: 3,
    top: 4,
    first: 1,
    last: 8,
    distinct: 2,
    none: null,
  });
});

test('pairs are compared as a multiset', () => {
  const pair = { start: 0, end: 1, values: { a: 0.1 + 0.2, b: null } };
  const line = JSON.stringify({ name: 'j', start: 0, end: 1, values: { b: null, a: 0.3 } });
  assert.equal(comparePairs([pair, pair], [line, line], 'j'), '');
  assert.match(comparePairs([pair, pair], [line], 'j'), /missing .* × 1/);
  assert.match(comparePairs([pair], [line, line], 'j'), /unexpected/);
});

test('expressions read by their description', async () => {
  const cases: readonly [text: string, value: Scalar][] = [
    ['1 + 2 * 3 - -4', 11],
    ['(1 + 2) * 3 % 5', 4],
    ['1 < 2 && !(2 <= 1) || false', true],
    ['1 + 1 == 2 ? "yes" : "no"', 'yes'],
    ['"b" in ["a", "b"]', true],
    ['none > 1', false],
    ['none != 1', false],
    ['none == null', true],
    ['!(none > 1)', true],
    ['4 / 0', null],
    ['"it\'s"', "it's"],
    ['occurrences("banana", "an")', 2],
    ['part("a/b/c", "/", 1)', 'b'],
    ['text.contains("ell") && text.startsWith("h")', true],
    ['hour(3600000 * 30)', 6],
    ['has(none) || size("four") == 4', true],
  ];
  const database = await oracleDatabase();
  for (const [text, value] of cases) {
    const [row] = await database.rows(
      `SELECT ${expressionSql(text)} AS value FROM (SELECT NULL::DOUBLE AS none, 'hello' AS text)`,
    );
    assert.equal(row?.['value'], value, text);
  }
  for (const text of ['1 +', 'foo(1)', 'a b', '(1', '@']) assert.throws(() => expressionSql(text), text);
});

test('a batch becomes NDJSON, or CloudEvents where events have ids', () => {
  const batch = { stream: 's', partition: 'p', source: 'src', arrivalMs: 0 };
  const text = (events: OracleBatch['events']): unknown => {
    const { body, format } = encodeBatch({ ...batch, events });
    return [format, new TextDecoder().decode(body)];
  };
  assert.deepEqual(text([{ id: '', fields: { a: 1, b: null } }]), ['ndjson', '{"a":1}\n']);
  assert.deepEqual(text([{ id: 'e', fields: { a: 1 } }]), [
    'cloudevents-batch',
    '[{"specversion":"1.0","type":"case","source":"src","id":"e","data":{"a":1}}]',
  ]);
});
