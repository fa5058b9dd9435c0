import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkStatelessEnvelope, type StatelessHeaders } from '../../src/protocol/envelope-check.ts';
import { FAULTS } from '../../src/protocol/faults.ts';
import { META } from './fakes.ts';

const VERSION = 'io.modelcontextprotocol/protocolVersion';
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';

const message = (rest: object = {}): Record<string, unknown> => ({
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name: 'echo', _meta: META },
  ...rest,
});
const withMeta = (meta: object): Record<string, unknown> => message({ params: { name: 'echo', _meta: meta } });
const HEADERS: StatelessHeaders = { protocolVersion: '2026-07-28', method: 'tools/call', name: 'echo' };

/** `-32602 400`, or `ok`. */
function verdict(value: unknown, headers: StatelessHeaders | null): string {
  const found = checkStatelessEnvelope(value, headers);
  return found === null ? 'ok' : `${FAULTS[found.name].code} ${FAULTS[found.name].status}`;
}

describe('the shape of the message', () => {
  for (const [what, value, expected] of [
    ['a good request', message(), 'ok'],
    ['a string id', message({ id: '' }), 'ok'],
    ['no object', 'x', '-32600 400'],
    ['null', null, '-32600 400'],
    ['an array', [message()], '-32600 400'],
    ['no jsonrpc', message({ jsonrpc: undefined }), '-32600 400'],
    ['another jsonrpc', message({ jsonrpc: '1.0' }), '-32600 400'],
    ['no method', message({ method: undefined }), '-32600 400'],
    ['a method that is no string', message({ method: 1 }), '-32600 400'],
    ['an empty method', message({ method: '' }), '-32600 400'],
    ['no id', message({ id: undefined }), '-32600 400'],
    ['an id that is null', message({ id: null }), '-32600 400'],
    ['an id with a fraction', message({ id: 1.5 }), '-32600 400'],
    ['an id past what a double holds', message({ id: 2 ** 53 }), '-32600 400'],
    ['an id that is an object', message({ id: {} }), '-32600 400'],
    ['params that are an array', message({ params: [] }), '-32600 400'],
    ['params that are null', message({ params: null }), '-32600 400'],
    ['a posted result', { jsonrpc: '2.0', id: 1, result: {} }, '-32600 400'],
    ['a posted error', { jsonrpc: '2.0', id: 1, error: { code: 1, message: '' } }, '-32600 400'],
    ['a method and a result', message({ result: {} }), '-32600 400'],
  ] as const) {
    test(`${what}: ${expected}`, () => {
      assert.equal(verdict(value, HEADERS), expected);
      assert.equal(verdict(value, null), expected);
    });
  }
});

describe('_meta', () => {
  for (const [what, value, expected] of [
    ['no params', message({ params: undefined }), '-32602 400'],
    ['no _meta', message({ params: { name: 'echo' } }), '-32602 400'],
    ['_meta that is an array', message({ params: { name: 'echo', _meta: [] } }), '-32602 400'],
    ['no version', withMeta({ [CAPABILITIES]: {} }), '-32602 400'],
    ['a version that is no string', withMeta({ ...META, [VERSION]: 20260728 }), '-32602 400'],
    ['no capabilities', withMeta({ [VERSION]: '2026-07-28' }), '-32602 400'],
    ['capabilities that are an array', withMeta({ ...META, [CAPABILITIES]: [] }), '-32602 400'],
    ['capabilities that are null', withMeta({ ...META, [CAPABILITIES]: null }), '-32602 400'],
    ['no client info', withMeta(META), 'ok'],
    ['a client info', withMeta({ ...META, 'io.modelcontextprotocol/clientInfo': { name: 'a', version: '1' } }), 'ok'],
    [
      'a client info without version',
      withMeta({ ...META, 'io.modelcontextprotocol/clientInfo': { name: 'a' } }),
      '-32602 400',
    ],
    ['a log level', withMeta({ ...META, 'io.modelcontextprotocol/logLevel': 'warning' }), 'ok'],
    ['an unknown log level', withMeta({ ...META, 'io.modelcontextprotocol/logLevel': 'loud' }), '-32602 400'],
    ['a log level that is a number', withMeta({ ...META, 'io.modelcontextprotocol/logLevel': 3 }), '-32602 400'],
    ['a progress token', withMeta({ ...META, progressToken: 'p' }), 'ok'],
    ['a progress token with a fraction', withMeta({ ...META, progressToken: 0.5 }), '-32602 400'],
    ['a progress token that is null', withMeta({ ...META, progressToken: null }), '-32602 400'],
    ['keys of others', withMeta({ ...META, 'example.com/x': 1, traceparent: 'x' }), 'ok'],
  ] as const) {
    test(`${what}: ${expected}`, () => {
      assert.equal(verdict(value, HEADERS), expected);
      assert.equal(verdict(value, null), expected);
    });
  }

  test('names what is missing', () => {
    const missing = checkStatelessEnvelope(message({ params: {} }), null);
    assert.ok(missing?.message.includes(VERSION) && missing.message.includes(CAPABILITIES));
  });
});

describe('the version', () => {
  for (const version of ['2099-01-01', '2025-11-25', '1999-01-01', 'latest', '']) {
    test(`${JSON.stringify(version)} is not spoken in this era`, () => {
      const wrong = checkStatelessEnvelope(withMeta({ ...META, [VERSION]: version }), null);
      assert.equal(wrong?.name, 'unsupportedVersion');
      assert.deepEqual(wrong?.data, { supported: ['2026-07-28'], requested: version });
    });
  }

  test('a very long one is not said back whole', () => {
    const wrong = checkStatelessEnvelope(withMeta({ ...META, [VERSION]: 'v'.repeat(100_000) }), null);
    assert.ok(JSON.stringify(wrong).length < 400);
  });
});

describe('headers against the body', () => {
  const headers = (rest: Partial<StatelessHeaders>): StatelessHeaders => ({ ...HEADERS, ...rest });
  const read = message({ method: 'resources/read', params: { uri: 'file:///a', _meta: META } });
  const readHeaders = headers({ method: 'resources/read', name: 'file:///a' });
  const task = message({ method: 'tasks/get', params: { taskId: 't', _meta: META } });
  const list = message({ method: 'tools/list', params: { _meta: META } });
  for (const [what, value, sent, expected] of [
    ['all agree', message(), HEADERS, 'ok'],
    ['version differs', message(), headers({ protocolVersion: '2099-01-01' }), '-32020 400'],
    ['version missing', message(), headers({ protocolVersion: '' }), '-32020 400'],
    ['method differs', message(), headers({ method: 'prompts/get' }), '-32020 400'],
    ['method differs in case', message(), headers({ method: 'Tools/Call' }), '-32020 400'],
    ['method missing', message(), headers({ method: '' }), '-32020 400'],
    ['name differs', message(), headers({ name: 'other' }), '-32020 400'],
    ['name differs in case', message(), headers({ name: 'Echo' }), '-32020 400'],
    ['name missing', message(), headers({ name: null }), '-32020 400'],
    ['name malformed', message(), headers({ name: null, nameMalformed: true }), '-32020 400'],
    ['name without one in the body', message({ params: { _meta: META } }), HEADERS, '-32020 400'],
    ['URI agrees', read, readHeaders, 'ok'],
    ['URI differs', read, headers({ method: 'resources/read', name: 'file:///b' }), '-32020 400'],
    ['task id agrees', task, headers({ method: 'tasks/get', name: 't' }), 'ok'],
    ['task id missing', task, headers({ method: 'tasks/get', name: null }), '-32020 400'],
    ['no name wanted', list, headers({ method: 'tools/list', name: null }), 'ok'],
    ['a name nobody wanted', list, headers({ method: 'tools/list', name: 'x' }), 'ok'],
  ] as const) {
    test(`${what}: ${expected}`, () => {
      assert.equal(verdict(value, sent), expected);
    });
  }
});

describe('of several faults the first in order is told', () => {
  const unknown = (rest: object = {}): object => ({ ...withMeta({ ...META, [VERSION]: '2099-01-01' }), ...rest });
  const at2099 = { ...HEADERS, protocolVersion: '2099-01-01' };
  for (const [what, value, headers, expected] of [
    ['shape before _meta', { ...message({ params: {} }), jsonrpc: '1' }, HEADERS, '-32600 400'],
    ['_meta before the version header', withMeta({ [VERSION]: '2099-01-01' }), HEADERS, '-32602 400'],
    ['version header before the version itself', unknown(), HEADERS, '-32020 400'],
    ['method header before the version', unknown(), { ...at2099, method: 'x' }, '-32020 400'],
    ['the version before missing headers', unknown(), { ...at2099, method: '', name: null }, '-32022 400'],
    ['the version before the name', unknown(), { ...at2099, name: 'other' }, '-32022 400'],
    [
      'the name before the log level',
      withMeta({ ...META, 'io.modelcontextprotocol/logLevel': 'loud' }),
      { ...HEADERS, name: 'x' },
      '-32020 400',
    ],
  ] as const) {
    test(what, () => {
      assert.equal(verdict(value, headers), expected);
    });
  }
});
