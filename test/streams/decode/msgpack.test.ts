import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { decode, planOf, rowOf, rowsOf } from './plan-of.ts';

const packr = new Packr({ useRecords: false, variableMapSize: true });
const pack = (value: unknown): Buffer => Buffer.from(packr.pack(value));
const FIELDS = { n: 'integer', x: 'number?', s: 'string?', ok: 'boolean?' } as const;
const plan = planOf(FIELDS);
const taken = (body: Uint8Array): unknown[] => rowsOf(decode(plan, 'msgpack', body).events).map(({ n }) => n);
const reasons = (body: Uint8Array): string[] => decode(plan, 'msgpack', body).rejected.map(({ reason }) => reason);

describe('MessagePack bodies', () => {
  test('an array of maps, and maps one after another', () => {
    assert.deepEqual(taken(pack([{ n: 1 }, { n: 2 }])), [1, 2]);
    assert.deepEqual(taken(Buffer.concat([pack({ n: 1 }), pack({ s: 'x', n: 2 }), pack({ n: 3 })])), [1, 2, 3]);
    assert.deepEqual(taken(pack([])), []);
    assert.deepEqual(taken(Buffer.alloc(0)), []);
  });

  test('what an encoder writes is read: the same rows as those of the events', () => {
    const event = fc.record(
      {
        n: fc.oneof(fc.maxSafeInteger(), fc.integer({ min: -200, max: 300 }), fc.integer()),
        x: fc.oneof(
          fc.double({ noNaN: true, noDefaultInfinity: true }),
          fc.float({ noNaN: true, noDefaultInfinity: true }),
        ),
        s: fc.string({ unit: 'grapheme', maxLength: 80 }),
        ok: fc.boolean(),
        other: fc.anything({ maxDepth: 2, withBigInt: false, withDate: true, withTypedArray: false }),
      },
      { requiredKeys: ['n'] },
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 30 }), fc.boolean(), (events, isSequence) => {
        const body = isSequence ? Buffer.concat(events.map(pack)) : pack(events);
        const { events: batch, rejected } = decode(plan, 'msgpack', body);
        assert.deepEqual(rejected, []);
        const expected = events.map(({ n, x, s, ok }) => ({ n, x: x ?? null, s: s ?? null, ok: ok ?? null }));
        const actual = rowsOf(batch);
        assert.equal(actual.length, expected.length);
        for (const [i, row] of expected.entries()) {
          assert.deepEqual({ ...actual[i], x: 0, n: 0 }, { ...row, x: 0, n: 0 });
          // An encoder of integers has no −0.
          assert.ok((actual[i]?.['n'] as number) === row.n && (actual[i]?.['x'] as number) === row.x);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('any bytes end in rows and refusals that lie within the body', () => {
    const chunks = fc.array(fc.oneof(fc.uint8Array({ maxLength: 12 }), fc.record({ n: fc.integer() }).map(pack)), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(chunks, (parts) => {
        const body = Buffer.concat(parts);
        for (const { at, bytes, reason } of decode(plan, 'msgpack', body).rejected) {
          assert.ok(at >= 0 && at + bytes <= body.length && reason.length > 0);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('64-bit integers are the nearest double, and no safe integer when they are none', () => {
    const numbers = planOf({ x: 'number' });
    for (const wide of [2n ** 63n + 1025n, 2n ** 64n - 1n, -(2n ** 63n), 9007199254740993n, -5n]) {
      const { events } = decode(numbers, 'msgpack', new Packr({ useRecords: false }).pack({ x: wide }));
      assert.equal((events.values[0] as Float64Array)[0], Number(wide));
    }
    assert.match(reasons(pack({ n: 2n ** 62n }))[0] ?? '', /^field "n": 4611686018427387904 is not a safe integer$/);
  });

  test('an event that does not fit costs itself; a body that breaks costs its rest', () => {
    const body = pack([
      { n: 1 },
      { n: 'x' },
      5,
      { n: 2, s: Buffer.from('ab') },
      { n: 1.5 },
      { s: 'y' },
      { n: 3, x: Number.NaN },
      { n: 4 },
    ]);
    assert.deepEqual(taken(body), [1, 4]);
    assert.deepEqual(reasons(body), [
      'field "n": "x" is not a safe integer',
      'expected an object, got 5',
      'field "s": 2 bytes is not a string of Unicode text',
      'field "n": 1.5 is not a safe integer',
      'field "n": is absent, expected a safe integer',
      'field "x": NaN is not a finite number',
    ]);
    assert.deepEqual(taken(body.subarray(0, 6)), [1]);
    assert.match(reasons(body.subarray(0, 6))[0] ?? '', /ends too early/);
    assert.match(reasons(Buffer.concat([pack([{ n: 1 }]), Buffer.of(1)]))[0] ?? '', /behind the 1 elements/);
    assert.match(reasons(Buffer.of(0xc1))[0] ?? '', /not valid at byte 0/);
    assert.match(
      reasons(Buffer.concat([Buffer.of(0x81, 0xa1, 0x6e), Buffer.alloc(80, 0x91), Buffer.of(1)]))[0] ?? '',
      /deeper than 64/,
    );
    // Texts that are not UTF-8.
    assert.equal(reasons(Buffer.of(0x82, 0xa1, 0x6e, 1, 0xa1, 0x73, 0xa2, 0xc0, 0xaf)).length, 1);
    // Four billion maps that are not there.
    assert.equal(reasons(Buffer.of(0xdd, 0xff, 0xff, 0xff, 0xff, 0x81, 0xa1, 0x6e, 1)).length, 1);
  });

  test('JSON that is sent as MessagePack is one refusal that says so, not one for each of its characters', () => {
    for (const text of ['{"n":1}\n{"n":2}', ' \r\n[{"n":1}]', '\ufeff{"n":1}', `{"s":"${'ä'.repeat(100)}"}`]) {
      const [refusal, ...others] = decode(plan, 'msgpack', Buffer.from(text)).rejected;
      assert.match(refusal?.reason ?? '', /^expected maps in MessagePack, got JSON: \[?\{"/);
      assert.deepEqual([refusal?.at, refusal?.bytes, others], [0, Buffer.byteLength(text), []]);
    }
    // Numbers among maps are what they are.
    const numbers = Buffer.concat([pack({ n: 1 }), Buffer.from('{['), pack({ n: 2 })]);
    assert.deepEqual(taken(numbers), [1, 2]);
    assert.deepEqual(reasons(numbers), ['expected an object, got 123', 'expected an object, got 91']);
  });

  test('timestamps of all three widths are times, of number fields and of text', () => {
    const dates = [
      new Date(1_700_000_000_000),
      new Date(1_700_000_000_123),
      new Date(-1500),
      new Date(5e12 + 7),
      new Date(1e14 + 7),
    ];
    const body = pack(dates.map((at) => ({ at })));
    for (const [unit, type] of [
      ['ms', 'integer'],
      ['us', 'integer'],
      ['ms', 'number'],
      ['iso', 'string'],
    ] as const) {
      const { events, rejected } = decode(
        planOf({ at: type }, { timestamp: 'at', timestampUnit: unit }),
        'msgpack',
        body,
      );
      assert.deepEqual(rejected, []);
      assert.deepEqual([...events.ts.subarray(0, dates.length)], dates.map(Number));
    }
    assert.match(
      decode(planOf({ ts: 'integer', at: 'number' }, { timestamp: 'ts' }), 'msgpack', pack({ ts: 1, at: new Date(0) }))
        .rejected[0]?.reason ?? '',
      /^field "at"/,
    );
  });

  test('the original event is shown as JSON', () => {
    const { events } = decode(
      plan,
      'msgpack',
      pack([{ n: 1, deep: { a: [true, null, 'é'] }, big: 2n ** 60n, raw: Buffer.from('hi'), at: new Date(0) }]),
    );
    assert.equal(
      events.original(0),
      '{"n":1,"deep":{"a":[true,null,"é"]},"big":1152921504606846976,"raw":"aGk=","at":"1970-01-01T00:00:00.000Z"}'.replace(
        '1152921504606846976',
        JSON.stringify(2 ** 60),
      ),
    );
    assert.deepEqual(rowOf(events, 0), { n: 1, x: null, s: null, ok: null });
  });
});
