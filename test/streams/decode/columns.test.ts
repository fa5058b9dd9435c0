import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { encodeColumns } from '../../../src/streams/decode/column-format.ts';
import { ARRIVAL_MS, decode, planOf, rowsOf } from './plan-of.ts';

const FIELDS = { ts: 'integer', key: 'string', value: 'number', ok: 'boolean?', note: 'string?' } as const;
const plan = planOf(FIELDS, { timestamp: 'ts', keys: [['key'], ['ok', 'note']] });
const columnsOf = (rows: readonly Record<string, unknown>[]): Record<string, (string | number | boolean | null)[]> =>
  Object.fromEntries(
    Object.keys(FIELDS).map((name) => [name, rows.map((row) => (row[name] ?? null) as string | null)]),
  );

const row = fc.record(
  {
    ts: fc.integer(),
    key: fc.string({ unit: 'grapheme' }),
    value: fc.double({ noNaN: true, noDefaultInfinity: true }),
    ok: fc.boolean(),
    note: fc.string({ unit: 'grapheme' }),
  },
  { requiredKeys: ['ts', 'key', 'value'], noNullPrototype: true },
);

describe('columns', () => {
  test('rows and hashes are those of the same events as lines', () => {
    fc.assert(
      fc.property(fc.array(row, { maxLength: 50 }), (rows) => {
        const columns = decode(plan, 'columns', encodeColumns(columnsOf(rows)));
        const lines = decode(plan, 'ndjson', rows.map((each) => JSON.stringify(each)).join('\n'));
        assert.deepEqual(columns.rejected, []);
        assert.equal(columns.accepted, rows.length);
        const zero = (each: Record<string, unknown>): object => ({ ...each, value: (each['value'] as number) + 0 });
        assert.deepEqual(rowsOf(columns.events).map(zero), rowsOf(lines.events).map(zero));
        assert.equal(columns.tsMax, lines.tsMax);
        for (let k = 0; k < 2; k++) {
          const of = (hashes: Uint32Array | undefined): number[] => [...(hashes ?? []).slice(0, rows.length)];
          assert.deepEqual(of(columns.events.hashes[k]), of(lines.events.hashes[k]));
        }
      }),
      { numRuns: 200 },
    );
  });

  test('rows that do not fit cost themselves', () => {
    const guarded = planOf(FIELDS, { timestamp: 'ts', maxFutureMs: 1 });
    const { events, rejected } = decode(
      guarded,
      'columns',
      encodeColumns({
        ts: [1, 1.5, 2, ARRIVAL_MS + 2, 3],
        key: ['a', 'b', null, 'd', 'é'],
        value: Float64Array.of(1, 2, 3, 4, 5),
        ok: [true, false, null, true, false],
      }),
    );
    assert.deepEqual(
      rowsOf(events).map(({ ts, key, ok }) => [ts, key, ok]),
      [
        [1, 'a', true],
        [3, 'é', false],
      ],
    );
    assert.deepEqual(
      rejected.map(({ reason }) => reason),
      [
        'row 1: field "ts": 1.5 is not a safe integer',
        'row 2: field "key": is absent, expected a string',
        `row 3: field "ts": ${ARRIVAL_MS + 2} lies 2 ms in the future, at most 1 ms are allowed`,
      ],
    );
    assert.equal(events.original(1), '{"ts":3,"key":"é","value":5,"ok":false}');
  });

  test('a column that is missing or of another type is named', () => {
    const reasonOf = (columns: Record<string, (string | number)[]>): string =>
      decode(plan, 'columns', encodeColumns(columns)).rejected[0]?.reason ?? '';
    assert.match(reasonOf({ ts: [1], value: [1] }), /^field "key": has no column, expected one of type text$/);
    assert.match(
      reasonOf({ ts: ['1'], key: ['a'], value: [1] }),
      /^field "ts": has a column of type text, expected f64$/,
    );
  });

  test('texts whose offsets fall, leave the column, or cut a character are refused, and only they', () => {
    const texts = planOf({ key: 'string' });
    const good = encodeColumns({ key: ['ab', 'é', 'cd'] });
    // Four offsets, then six bytes and two of padding.
    const at = good.length - 24;
    const keysOf = (change: (body: DataView) => void): unknown[] => {
      const body = good.slice();
      change(new DataView(body.buffer));
      const { events, rejected } = decode(texts, 'columns', body);
      assert.equal(events.count + rejected.length, 3);
      return rowsOf(events).map(({ key }) => key);
    };
    assert.deepEqual(
      keysOf(() => undefined),
      ['ab', 'é', 'cd'],
    );
    assert.deepEqual(
      keysOf((body) => body.setUint32(at + 4, 3, true)),
      ['cd'],
    );
    assert.deepEqual(
      keysOf((body) => body.setUint32(at + 4, 5, true)),
      ['abéc', 'cd'],
    );
    assert.deepEqual(
      keysOf((body) => body.setUint32(at + 12, 7, true)),
      ['ab', 'é'],
    );
    assert.deepEqual(
      keysOf((body) => body.setUint8(at + 18, 0x80)),
      ['ab', 'cd'],
    );
    assert.deepEqual(
      keysOf((body) => body.setUint32(at + 8, 0x80000004, true)),
      ['ab', 'é'],
    );
  });

  test('texts that name the same bytes again and again are refused: the batch is no larger than the body allows', () => {
    const rows = 100;
    const texts = Array.from({ length: rows }, (_, i) => (i === 0 ? 'x'.repeat(1000) : ''));
    const body = encodeColumns({ city: texts });
    const view = new DataView(body.buffer);
    const from = body.length - 1000 - (rows + 1) * 4 - ((8 - ((1000 + (rows + 1) * 4) % 8)) % 8);
    for (let i = 0; i <= rows; i++) view.setUint32(from + i * 4, i % 2 === 0 ? 0 : 1000, true);
    const { accepted, batch, rejected } = decode(planOf({ city: 'string' }), 'columns', body);
    assert.equal(accepted, 0);
    assert.match(rejected[0]?.reason ?? '', /field "city": its texts add up to 50000 bytes, and its column has 1000/);
    assert.ok(batch.byteLength < 10 * body.length, String(batch.byteLength));
  });

  test('any damage ends in rows and refusals', () => {
    const body = encodeColumns(
      columnsOf([
        { ts: 1, key: 'abc', value: 1, ok: true },
        { ts: 2, key: 'é', value: 2, note: 'x' },
      ]),
    );
    const byte = fc.tuple(fc.nat(body.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(byte, { minLength: 1, maxLength: 4 }), fc.nat(body.length), (bytes, cut) => {
        const damaged = body.slice(0, cut % 3 === 0 ? cut : body.length);
        for (const [at, value] of bytes) if (at < damaged.length) damaged[at] = value;
        const { accepted, rejected } = decode(plan, 'columns', damaged);
        assert.ok(accepted + rejected.length <= 2 && accepted + rejected.length >= 0);
      }),
      { numRuns: 3000 },
    );
  });

  test('headers that lie are refused', () => {
    const withHeader = (header: unknown, rest = 64): Uint8Array => {
      const text = Buffer.from(JSON.stringify(header).padEnd(400));
      const head = Buffer.from('MRC1\0\0\0\0');
      head.writeUInt32LE(400, 4);
      return Buffer.concat([head, text, Buffer.alloc(rest)]);
    };
    const column = (name: string, type: string, bytes: number): object => ({ name, type, bytes });
    for (const header of [
      null,
      { rows: 1e15, columns: [] },
      { rows: -1, columns: [column('ts', 'f64', -8)] },
      { rows: 1e9, columns: [column('ts', 'f64', 8e9)] },
      { rows: 2, columns: [column('key', 'text', 8)] },
      { rows: 2.5, columns: [column('ts', 'f64', 20)] },
      { rows: 1, columns: [column('ts', 'i32', 8)] },
      { rows: 1, columns: 'x' },
      { rows: 1e6, columns: [column('ok', 'none', 0)] },
    ]) {
      const { accepted, rejected } = decode(plan, 'columns', withHeader(header));
      assert.deepEqual([accepted, rejected.length], [0, 1], JSON.stringify(header));
    }
    for (const body of ['', 'MRC1', 'MRC1\xff\xff\xff\xff', 'XXXX\0\0\0\0']) {
      assert.equal(decode(plan, 'columns', Buffer.from(body, 'latin1')).rejected.length, 1);
    }
  });

  test('the writer refuses columns that are no columns', () => {
    assert.throws(() => encodeColumns({ a: [1], b: [1, 2] }), /column "b" has 2 rows, expected 1/);
    assert.throws(() => encodeColumns({ a: [1, 'x'] }), /column "a" holds numbers and a string/);
  });
});
