import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { ParamHeader } from '../../src/catalogue/entry.ts';
import { checkParamHeaders, decodeHeaderValue } from '../../src/protocol/header-values.ts';
import { sharedJson } from '../catalogue/shared-data.ts';

const encode = (text: string): string => `=?base64?${Buffer.from(text).toString('base64')}?=`;

describe('decodeHeaderValue', () => {
  for (const [raw, expected] of [
    ['us-east1', 'us-east1'],
    ['', ''],
    ['=?base64?SGVsbG8=?=', 'Hello'],
    ['=?base64?SGVsbG8sIOS4lueVjA==?=', 'Hello, 世界'],
    ['=?base64??=', ''],
    // No prefix, no suffix, or another case: a literal.
    ['SGVsbG8=', 'SGVsbG8='],
    ['=?base64?SGVsbG8=', '=?base64?SGVsbG8='],
    ['SGVsbG8=?=', 'SGVsbG8=?='],
    ['=?BASE64?SGVsbG8=?=', '=?BASE64?SGVsbG8=?='],
    ['=?base64?=', '=?base64?='],
    // Padding, alphabet, trailing bits, white space.
    ['=?base64?SGVsbG8?=', null],
    ['=?base64?SGVsbG8==?=', null],
    ['=?base64?SGVs!!!bG8=?=', null],
    ['=?base64?SGVsbG9=?=', null],
    ['=?base64?SGVs bG8=?=', null],
    ['=?base64?SGVsbG8-?=', null],
    ['=?base64?_____w==?=', null],
    // Base64 of what is not UTF-8.
    ['=?base64?/w==?=', null],
    ['=?base64?7aCA?=', null],
    // What may not stand in a header.
    ['caf\u00e9', null],
    ['a\u0000b', null],
    ['a\tb', null],
    ['a\u007fb', null],
  ] as const) {
    test(`${JSON.stringify(raw)} is ${JSON.stringify(expected)}`, () => {
      assert.equal(decodeHeaderValue(raw), expected);
    });
  }

  test('whatever text is encoded comes back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        assert.equal(decodeHeaderValue(encode(text)), text);
      }),
    );
  });

  test('naughty strings come back equal when encoded, and are never mangled when not', () => {
    for (const text of sharedJson('reliability', 'corpora', 'blns', 'blns.json') as string[]) {
      assert.equal(decodeHeaderValue(encode(text)), text);
      const literal = decodeHeaderValue(text);
      assert.ok(literal === null || literal === text);
    }
  });
});

describe('checkParamHeaders', () => {
  const REGION: ParamHeader = { header: 'mcp-param-region', path: ['region'] };
  const COUNT: ParamHeader = { header: 'mcp-param-count', path: ['page', 'count'] };
  const DRY: ParamHeader = { header: 'mcp-param-dry', path: ['dry'] };
  const verdict = (wanted: ParamHeader, raw: string | undefined, args: unknown): string => {
    const found = checkParamHeaders([wanted], raw === undefined ? {} : { [wanted.header]: raw }, args);
    return found === null ? 'ok' : found.name;
  };
  const rows: [what: string, wanted: ParamHeader, raw: string | undefined, args: unknown, expected: string][] = [
    ['a string that agrees', REGION, 'eu', { region: 'eu' }, 'ok'],
    ['an encoded one', REGION, encode('Hello, 世界'), { region: 'Hello, 世界' }, 'ok'],
    ['one that differs', REGION, 'us', { region: 'eu' }, 'headerMismatch'],
    ['one that differs in case', REGION, 'EU', { region: 'eu' }, 'headerMismatch'],
    ['one that is missing', REGION, undefined, { region: 'eu' }, 'headerMismatch'],
    ['one that is malformed', REGION, '=?base64?SGVsbG8?=', { region: 'Hello' }, 'headerMismatch'],
    ['neither header nor argument', REGION, undefined, {}, 'ok'],
    ['no header for null', REGION, undefined, { region: null }, 'ok'],
    ['a header without an argument', REGION, 'eu', {}, 'headerMismatch'],
    ['a header for null', REGION, 'eu', { region: null }, 'headerMismatch'],
    ['an empty string', REGION, '', { region: '' }, 'ok'],
    ['no arguments at all', REGION, undefined, undefined, 'ok'],
    ['arguments that are no object', REGION, undefined, ['eu'], 'ok'],
    ['an inherited property', { ...REGION, path: ['toString'] }, undefined, {}, 'ok'],
    ['an argument that is an object', REGION, '[object Object]', { region: {} }, 'headerMismatch'],
    ['an integer', COUNT, '42', { page: { count: 42 } }, 'ok'],
    ['an integer written otherwise', COUNT, '42.0', { page: { count: 42 } }, 'ok'],
    ['a negative one', COUNT, '-7', { page: { count: -7 } }, 'ok'],
    ['another integer', COUNT, '41', { page: { count: 42 } }, 'headerMismatch'],
    ['hexadecimal', COUNT, '0x2a', { page: { count: 42 } }, 'headerMismatch'],
    ['an exponent', COUNT, '42e0', { page: { count: 42 } }, 'headerMismatch'],
    ['two dots', COUNT, '4.2.0', { page: { count: 4.2 } }, 'headerMismatch'],
    ['a dot at the end', COUNT, '42.', { page: { count: 42 } }, 'headerMismatch'],
    ['no digits', COUNT, '-', { page: { count: 0 } }, 'headerMismatch'],
    ['an integer deeper than the arguments', COUNT, undefined, { page: 3 }, 'ok'],
    ['true', DRY, 'true', { dry: true }, 'ok'],
    ['false', DRY, 'false', { dry: false }, 'ok'],
    ['TRUE', DRY, 'TRUE', { dry: true }, 'headerMismatch'],
    ['1 for true', DRY, '1', { dry: true }, 'headerMismatch'],
  ];
  for (const [what, wanted, raw, args, expected] of rows) {
    test(`${what}: ${expected}`, () => {
      assert.equal(verdict(wanted, raw, args), expected);
    });
  }

  test('names the header that is wrong', () => {
    const found = checkParamHeaders([REGION, DRY], { 'mcp-param-region': 'eu' }, { region: 'eu', dry: true });
    assert.equal(found?.message, 'the mcp-param-dry header is missing');
  });
});
