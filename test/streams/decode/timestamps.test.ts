import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isoToMs } from '../../../src/streams/decode/timestamps.ts';

const msOf = (text: string): number => {
  const bytes = Buffer.from(`"${text}"`);
  return isoToMs(bytes, 1, bytes.length - 2);
};

describe('RFC 3339', () => {
  test('is what Date.parse says, for all years, fractions and offsets', () => {
    const two = (max: number) => fc.integer({ min: 0, max }).map((value) => String(value).padStart(2, '0'));
    const fraction = fc.oneof(fc.constant(''), fc.stringMatching(/^\.[0-9]{1,9}$/));
    const offset = fc.oneof(
      fc.constant('Z'),
      fc.tuple(fc.constantFrom('+', '-'), two(23), two(59)).map(([sign, h, m]) => `${sign}${h}:${m}`),
    );
    const text = fc
      .tuple(
        fc.date({ min: new Date(-62_167_219_200_000), max: new Date(253_402_300_799_999), noInvalidDate: true }),
        fraction,
        offset,
      )
      .map(([date, digits, zone]) => `${date.toISOString().slice(0, 19)}${digits}${zone}`);
    fc.assert(
      fc.property(text, (each) => assert.equal(msOf(each), Date.parse(each), each)),
      { numRuns: 5000 },
    );
  });

  test('small letters and a space are allowed, and second 60 is the next minute', () => {
    assert.equal(msOf('2024-02-29t12:00:00z'), Date.parse('2024-02-29T12:00:00Z'));
    assert.equal(msOf('2024-02-29 12:00:00Z'), Date.parse('2024-02-29T12:00:00Z'));
    assert.equal(msOf('2016-12-31T23:59:60Z'), Date.parse('2017-01-01T00:00:00Z'));
  });

  test('anything else is no time', () => {
    for (const text of [
      '',
      '2024-01-01',
      '2024-01-01T00:00:00',
      '2024-01-01T00:00Z',
      '2024-1-01T00:00:00ZZ',
      '2023-02-29T00:00:00Z',
      '1900-02-29T00:00:00Z',
      '2024-04-31T00:00:00Z',
      '2024-13-01T00:00:00Z',
      '2024-00-01T00:00:00Z',
      '2024-01-00T00:00:00Z',
      '2024-01-01T24:00:00Z',
      '2024-01-01T00:60:00Z',
      '2024-01-01T00:00:61Z',
      '2024-01-01T00:00:00.Z',
      '2024-01-01T00:00:00.1',
      '2024-01-01T00:00:00+0100',
      '2024-01-01T00:00:00+24:00',
      '2024-01-01T00:00:00+01:60',
      '2024-01-01T00:00:00Z ',
      '20x4-01-01T00:00:00Z',
      '2024-01-01T00:00:0aZ',
    ]) {
      assert.ok(Number.isNaN(msOf(text)), text);
    }
  });
});
