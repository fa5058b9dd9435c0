/**
 * Pins of encoded results: what stands on the wire for each revision.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  REVISION_2024_11_05,
  REVISION_2025_03_26,
  REVISION_2025_06_18,
  REVISION_2025_11_25,
  REVISION_2026_07_28,
  REVISIONS,
} from '../../src/protocol/revisions.ts';
import { ResultEncoder, toolResultOf } from '../../workers/encode-result.ts';

const encoder = new ResultEncoder({ name: 's', version: '1' });
const text = { content: [{ type: 'text', text: 'hi' }] };

test('a 2026-07-28 result says that it is complete and who made it', () => {
  assert.equal(
    encoder.toolResult('7', REVISION_2026_07_28, text),
    '{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"hi"}],"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s","version":"1"}}}}',
  );
});

test('earlier results are not stamped', () => {
  for (const revision of REVISIONS.slice(0, 4)) {
    assert.equal(
      encoder.toolResult('"a"', revision, text),
      '{"jsonrpc":"2.0","id":"a","result":{"content":[{"type":"text","text":"hi"}]}}',
    );
  }
});

test("a tool's own _meta is kept beside the stamp", () => {
  const result = JSON.parse(encoder.toolResult('1', REVISION_2026_07_28, { ...text, _meta: { own: 1 } })).result;
  assert.deepEqual(result._meta, { 'io.modelcontextprotocol/serverInfo': { name: 's', version: '1' }, own: 1 });
  const earlier = JSON.parse(encoder.toolResult('1', REVISION_2025_06_18, { ...text, _meta: { own: 1 } })).result;
  assert.deepEqual(earlier._meta, { own: 1 });
});

test('structured content goes where the revision has it, in the shape it allows', () => {
  const carries = (value: unknown): boolean[] =>
    REVISIONS.map(
      (revision) =>
        'structuredContent' in
        JSON.parse(encoder.toolResult('1', revision, { ...text, structuredContent: value })).result,
    );
  assert.deepEqual(carries({ a: 1 }), [false, false, true, true, true]);
  assert.deepEqual(carries([1]), [false, false, false, false, true]);
});

test('block types a revision lacks become text', () => {
  const content = [
    { type: 'audio', data: 'AA==', mimeType: 'audio/wav' },
    { type: 'resource_link', uri: 'a:b', name: 'b' },
  ];
  const types = (revision: typeof REVISION_2024_11_05): string[] =>
    JSON.parse(encoder.toolResult('1', revision, { content })).result.content.map(
      (block: { type: string }) => block.type,
    );
  assert.deepEqual(types(REVISION_2024_11_05), ['text', 'text']);
  assert.deepEqual(types(REVISION_2025_03_26), ['audio', 'text']);
  assert.deepEqual(types(REVISION_2025_11_25), ['audio', 'resource_link']);
});

test('what handlers return is wrapped', () => {
  assert.deepEqual(toolResultOf('x', false), { content: [{ type: 'text', text: 'x' }] });
  assert.deepEqual(toolResultOf({ a: 1 }, false), { content: [{ type: 'text', text: '{"a":1}' }] });
  assert.deepEqual(toolResultOf({ a: 1 }, true), {
    content: [{ type: 'text', text: '{"a":1}' }],
    structuredContent: { a: 1 },
  });
  assert.deepEqual(toolResultOf(undefined, false), { content: [] });
  assert.deepEqual(toolResultOf(null, true), { content: [{ type: 'text', text: 'null' }], structuredContent: null });
  assert.deepEqual(toolResultOf({ content: [], isError: true }, true), { content: [], isError: true });
});

test('one block of text is encoded as it would be as an object, whatever else it has', () => {
  class Quoted {
    readonly type = 'text';
    readonly text = 'x';
    toJSON(): object {
      return { type: 'text', text: `"${this.text}"` };
    }
  }
  const blocks = [
    { type: 'text', text: 'a "quoted" \u2028 line\n\ud800' },
    { text: 'order', type: 'text' },
    { type: 'text', text: 'x', annotations: { audience: ['user'] } },
    { type: 'text', text: 'x', _meta: { a: 1 } },
    { type: 'text', text: 1 as unknown as string },
    new Quoted() as unknown as { type: 'text'; text: string },
    { type: 'image', data: 'AA==', mimeType: 'image/png' },
  ];
  for (const block of blocks) {
    for (const content of [[block], [block, block]]) {
      const sent = JSON.parse(encoder.toolResult('1', REVISION_2026_07_28, { content })).result.content;
      assert.deepEqual(sent, JSON.parse(JSON.stringify(content)));
    }
  }
  assert.equal(encoder.textResult('7', REVISION_2026_07_28, 'hi'), encoder.toolResult('7', REVISION_2026_07_28, text));
});
