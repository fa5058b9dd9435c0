/**
 * Remembered heads: the same four headers give the same record, another catalogue none of the old ones, and however
 * many different heads come, each gets what its own headers say.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Catalogue, Entry } from '../../src/catalogue/entry.ts';
import { NamedCall, NamedCalls } from '../../src/protocol/named-calls.ts';

const VERSION = '2026-07-28';

function catalogueOf(task: Entry['task']): Catalogue {
  const known = (name: string): Entry | undefined =>
    name.startsWith('t') ? ({ name, task } as unknown as Entry) : undefined;
  return { tool: known, resource: known, prompt: known } as unknown as Catalogue;
}

const headOf = (headers: Record<string, string>) => ({
  method: 'POST',
  path: '/mcp',
  query: '',
  header: (name: string): string => headers[name] ?? '',
});

describe('named calls', () => {
  test('are read once for headers that repeat', () => {
    const calls = new NamedCalls();
    const catalogue = catalogueOf('never');
    const headers = { 'mcp-method': 'tools/call', 'mcp-name': 'tool', accept: 'application/json, text/event-stream' };
    const first = calls.read(catalogue, headOf(headers), VERSION);
    assert.ok(first.direct && first.canStream);
    assert.equal(calls.read(catalogue, headOf({ ...headers }), VERSION), first);
    assert.notEqual(calls.read(catalogue, headOf(headers), '2026-12-01'), first);
    assert.equal(calls.read(catalogue, headOf({ ...headers, accept: 'application/json' }), VERSION).canStream, false);
  });

  test('of another catalogue are read again', () => {
    const calls = new NamedCalls();
    const headers = { 'mcp-method': 'tools/call', 'mcp-name': 'tool' };
    assert.equal(calls.read(catalogueOf('never'), headOf(headers), VERSION).direct, true);
    assert.equal(calls.read(catalogueOf('required'), headOf(headers), VERSION).direct, false);
  });

  test('say what their own headers say, whichever came before', () => {
    const text = fc.oneof(fc.constantFrom('', 'tool', 'toml', 'x', '=?base64?dMO8?=', '=?base64?!?='), fc.string());
    const method = fc.constantFrom('', 'tools/call', 'resources/read', 'prompts/get', 'completion/complete');
    const head = fc.record({ 'mcp-method': method, 'mcp-name': text, accept: fc.constantFrom('', '*/*', 'text/html') });
    const catalogue = catalogueOf('never');
    fc.assert(
      fc.property(fc.array(head, { maxLength: 40 }), (heads) => {
        const calls = new NamedCalls();
        for (const headers of heads) {
          const { 'mcp-method': named, 'mcp-name': name, accept } = headers;
          const expected = new NamedCall(catalogue, VERSION, named, name, accept);
          assert.deepEqual(calls.read(catalogue, headOf(headers), VERSION), expected);
        }
      }),
    );
  });
});
