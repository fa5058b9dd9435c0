/**
 * What is written byte by byte is what JSON.stringify writes.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { ResultLine } from '../../../src/streams/engine/port.ts';
import { LineWriter } from '../../../src/streams/engine/shards/result-line.ts';
import { FractionDigits } from '../../../src/streams/lines/fraction-digits.ts';
import { LineBuffer } from '../../../src/streams/lines/line-buffer.ts';
import { pieceOf } from '../../../src/streams/lines/line-piece.ts';
import type { Keys, ResultRow } from '../../../src/streams/operator.ts';

const wellFormed = fc.string({ unit: 'grapheme' });
/** Few digits before and behind the point, and what a product of such is. */
const decimal = fc
  .tuple(fc.integer({ min: -(10 ** 12), max: 10 ** 12 }), fc.nat(9), fc.constantFrom(1, 0.908, 3))
  .map(([parts, digits, factor]) => (parts / 10 ** digits) * factor);

function written(write: (out: LineBuffer) => void): string {
  const out = new LineBuffer();
  write(out);
  return Buffer.from(out.take()).toString();
}

describe('line buffer', () => {
  test('texts, and texts within texts', () => {
    fc.assert(
      fc.property(wellFormed, fc.jsonValue(), (text, value) => {
        const json = JSON.stringify(value);
        assert.equal(
          written((out) => out.text(text)),
          text,
        );
        assert.equal(
          written((out) => out.json(text)),
          JSON.stringify(text),
        );
        assert.equal(
          written((out) => out.quoted(json)),
          JSON.stringify(json).slice(1, -1),
        );
      }),
    );
  });

  test('bytes of texts', () => {
    const edges = ['', 'abc', 'abcd', 'abcde', '"', 'abcdef\\', 'abc\u007fé', '\u0000\u001f\b\t\n\f\r', '😀'];
    const any = fc.oneof(wellFormed, fc.string({ unit: 'binary-ascii' }), fc.constantFrom(...edges));
    fc.assert(
      fc.property(any, any, (text, before) => {
        const [around, bytes] = [Buffer.from(before), Buffer.from(text)];
        const all = Buffer.concat([around, bytes]);
        const view = new DataView(all.buffer, all.byteOffset, all.byteLength);
        const json = JSON.stringify(text);
        assert.equal(
          written((out) => out.string(view, around.length, bytes.length)),
          json,
        );
        const plain = json.length === text.length + 2;
        const out = new LineBuffer();
        assert.equal(out.plain(view, around.length, bytes.length), plain);
        assert.equal(Buffer.from(out.take()).toString(), plain ? text : '');
      }),
      { numRuns: 500 },
    );
  });

  test('pieces, and what another one holds, into one that is nearly full', () => {
    fc.assert(
      fc.property(fc.array(wellFormed), fc.nat(40), (texts, room) => {
        const whole = new LineBuffer(room);
        const other = new LineBuffer(0);
        for (const text of texts) {
          whole.piece(pieceOf(text));
          other.piece(pieceOf(text));
        }
        whole.append(other);
        assert.equal(Buffer.from(whole.take()).toString(), texts.join('').repeat(2));
      }),
    );
  });

  test('numbers', () => {
    const edges = [
      0,
      -0,
      9,
      10,
      99,
      1e8,
      1e8 - 1,
      1e16 / 2,
      1e-6,
      1.5e-6,
      999999999.999999,
      1e9 + 0.5,
      1e9,
      1e9 - 1,
      1e9 + 1,
      123456789012,
      2 ** 53 - 1,
      -(2 ** 53) + 1,
      2 ** 53,
      1e21,
    ];
    for (const edge of [...edges, 0.1, -1.5e-7, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.equal(
        written((out) => out.number(edge)),
        JSON.stringify(edge),
      );
    }
    fc.assert(
      fc.property(fc.oneof(fc.maxSafeInteger(), fc.double(), decimal), (value) => {
        assert.equal(
          written((out) => out.number(value)),
          JSON.stringify(value),
        );
      }),
      { numRuns: 2000 },
    );
  });

  test('fractions of many digits', () => {
    const between = fc.double({ min: 1, max: 2e9, noNaN: true });
    const product = fc.tuple(fc.nat(10 ** 8), fc.constantFrom(0.908, 1 / 3, 0.1, 1.1, 1e-3)).map(([a, b]) => a * b);
    const beforePower = fc.tuple(fc.nat(30), fc.integer({ min: -5, max: 5 })).map(([exponent, steps]) => {
      const power = 2 ** exponent;
      return power + steps * power * 2 ** -52;
    });
    const dyadic = fc.tuple(fc.nat(2 ** 30), fc.nat(30)).map(([n, exponent]) => (n + 0.5) / 2 ** exponent);
    fc.assert(
      fc.property(fc.oneof(between, product, beforePower, dyadic), fc.boolean(), (size, isNegative) => {
        const value = isNegative ? -size : size;
        assert.equal(
          written((out) => out.number(value)),
          JSON.stringify(value),
        );
      }),
      { numRuns: 20_000 },
    );
  });

  test('the digits of nearly all fractions are told without the engine', () => {
    const digits = new FractionDigits();
    let told = 0;
    for (let i = 1; i <= 1000; i++) if (digits.find(0.908 * i * 7919 + 1 / 3)) told += 1;
    assert.ok(told > 950, `only ${told} of 1000`);
    for (const other of [0.5, 1, 1e9, 1e9 + 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.equal(digits.find(other), false);
    }
  });

  test('grows, and holds nothing after it was taken', () => {
    const out = new LineBuffer();
    for (let i = 0; i < 3000; i++) out.text('12345');
    assert.equal(out.take().length, 15_000);
    assert.equal(out.take().length, 0);
  });
});

describe('result line', () => {
  const time = fc.oneof(fc.integer(), fc.constantFrom(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY));
  const row: fc.Arbitrary<ResultRow> = fc.record({
    keyId: fc.constantFrom(0, 1, -1),
    start: time,
    end: time,
    origin: fc.constantFrom('', '7:3'),
    pane: fc.nat(20),
    timing: fc.constantFrom('early', 'on-time', 'late'),
    final: fc.boolean(),
    retraction: fc.boolean(),
    output: fc.constantFrom('', 'late', 'timeout'),
    values: fc.tuple(fc.jsonValue(), wellFormed, fc.double()),
    failed: fc.constantFrom(null, { a: 'it "threw"', b: '' }),
    evidence: fc.option(
      fc.record({ events: fc.array(wellFormed), traces: fc.array(wellFormed), correlationIds: fc.array(wellFormed) }),
    ),
  });
  const json = (keyId: number): string => JSON.stringify({ host: `a"b\\${keyId}`, ü: keyId });
  const keys = { json } as unknown as Keys;

  test('has the members of its row, whatever rows were written before it', () => {
    fc.assert(
      fc.property(fc.array(row, { maxLength: 6 }), fc.boolean(), (rows, byEvents) => {
        const writer = new LineWriter('s', 'w"1', ['a', 'b', 'c'], byEvents);
        const finite = (ms: number): number | null => (Number.isFinite(ms) ? ms : null);
        for (const given of rows) {
          const line = JSON.parse(writer.line(given, keys)) as ResultLine;
          const key = given.keyId < 0 ? '{}' : json(given.keyId);
          const [a, b, c] = given.values as [unknown, string, number];
          assert.deepEqual(line.key, JSON.parse(key));
          assert.deepEqual([line.start, line.end, line.pane], [finite(given.start), finite(given.end), given.pane]);
          assert.deepEqual([line.timing, line.final], [given.timing, given.final]);
          assert.equal(line.retraction, given.retraction ? true : undefined);
          assert.equal(line.output, given.output === '' ? undefined : given.output);
          assert.deepEqual(line.values, JSON.parse(JSON.stringify({ a: a ?? null, b, c })));
          assert.deepEqual(line.failed, given.failed ?? undefined);
          assert.deepEqual(line.context, given.evidence === null ? undefined : { ...given.evidence });
          const events = byEvents && given.evidence !== null ? given.evidence.events.join('+') : '';
          const which = events !== '' ? events : `${given.origin === '' ? '' : `${given.origin}/`}${given.pane}`;
          const ending = `${given.output === '' ? '' : `.${given.output}`}${given.retraction ? '/retraction' : ''}`;
          assert.equal(line.id, `s/w"1/${key}/${finite(given.start)}/${finite(given.end)}/${which}${ending}`);
        }
      }),
      { numRuns: 300 },
    );
  });
});
