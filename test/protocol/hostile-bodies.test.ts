import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { sharedJson, sharedPath } from '../catalogue/shared-data.ts';
import { fastestMs, LINEAR_MS } from '../clients/processor-time.ts';
import { JSON_HEADERS, MODERN, setUp } from './endpoint-harness.ts';
import { META, request } from './fakes.ts';

const STATELESS = { ...MODERN, 'mcp-method': 'tools/list' };
const SESSION = { ...JSON_HEADERS, 'mcp-session-id': 's' };
const keys = Array.from({ length: 90_000 }, (_, i) => `"k${i}":0`).join();
const nested = (depth: number): string => '{"a":'.repeat(depth) + '0'.padEnd(depth + 1, '}');
const list = (extra: string): string =>
  `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":${JSON.stringify(META)},"x":${extra}}}`;
const legacy = (extra: string): string => `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"x":${extra}}}`;

describe('one body each to the endpoint, both eras', () => {
  const rows: [what: string, value: string, stateless: number, session: 'handed on' | number][] = [
    ['64 levels', nested(64), 200, 'handed on'],
    ['1,000 levels', nested(1000), 400, 400],
    ['150,000 levels', nested(150_000), 400, 400],
    ['90,000 keys', `{${keys}}`, 200, 'handed on'],
    ['a number of a megabyte', '1'.repeat(1_000_000), 200, 'handed on'],
    ['__proto__', '{"__proto__":{"polluted":1}}', 200, 'handed on'],
    ['constructor', '{"constructor":{"prototype":{"polluted":1}}}', 200, 'handed on'],
    ['a lone surrogate, escaped', '"\\ud800"', 200, 'handed on'],
  ];
  for (const [what, value, stateless, session] of rows) {
    test(what, () => {
      const { send, sessions } = setUp();
      assert.equal(send('POST', STATELESS, Buffer.from(list(value))).reply.status, stateless);
      const { reply } = send('POST', SESSION, Buffer.from(legacy(value)));
      assert.equal(sessions.seen.length === 1 ? 'handed on' : reply.status, session);
      assert.equal(({} as { polluted?: unknown }).polluted, undefined);
    });
  }

  test('what is refused, or only scanned, is done with in 50 ms', () => {
    const { endpoint, send } = setUp();
    assert.notEqual(endpoint, null);
    for (const [headers, text] of [
      [STATELESS, list(nested(1000))],
      [STATELESS, list(nested(150_000))],
      [SESSION, legacy(nested(150_000))],
      [SESSION, legacy(`{${keys}}`)],
      [SESSION, legacy('1'.repeat(1_000_000))],
      [SESSION, legacy('"'.padEnd(1_000_000, '\\"'))],
    ] as const) {
      const body = Buffer.from(text);
      assert.ok(fastestMs(5, () => send('POST', headers, body)) < LINEAR_MS, text.slice(0, 120));
    }
  });
});

test('envelope keys that stand twice are refused in a session', () => {
  const { send, sessions } = setUp();
  for (const text of [
    '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}',
    '{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","name":"other"}}',
  ]) {
    const { reply } = send('POST', SESSION, Buffer.from(text));
    assert.deepEqual([reply.status, reply.json.error?.code], [400, -32600]);
  }
  assert.deepEqual(sessions.seen, []);
});

test('JSONTestSuite as bodies: what is no JSON is -32700, what is some is no message', () => {
  const folder = sharedPath('reliability', 'corpora', 'jsontestsuite', 'test_parsing');
  const { send } = setUp();
  for (const name of readdirSync(folder)) {
    const body = readFileSync(join(folder, name));
    for (const headers of [STATELESS, SESSION]) {
      const { reply } = send('POST', headers, body);
      assert.equal(reply.status, 400, name);
      const code = reply.json.error?.code;
      if (name.startsWith('y_')) assert.equal(code, -32600, name);
      else if (name.startsWith('n_')) assert.equal(code, -32700, name);
      else assert.ok(code === -32600 || code === -32700, name);
    }
  }
});

test('naughty strings as ids come back equal, as names and header values nothing breaks', () => {
  const { send, dispatcher } = setUp();
  for (const text of sharedJson('reliability', 'corpora', 'blns', 'blns.json') as string[]) {
    const { reply } = send('POST', STATELESS, request('tools/list', { _meta: META }, text));
    assert.deepEqual([reply.status, reply.json.id], [200, text]);
    const encoded = `=?base64?${Buffer.from(text).toString('base64')}?=`;
    const body = request('tools/call', { name: text, _meta: META }, text);
    const named = send('POST', { ...MODERN, 'mcp-method': 'tools/call', 'mcp-name': encoded }, body).reply;
    assert.deepEqual([named.status, named.json.error?.code, named.json.id], [200, -32602, text]);
    const raw = send('POST', { ...MODERN, 'mcp-method': 'tools/call', 'mcp-name': text }, body).reply;
    assert.ok(raw.status === 200 || raw.status === 400, text);
  }
  assert.equal(dispatcher.jobs.length, 0);
});
