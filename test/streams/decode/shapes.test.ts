import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SHAPES_MAX } from '../../../src/streams/decode/shape-cache.ts';
import { compileShape, PROGRAMS_KEPT_MAX } from '../../../src/streams/decode/shape-program.ts';
import { schemaOf } from '../../../src/streams/decode/stream-schema.ts';
import { ARRIVAL_MS, decode, planOf, rowsOf } from './plan-of.ts';

const FIELDS = { ts: 'integer', key: 'string', value: 'number', ok: 'boolean?', note: 'string?' } as const;
const plainLine = (i: number): string =>
  `{"ts":${i},"key":"k${i}","value":${i}.5,"other":[${i}],"more":"m","ok":null}\n`;

describe('programs of shapes', () => {
  test('rows are the same before and after a program is made, for lines and arrays', () => {
    for (const format of ['ndjson', 'json'] as const) {
      const plan = planOf(FIELDS, { timestamp: 'ts' });
      const lines = Array.from({ length: 100 }, (_, i) => plainLine(i));
      const body = format === 'ndjson' ? lines.join('') : `[${lines.join(' , ')}]`;
      const { shapes } = schemaOf(plan, 0);
      const first = decode(plan, format, body);
      assert.equal((format === 'ndjson' ? shapes.lines : shapes.array).size, 1);
      const second = decode(plan, format, body);
      assert.deepEqual(rowsOf(first.events), rowsOf(second.events));
      assert.equal(second.accepted, 100);
      assert.deepEqual(rowsOf(second.events)[99], { ts: 99, key: 'k99', value: 99.5, ok: null, note: null });
      assert.equal(second.events.original(99), lines[99]?.trim());
      assert.equal(second.tsMax, 99);
    }
  });

  test('shapes that take turns each have their program', () => {
    const plan = planOf(FIELDS, { timestamp: 'ts' });
    const turns = [
      plainLine,
      (i: number): string => `{"key":"a","ts":${i},"value":-1}\r\n`,
      (i: number): string => `{ "value": ${i}, "ts": ${i}, "key": "é", "ok": true }\n`,
    ];
    const body = Array.from({ length: 300 }, (_, i) => turns[i % 3]?.(i)).join('');
    const first = decode(plan, 'ndjson', body);
    assert.equal(schemaOf(plan, 0).shapes.lines.size, 3);
    const second = decode(plan, 'ndjson', body);
    assert.equal(second.accepted, 300);
    assert.deepEqual(rowsOf(first.events), rowsOf(second.events));
  });

  test('a sender with ever new shapes is read all the same, and has few programs', () => {
    const plan = planOf(FIELDS, { timestamp: 'ts' });
    const body = Array.from({ length: 30_000 }, (_, i) => `{"x${i % 9000}":1,"ts":${i},"key":"k","value":1}\n`).join(
      '',
    );
    assert.equal(decode(plan, 'ndjson', body).accepted, 30_000);
    assert.equal(schemaOf(plan, 0).shapes.lines.size, SHAPES_MAX);
  });

  test('a plan goes on with the program that another one made for the same shape', () => {
    const scanOf = (names: readonly string[]): unknown => {
      const plan = planOf(Object.fromEntries(names.map((name) => [name, 'number' as const])));
      const schema = schemaOf(plan, 0);
      const literals = [...names.map((name, i) => `${i === 0 ? '{' : ','}"${name}":`), '}'].map((text) =>
        Buffer.from(text),
      );
      return compileShape(
        { literals, fields: names.map((_, i) => i), quoted: names.map(() => false) },
        schema,
        'lines',
      );
    };
    assert.equal(scanOf(['a', 'b']), scanOf(['a', 'b']));
    assert.notEqual(scanOf(['a', 'b']), scanOf(['a', 'c']));
    const first = scanOf(['a', 'b']);
    for (let i = 0; i < PROGRAMS_KEPT_MAX; i++) scanOf([`x${i}`]);
    assert.notEqual(scanOf(['a', 'b']), first);
  });

  test('names that would be code are bytes', () => {
    const name = '");process.exit(1);//';
    const plan = planOf({ [name]: 'number' });
    const body = `{${JSON.stringify(name)}:1,"\`\${process.exit(1)}":2}\n`.replaceAll('\\"', '\\u0022').repeat(40);
    assert.equal(decode(plan, 'ndjson', body).accepted, 40);
  });

  test('times and the guard against the future hold in programs', () => {
    for (const [unit, type, text] of [
      ['iso', 'string', '"2023-11-14T22:13:20Z"'],
      ['s', 'number', '1700000000'],
      ['us', 'integer', '1700000000000000'],
      ['ms', 'number?', '1700000000000.7'],
    ] as const) {
      const plan = planOf({ at: type }, { timestamp: 'at', timestampUnit: unit, maxFutureMs: 10 });
      const late = text.replace('2023', '2033').replace('17', '27');
      const body = [...Array.from({ length: 40 }, () => text), late, text, 'null']
        .map((at) => `{"at":${at}}\n`)
        .join('');
      const { events, rejected, tsMax } = decode(plan, 'ndjson', body);
      const isOptional = type.endsWith('?');
      assert.equal(events.count, isOptional ? 42 : 41, unit);
      assert.match(rejected[0]?.reason ?? '', /in the future/);
      assert.equal(tsMax, ARRIVAL_MS);
      for (let row = 0; row < events.count; row++) assert.equal(events.ts[row], ARRIVAL_MS);
    }
  });
});
