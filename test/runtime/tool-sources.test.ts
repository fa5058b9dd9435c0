import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { createCatalogue } from '../../src/catalogue/compile.ts';
import { ToolSources } from '../../src/runtime/tool-sources.ts';
import { SETTINGS } from '../catalogue/sample-catalogue.ts';
import { folderWith } from '../config/sources.ts';

const EXPORTED = `export const a = { kind: 'tool', name: 'a', handler: () => 1 };\n`;
const FORGOTTEN = EXPORTED.replace('export ', '');

test('a folder or a module that defines nothing is told, shared code beside a tool is not', async (context) => {
  const folder = folderWith(context, {
    'forgotten/a.mjs': FORGOTTEN,
    'good/a.mjs': EXPORTED,
    'good/shared.mjs': FORGOTTEN,
    'empty/a.txt': '',
    'module.mjs': FORGOTTEN,
  });
  const module = pathToFileURL(join(folder, 'module.mjs')).href;
  const warnings: object[] = [];
  await new ToolSources({
    catalogue: createCatalogue(SETTINGS),
    builtinTools: false,
    toolDirs: ['forgotten', 'good', 'empty'].map((name) => join(folder, name)),
    modules: [module],
    definitions: [],
    watch: false,
    runs: () => true,
    swapped: () => undefined,
    log: {
      debug: () => undefined,
      info: () => undefined,
      warn: (fields, message) => void warnings.push({ ...fields, message }),
      error: (_fields, message) => assert.fail(message),
    },
  }).load();
  const message = 'nothing is defined here: what defineTool, defineResource and definePrompt return is to be exported';
  assert.deepEqual(warnings, [
    { dir: join(folder, 'forgotten'), files: 1, message },
    { dir: join(folder, 'empty'), files: 0, message },
    { module, message },
  ]);
});
