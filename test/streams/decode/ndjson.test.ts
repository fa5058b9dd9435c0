import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { REJECTED_LISTED_MAX } from '../../../src/streams/decode/batch-writer.ts';
import { ARRIVAL_MS, decode, planOf, rowOf, rowsOf } from './plan-of.ts';

const plan = planOf(
  { ts: 'integer', key: 'string', value: 'number', ok: 'boolean?', note: 'string?' },
  { timestamp: 'ts', keys: [['key']] },
);
const line = (members: object): string => JSON.stringify({ ts: 5, key: 'a', value: 1, ...members });
const reasonOf = (text: string | Uint8Array): string => decode(plan, 'ndjson', text).rejected[0]?.reason ?? '';

describe('lines', () => {
  test('each line is an event; blank lines, carriage returns and a missing last line feed do not matter', () => {
    const body = `${line({ key: 'a' })}\n\n  \t\r\n${line({ key: 'b' })}\r\n${line({ key: 'c' })}`;
    const { events, accepted, rejected } = decode(plan, 'ndjson', body);
    assert.deepEqual(rejected, []);
    assert.equal(accepted, 3);
    assert.deepEqual(
      rowsOf(events).map(({ key }) => key),
      ['a', 'b', 'c'],
    );
    assert.equal(events.original(1), line({ key: 'b' }));
  });

  test('an empty body has no events', () => {
    const { accepted, rejected, tsMax, events } = decode(plan, 'ndjson', '');
    assert.deepEqual([accepted, rejected.length, tsMax, events.count], [0, 0, Number.NEGATIVE_INFINITY, 0]);
  });

  test('members come in any order, with any white space, among unknown ones, with null for absent', () => {
    const body = ' {"x":[{"y":"}"}] , "value" : 1e2,"note":null,\t"ok":true ,"key":"z", "n":-1.5e3, "ts":7 } ';
    const { events } = decode(plan, 'ndjson', body);
    assert.deepEqual(rowOf(events, 0), { ts: 7, key: 'z', value: 100, ok: true, note: null });
    assert.equal(events.ts[0], 7);
  });

  test('of members of the same name the last one counts', () => {
    const body = '{"ts":1,"key":"a","key":"b","value":"x","value":2,"ok":true,"ok":null}\n';
    assert.deepEqual(rowsOf(decode(plan, 'ndjson', body).events), [
      { ts: 1, key: 'b', value: 2, ok: null, note: null },
    ]);
  });

  test('escapes are undone, in values and in names', () => {
    const body = '{"\\u0074s":1,"key":"a\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20ac\\ud83d\\ude00é","value":2}';
    const { events, rejected } = decode(plan, 'ndjson', body);
    assert.deepEqual(rejected, []);
    assert.equal(events.text(1, 0), 'a"\\/\b\f\n\r\té€😀é');
  });

  test('members named like parts of the prototype are members like others', () => {
    const odd = planOf(
      Object.fromEntries([
        ['a', 'number?'],
        ['constructor', 'string?'],
        ['toString', 'number?'],
      ]),
    );
    const { events, rejected } = decode(odd, 'ndjson', '{"constructor":"c\\u0061","__proto__":{"toString":1}}\n{}');
    assert.deepEqual(rejected, []);
    assert.equal(events.text(1, 0), 'ca');
    assert.equal(Number.isNaN((events.values[2] as Float64Array)[0]), true);
  });

  test('many more rows and texts than estimated are all there', () => {
    const long = 'x'.repeat(3000);
    const first = Array.from({ length: 30 }, (_, i) => line({ ts: i, note: long }));
    const others = Array.from({ length: 4000 }, (_, i) => line({ ts: 30 + i, key: `"${i}"\n\n\n\n\n` }));
    const { events, accepted } = decode(plan, 'ndjson', [...first, ...others].join('\n'));
    assert.equal(accepted, 4030);
    for (let i = 0; i < 4030; i++) assert.equal(events.ts[i], i);
    assert.equal(events.text(4, 3), long);
    assert.equal(events.text(1, 4029), '"3999"\n\n\n\n\n');
  });
});

describe('what is refused', () => {
  const cases: readonly [text: string, reason: RegExp][] = [
    [line({ ts: 1.5 }), /^field "ts": 1.5 is not a safe integer$/],
    [line({ ts: 2 ** 53 }), /^field "ts": 9007199254740992 is not a safe integer$/],
    [line({ value: '12' }), /^field "value": "12" is not a finite number$/],
    [line({ value: 1 }).replace('"value":1', '"value":1e999'), /^field "value": Infinity is not a finite number$/],
    [line({ key: 7 }), /^field "key": 7 is not a string of Unicode text$/],
    [line({ key: null }), /^field "key": is absent, expected a string$/],
    [line({ ok: 1 }), /^field "ok": 1 is not true or false$/],
    [line({ note: '\ud800' }), /^field "note": "\\ud800" is not a string of Unicode text$/],
    [line({ ts: 9e15 }), /^field "ts": 9000000000000000 is not a time \(in ms\)$/],
    ['[1]', /^expected an object, got \[1\]$/],
    ['{"ts":1,}', /^expected JSON in UTF-8, which is not valid at byte 8, near /],
    ['{"ts":1', /^expected JSON in UTF-8, which ends too early at byte 7, near /],
    [`{"x":${'['.repeat(64)}${']'.repeat(64)}}`, /^is nested deeper than 64 levels$/],
  ];
  for (const [text, reason] of cases) {
    test(`${text.slice(0, 60)}`, () => {
      const { accepted, rejected } = decode(plan, 'ndjson', `${line({})}\n${text}\n${line({})}\n`);
      assert.equal(accepted, 2);
      assert.equal(rejected.length, 1);
      const [one] = rejected;
      assert.match(one?.reason ?? '', reason);
      assert.deepEqual([one?.at, one?.bytes], [line({}).length + 1, Buffer.byteLength(text)]);
    });
  }

  test('bytes that are not UTF-8, and a zero byte', () => {
    for (const bytes of [[0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xe2, 0x82], [0xff], [0xf4, 0x90, 0x80, 0x80], [0]]) {
      const body = Buffer.from(line({ key: '@@' }));
      const damaged = Buffer.concat([body.subarray(0, 15), Uint8Array.from(bytes), body.subarray(17)]);
      assert.match(reasonOf(damaged), /^expected JSON in UTF-8, which is not valid at byte 15/);
    }
  });

  test('a value may not go on in the next line', () => {
    const { accepted, rejected } = decode(plan, 'ndjson', '{"ts":1,"key":"a",\n"value":1}\n');
    assert.deepEqual([accepted, rejected.length], [0, 2]);
  });

  test('excerpts are short and well formed', () => {
    const reason = reasonOf(line({ value: '😀'.repeat(500) }));
    assert.ok(reason.length < 120, reason);
    assert.equal(/\p{Surrogate}/u.test(reason), false);
  });

  test('so many are listed and the others counted', () => {
    const { accepted, rejected, rejectedMore } = decode(plan, 'ndjson', `${'{}\n'.repeat(1500)}${line({})}\n`);
    assert.deepEqual([accepted, rejected.length, rejectedMore], [1, REJECTED_LISTED_MAX, 500]);
  });

  test('an event of the future is refused, one at the limit is not, and neither is without a limit', () => {
    const guarded = planOf({ ts: 'integer' }, { timestamp: 'ts', maxFutureMs: 1000 });
    const body = `{"ts":${ARRIVAL_MS + 1000}}\n{"ts":${ARRIVAL_MS + 1001}}\n`;
    const { accepted, rejected, tsMax } = decode(guarded, 'ndjson', body);
    assert.deepEqual([accepted, rejected.length, tsMax], [1, 1, ARRIVAL_MS + 1000]);
    assert.match(rejected[0]?.reason ?? '', /lies 1001 ms in the future, at most 1000 ms are allowed/);
    assert.equal(decode(planOf({ ts: 'integer' }, { timestamp: 'ts' }), 'ndjson', body).accepted, 2);
  });
});

describe('event time', () => {
  const timed = (
    unit: 's' | 'ms' | 'us' | 'ns' | 'iso',
    type: 'number' | 'integer' | 'string',
    text: string,
  ): number => {
    const { events, rejected } = decode(
      planOf({ at: type }, { timestamp: 'at', timestampUnit: unit }),
      'ndjson',
      `{"at":${text}}\n`,
    );
    assert.deepEqual(rejected, []);
    return events.ts[0] as number;
  };

  test('numbers in all units', () => {
    assert.equal(timed('s', 'number', '1700000000.123'), 1_700_000_000_123);
    assert.equal(timed('s', 'integer', '1700000000'), 1_700_000_000_000);
    assert.equal(timed('ms', 'number', '1700000000123.9'), 1_700_000_000_123);
    assert.equal(timed('us', 'integer', '1700000000123999'), 1_700_000_000_123);
    assert.equal(timed('ns', 'integer', '1700000000123000000'), 1_700_000_000_123);
    assert.equal(timed('ns', 'number', '1700000000999999000'), 1_700_000_000_999);
    assert.equal(timed('ms', 'number', '-1.5'), -2);
  });

  test('text', () => {
    assert.equal(timed('iso', 'string', '"2023-11-14T22:13:20.123456Z"'), 1_700_000_000_123);
    assert.equal(timed('iso', 'string', '"2023-11-15\\u005400:13:20+02:00"'), 1_700_000_000_000);
  });

  test('without a field it is the arrival, as it is when an optional field is absent', () => {
    assert.equal(decode(planOf({}), 'ndjson', '{}').events.ts[0], ARRIVAL_MS);
    const optional = planOf({ ts: 'integer?' }, { timestamp: 'ts' });
    assert.equal(decode(optional, 'ndjson', '{}').events.ts[0], ARRIVAL_MS);
    assert.match(
      decode(planOf({ ts: 'integer' }, { timestamp: 'ts' }), 'ndjson', '{}').rejected[0]?.reason ?? '',
      /^field "ts": is absent/,
    );
  });
});
