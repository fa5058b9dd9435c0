/**
 * The check itself: it must notice what it exists for. Each row is a message that is wrong, and the words that say so.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { WireCheck } from './wire-check.ts';

const meta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};
const stamp = {
  resultType: 'complete',
  _meta: { 'io.modelcontextprotocol/serverInfo': { name: 's', version: '1' } },
};

function problemsOf(method: string, answer: object, params: object = { _meta: meta }): string {
  const check = new WireCheck();
  const conversation = check.conversation();
  conversation.sent({ jsonrpc: '2.0', id: 1, method, params });
  conversation.received({ jsonrpc: '2.0', ...answer });
  return check.problems.join('\n');
}

describe('the wire check notices', () => {
  const rows: readonly (readonly [what: string, method: string, answer: object, words: RegExp])[] = [
    [
      'a tool without input schema',
      'tools/list',
      { id: 1, result: { tools: [{ name: 'a' }], ttlMs: 0, cacheScope: 'private', ...stamp } },
      /inputSchema/,
    ],
    ['no result type', 'tools/call', { id: 1, result: { content: [] } }, /no resultType/],
    ['no cache hints', 'tools/list', { id: 1, result: { tools: [], ...stamp } }, /no cache hints/],
    ['hints on a call', 'tools/call', { id: 1, result: { content: [], ttlMs: 0, ...stamp } }, /where none belong/],
    ['an unknown content type', 'tools/call', { id: 1, result: { content: [{ type: 'video' }], ...stamp } }, /content/],
    [
      'an image that is not base64',
      'tools/call',
      { id: 1, result: { content: [{ type: 'image', mimeType: 'image/png', data: '%' }], ...stamp } },
      /byte/,
    ],
    ['another id', 'tools/call', { id: 2, result: { content: [], ...stamp } }, /nothing that is open/],
    ['a null id', 'tools/call', { id: null, error: { code: -32600, message: 'x' } }, /nothing that is open/],
    ['an error without message', 'tools/call', { id: 1, error: { code: -32600 } }, /message/],
    ['a bare version error', 'tools/call', { id: 1, error: { code: -32022, message: 'x' } }, /data/],
    ['a forbidden code', 'resources/read', { id: 1, error: { code: -32002, message: 'x' } }, /must not use/],
    [
      'an empty question',
      'tools/call',
      { id: 1, result: { ...stamp, resultType: 'input_required' } },
      /nothing required/,
    ],
    [
      'a task in a wrapper',
      'tools/call',
      { id: 1, result: { ...stamp, resultType: 'task', task: {} } },
      /CreateTaskResult/,
    ],
    ['a request of the server', 'tools/call', { id: 5, method: 'ping' }, /without a session/],
    ['an unknown notification', 'tools/call', { method: 'notifications/new' }, /no shape/],
    [
      'progress of nothing',
      'tools/call',
      { method: 'notifications/progress', params: { progressToken: 1, progress: 1 } },
      /nothing that is open/,
    ],
  ];
  for (const [what, method, answer, words] of rows) {
    test(what, () => assert.match(problemsOf(method, answer), words));
  }

  test('a second answer, progress that falls, and messages of another revision', () => {
    const check = new WireCheck();
    const conversation = check.conversation();
    conversation.sent({ jsonrpc: '2.0', id: 0, method: 'initialize', params: {} });
    const result = { protocolVersion: '2024-11-05', capabilities: {}, serverInfo: { name: 's', version: '1' } };
    conversation.received({ jsonrpc: '2.0', id: 0, result });
    conversation.received({ jsonrpc: '2.0', id: 0, result });
    conversation.sent({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { _meta: { progressToken: 't' } } });
    for (const progress of [2, 1]) {
      conversation.received({
        jsonrpc: '2.0',
        method: 'notifications/progress',
        params: { progressToken: 't', progress },
      });
    }
    const audio = { type: 'audio', mimeType: 'audio/wav', data: '' };
    conversation.received({ jsonrpc: '2.0', id: 1, result: { content: [audio] } });
    conversation.received([{ jsonrpc: '2.0', method: 'notifications/tools/list_changed' }]);
    conversation.received({ jsonrpc: '2.0', id: 's1', method: 'elicitation/create', params: {} });
    const found = check.problems.join('\n');
    for (const words of [
      /nothing that is open/,
      /progress fell/,
      /2024-11-05 .*content/,
      /without batches/,
      /has no ElicitRequest/,
    ]) {
      assert.match(found, words);
    }
    assert.equal(check.problems.length, 5);
  });
});

test('right messages pass, and a check that saw nothing does not', () => {
  assert.equal(problemsOf('tools/call', { id: 1, result: { content: [{ type: 'text', text: 'x' }], ...stamp } }), '');
  assert.equal(problemsOf('tools/call', { error: { code: -32700, message: 'x' } }), '');
  assert.throws(() => new WireCheck().assertClean());
});
