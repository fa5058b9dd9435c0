import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { classify } from '../../src/protocol/classify.ts';
import { Envelope } from '../../src/protocol/envelope.ts';
import type { StatelessHeaders } from '../../src/protocol/envelope-check.ts';
import { FAULTS } from '../../src/protocol/faults.ts';
import { bytesOf, META } from './fakes.ts';

const NO_HEADERS: StatelessHeaders = { protocolVersion: '', method: '', name: null };
const SESSION_HEADERS: StatelessHeaders = { protocolVersion: '2025-11-25', method: '', name: null };
const STATELESS_HEADERS: StatelessHeaders = { protocolVersion: '2026-07-28', method: 'tools/list', name: null };
const AS_INITIALIZE = { ...STATELESS_HEADERS, method: 'initialize' };

const list = (params?: object): object => ({ jsonrpc: '2.0', id: 7, method: 'tools/list', params });
const initialize = (params: object): object => ({ jsonrpc: '2.0', id: 7, method: 'initialize', params });
const HELLO = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } };
const noted = (params?: object): object => ({ jsonrpc: '2.0', method: 'notifications/initialized', params });
const RESPONSE = { jsonrpc: '2.0', id: 7, result: {} };
const NO_CAPABILITIES = { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } };
const LEGACY_CLAIM = { _meta: { ...META, 'io.modelcontextprotocol/protocolVersion': '2025-11-25' } };

/** `session request`, `stateless`, `accepted` or `-32600 id 7`. */
function verdict(body: unknown, headers: StatelessHeaders | null): string {
  const envelope = new Envelope();
  const found = classify(typeof body === 'string' ? Buffer.from(body) : bytesOf(body), headers, envelope);
  if (found.kind === 'session') {
    assert.equal(envelope.kind === 'request' || envelope.parsed !== null, true);
    return `session ${envelope.kind}`;
  }
  if (found.kind !== 'refused') return found.kind;
  return `${FAULTS[found.fault.name].code}${found.idJson === '' ? '' : ` id ${found.idJson}`}`;
}

describe('the era of a message over HTTP', () => {
  const rows: [what: string, body: unknown, headers: StatelessHeaders, expected: string][] = [
    ['request without claim or header', list(), NO_HEADERS, 'session request'],
    ['request without claim, session header', list({}), SESSION_HEADERS, 'session request'],
    ['request with claim and header', list({ _meta: META }), STATELESS_HEADERS, 'stateless'],
    ['request with claim, no header', list({ _meta: META }), NO_HEADERS, '-32020 id 7'],
    ['request with claim, session header', list({ _meta: META }), SESSION_HEADERS, '-32020 id 7'],
    ['request without claim, stateless header', list({}), STATELESS_HEADERS, '-32602 id 7'],
    ['request with half a claim', list(NO_CAPABILITIES), STATELESS_HEADERS, '-32602 id 7'],
    ['half a claim outweighs a session header', list(NO_CAPABILITIES), SESSION_HEADERS, '-32602 id 7'],
    ['claim of a session version', list(LEGACY_CLAIM), NO_HEADERS, '-32022 id 7'],
    ['method that differs from its header', list({ _meta: META }), AS_INITIALIZE, '-32020 id 7'],
    ['_meta without a claim', list({ _meta: { progressToken: 1 } }), SESSION_HEADERS, 'session request'],
    ['initialize', initialize(HELLO), NO_HEADERS, 'session request'],
    ['initialize with a stateless header', initialize(HELLO), AS_INITIALIZE, '-32020 id 7'],
    ['initialize with half a claim', initialize({ ...HELLO, ...NO_CAPABILITIES }), NO_HEADERS, 'session request'],
    ['initialize with a full claim', initialize({ ...HELLO, _meta: META }), AS_INITIALIZE, 'stateless'],
    ['notification', noted(), NO_HEADERS, 'session notification'],
    ['notification with a claim', noted({ _meta: META }), NO_HEADERS, 'accepted'],
    ['notification with a stateless header', noted(), STATELESS_HEADERS, 'accepted'],
    ['response', RESPONSE, NO_HEADERS, 'session response'],
    ['response with a stateless header', RESPONSE, STATELESS_HEADERS, '-32600'],
    ['error response without id', { jsonrpc: '2.0', error: { code: 1, message: '' } }, NO_HEADERS, 'session response'],
    ['batch', [list(), noted()], NO_HEADERS, 'session batch'],
    ['batch with a stateless header', [list()], STATELESS_HEADERS, '-32600'],
    ['empty batch', [], NO_HEADERS, '-32600'],
    ['batch with a claim inside', [list(), list({ _meta: META })], NO_HEADERS, '-32600'],
    ['batch with something else inside', [list(), 1], NO_HEADERS, '-32600'],
    ['text that is no JSON', '{"jsonrpc":"2.0",', NO_HEADERS, '-32700'],
    ['text that is no JSON, stateless header', '{"jsonrpc":"2.0",', STATELESS_HEADERS, '-32700'],
    ['nothing', '', NO_HEADERS, '-32700'],
    ['JSON that is no message', '{"a":1}', NO_HEADERS, '-32600'],
    ['a message that is no object', '7', NO_HEADERS, '-32600'],
    ['a bad id is not echoed', '{"jsonrpc":"2.0","id":1.5,"method":"a"}', NO_HEADERS, '-32600'],
    ['a good id of a bad message is', '{"jsonrpc":"2.0","id":"x","method":1}', NO_HEADERS, '-32600 id "x"'],
    ['an envelope key twice', '{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}', NO_HEADERS, '-32600'],
    [
      'too many levels',
      `{"jsonrpc":"2.0","id":1,"method":"a","x":${'['.repeat(999)}${']'.repeat(999)}}`,
      NO_HEADERS,
      '-32700',
    ],
    ['escapes are understood', '{"jsonrpc":"2.0","id":1,"\\u006dethod":"tools\\/call"}', NO_HEADERS, 'session request'],
  ];
  for (const [what, body, headers, expected] of rows) {
    test(`${what}: ${expected}`, () => {
      assert.equal(verdict(body, headers), expected);
    });
  }
});

describe('the era of a message on a connection without headers', () => {
  for (const [what, body, expected] of [
    ['a claim', list({ _meta: META }), 'stateless'],
    ['half a claim', list(NO_CAPABILITIES), '-32602 id 7'],
    ['no claim', list(), 'session request'],
    ['an unknown version', list(LEGACY_CLAIM), '-32022 id 7'],
    ['initialize', initialize(HELLO), 'session request'],
    ['a notification', noted(), 'session notification'],
  ] as const) {
    test(`${what}: ${expected}`, () => {
      assert.equal(verdict(body, null), expected);
    });
  }
});

test('an escaped envelope fills the same envelope as a plain one', () => {
  const envelope = new Envelope();
  classify(
    Buffer.from('{"jsonrpc":"2.0","id":"\\u0061","method":"tools/call","params":{"name":"caf\\u00e9"}}'),
    null,
    envelope,
  );
  assert.deepEqual([envelope.kind, envelope.idJson, envelope.name], ['request', '"a"', 'café']);
  assert.notEqual(envelope.parsed, null);
});
