/**
 * Files that hold no stream definitions, or not in the form they should: what is said of them, and that they are named.
 */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type Cleanup, type Files, folderWith } from '../config/sources.ts';
import { inProcess } from './millrace.ts';

const CLICKS = '{name: clicks, schema: {fields: {n: number}}}';
const ENDINGS = '.ts, .mts, .js, .mjs, .json, .yaml, .yml';

interface Checked {
  readonly code: number;
  readonly err: string;
}

async function checked(context: Cleanup, files: Files, ...named: string[]): Promise<Checked> {
  const cwd = folderWith(context, files);
  const { code, err } = await inProcess(['check', ...named.flatMap((file) => ['--streams', file])], { cwd });
  return { code, err: err.replaceAll(`${cwd}/`, '') };
}

describe('a file of stream definitions', () => {
  test('in several YAML documents is refused with their number and what to do', async (context) => {
    const files = { 'more/two.yaml': `---\n${CLICKS}\n---\nname: sales\nschema: {fields: {n: number}}\n` };
    assert.deepEqual(await checked(context, files, 'more/two.yaml'), {
      code: 78,
      err: 'millrace: more/two.yaml: holds 2 YAML documents, expected one: put the definitions of all of them into one list\n',
    });
  });

  test('may begin and end with the mark of a YAML document', async (context) => {
    assert.deepEqual(await checked(context, { 'a.yaml': `---\n${CLICKS}\n---\n# the end\n` }, 'a.yaml'), {
      code: 0,
      err: '',
    });
  });

  test('that is a folder, or of another kind, is told with what is expected', async (context) => {
    const shared = { 'defined/a.yaml': CLICKS, 'a.txt': CLICKS };
    const folder = await checked(context, shared, 'defined');
    assert.match(
      folder.err,
      /^millrace: --streams \[.*\]: defined is a folder; name the files in it one by one, each /,
    );
    const other = await checked(context, shared, 'a.txt');
    assert.match(other.err, new RegExp(`: a\\.txt must be a file that ends in ${ENDINGS}\\n$`));
  });

  test('with a misspelt member is told which one was meant', async (context) => {
    const err = async (text: string): Promise<string> => (await checked(context, { 'a/b.yaml': text }, 'a/b.yaml')).err;
    assert.equal(
      await err(`stream: [${CLICKS}]`),
      'millrace: a/b.yaml: stream: unknown member, did you mean streams?\n',
    );
    assert.equal(await err('nmae: clicks'), 'millrace: a/b.yaml: nmae: unknown member, did you mean name?\n');
    assert.equal(
      await err(`streams: [${CLICKS}]\nport: 1\n`),
      'millrace: a/b.yaml: port: unknown member beside streams\n',
    );
    assert.equal(
      await err(`streams: ${CLICKS}`),
      'millrace: a/b.yaml: streams: must be a list of stream definitions\n',
    );
    assert.equal(
      await err('port: 1'),
      'millrace: a/b.yaml: must hold a stream definition, a list of them, or {streams: [...]}\n',
    );
    assert.match(
      await err('name: clicks\nshcema: {fields: {n: number}}'),
      /^millrace: a\/b\.yaml: streams\[0\]\.schema: missing, .*\nmillrace: .*shcema.* did you mean schema\?\n$/,
    );
  });

  test('that is a module is told with all that is wrong with its definitions, and named once', async (context) => {
    const define = JSON.stringify(new URL(`../../src/index${import.meta.url.slice(-3)}`, import.meta.url).href);
    const definition = '{ name: "a", schema: { fields: { n: "numbr" } }, window: [] }';
    const files = {
      'a.mjs': `import { defineStream } from ${define};\nexport default defineStream(${definition});`,
      'b.mjs': 'throw new TypeError("not today");',
      'c.yaml': 'streams:\n\t- a\n',
    };
    const { err } = await checked(context, files, 'a.mjs', 'b.mjs', 'c.yaml');
    const [fields, member, ...rest] = err.split('\n');
    assert.match(fields ?? '', /^millrace: a\.mjs: cannot be read: schema\.fields\.n: "numbr", expected /);
    assert.match(member ?? '', /^millrace: a\.mjs: cannot be read: window: "window", .*; did you mean windows\?$/);
    assert.deepEqual(rest, [
      'millrace: b.mjs: cannot be read: TypeError: not today',
      'millrace: c.yaml: cannot be read: Tabs are not allowed as indentation at line 2, column 1',
      '',
    ]);
  });

  test('may be called .mts, as what is said of a .ts outside of an ES module package advises', async (context) => {
    const text = 'export default { name: "a", schema: { fields: { n: "number" } } } as const;\n';
    const files = { 'package.json': '{}', 'a.mts': text };
    assert.deepEqual(await checked(context, files, 'a.mts'), { code: 0, err: '' });
  });

  test('that is a module without a default export is told so', async (context) => {
    const { err } = await checked(context, { 'a.mjs': 'export const streams = [];' }, 'a.mjs');
    assert.equal(err, 'millrace: a.mjs: must export stream definitions as default\n');
  });
});

describe('the configuration file', () => {
  test('in several YAML documents is refused with their number', async (context) => {
    const { code, err } = await checked(context, { 'millrace.config.yaml': 'port: 1\n---\nport: 2\n' });
    assert.deepEqual([code, err], [78, 'millrace: millrace.config.yaml: holds 2 YAML documents, expected one\n']);
  });
});

test('a folder of tools that is a file is told so', async (context) => {
  const cwd = folderWith(context, { 'tools/a.mjs': '' });
  mkdirSync(join(cwd, 'other'));
  const { err } = await inProcess(['check', '--tools', 'tools/a.mjs', '--tools', 'other'], { cwd });
  assert.match(err, /^millrace: --tools .*: \S*tools\/a\.mjs is not a folder; name the one it is in\n$/);
});
