import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createCatalogue } from '../../src/catalogue/compile.ts';
import { type Definition, definePrompt, defineResource, defineTool } from '../../src/catalogue/define.ts';
import type { SourcedDefinition } from '../../src/catalogue/entries.ts';
import type { ListName } from '../../src/catalogue/entry.ts';
import { ENTRIES_MAX } from '../../src/catalogue/snapshot.ts';
import { catalogueOf, passed, SAMPLE, SETTINGS } from './sample-catalogue.ts';

const tool = (name: string, options: object = {}): Definition => defineTool({ name, ...options }, () => name);
const fromFile = (definition: Definition, file: string): SourcedDefinition => ({
  definition,
  module: { url: `file:///tools/${file}`, exportName: 'it', form: 'definition' },
});

describe('entries', () => {
  test('resolve every default', () => {
    const catalogue = createCatalogue(SETTINGS);
    catalogue.add(fromFile(tool('plain'), 'plain.js'));
    const { key, definition, ...entry } = catalogue.current.tool('plain') ?? assert.fail();
    assert.ok(key > 0 && 'handler' in definition);
    assert.deepEqual(entry, {
      kind: 'tool',
      name: 'plain',
      run: 'pool',
      module: { url: 'file:///tools/plain.js', exportName: 'it', form: 'definition' },
      concurrency: Number.POSITIVE_INFINITY,
      timeoutMs: 0,
      callerRuns: true,
      repeatable: false,
      cacheTtlMs: 0,
      cacheScope: 'private',
      paramHeaders: [],
      task: 'never',
    });
  });

  test('take what is declared', () => {
    const catalogue = createCatalogue(SETTINGS);
    const input = { type: 'object', properties: { r: { type: 'string', 'x-mcp-header': 'R' } } };
    const options = { run: 'isolated', concurrency: 2, timeoutMs: 9, task: 'optional', input };
    catalogue.add(fromFile(tool('it', { ...options, annotations: { idempotentHint: true } }), 'it.js'));
    const entry = catalogue.current.tool('it') ?? assert.fail();
    assert.deepEqual(
      [entry.run, entry.concurrency, entry.timeoutMs, entry.task, entry.callerRuns, entry.repeatable],
      ['isolated', 2, 9, 'optional', false, true],
    );
    assert.deepEqual(entry.paramHeaders, [{ header: 'mcp-param-r', path: ['r'] }]);
  });

  test('without a module run on the front-end thread, and cannot ask for another', () => {
    assert.equal(catalogueOf([tool('here')]).current.tool('here')?.run, 'inline');
    assert.throws(() => catalogueOf([tool('there', { run: 'pool' })]), /tool "there": run "pool" needs a module/);
  });

  test('reach workers through the manifest, those with a module only', () => {
    const catalogue = createCatalogue(SETTINGS);
    const inline = tool('inline', { run: 'inline' });
    catalogue.replace([
      ...SAMPLE.map((one, i) => fromFile(one, `${i}.js`)),
      passed(tool('here')),
      fromFile(inline, 'i.js'),
    ]);
    const { manifest, epoch, entries } = catalogue.current;
    assert.equal(manifest.epoch, epoch);
    assert.equal(entries.length, 9);
    assert.deepEqual(
      manifest.entries.map((one) => `${one.kind} ${one.name}`),
      [
        'tool full',
        'tool list',
        'resource sample://fixed',
        'template sample://{id}',
        'completion template:sample://{id}',
        'prompt ask',
        'completion prompt:ask',
      ],
    );
    assert.deepEqual(structuredClone(manifest), manifest);
  });
});

describe('what cannot be served is refused with its name and file', () => {
  const refused: readonly (readonly [what: Definition, message: RegExp])[] = [
    [
      tool('t', { input: { type: 'array' } }),
      /^tool "t": input must have "type": "object" at its root, got "array" — in \/tools\/t.js \(export it\)$/,
    ],
    [tool('t', { input: {} }), /input must have "type": "object" at its root, got nothing/],
    [tool('t', { output: { $ref: 'http://x/y' } }), /tool "t": output: the \$ref/],
    [tool('t', { input: { type: 'object', properties: { a: { 'x-mcp-header': 'A' } } } }), /x-mcp-header "A" at a/],
    [defineResource({ template: 'a://{b', name: 'x' }, () => ''), /URI template "a:\/\/\{b": /],
    [defineResource({ template: '{a}', name: 'x' }, () => ''), /a template begins with a scheme/],
    [defineResource({ template: 'a://{b}', name: 'x', complete: { c: () => [] } }, () => ''), /complete has "c"/],
    [
      { ...tool('t'), handler: 'no' } as unknown as Definition,
      /handler must be a function, the second argument, got "no"/,
    ],
  ];
  for (const [definition, message] of refused) {
    test(String(message), () => {
      const catalogue = createCatalogue(SETTINGS);
      assert.throws(() => catalogue.add(fromFile(definition, 't.js')), { name: 'DefinitionError', message });
      assert.equal(catalogue.current.entries.length, 0);
    });
  }

  test('two definitions of one name: both files are named', () => {
    const catalogue = createCatalogue(SETTINGS);
    catalogue.add(fromFile(tool('same'), 'one.js'));
    assert.throws(() => catalogue.add(fromFile(tool('same'), 'two.js')), {
      message: 'tool "same" is defined twice: in /tools/one.js (export it) and in /tools/two.js (export it)',
    });
    catalogue.add(passed(definePrompt({ name: 'same' }, () => '')));
    assert.equal(catalogue.current.prompt('same')?.kind, 'prompt');
  });

  test('more definitions than the limit', () => {
    const many = Array.from({ length: ENTRIES_MAX + 1 }, (_, i) => tool(`t${i}`));
    assert.throws(() => catalogueOf(many), /10001 tools, resources and prompts; at most 10000/);
  });
});

describe('looking up', () => {
  const { current } = catalogueOf([
    ...SAMPLE,
    defineResource({ template: 'sample://{+rest}', name: 'rest' }, () => ''),
    defineResource({ template: 'sample://{id}/raw', name: 'raw' }, () => ''),
  ]);

  test('a URI: exactly first, then the template with most literal text', () => {
    assert.equal(current.resource('sample://fixed')?.kind, 'resource');
    assert.equal(current.resource('sample://1/raw')?.name, 'sample://{id}/raw');
    assert.equal(current.resource('sample://1/other')?.name, 'sample://{+rest}');
    assert.equal(current.resource('other://1'), undefined);
  });

  test('names that objects have by nature are nothing special', () => {
    for (const name of ['__proto__', 'constructor', 'toString', '']) {
      assert.equal(current.tool(name), undefined);
      assert.equal(current.prompt(name), undefined);
    }
  });

  test('completions by reference', async () => {
    const prompt = current.completion({ type: 'ref/prompt', name: 'ask' }) ?? assert.fail();
    assert.equal(prompt.name, 'prompt:ask');
    const template = current.completion({ type: 'ref/resource', uri: 'sample://{id}' }) ?? assert.fail();
    const complete = template.definition;
    assert.ok(typeof complete === 'function');
    assert.deepEqual(await complete('a', { argument: 'id', arguments: {} }), ['a1']);
    assert.deepEqual(await complete('a', { argument: 'toString', arguments: {} }), []);
    for (const ref of [{ type: 'ref/prompt' }, { type: 'ref/prompt', name: 'no' }, { type: 'other', name: 'ask' }]) {
      assert.equal(current.completion(ref), undefined);
    }
  });
});

describe('changing the catalogue', () => {
  function watched(definitions: readonly Definition[]) {
    const catalogue = catalogueOf(definitions);
    const heard: (readonly ListName[])[] = [];
    const stop = catalogue.onChange((changed) => heard.push(changed));
    return { catalogue, heard, stop };
  }

  test('tells which lists changed for clients', () => {
    const { catalogue, heard, stop } = watched(SAMPLE);
    catalogue.add(passed(tool('new')));
    assert.equal(catalogue.remove('prompt', 'ask'), true);
    assert.equal(catalogue.remove('prompt', 'ask'), false);
    catalogue.replace([]);
    stop();
    catalogue.add(passed(tool('unheard')));
    assert.deepEqual(heard, [['tools'], ['prompts'], ['tools', 'resources', 'templates']]);
  });

  test('a new handler behind the same description is a new entry and no news', () => {
    const { catalogue, heard } = watched([tool('a')]);
    const before = catalogue.current;
    catalogue.replace([passed(tool('a'))]);
    assert.deepEqual(heard, []);
    assert.ok((catalogue.current.tool('a')?.key ?? 0) > (before.tool('a')?.key ?? 0));
    assert.ok(catalogue.current.epoch > before.epoch);
  });

  test('what stays keeps its entry; the old snapshot goes on as it was', () => {
    const staying = tool('staying');
    const { catalogue } = watched([staying, tool('going')]);
    const before = catalogue.current;
    catalogue.replace([passed(staying), passed(tool('coming'))]);
    assert.equal(catalogue.current.tool('staying'), before.tool('staying'));
    assert.equal(catalogue.current.tool('going'), undefined);
    assert.equal(before.tool('going')?.name, 'going');
    assert.equal(before.tool('coming'), undefined);
  });

  test('a refused change changes nothing', () => {
    const { catalogue, heard } = watched([tool('a')]);
    const before = catalogue.current;
    assert.throws(() => catalogue.replace([passed(tool('b')), passed(tool('b'))]), /defined twice/);
    assert.equal(catalogue.current, before);
    assert.deepEqual(heard, []);
  });
});
