import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createCatalogue } from '../../../src/catalogue/compile.ts';
import { type Definition, defineResource, defineTool } from '../../../src/catalogue/define.ts';
import type { SourcedDefinition } from '../../../src/catalogue/entries.ts';
import { listingOf, remoteTool } from '../../../src/cluster/catalogue/tool-listing.ts';
import { ToolSources } from '../../../src/runtime/tool-sources.ts';
import { SETTINGS } from '../../catalogue/sample-catalogue.ts';

const tool = (name: string, description = ''): Definition => defineTool({ name, description }, () => '');
const learnt = (name: string, description = ''): SourcedDefinition =>
  remoteTool(listingOf({ definition: tool(name, description), module: null }));

async function sources(definitions: readonly Definition[], runs: (name: string) => boolean) {
  const catalogue = createCatalogue(SETTINGS);
  const swaps: string[][] = [];
  const errors: string[] = [];
  const made = new ToolSources({
    catalogue,
    builtinTools: false,
    toolDirs: [],
    modules: [],
    definitions,
    watch: false,
    runs: ({ name }) => runs(name),
    swapped: (own) => swaps.push(own.map(({ definition }) => definition.name)),
    log: {
      debug: () => undefined,
      info: () => undefined,
      warn: () => undefined,
      error: (_fields, message) => errors.push(message),
    },
  });
  await made.load();
  const runOf = (name: string): string | undefined => catalogue.current.tool(name)?.run;
  return { catalogue, errors, made, runOf, swaps };
}

describe('definitions of this node and of others', () => {
  test('what this node does not run is in its catalogue, to be forwarded', async () => {
    const { catalogue, runOf, swaps } = await sources([tool('mine'), tool('other')], (name) => name === 'mine');
    assert.deepEqual([runOf('mine'), runOf('other')], ['inline', 'remote']);
    assert.deepEqual(swaps, [['mine']]);
    assert.deepEqual(catalogue.current.manifest.entries, []);
  });

  test('a name that is defined here stays as it is defined here, run here or not', async () => {
    const { catalogue, made, runOf } = await sources(
      [tool('mine', 'here'), tool('other', 'here')],
      (name) => name === 'mine',
    );
    made.learn([learnt('mine', 'there'), learnt('other', 'there'), learnt('third', 'there')]);
    const described = (name: string) => catalogue.current.tool(name)?.definition as { description?: string };
    assert.deepEqual(
      ['mine', 'other', 'third'].map((name) => [runOf(name), described(name).description]),
      [
        ['inline', 'here'],
        ['remote', 'here'],
        ['remote', 'there'],
      ],
    );
    made.learn([]);
    assert.equal(runOf('third'), undefined);
  });

  test('what others run changes no entry of this node', async () => {
    const { catalogue, made } = await sources([tool('mine'), tool('other')], (name) => name === 'mine');
    const keys = () => ['mine', 'other'].map((name) => catalogue.current.tool(name)?.key);
    const before = keys();
    made.learn([learnt('third')]);
    const third = learnt('fourth');
    made.learn([third]);
    const { key } = catalogue.current.tool('fourth') ?? { key: 0 };
    made.learn([third, learnt('fifth')]);
    assert.deepEqual(keys(), before);
    assert.equal(catalogue.current.tool('fourth')?.key, key);
  });

  test('a tool that moves away from this node is another entry: jobs in flight keep theirs', async () => {
    let here = true;
    const { catalogue, made } = await sources([tool('moves')], () => here);
    const before = catalogue.current.tool('moves');
    here = false;
    made.learn([]);
    const after = catalogue.current.tool('moves');
    assert.deepEqual([before?.run, after?.run], ['inline', 'remote']);
    assert.notEqual(before?.key, after?.key);
  });

  test('learnt tools that do not fit together leave the catalogue as it was', async () => {
    const { errors, made, runOf } = await sources([tool('mine')], () => true);
    made.learn([learnt('third')]);
    made.learn([learnt('twice'), learnt('twice')]);
    assert.deepEqual([runOf('third'), runOf('twice'), errors.length], ['remote', undefined, 1]);
    made.give('later', [{ definition: tool('new'), module: null }]);
    assert.deepEqual([runOf('third'), runOf('new')], ['remote', 'inline']);
  });

  test('resources and prompts are always served here', async () => {
    const fixed = defineResource({ uri: 'x://y', name: 'r' }, () => 'text');
    const { catalogue } = await sources([fixed], () => false);
    assert.equal(catalogue.current.resource('x://y')?.run, 'inline');
  });

  test('labels are texts', () => {
    assert.throws(() => defineTool({ name: 't', requires: [''] }, () => ''), /requires must be an array of labels/);
    assert.throws(() => defineTool({ name: 't', requires: 'gpu' as never }, () => ''), /requires must be an array/);
  });
});
