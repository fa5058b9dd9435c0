/**
 * The decoder against `JSON.parse`: for any bytes, a line is an event exactly when `JSON.parse` makes an object of it that
 * fits the schema, and then has the very values. Batches begin with plain lines of one shape, so that what follows is
 * read by a program of that shape first, then by the object scanner, then by `JSON.parse`.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { DEPTH_MAX, JsonCursor, PADDING_BYTES } from '../../../src/streams/decode/json-cursor.ts';
import { sharedPath } from '../../catalogue/shared-data.ts';
import { decode, planOf, rowsOf } from './plan-of.ts';

const FIELDS = {
  ts: 'integer',
  key: 'string',
  value: 'number',
  seq: 'integer?',
  ok: 'boolean?',
  note: 'string?',
  opt: 'number?',
} as const;
const NAMES = Object.keys(FIELDS) as (keyof typeof FIELDS)[];
const freshPlan = () => planOf(FIELDS, { timestamp: 'ts' });
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

function parsed(line: Uint8Array): { value: unknown } | null {
  try {
    return { value: JSON.parse(strict.decode(line)) };
  } catch {
    return null;
  }
}

const fits = (type: string, value: unknown): boolean => {
  if (type.startsWith('string')) return typeof value === 'string' && !/\p{Surrogate}/u.test(value);
  if (type.startsWith('boolean')) return typeof value === 'boolean';
  return type.startsWith('number') ? Number.isFinite(value) : Number.isSafeInteger(value);
};

/** The row a line should become; null when it should be refused. */
function expectedRow(line: Uint8Array): Record<string, unknown> | null {
  const json = parsed(line);
  if (json === null || typeof json.value !== 'object' || json.value === null || Array.isArray(json.value)) return null;
  if (depthOf(json.value) > DEPTH_MAX) return null;
  const row: Record<string, unknown> = {};
  for (const name of NAMES) {
    const value = (Object.hasOwn(json.value, name) ? (json.value as Record<string, unknown>)[name] : null) ?? null;
    if (value === null ? !FIELDS[name].endsWith('?') : !fits(FIELDS[name], value)) return null;
    row[name] = value;
  }
  return Math.abs(row['ts'] as number) <= 8.64e15 ? row : null;
}

function splitLines(body: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  let from = 0;
  for (let at = 0; at <= body.length; at++) {
    if (at < body.length && body[at] !== 10) continue;
    // A byte order mark in front of a line is no part of it.
    const isMarked = body[from] === 0xef && body[from + 1] === 0xbb && body[from + 2] === 0xbf;
    const line = body.subarray(isMarked ? from + 3 : from, at);
    if (line.some((byte) => byte !== 32 && byte !== 9 && byte !== 13)) lines.push(line);
    from = at + 1;
  }
  return lines;
}

function check(body: Uint8Array): void {
  const { events, rejected, rejectedMore } = decode(freshPlan(), 'ndjson', body);
  const rows = splitLines(body).map(expectedRow);
  const taken = rows.filter((row) => row !== null);
  const actual = rowsOf(events);
  assert.equal(actual.length, taken.length);
  for (const [i, row] of taken.entries()) {
    // Strict equality tells −0 from 0.
    for (const name of NAMES) assert.ok(Object.is(actual[i]?.[name], row[name]), `${i} ${name} ${row[name]}`);
  }
  assert.equal(rejected.length + rejectedMore, rows.length - taken.length);
}

const digits = (min: number, max: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: min, maxLength: max });
const numberText = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
  fc.integer().map(String),
  fc.maxSafeInteger().map(String),
  fc
    .tuple(
      fc.constantFrom('', '-'),
      digits(0, 20),
      fc.constantFrom('', '.'),
      digits(0, 20),
      fc.constantFrom('', 'e', 'E+', 'e-'),
      digits(0, 3),
    )
    .map((parts) => parts.join('')),
  fc.constantFrom(
    '-0',
    '0',
    '1.0',
    '-0.0',
    '00',
    '1e400',
    '9007199254740993',
    '0.1e1',
    '1e23',
    '5e-324',
    '123456789012345.6',
    '9007199254740991',
    '9007199254740992',
    '0.1234567890123456',
    '0.00000000000000000000001',
    '1.',
    '-',
    '.5',
    '1.e5',
    '-.1',
  ),
);
const stringText = fc.oneof(
  fc.string({ unit: 'binary' }).map((text) => JSON.stringify(text)),
  fc.string().map((text) => `"${text.replaceAll(/["\\]/g, '')}"`),
  fc.constantFrom(
    '"\\u0041\\ud83d\\ude00"',
    '"\\ud83d"',
    '"\\udc00\\ud800"',
    '"\\x"',
    '"\t"',
    '"é😀\u2028"',
    '""',
    '"\\u00zz"',
  ),
);
const anyText = fc.oneof(
  numberText,
  stringText,
  fc.constantFrom('true', 'false', 'null', 'tru', 'nul', 'falsé', '[]', '{}', '[1,]', '{"a":}', '[[[]]]', '{"ts":1}'),
  fc.json({ maxDepth: 3 }),
);
const plainOf = {
  ts: numberText,
  key: stringText,
  value: numberText,
  seq: fc.oneof(numberText, fc.constant('null')),
  ok: fc.constantFrom('true', 'false', 'null'),
  note: fc.oneof(stringText, fc.constant('null')),
  opt: fc.oneof(numberText, fc.constant('null')),
  other: anyText,
} as const;
const PLAIN = {
  ts: '1700000000000',
  key: '"abc"',
  value: '12.34',
  seq: '17',
  ok: 'true',
  note: '"n"',
  opt: '5',
  other: '[{"x":1}]',
} as const;
type Member = keyof typeof PLAIN;

interface Writing {
  readonly members: readonly Member[];
  readonly afterComma: string;
  readonly afterColon: string;
}
const writing: fc.Arbitrary<Writing> = fc.record({
  members: fc.shuffledSubarray(Object.keys(PLAIN) as Member[], { minLength: 3 }),
  afterComma: fc.constantFrom('', ' ', '\t '),
  afterColon: fc.constantFrom('', ' '),
});
const lineOf = (
  { members, afterComma, afterColon }: Writing,
  values: Readonly<Partial<Record<Member, string>>>,
): string =>
  `{${members.map((name) => `"${name}":${afterColon}${values[name] ?? PLAIN[name]}`).join(`,${afterComma}`)}}`;

/** Bytes replaced, left out or put in. */
const damage = fc.array(
  fc.tuple(
    fc.nat(),
    fc.constantFrom('replace', 'drop', 'insert'),
    fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from('{}[]",:\\0e.-\n u\u00e9'))),
  ),
  { maxLength: 2 },
);
function damaged(line: Buffer, changes: readonly (readonly [number, string, number])[]): Buffer {
  let bytes = line;
  for (const [place, kind, byte] of changes) {
    const at = place % (bytes.length + 1);
    const rest = bytes.subarray(kind === 'insert' ? at : at + 1);
    bytes = Buffer.concat([bytes.subarray(0, at), kind === 'drop' ? Buffer.alloc(0) : Buffer.of(byte), rest]);
  }
  return bytes;
}

const bodies = writing.chain((written) =>
  fc.array(fc.tuple(fc.record(plainOf, { requiredKeys: [] }), damage), { minLength: 1, maxLength: 30 }).map((lines) => {
    const plain = Array.from({ length: 20 }, () => Buffer.from(lineOf(written, {})));
    const odd = lines.map(([values, changes]) => damaged(Buffer.from(lineOf(written, values)), changes));
    return Buffer.concat([...plain, ...odd, ...plain.slice(0, 2)].flatMap((line) => [line, Buffer.of(10)]));
  }),
);

describe('lines are events exactly when JSON.parse and the schema say so', () => {
  test('values of all kinds, in lines of one shape, with and without damage', () => {
    fc.assert(fc.property(bodies, check), { numRuns: 700 });
  });

  test('any members in any order', () => {
    const member = fc.tuple(
      fc.oneof(
        fc.constantFrom(...NAMES, '\\u0074s', 'x', '', 'é'),
        fc.string({ maxLength: 3 }).map((name) => JSON.stringify(name).slice(1, -1)),
      ),
      anyText,
    );
    const line = fc
      .array(member, { maxLength: 8 })
      .map((members) => `{${members.map(([name, value]) => `"${name}":${value}`).join(' , ')}}`);
    fc.assert(
      fc.property(fc.array(line, { maxLength: 10 }), (lines) => check(Buffer.from(lines.join('\r\n')))),
      { numRuns: 700 },
    );
  });

  test('numbers are the same doubles', () => {
    const numbers = planOf({ value: 'number' });
    fc.assert(
      fc.property(fc.array(numberText, { minLength: 40, maxLength: 60 }), (texts) => {
        const valid = texts.filter((text) => Number.isFinite(parsed(Buffer.from(text))?.value));
        const { events } = decode(numbers, 'ndjson', valid.map((text) => `{"value":${text}}\n`).join(''));
        const values = Array.from(valid, (_, row) => (events.values[0] as Float64Array)[row]);
        for (const [i, text] of valid.entries())
          assert.ok(Object.is(values[i], JSON.parse(text)), `${text} ${values[i]}`);
      }),
      { numRuns: 300 },
    );
  });
});

describe('JSONTestSuite', () => {
  const folder = sharedPath('reliability', 'corpora', 'jsontestsuite', 'test_parsing');
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'));

  test('each text, as an unknown member, a field, and a line, is taken when JSON.parse takes it', () => {
    assert.ok(files.length > 300);
    for (const name of files) {
      const text = readFileSync(join(folder, name));
      if (text.length > 10_000) continue;
      const within = (before: string, after: string): Buffer =>
        Buffer.concat([Buffer.from(before), text, Buffer.from(after)]);
      const rest = '"ts":1,"key":"k","value":2';
      check(within(`{"other":`, `,${rest}}\n`));
      for (const field of NAMES) check(within(`{${rest},"${field}":`, '}\n'));
      check(within('', '\n'));
    }
  });

  test('the cursor passes what JSON.parse takes, and nothing else', () => {
    for (const name of files) {
      const text = readFileSync(join(folder, name));
      const bytes = new Uint8Array(text.length + PADDING_BYTES);
      bytes.set(text);
      const cursor = new JsonCursor(bytes, 10);
      cursor.space();
      const passed = cursor.skip();
      const deep = cursor.tooDeep;
      cursor.space();
      const json = parsed(text);
      if (json !== null && deep) assert.ok(depthOf(json.value) > DEPTH_MAX, name);
      else assert.equal(passed && cursor.at === text.length, json !== null, name);
    }
  });
});
