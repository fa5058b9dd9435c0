import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createCatalogue } from '../../src/catalogue/compile.ts';
import type { HandlerContext, ToolDefinition } from '../../src/catalogue/define.ts';
import { BUILTIN_TOOLS_DIR, ToolFolder } from '../../src/catalogue/load.ts';
import { compileValidator } from '../../src/catalogue/schema.ts';
import { SETTINGS } from './sample-catalogue.ts';

const contents = await new ToolFolder(BUILTIN_TOOLS_DIR).load();

function tool(name: string): ToolDefinition {
  const found = contents.definitions.find(({ definition }) => definition.name === name)?.definition;
  assert.ok(found?.kind === 'tool', name);
  return found;
}

function contextOf(controller: AbortController): HandlerContext {
  const { signal } = controller;
  return { signal, cancelled: () => signal.aborted } as unknown as HandlerContext;
}

async function run(name: string, args: object, controller = new AbortController()): Promise<unknown> {
  const definition = tool(name);
  const verdict = await compileValidator(definition.input ?? {})(args);
  assert.ok(verdict.ok, verdict.ok ? '' : verdict.message);
  const result = await definition.handler(args as never, contextOf(controller));
  if (definition.output !== undefined) assert.ok((await compileValidator(definition.output)(result)).ok);
  return result;
}

describe('the built-in tools', () => {
  test('are these five, without a problem, and may be repeated', () => {
    assert.deepEqual(contents.problems, []);
    assert.deepEqual(contents.filesWithout, []);
    const catalogue = createCatalogue(SETTINGS);
    catalogue.replace(contents.definitions);
    const entries = ['echo', 'fibonacci', 'hash', 'sleep', 'spin'].map((name) => catalogue.current.tool(name));
    assert.equal(catalogue.current.entries.length, entries.length);
    for (const entry of entries) assert.ok(entry?.repeatable && entry.run === 'pool');
  });

  test('echo returns its text as content', async () => {
    assert.deepEqual(await run('echo', { text: 'a\u0000💥' }), { content: [{ type: 'text', text: 'a\u0000💥' }] });
  });

  test('fibonacci counts from 0', async () => {
    for (const [n, value] of [
      [0, 0],
      [1, 1],
      [2, 1],
      [20, 6765],
    ]) {
      assert.deepEqual(await run('fibonacci', { n }), { value });
    }
  });

  test('hash chains digests, one round unless told otherwise', async () => {
    const one = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    assert.deepEqual(await run('hash', { text: 'abc' }), { hex: one });
    const two = '4f8b42c22dd3729b519ba6f68d2da7cc5b2d606d05daed5ad5128cc03e6c6358';
    assert.deepEqual(await run('hash', { text: 'abc', rounds: 2 }), { hex: two });
  });

  test('sleep and spin take the time they are told', async () => {
    for (const name of ['sleep', 'spin']) {
      const from = performance.now();
      await run(name, { ms: 20 });
      assert.ok(performance.now() - from >= 19, name);
    }
  });

  test('fibonacci, hash and sleep stop when cancelled; spin does not', async () => {
    const cancelled = new AbortController();
    cancelled.abort();
    await assert.rejects(run('fibonacci', { n: 40 }, cancelled), /cancelled/);
    await assert.rejects(run('hash', { text: 'a', rounds: 1_000_000 }, cancelled), /cancelled/);
    await assert.rejects(run('sleep', { ms: 600_000 }, cancelled), { name: 'AbortError' });
    assert.equal(await run('spin', { ms: 1 }, cancelled), 'spun 1 ms');
  });

  test('arguments out of range are refused', async () => {
    for (const [name, args] of [
      ['fibonacci', { n: 41 }],
      ['fibonacci', { n: 1.5 }],
      ['hash', { text: 'a', rounds: 0 }],
      ['sleep', { ms: -1 }],
      ['spin', {}],
      ['echo', { text: 1 }],
    ] as const) {
      const verdict = await compileValidator(tool(name).input ?? {})(args);
      assert.equal(verdict.ok, false, name);
    }
  });
});
