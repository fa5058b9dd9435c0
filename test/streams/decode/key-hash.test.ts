import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { hashKey, hashRows, type KeyValue, sameNumber, sameText } from '../../../src/streams/decode/key-hash.ts';
import { decode, planOf } from './plan-of.ts';

describe('key hashes', () => {
  test('are pinned: state of earlier runs is found by them', () => {
    const pins: readonly (readonly [key: KeyValue[], hash: number])[] = [
      [[], 0],
      [[''], 1020716019],
      [['a'], 1313304558],
      [['abc'], 182691372],
      [['abcd'], 3636591186],
      [['host-17.example'], 2887761042],
      [['é😀'], 2240077151],
      [[0], 571431590],
      [[1], 1138880914],
      [[-1.5], 917710705],
      [[true], 1425121977],
      [[false], 789269575],
      [[null], 1803133837],
      [['a', 1, null], 4285986414],
    ];
    for (const [key, hash] of pins) assert.equal(hashKey(key), hash, JSON.stringify(key));
  });

  test('of a row, in any format, are those of its values', () => {
    const plan = planOf(
      { s: 'string?', x: 'number?', b: 'boolean?' },
      { keys: [['s'], ['x'], ['b'], ['b', 's', 'x'], []] },
    );
    const row = fc.record({
      s: fc.option(fc.string({ unit: 'grapheme' })),
      x: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true })),
      b: fc.option(fc.boolean()),
    });
    fc.assert(
      fc.property(fc.array(row, { maxLength: 20 }), (rows) => {
        const { events } = decode(plan, 'json', rows);
        for (const [i, { s, x, b }] of rows.entries()) {
          const keys: KeyValue[][] = [[s], [x], [b], [b, s, x], []];
          for (const [k, key] of keys.entries()) assert.equal(events.hashes[k]?.[i], hashKey(key));
        }
        events.hashes[3]?.fill(7);
        hashRows(events, [2, 0, 1], events.hashes[3] as Uint32Array);
        assert.equal(
          rows.every(({ s, x, b }, i) => events.hashes[3]?.[i] === hashKey([b, s, x])),
          true,
        );
      }),
    );
  });

  test('−0 is 0, and values of different types differ', () => {
    assert.equal(hashKey([-0]), hashKey([0]));
    const values: KeyValue[] = [0, 1, '', '0', '1', true, false, null, 'null', 'true'];
    assert.equal(new Set(values.map((value) => hashKey([value]))).size, values.length);
    assert.notEqual(hashKey(['a', 'b']), hashKey(['b', 'a']));
    assert.notEqual(hashKey(['ab', '']), hashKey(['a', 'b']));
  });

  const spread = (name: string, keyOf: (i: number) => KeyValue[]): void => {
    test(`spread evenly by low and by high bits: ${name}`, () => {
      const count = 65_536;
      for (const shift of [0, 8, 24]) {
        const buckets = new Uint32Array(256);
        for (let i = 0; i < count; i++) {
          const bucket = (hashKey(keyOf(i)) >>> shift) & 255;
          buckets[bucket] = (buckets[bucket] as number) + 1;
        }
        const expected = count / 256;
        const chiSquare = buckets.reduce((sum, each) => sum + (each - expected) ** 2 / expected, 0);
        // 255 degrees of freedom: above 370 once in a million; well below 255 would only be better.
        assert.ok(chiSquare < 370, `${chiSquare} at bit ${shift}`);
      }
      const distinct = new Set(Array.from({ length: count }, (_, i) => hashKey(keyOf(i)))).size;
      assert.ok(distinct > count - 6, `${count - distinct} collisions, one is expected`);
    });
  };
  spread('short texts', (i) => [`k${i}`]);
  spread('long texts', (i) => [`sensor/building-7/floor-3/${i}`]);
  spread('integers', (i) => [i]);
  spread('fractions', (i) => [i / 100]);
  spread('two values', (i) => [i & 255, `x${i >> 8}`]);
});

describe('equality of keys', () => {
  test('bytes and numbers', () => {
    const bytes = Buffer.from('abcabd, 12345-12345, 12346');
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    assert.equal(sameText(view, 0, view, 3, 2) && sameText(view, 8, view, 14, 5), true);
    assert.equal(sameText(view, 0, view, 3, 3) || sameText(view, 8, view, 21, 5), false);
    assert.equal(sameNumber(Number.NaN, Number.NaN) && sameNumber(0, -0), true);
    assert.equal(sameNumber(1, 2) || sameNumber(Number.NaN, 0), false);
  });
});
