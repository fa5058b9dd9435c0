import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { createCatalogue } from '../../src/catalogue/compile.ts';
import type { ToolDefinition } from '../../src/catalogue/define.ts';
import { importModule } from '../../src/catalogue/import-module.ts';
import { type FolderContents, loadModule, ToolFolder } from '../../src/catalogue/load.ts';
import { SETTINGS } from './sample-catalogue.ts';
import { makeToolDir, toolSource } from './tool-dir.ts';

const FIXTURES = fileURLToPath(new URL('../fixtures/tools/', import.meta.url));

const names = (contents: FolderContents): string[] => contents.definitions.map(({ definition }) => definition.name);
const answer = (contents: FolderContents, name: string): unknown => {
  const found = contents.definitions.find(({ definition }) => definition.name === name)?.definition as ToolDefinition;
  return found.handler({} as never, {} as never);
};

describe('a folder of tools', () => {
  test('TypeScript, JavaScript, arrays and every kind are found', async () => {
    const contents = await new ToolFolder(FIXTURES).load();
    assert.deepEqual(contents.problems, []);
    assert.deepEqual(names(contents).sort(), ['All notes', 'One note', 'add', 'greet', 'region', 'review']);
    const catalogue = createCatalogue(SETTINGS);
    catalogue.replace(contents.definitions);
    assert.equal(catalogue.current.tool('greet')?.run, 'pool');
    assert.equal(catalogue.current.tool('region')?.paramHeaders[0]?.header, 'mcp-param-region');
    assert.equal(catalogue.current.resource('notes://first')?.module?.exportName, 'notes');
  });

  test('only tool files count', async (context) => {
    const folder = await makeToolDir(context);
    await folder.write('good.mjs', toolSource('good', '1'));
    for (const name of ['types.d.ts', 'good.test.mjs', '.hidden.mjs', 'notes.txt', 'map.mjs.map', 'old.cjs']) {
      await folder.write(name, 'throw new Error("must not be loaded")');
    }
    await folder.write('shared.mjs', 'export const limit = 3;');
    const contents = await new ToolFolder(folder.dir).load();
    assert.deepEqual(names(contents), ['good']);
    assert.deepEqual(contents.problems, []);
    assert.deepEqual(contents.filesWithout, [join(folder.dir, 'shared.mjs')]);
  });

  test('a bad file is a problem with file and cause, and hides no other', async (context) => {
    const folder = await makeToolDir(context);
    await folder.write('good.mjs', toolSource('good', '1'));
    await folder.write('syntax.mjs', 'export const = 1;');
    await folder.write('throws.mjs', 'throw new TypeError("not today");');
    await folder.write('missing.mjs', 'import "./nowhere.mjs";');
    await folder.write(
      'schema.mjs',
      "export const t = { kind: 'tool', name: 't', input: { type: 7 }, handler: () => 1 };",
    );
    await folder.write('mixed.mjs', `${toolSource('m', '1')} export const list = [it, 7];`);
    const contents = await new ToolFolder(folder.dir).load();
    assert.deepEqual(names(contents), ['good']);
    const expected: Readonly<Record<string, RegExp>> = {
      'missing.mjs': /cannot load .*missing\.mjs: Error: Cannot find module .*nowhere\.mjs/,
      'mixed.mjs': /export list of .*mixed\.mjs mixes definitions with other values/,
      'schema.mjs': /tool "t": input: not a valid JSON Schema: schema\/type must be .* — in .*schema\.mjs \(export t\)/,
      'syntax.mjs': /cannot load .*syntax\.mjs: SyntaxError: /,
      'throws.mjs': /cannot load .*throws\.mjs: TypeError: not today/,
    };
    assert.deepEqual(
      contents.problems.map((one) => one.file),
      Object.keys(expected).map((name) => join(folder.dir, name)),
    );
    for (const [i, message] of Object.values(expected).entries()) {
      assert.match(contents.problems[i]?.message ?? '', message);
    }
  });

  test('loaded again: unchanged files keep their objects, changed ones are new, removed ones go', async (context) => {
    const folder = await makeToolDir(context);
    await folder.write('stays.mjs', toolSource('stays', '1'));
    await folder.write('changes.mjs', toolSource('changes', 'before'));
    await folder.write('goes.mjs', toolSource('goes', '1'));
    const tools = new ToolFolder(folder.dir);
    const first = await tools.load();
    assert.equal((await tools.load()).changed, false);
    await folder.write('changes.mjs', toolSource('changes', 'after'));
    await folder.remove('goes.mjs');
    const second = await tools.load();
    assert.equal(second.changed, true);
    assert.deepEqual(names(second), ['changes', 'stays']);
    assert.equal(answer(first, 'changes'), 'before');
    assert.equal(answer(second, 'changes'), 'after');
    assert.match(second.definitions[0]?.module?.url ?? '', /changes\.mjs\?v=1$/);
    assert.equal(second.definitions[1], first.definitions.at(-1));
  });

  test('a file that turns bad keeps serving its last good version, and recovers', async (context) => {
    const folder = await makeToolDir(context);
    await folder.write('t.mjs', toolSource('t', 'good'));
    const tools = new ToolFolder(folder.dir);
    await tools.load();
    await folder.write('t.mjs', 'export const = 1;');
    const broken = await tools.load();
    assert.equal(answer(broken, 't'), 'good');
    assert.equal(broken.problems[0]?.earlierServes, true);
    await folder.write('t.mjs', toolSource('t', 'mended'));
    const mended = await tools.load();
    assert.equal(answer(mended, 't'), 'mended');
    assert.deepEqual(mended.problems, []);
  });

  test('a module that waits at its top level for ever is given up, by name', async (context) => {
    const { dir, write } = await makeToolDir(context);
    await write('stuck.mjs', 'await new Promise(() => setTimeout(() => undefined, 2 ** 30).unref());');
    await assert.rejects(
      importModule(pathToFileURL(join(dir, 'stuck.mjs')).href, 50),
      /^Error: cannot load .*stuck\.mjs: Error: not loaded after 50 ms: what does it await at its top level\?$/,
    );
  });

  test('a CommonJS file is loaded again when it changed', async (context) => {
    const { dir, write } = await makeToolDir(context);
    const folder = new ToolFolder(dir);
    for (const answer of ['first', 'second', 'third']) {
      await write('one.js', toolSource('one', '', answer).replace('export const it', 'exports.it'));
      const { definitions } = await folder.load();
      assert.deepEqual(
        definitions.map(({ definition }) => definition.description),
        [answer],
      );
    }
  });

  test('a folder that is not there rejects with its name', async () => {
    await assert.rejects(new ToolFolder('/nowhere/at/all').load(), /\/nowhere\/at\/all/);
  });
});

const stripsTypes = Boolean((process.features as { typescript?: unknown }).typescript);

describe('TypeScript', () => {
  test('is loaded again when it changed', async (context) => {
    const folder = await makeToolDir(context);
    await folder.write('t.mts', `interface A { n: number }\n${toolSource('t', 'one')}`);
    const tools = new ToolFolder(folder.dir);
    assert.equal(answer(await tools.load(), 't'), 'one');
    await folder.write('t.mts', `interface A { n: number }\n${toolSource('t', 'two')}`);
    assert.equal(answer(await tools.load(), 't'), 'two');
  });

  test('outside of a module package says what it needs, where Node does not strip types', async (context) => {
    const folder = await makeToolDir(context);
    await folder.write('t.ts', toolSource('t', 'one'));
    const { problems } = await new ToolFolder(folder.dir).load();
    if (stripsTypes) assert.deepEqual(problems, []);
    else assert.match(problems[0]?.message ?? '', /t\.ts: .* needs "type": "module" in the nearest package.json/);
  });
});

describe('a module by URL', () => {
  test('gives its definitions once, however often they are exported', async (context) => {
    const folder = await makeToolDir(context);
    await folder.write('twice.mjs', `${toolSource('t', '1')} export default it;`);
    const loaded = await loadModule(pathToFileURL(join(folder.dir, 'twice.mjs')).href);
    assert.equal(loaded.length, 1);
  });

  test('that fails to load rejects with its file and keeps the cause', async () => {
    await assert.rejects(loadModule('file:///nowhere/tool.mjs'), (error: Error) => {
      assert.match(error.message, /^cannot load \/nowhere\/tool\.mjs: /);
      assert.ok(error.cause instanceof Error);
      return true;
    });
  });
});

test('TypeScript is imported in a worker thread too, without a loader on the command line', async (context) => {
  const folder = await makeToolDir(context);
  await folder.write('package.json', '{"type":"module"}');
  const typed = 'interface Q { readonly n: number }\nconst q: Q = { n: 41 };\nexport const answer: number = q.n + 1;\n';
  await folder.write('typed.ts', typed);
  const importer = new URL('../../src/catalogue/import-module', import.meta.url).href + import.meta.url.slice(-3);
  const source = `
    import { parentPort } from 'node:worker_threads';
    ${importer.endsWith('.ts') ? "const { register } = await import('tsx/esm/api'); register();" : ''}
    const { importModule } = await import(${JSON.stringify(importer)});
    const { answer } = await importModule(${JSON.stringify(pathToFileURL(join(folder.dir, 'typed.ts')).href)});
    parentPort.postMessage(answer);`;
  await folder.write('worker.mjs', source.replace("'tsx/esm/api'", JSON.stringify(import.meta.resolve('tsx/esm/api'))));
  const worker = new Worker(join(folder.dir, 'worker.mjs'), { execArgv: [] });
  context.after(() => worker.terminate());
  const answered = await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  assert.equal(answered, 42);
});
