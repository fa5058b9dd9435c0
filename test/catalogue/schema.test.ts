import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as v from 'valibot';
import { z } from 'zod';
import type { AnySchema } from '../../src/catalogue/define.ts';
import { SchemaError } from '../../src/catalogue/definition-error.ts';
import { SCHEMA_BYTES_MAX, SCHEMA_DEPTH_MAX } from '../../src/catalogue/json-schema.ts';
import { compileValidator, listedSchema, type Validation } from '../../src/catalogue/schema.ts';
import { isStandardSchema, withJsonSchema } from '../../src/catalogue/standard-schema.ts';

function check(schema: AnySchema, value: unknown): Validation {
  const verdict = compileValidator(schema)(value);
  assert.ok(!(verdict instanceof Promise));
  return verdict;
}

const messageOf = (schema: AnySchema, value: unknown): string => {
  const verdict = check(schema, value);
  assert.ok(!verdict.ok, 'the value should be refused');
  return verdict.message;
};

const person = {
  type: 'object',
  properties: {
    n: { type: 'integer', maximum: 9 },
    kind: { enum: ['a', 'b'] },
    inner: { type: 'object', additionalProperties: false, properties: { 'x/y': { type: 'string' } } },
  },
  required: ['n'],
} as const;

describe('plain JSON Schema', () => {
  test('a good value comes back untouched', () => {
    const value = { n: 1, extra: [1, { __proto__: null }] };
    const verdict = check(person, value);
    assert.ok(verdict.ok && verdict.value === value);
  });

  test('a refusal names path, expectation and value', () => {
    assert.equal(messageOf(person, { n: 'abc' }), 'arguments/n must be integer, got "abc"');
    assert.equal(messageOf(person, { n: 10 }), 'arguments/n must be <= 9, got 10');
    assert.equal(messageOf(person, {}), 'arguments must have the property "n"');
    assert.equal(messageOf(person, []), 'arguments must be object, got an array of 0');
    assert.equal(messageOf(person, { n: 1, kind: 'c' }), 'arguments/kind must be one of "a", "b", got "c"');
    assert.equal(messageOf(person, { n: 1, inner: { z: 1 } }), 'arguments/inner must not have the property "z"');
  });

  test('a refusal stays short however long the value and the path are', () => {
    const long = 'x'.repeat(100_000);
    assert.ok(messageOf(person, { n: long }).length < 200);
    const anyKey = { type: 'object', additionalProperties: { type: 'integer' } };
    assert.ok(messageOf(anyKey, { [long]: 'no' }).length < 400);
  });

  test('draft-07 is understood when declared', () => {
    const schema = { $schema: 'http://json-schema.org/draft-07/schema#', items: [{ type: 'string' }] };
    assert.equal(messageOf(schema, [1]), 'arguments/0 must be string, got 1');
    assert.ok(check({ ...schema, $schema: 'https://json-schema.org/draft/2020-12/schema', items: true }, [1]).ok);
  });

  test('an unknown dialect is refused by name', () => {
    assert.throws(() => compileValidator({ $schema: 'http://json-schema.org/draft-04/schema#' }), {
      name: 'SchemaError',
      message: /unsupported JSON Schema dialect "http:\/\/json-schema.org\/draft-04\/schema#"; expected /,
    });
  });

  test('a reference to elsewhere is refused, and nothing is fetched', () => {
    assert.throws(() => compileValidator({ $ref: 'https://example.com/a.json' }, 'arguments', 'tool "t": input'), {
      message: /^tool "t": input: the \$ref "https:\/\/example.com\/a.json" leads outside the schema/,
    });
  });

  test('ids of one schema cannot be reached from another', () => {
    const target = { $id: 'https://example.com/t', $defs: { inner: { $id: 'https://example.com/i', type: 'string' } } };
    compileValidator(target);
    compileValidator(target);
    assert.throws(() => compileValidator({ $ref: 'https://example.com/t' }), SchemaError);
    assert.throws(() => compileValidator({ $ref: 'https://example.com/i' }), SchemaError);
  });

  test('what is no JSON Schema is refused with its place', () => {
    assert.throws(
      () => compileValidator({ properties: { n: { type: 'int' } } }),
      /schema\/properties\/n\/type must be/,
    );
    assert.throws(() => compileValidator({ pattern: '(' }), /Invalid regular expression/);
    assert.throws(() => compileValidator({ default: () => 1 }), /holds a function, which is not JSON/);
    assert.throws(() => compileValidator({ $async: true, type: 'string' }), /\$async is not part of JSON Schema/);
    assert.throws(() => compileValidator([] as unknown as AnySchema), /a JSON Schema is an object/);
  });

  test('depth, size and cycles of a schema are bounded', () => {
    let deep: AnySchema = { type: 'string' };
    for (let i = 0; i < SCHEMA_DEPTH_MAX; i += 1) deep = { not: deep };
    assert.throws(() => compileValidator(deep), /deeper than/);
    const cyclic: Record<string, unknown> = {};
    cyclic['not'] = cyclic;
    assert.throws(() => compileValidator(cyclic), /cyclic/);
    assert.throws(() => compileValidator({ description: 'x'.repeat(SCHEMA_BYTES_MAX) }), /bytes of schema/);
    assert.throws(() => compileValidator({ enum: Array.from({ length: 30_000 }, (_, i) => i) }), /more than/);
  });

  test('inherited names are no properties, and arguments cannot touch prototypes', () => {
    const schema = { type: 'object', required: ['constructor'] };
    assert.equal(messageOf(schema, {}), 'arguments must have the property "constructor"');
    const hostile: unknown = JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}');
    assert.ok(check(schema, hostile).ok);
    assert.equal((Object.prototype as { polluted?: unknown }).polluted, undefined);
  });

  test('a recursive schema over very deep data is refused, not fatal', () => {
    let deep: unknown = [];
    for (let i = 0; i < 200_000; i += 1) deep = [deep];
    const schema = { $ref: '#/$defs/l', $defs: { l: { type: 'array', items: { $ref: '#/$defs/l' } } } };
    assert.equal(messageOf(schema, deep), 'arguments is nested too deeply to be checked');
  });
});

describe('Standard Schema libraries', () => {
  const pair = v.object({ a: v.number(), b: v.pipe(v.string(), v.toUpperCase()) });
  const pairJson = { type: 'object', properties: { a: { type: 'number' }, b: { type: 'string' } } };

  test('zod: listed as JSON Schema, checked by zod, the handler gets what zod gives', () => {
    const schema = z.object({ n: z.coerce.number(), tag: z.string().default('none') });
    assert.equal(listedSchema(schema, 'input', 'tool')['type'], 'object');
    assert.deepEqual(check(schema, { n: '4' }), { ok: true, value: { n: 4, tag: 'none' } });
  });

  test('zod: a refusal names the path', () => {
    assert.match(
      messageOf(z.object({ p: z.object({ n: z.number() }) }), { p: { n: 'x' } }),
      /^arguments\/p\/n: .*number/,
    );
  });

  test('zod: input and output side of a transformation are listed apart', () => {
    const schema = z.object({ tag: z.string().default('none') });
    assert.equal(listedSchema(schema, 'input', 'tool')['required'], undefined);
    assert.deepEqual(listedSchema(schema, 'output', 'tool')['required'], ['tag']);
  });

  test('zod: what JSON Schema cannot say is refused at registration', () => {
    assert.throws(() => listedSchema(z.object({ d: z.date() }), 'input', 'tool "t": input'), {
      name: 'SchemaError',
      message: /^tool "t": input: "zod" cannot express it/,
    });
  });

  test('valibot: needs its JSON Schema beside it, and then works the same', () => {
    assert.throws(() => listedSchema(pair, 'input', 'tool "t": input'), /withJsonSchema\(schema, \{ … \}\)/);
    const schema = withJsonSchema(pair, pairJson);
    assert.ok(isStandardSchema(schema));
    assert.equal(listedSchema(schema, 'input', 'tool'), pairJson);
    assert.deepEqual(check(schema, { a: 1, b: 'x' }), { ok: true, value: { a: 1, b: 'X' } });
    assert.match(messageOf(schema, { a: 'x', b: 'y' }), /^arguments\/a: .*number/);
  });

  test('an asynchronous library is awaited', async () => {
    const schema = withJsonSchema(
      v.pipeAsync(
        v.string(),
        v.checkAsync(async (text) => text === 'yes'),
      ),
      {},
    );
    const validate = compileValidator(schema);
    assert.deepEqual(await validate('yes'), { ok: true, value: 'yes' });
    assert.equal((await validate('no')).ok, false);
  });
});
