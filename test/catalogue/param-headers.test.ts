import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { compileParamHeaders } from '../../src/catalogue/param-headers.ts';
import { listedSchema } from '../../src/catalogue/schema.ts';

const compile = (schema: object) => compileParamHeaders(schema as { [keyword: string]: unknown }, 'tool "t": input');
const string = (header: unknown) => ({ type: 'string', 'x-mcp-header': header });

describe('x-mcp-header annotations', () => {
  test('are found through nested properties, with lower-case header names', () => {
    const schema = {
      type: 'object',
      properties: {
        region: string('Region'),
        deep: { type: 'object', properties: { n: { type: 'integer', 'x-mcp-header': 'Deep-N' } } },
        on: { type: 'boolean', 'x-mcp-header': 'On' },
      },
    };
    assert.deepEqual(compile(schema), [
      { header: 'mcp-param-region', path: ['region'] },
      { header: 'mcp-param-deep-n', path: ['deep', 'n'] },
      { header: 'mcp-param-on', path: ['on'] },
    ]);
  });

  test('come from a library schema too', () => {
    const schema = z.object({ region: z.string().meta({ 'x-mcp-header': 'Region' }) });
    assert.deepEqual(compile(listedSchema(schema, 'input', 't')), [{ header: 'mcp-param-region', path: ['region'] }]);
  });

  test('are not seen in data or in a property of that name', () => {
    const schema = {
      type: 'object',
      properties: { 'x-mcp-header': { type: 'string' }, a: { enum: [string('X')], default: string('Y') } },
    };
    assert.deepEqual(compile(schema), []);
  });

  const refused: readonly (readonly [what: string, schema: object, why: RegExp])[] = [
    ['an empty name', { properties: { a: string('') } }, /expected the name of an HTTP header/],
    ['a line break', { properties: { a: string('A\r\nB') } }, /expected the name of an HTTP header/],
    ['a name that is no string', { properties: { a: string(7) } }, /x-mcp-header 7 at a/],
    ['a name used twice, whatever its case', { properties: { a: string('X'), b: string('x') } }, /a uses the same/],
    ['a number', { properties: { a: { type: 'number', 'x-mcp-header': 'A' } } }, /got "number"/],
    [
      'a type that may be null',
      { properties: { a: { type: ['string', 'null'], 'x-mcp-header': 'A' } } },
      /an array of 2/,
    ],
    ['no type', { properties: { a: { 'x-mcp-header': 'A' } } }, /got nothing/],
    ['the root', { 'x-mcp-header': 'A', type: 'object' }, /at the root: only "properties"/],
    ['items', { properties: { a: { items: string('A') } } }, /a\/items: only "properties"/],
    ['a branch', { anyOf: [{ properties: { a: string('A') } }] }, /only "properties"/],
    ['a definition', { $defs: { d: string('A') } }, /\$defs\/d: only "properties"/],
    ['a conditional', { if: { properties: { a: string('A') } } }, /only "properties"/],
    ['additional properties', { additionalProperties: string('A') }, /only "properties"/],
  ];
  for (const [what, schema, why] of refused) {
    test(`are refused for ${what}`, () => {
      assert.throws(() => compile(schema), { name: 'SchemaError', message: why });
    });
  }
});
