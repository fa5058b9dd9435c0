import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { longDecimal } from '../../../src/streams/decode/long-decimal.ts';

const decimalOf = (text: string): number => {
  const bytes = Buffer.from(text);
  return longDecimal(bytes, 0, bytes.length);
};

/** Deterministic bits. */
function* randoms(): Generator<number, never> {
  let state = 12_345;
  for (;;) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state;
  }
}
const random = randoms();
const digits = (count: number): string =>
  Array.from({ length: count }, () => (random.next().value >>> 16) % 10).join('');

describe('decimals of many digits', () => {
  test('are what Number says, or are not told', () => {
    let told = 0;
    const tries = 100_000;
    for (let i = 0; i < tries; i++) {
      const whole = digits(1 + ((random.next().value >>> 20) % 10)).replace(/^0+(?=\d)/, '');
      const text = `${whole}.${digits(1 + ((random.next().value >>> 20) % 14))}`;
      const value = decimalOf(text);
      if (Number.isNaN(value)) continue;
      told += 1;
      assert.ok(Object.is(value, Number(text)), text);
    }
    assert.ok(told > tries * 0.8, `${told}`);
  });

  test('of doubles as they are printed are always told, above the smallest ones', () => {
    for (let i = 0; i < 50_000; i++) {
      const double =
        (random.next().value / 2 ** 32 + random.next().value / 2 ** 64) * 10 ** ((random.next().value >>> 28) - 3);
      const text = String(double);
      if (text.includes('e')) continue;
      assert.ok(Object.is(decimalOf(text), double), text);
    }
  });

  test('in the middle between two doubles, or next to it, are right or not told', () => {
    for (let i = 0; i < 20_000; i++) {
      // Odd integers past 2^53 lie in the middle; a point, and the same digits, may be put in anywhere.
      const middle = 2n ** 53n + BigInt(random.next().value) * 2n + 1n;
      for (const text of [`${middle}`, `${middle}.0`, `${middle}.001`, `${middle - 1n}.999`]) {
        const value = decimalOf(text);
        assert.ok(Number.isNaN(value) || value === Number(text), text);
      }
    }
  });

  test('zeros in front count for nothing but the point', () => {
    assert.equal(decimalOf('0.000012345678901234567'), Number('0.000012345678901234567'));
    assert.ok(Number.isNaN(decimalOf('0.0000000000000000000000001')));
    assert.ok(Number.isNaN(decimalOf('123456789012345678901')));
  });
});
