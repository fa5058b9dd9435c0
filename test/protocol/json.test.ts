import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { JSON_DEPTH_MAX, parseJson } from '../../src/protocol/json.ts';
import { sharedPath } from '../catalogue/shared-data.ts';
import { fastestMs, LINEAR_MS } from '../clients/processor-time.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('JSONTestSuite', () => {
  const folder = sharedPath('reliability', 'corpora', 'jsontestsuite', 'test_parsing');
  const files = readdirSync(folder);

  test('every y file is accepted with the value JSON.parse gives', () => {
    const accepted = files.filter((name) => name.startsWith('y_'));
    assert.equal(accepted.length, 95);
    for (const name of accepted) {
      const body = readFileSync(join(folder, name));
      assert.deepEqual(parseJson(body), { ok: true, value: JSON.parse(body.toString()) }, name);
    }
  });

  test('every n file is refused', () => {
    const refused = files.filter((name) => name.startsWith('n_'));
    assert.equal(refused.length, 188);
    for (const name of refused) {
      const body = readFileSync(join(folder, name));
      assert.equal(parseJson(body).ok, false, name);
      // The same bytes without the methods of Buffer.
      assert.equal(parseJson(new Uint8Array(body)).ok, false, name);
    }
  });

  test('an i file is accepted or refused, and never with bytes replaced', () => {
    const either = files.filter((name) => name.startsWith('i_'));
    assert.ok(either.length > 30);
    for (const name of either) {
      const parsed = parseJson(readFileSync(join(folder, name)));
      if (parsed.ok) assert.ok(!JSON.stringify(parsed.value).includes('\ufffd'), name);
    }
  });
});

describe('what JSON.parse alone would let through', () => {
  test('a byte order mark is refused', () => {
    assert.deepEqual(parseJson(Uint8Array.of(0xef, 0xbb, 0xbf, 0x7b, 0x7d)), {
      ok: false,
      reason: 'the body begins with a byte order mark',
    });
  });

  test('overlong forms, lone surrogates and cut sequences are refused', () => {
    for (const sequence of [[0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xe2, 0x82], [0xff], [0xf4, 0x90, 0x80, 0x80]]) {
      const body = Uint8Array.of(0x22, ...sequence, 0x22);
      assert.deepEqual(parseJson(body), { ok: false, reason: 'the body is not valid UTF-8' });
    }
  });

  test('nesting is refused past the limit and accepted at it, for arrays, objects and both', () => {
    const arrays = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
    const objects = (depth: number): string => `${'{"a":'.repeat(depth - 1)}{}${'}'.repeat(depth - 1)}`;
    const mixed = (depth: number): string => `${'[{"a":'.repeat(depth / 2)}1${'}]'.repeat(depth / 2)}`;
    for (const nested of [arrays, objects, mixed]) {
      assert.equal(parseJson(bytes(nested(JSON_DEPTH_MAX))).ok, true);
      assert.deepEqual(parseJson(bytes(nested(JSON_DEPTH_MAX + 2))), {
        ok: false,
        reason: `the body nests deeper than ${JSON_DEPTH_MAX} levels`,
      });
    }
    assert.equal(parseJson(bytes(arrays(5)), 4).ok, false);
    assert.equal(parseJson(bytes(arrays(4)), 4).ok, true);
  });

  test('brackets inside strings are not nesting', () => {
    const body = JSON.stringify({ a: '[{'.repeat(5000), b: '\\"[['.repeat(5000) });
    assert.equal(parseJson(bytes(body)).ok, true);
  });

  test('a member called __proto__ stays a member', () => {
    const parsed = parseJson(bytes('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'));
    assert.ok(parsed.ok);
    assert.equal(Object.hasOwn(parsed.value as object, '__proto__'), true);
    assert.equal(({} as { polluted?: unknown }).polluted, undefined);
  });

  test('the reason says nothing of the input', () => {
    const parsed = parseJson(bytes('{"secret":"hunter2",}'));
    assert.deepEqual(parsed, { ok: false, reason: 'the body is not valid JSON' });
  });

  test('bytes in shared memory are read like any others', () => {
    const shared = Buffer.from(new SharedArrayBuffer(16));
    shared.write('xx{"a":1}');
    assert.deepEqual(parseJson(shared.subarray(2, 9)), { ok: true, value: { a: 1 } });
  });
});

describe('hostile bodies', () => {
  const keys = Array.from({ length: 100_000 }, (_, i) => `"k${i}":0`).join();
  for (const [name, text] of [
    ['64 levels', '['.repeat(64) + ']'.repeat(64)],
    ['100,000 keys', `{${keys}}`],
    ['a quarter of a million escaped quotes', `"${'\\"'.repeat(250_000)}"`],
    ['a number of a megabyte', '1'.repeat(1_000_000)],
  ] as const) {
    test(`${name} are handled`, () => {
      assert.equal(parseJson(Buffer.from(text)).ok, true);
    });
  }
  for (const [name, text] of [
    ['1,000 levels', '['.repeat(1000) + ']'.repeat(1000)],
    ['200,000 levels', '['.repeat(200_000) + ']'.repeat(200_000)],
    ['200,000 levels that never close', '{"a":'.repeat(200_000)],
    ['100,000 keys and no end', `{${keys}`.slice(0, 400_000)],
  ] as const) {
    test(`${name} are refused quickly`, () => {
      const body = Buffer.from(text);
      assert.equal(parseJson(body).ok, false);
      assert.ok(fastestMs(5, () => parseJson(body)) < LINEAR_MS);
    });
  }
});
