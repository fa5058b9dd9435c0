import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CALL, call, JSON_HEADERS, MODERN, setUp } from './endpoint-harness.ts';
import { META, META_WITH_TASKS, request } from './fakes.ts';

/** Error bodies exactly as clients see them. A change here is a change of the wire. */
const LIST = { ...MODERN, 'mcp-method': 'tools/list' };
const AT_2099 = { ...META, 'io.modelcontextprotocol/protocolVersion': '2099-01-01' };
const PINS: [what: string, headers: Record<string, string>, body: Uint8Array | string, status: number, text: string][] =
  [
    ['parse error', LIST, '{', 400, '{"jsonrpc":"2.0","error":{"code":-32700,"message":"the body is not valid JSON"}}'],
    [
      'batch',
      LIST,
      '[]',
      400,
      '{"jsonrpc":"2.0","error":{"code":-32600,"message":"this protocol version has no batches: send one message"}}',
    ],
    [
      'missing _meta',
      LIST,
      request('tools/list', {}),
      400,
      '{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"params._meta is missing: it must hold \\"io.modelcontextprotocol/protocolVersion\\" (a string) and \\"io.modelcontextprotocol/clientCapabilities\\" (an object)"}}',
    ],
    [
      'unsupported version',
      { ...LIST, 'mcp-protocol-version': '2099-01-01' },
      request('tools/list', { _meta: AT_2099 }),
      400,
      '{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"protocol version \\"2099-01-01\\" is not spoken here","data":{"supported":["2026-07-28"],"requested":"2099-01-01"}}}',
    ],
    [
      'header mismatch',
      { ...CALL, 'mcp-name': 'other' },
      call('echo'),
      400,
      '{"jsonrpc":"2.0","id":1,"error":{"code":-32020,"message":"the Mcp-Name header differs from the name in params"}}',
    ],
    [
      'missing capability',
      { ...MODERN, 'mcp-method': 'tasks/get', 'mcp-name': 't' },
      request('tasks/get', { taskId: 't', _meta: META }),
      400,
      '{"jsonrpc":"2.0","id":1,"error":{"code":-32021,"message":"the client must declare the extension io.modelcontextprotocol/tasks","data":{"requiredCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}}}',
    ],
    [
      'unknown method',
      { ...MODERN, 'mcp-method': 'a/b' },
      request('a/b', { _meta: META }),
      404,
      '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"method not found: a/b"}}',
    ],
    [
      'unknown tool',
      { ...CALL, 'mcp-name': 'none' },
      call('none'),
      200,
      '{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"unknown tool: none"}}',
    ],
    [
      'unknown resource',
      { ...MODERN, 'mcp-method': 'resources/read', 'mcp-name': 'no://' },
      request('resources/read', { uri: 'no://', _meta: META }),
      200,
      '{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"resource not found","data":{"uri":"no://"}}}',
    ],
    [
      'bad cursor',
      LIST,
      request('tools/list', { cursor: 'x', _meta: META }),
      200,
      '{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"the cursor is not one this server made"}}',
    ],
    [
      'unknown task',
      { ...MODERN, 'mcp-method': 'tasks/get', 'mcp-name': 't' },
      request('tasks/get', { taskId: 't', _meta: META_WITH_TASKS }),
      200,
      '{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"unknown task"}}',
    ],
    [
      'media type',
      { accept: '*/*', 'content-type': 'text/plain' },
      '',
      415,
      '{"jsonrpc":"2.0","error":{"code":-32000,"message":"Content-Type must be application/json"}}',
    ],
    [
      'Accept of a session',
      { ...JSON_HEADERS, accept: 'text/html' },
      request('ping', {}),
      406,
      '{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"Accept must list application/json and text/event-stream"}}',
    ],
    [
      'announced length',
      { ...JSON_HEADERS, 'content-length': '1048577' },
      '',
      413,
      '{"jsonrpc":"2.0","error":{"code":-32000,"message":"the body has more than 1048576 bytes, the most this server takes"}}',
    ],
  ];

describe('error bodies on the wire', () => {
  for (const [what, headers, body, status, text] of PINS) {
    test(what, () => {
      const { reply } = setUp().send('POST', headers, Buffer.from(body as Uint8Array));
      assert.equal(reply.text, text);
      assert.equal(reply.status, status);
    });
  }
});
