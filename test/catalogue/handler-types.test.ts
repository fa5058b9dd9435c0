/**
 * What the compiler says of handlers: what they may return is what their output schema accepts, and arguments and results
 * are inferred without a word from the author.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import ts from 'typescript';
import { PACKAGE_ROOT } from '../../src/config/version.ts';

const HEAD = `import { z } from 'zod';
import { defineTool } from '../src/catalogue/define.ts';
import { withJsonSchema } from '../src/catalogue/standard-schema.ts';
const input = z.object({ n: z.number(), unit: z.string().default('m') });
const output = z.object({ rows: z.array(z.string()), took: z.number().default(0) });
const rows = async (): Promise<string[]> => [];
const content = [{ type: 'text', text: 'x' }];
`;

const GOOD = {
  'what the schema accepts': `defineTool({ name: 't', input, output }, async ({ n, unit }) => {
    n.toFixed();
    unit.trim();
    return { rows: await rows(), took: n };
  });`,
  'without what has a default': `defineTool({ name: 't', output }, () => ({ rows: ['a'] }));`,
  'a full result': `defineTool({ name: 't', output }, () => ({ content, structuredContent: { rows: [] } }));`,
  'a failure without structured content': `defineTool({ name: 't', output }, ({ a }) =>
    a === 1 ? { content, isError: true } : { rows: [] });`,
  'results of different shapes': `defineTool({ name: 't', output: z.union([z.string(), z.object({ a: z.literal('b') })]) },
    ({ a }) => (a === 1 ? 'text' : { a: 'b' }));`,
  'literals and tuples, in a handler whose arguments are inferred': `defineTool(
    { name: 't', output: z.object({ state: z.enum(['ok', 'late']), at: z.tuple([z.number(), z.number()]) }) },
    async ({ a }) => ({ state: a === 1 ? 'ok' : 'late', at: [1, 2] }),
  );`,
  'values of which nothing is known': `defineTool({ name: 't', output: z.object({ json: z.json(), any: z.any() }) },
    ({ a }) => ({ json: { deep: [1, { b: null }] }, any: a }));`,
  'a handler that only throws': `defineTool({ name: 't', output }, () => { throw new Error('no'); });`,
  'another library': `defineTool({ name: 't', output: withJsonSchema(output, {}) }, () => ({ rows: [] }));`,
  'a plain schema': `defineTool({ name: 't', output: { type: 'object' } }, () => ({ anything: 1 }));`,
  'no schema': `defineTool({ name: 'u' }, async () => new Map());
    defineTool({ name: 'v' }, () => 'text');`,
};
const WRONG = {
  'a member of another type': [
    `defineTool({ name: 't', output }, () => ({ rows: [5] }));`,
    /'number' is not assignable to .*'string'/,
  ],
  'a member that is not there': [`defineTool({ name: 't', output }, () => ({ took: 1 }));`, /'rows' is missing/],
  'a member that is not awaited': [
    `defineTool({ name: 't', output }, () => ({ rows: rows() }));`,
    /'Promise<string\[\]>'/,
  ],
  nothing: [`defineTool({ name: 't', output }, () => {});`, /'void' is not assignable/],
  'a text for an object': [`defineTool({ name: 't', output }, () => 'text');`, /'string' is not assignable/],
  'structured content of another type': [
    `defineTool({ name: 't', output }, async () => ({ content, structuredContent: { rows: 1 } }));`,
    /'number' is not assignable to type 'readonly string\[\]'/,
  ],
} as const;

/** By name of the case: what is wrong with its module. */
function complaints(cases: ReadonlyMap<string, string>): Map<string, string> {
  const fileOf = (name: string): string => join(PACKAGE_ROOT, 'test', `${name.replaceAll(' ', '-')}.virtual.ts`);
  const texts = new Map([...cases].map(([name, text]) => [fileOf(name), HEAD + text]));
  const config = ts.readConfigFile(join(PACKAGE_ROOT, 'tsconfig.json'), ts.sys.readFile).config;
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [] }, ts.sys, PACKAGE_ROOT);
  const settings = {
    ...options,
    noEmit: true,
    incremental: false,
    tsBuildInfoFile: undefined,
    allowImportingTsExtensions: true,
  };
  const host = ts.createCompilerHost(settings);
  const { fileExists, getSourceFile } = host;
  host.fileExists = (path) => texts.has(path) || fileExists(path);
  host.getSourceFile = (path, language) => {
    const text = texts.get(path);
    return text === undefined ? getSourceFile(path, language) : ts.createSourceFile(path, text, language);
  };
  const program = ts.createProgram([...texts.keys()], settings, host);
  return new Map(
    [...cases.keys()].map((name) => {
      const file = program.getSourceFile(fileOf(name));
      const found = program.getSemanticDiagnostics(file).filter(({ code }) => code !== UNUSED);
      return [name, found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' ')).join('; ')];
    }),
  );
}
const UNUSED = 6133;

const found = complaints(
  new Map([...Object.entries(GOOD), ...Object.entries(WRONG).map(([name, [text]]) => [name, text] as const)]),
);
for (const name of Object.keys(GOOD)) {
  test(`the compiler takes ${name}`, () => assert.equal(found.get(name), ''));
}
for (const [name, [, complaint]] of Object.entries(WRONG)) {
  test(`the compiler refuses ${name}`, () => assert.match(found.get(name) ?? '', complaint));
}
