import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileValidator } from '../../src/catalogue/schema.ts';
import { FORMAT_CHARS_MAX, formatCheck } from '../../src/catalogue/schema-formats.ts';
import { fastestMs, LINEAR_MS } from '../clients/processor-time.ts';

const GOOD: Readonly<Record<string, string>> = {
  date: '2026-07-28',
  'date-time': '2026-07-28T10:00:00Z',
  email: 'a@example.com',
  ipv6: '::1',
  uri: 'https://example.com/a?b#c',
  uuid: '123e4567-e89b-12d3-a456-426614174000',
};

test('a format is asserted', () => {
  for (const [format, text] of Object.entries(GOOD)) {
    const validate = compileValidator({ type: 'string', format });
    assert.deepEqual(validate(text), { ok: true, value: text }, format);
    assert.deepEqual(validate('~ no'), {
      ok: false,
      message: `arguments must match format "${format}", got "~ no"`,
    });
  }
});

test('an unknown format is an annotation', () => {
  assert.equal((compileValidator({ format: 'colour' })('x') as { ok: boolean }).ok, true);
});

/** Runs that make backtracking expressions explode, with endings that make them fail. */
const REPEATED = [
  'a',
  '1',
  '.',
  'a.',
  'a-',
  '/a',
  ':',
  '::',
  '1:',
  '%41',
  '~0',
  '{a}',
  '{a,',
  'a@',
  '9',
  '=',
  '\u00a1',
];
const PREFIXES = ['', 'http://', 'http://a', 'a@', '/', '{', 'P', '#', 'ftp://1'];
const ENDINGS = ['', '\u0000', '!', ' ', '@', '-'];

test('no format takes long over a hostile string, at its limit or past it', () => {
  for (const [format, charsMax] of Object.entries(FORMAT_CHARS_MAX)) {
    const check = formatCheck(format);
    assert.ok(check !== undefined, format);
    for (const repeated of REPEATED) {
      for (const prefix of PREFIXES) {
        for (const ending of ENDINGS) {
          const room = charsMax - prefix.length - ending.length;
          const text = prefix + repeated.repeat(Math.ceil(room / repeated.length)).slice(0, room) + ending;
          const ms = fastestMs(1, () => check(text));
          assert.ok(ms < LINEAR_MS, `${format}: ${ms.toFixed(1)} ms for ${JSON.stringify(text.slice(0, 20))}…`);
        }
      }
    }
    assert.equal(check('a'.repeat(charsMax + 1)), false, `${format} longer than its limit`);
  }
});
