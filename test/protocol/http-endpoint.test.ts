import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { JOB_FLAG } from '../../src/dispatch/job.ts';
import { CALL, call, JSON_HEADERS, MODERN, setUp } from './endpoint-harness.ts';
import { META, META_WITH_TASKS, request } from './fakes.ts';

describe('what the head alone decides', () => {
  const rows: [what: string, method: string, headers: Record<string, string>, status: number, code: number][] = [
    ['PUT', 'PUT', JSON_HEADERS, 405, -32000],
    ['OPTIONS', 'OPTIONS', {}, 405, -32000],
    ['no media type', 'POST', { accept: JSON_HEADERS.accept }, 415, -32000],
    ['another media type', 'POST', { ...JSON_HEADERS, 'content-type': 'text/plain' }, 415, -32000],
    [
      'a media type that only begins like it',
      'POST',
      { ...JSON_HEADERS, 'content-type': 'application/jsonx' },
      415,
      -32000,
    ],
    ['a body announced too long', 'POST', { ...JSON_HEADERS, 'content-length': '1048577' }, 413, -32000],
    ['GET of the stateless era', 'GET', { 'mcp-protocol-version': '2026-07-28' }, 405, -32000],
    ['DELETE of the stateless era', 'DELETE', { 'mcp-protocol-version': '2026-07-28' }, 405, -32000],
    ['GET that does not take a stream', 'GET', { accept: 'application/json' }, 406, -32000],
    ['GET without Accept', 'GET', {}, 406, -32000],
    ['GET that refuses a stream', 'GET', { accept: '*/*, text/event-stream;q=0' }, 406, -32000],
  ];
  for (const [what, method, headers, status, code] of rows) {
    test(`${what}: ${status}`, () => {
      const { send, meters } = setUp();
      const { reply, taken } = send(method, headers);
      assert.equal(taken, null);
      assert.equal(reply.status, status);
      assert.equal(reply.json.error?.code, code);
      assert.equal('id' in reply.json, false);
      assert.deepEqual(meters.refusals, [status]);
    });
  }

  test('405 says what is allowed', () => {
    const { send } = setUp();
    assert.deepEqual(send('PATCH', {}).reply.headers, [['Allow', 'POST, GET, DELETE']]);
    assert.deepEqual(send('GET', MODERN).reply.headers, [['Allow', 'POST']]);
  });

  test('a body of exactly the limit is taken, with parameters on its media type', () => {
    const { send } = setUp();
    const headers = { ...CALL, 'content-type': 'Application/JSON; charset=utf-8', 'content-length': '1048576' };
    assert.equal(send('POST', headers).taken?.bodyBytesMax, 1048576);
  });
});

describe('a call whose headers say it all', () => {
  test('goes to the dispatcher with its body unread', () => {
    const { send, dispatcher } = setUp();
    const garbage = Buffer.from('not even JSON');
    const { reply } = send('POST', CALL, garbage);
    assert.equal(dispatcher.bodies[0], 'not even JSON');
    assert.equal(dispatcher.last.entry.name, 'echo');
    assert.equal(dispatcher.last.flags, JOB_FLAG.CHECK_HEADERS | JOB_FLAG.CAN_STREAM);
    assert.equal(dispatcher.last.extras, null);
    assert.equal(dispatcher.last.timeoutMs, 5000);
    assert.equal(dispatcher.last.share, '192.0.2.7');
    dispatcher.last.sink.completed(dispatcher.last, 400, Buffer.from('{"from":"the worker"}'));
    assert.deepEqual([reply.status, reply.contentType, reply.text], [400, 'application/json', '{"from":"the worker"}']);
  });

  for (const [method, name, found] of [
    ['prompts/get', 'greet', 'greet'],
    ['resources/read', 'file:///a', 'file:///a'],
    ['resources/read', 't://5', 't://{id}'],
    ['tools/call', '=?base64?Y2Fmw6k=?=', 'café'],
    ['tools/call', '  echo  ', 'echo'],
  ] as const) {
    test(`${method} ${name}`, () => {
      const { send, dispatcher } = setUp();
      send('POST', { ...MODERN, 'mcp-method': method, 'mcp-name': name }, Buffer.from('{}'));
      assert.equal(dispatcher.last.entry.name, found);
      assert.equal(dispatcher.last.extras?.name, name.startsWith('t://') ? name : undefined);
    });
  }

  test('takes along annotated headers, trace, correlation id and principal, and nothing else', () => {
    const { send, dispatcher } = setUp(() => ({ id: 'ann', scopes: [] }));
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const headers = {
      ...CALL,
      'mcp-name': 'routed',
      'mcp-param-region': '=?base64?RVU=?=',
      'mcp-param-other': 'x',
      'x-request-id': 'r-1',
      traceparent,
      tracestate: 'a=b',
      baggage: 'k=v',
    };
    send('POST', headers, call('routed'));
    assert.deepEqual(dispatcher.last.extras, {
      paramHeaders: { 'mcp-param-region': '=?base64?RVU=?=' },
      trace: { traceparent, tracestate: 'a=b', baggage: 'k=v' },
      correlationId: 'r-1',
      principal: { id: 'ann', scopes: [] },
    });
    assert.equal(dispatcher.last.share, 'ann');
  });

  test('a malformed trace and an endless correlation id are left behind', () => {
    const { send, dispatcher } = setUp();
    send(
      'POST',
      { ...CALL, traceparent: 'nonsense', tracestate: 'a=b', 'x-correlation-id': 'x'.repeat(5000) },
      call('echo'),
    );
    assert.deepEqual(dispatcher.last.extras?.correlationId, undefined);
    assert.deepEqual(dispatcher.last.extras?.trace ?? {}, {});
  });

  test('is refused with the id of its body when the dispatcher has no room', () => {
    const { send, dispatcher, meters } = setUp();
    dispatcher.onSubmit = (job) =>
      job.sink.refused(job, { name: 'overloaded', message: 'full', data: { retryAfterMs: 1500 } });
    const { reply } = send('POST', CALL, request('tools/call', { name: 'echo', _meta: META }, 'id-9'));
    assert.equal(reply.status, 503);
    assert.deepEqual(reply.headers, [['Retry-After', '2']]);
    assert.equal(
      reply.text,
      '{"jsonrpc":"2.0","id":"id-9","error":{"code":-32000,"message":"full","data":{"retryAfterMs":1500}}}',
    );
    assert.deepEqual(meters.finished, [['tools/call', 'shed']]);
  });

  test('a client that leaves cancels it, and hears nothing more', () => {
    const { send, dispatcher } = setUp();
    const { reply, taken } = send('POST', CALL, call('echo'));
    taken?.aborted();
    assert.equal(dispatcher.cancelled.length, 1);
    dispatcher.last.sink.completed(dispatcher.last, 200, Buffer.from('{}'));
    dispatcher.last.sink.emitted(dispatcher.last, Buffer.from('{}'));
    assert.equal(reply.answers, 0);
  });
});

describe('an answer that becomes a stream', () => {
  test('when something is said before the result', () => {
    const { send, dispatcher } = setUp();
    const { reply } = send('POST', CALL, call('echo'));
    const { sink } = dispatcher.last;
    sink.emitted(dispatcher.last, Buffer.from('{"progress":1}'));
    assert.deepEqual(reply.stream?.messages, [{ progress: 1 }]);
    sink.completed(dispatcher.last, 200, Buffer.from('{"result":2}'));
    assert.equal(
      reply.stream?.written,
      'event: message\ndata: {"progress":1}\n\nevent: message\ndata: {"result":2}\n\n',
    );
    assert.equal(reply.stream?.open, false);
    assert.equal(reply.answers, 1);
  });

  test('not for a client that only takes JSON', () => {
    const { send, dispatcher } = setUp();
    const { reply } = send('POST', { ...CALL, accept: 'application/json' }, call('echo'));
    assert.equal(dispatcher.last.flags, JOB_FLAG.CHECK_HEADERS);
    dispatcher.last.sink.emitted(dispatcher.last, Buffer.from('{}'));
    dispatcher.last.sink.completed(dispatcher.last, 200, Buffer.from('{}'));
    assert.equal(reply.stream, null);
    assert.equal(reply.status, 200);
  });

  test('is kept alive while it is quiet, and not after its end', () => {
    const { send, dispatcher, beats } = setUp();
    const { reply } = send('POST', CALL, call('echo'));
    dispatcher.last.sink.emitted(dispatcher.last, Buffer.from('{}'));
    const before = reply.stream?.written;
    beats(16);
    assert.equal(reply.stream?.written, `${before}:\n\n`);
    dispatcher.last.sink.completed(dispatcher.last, 200, Buffer.from('{}'));
    const end = reply.stream?.written;
    beats(16);
    assert.equal(reply.stream?.written, end);
  });

  test('an aborted stream is written to no more', () => {
    const { send, dispatcher, beats } = setUp();
    const { reply, taken } = send('POST', CALL, call('echo'));
    dispatcher.last.sink.emitted(dispatcher.last, Buffer.from('{}'));
    taken?.aborted();
    const end = reply.stream?.written;
    dispatcher.last.sink.emitted(dispatcher.last, Buffer.from('{}'));
    beats(16);
    assert.equal(reply.stream?.written, end);
  });
});

describe('what is decided from the body of the stateless era', () => {
  const post = (method: string, params: object, rest: Record<string, string> = {}) => ({
    headers: { ...MODERN, 'mcp-method': method, ...rest },
    body: request(method, params, 'q'),
  });
  const list = post('tools/list', { _meta: META });
  const rows: [what: string, sent: { headers: Record<string, string>; body: Buffer }, status: number, code: number][] =
    [
      ['a list', list, 200, 0],
      ['no JSON', { headers: list.headers, body: Buffer.from('{') }, 400, -32700],
      ['invalid UTF-8', { headers: list.headers, body: Buffer.from([0x22, 0xff, 0x22]) }, 400, -32700],
      ['a batch', { headers: list.headers, body: Buffer.from('[]') }, 400, -32600],
      ['a response', { headers: list.headers, body: Buffer.from('{"jsonrpc":"2.0","id":1,"result":{}}') }, 400, -32600],
      ['no _meta', post('tools/list', {}), 400, -32602],
      [
        'another version in the body',
        post('tools/list', { _meta: { ...META, 'io.modelcontextprotocol/protocolVersion': '2025-11-25' } }),
        400,
        -32020,
      ],
      [
        'another method in the body',
        { headers: list.headers, body: request('prompts/list', { _meta: META }) },
        400,
        -32020,
      ],
      ['no method header', { headers: MODERN, body: list.body }, 400, -32020],
      ['no name header', post('tools/call', { name: 'echo', _meta: META }), 400, -32020],
      [
        'a malformed name header',
        post('tools/call', { name: 'echo', _meta: META }, { 'mcp-name': '=?base64?ZWNobw?=' }),
        400,
        -32020,
      ],
      [
        'two name headers',
        post('tools/call', { name: 'echo', _meta: META }, { 'mcp-name': 'echo, echo' }),
        400,
        -32020,
      ],
      ['an unknown method', post('unknown/method', { _meta: META }), 404, -32601],
      ['initialize', post('initialize', { _meta: META }), 404, -32601],
      ['ping', post('ping', { _meta: META }), 404, -32601],
      ['logging/setLevel', post('logging/setLevel', { level: 'info', _meta: META }), 404, -32601],
      ['resources/subscribe', post('resources/subscribe', { uri: 'file:///a', _meta: META }), 404, -32601],
      ['resources/unsubscribe', post('resources/unsubscribe', { uri: 'file:///a', _meta: META }), 404, -32601],
      ['tasks/result', post('tasks/result', { taskId: 't', _meta: META }), 404, -32601],
      ['tasks/list', post('tasks/list', { _meta: META }), 404, -32601],
      ['an unknown tool', post('tools/call', { name: 'none', _meta: META }, { 'mcp-name': 'none' }), 200, -32602],
      ['an unknown prompt', post('prompts/get', { name: 'none', _meta: META }, { 'mcp-name': 'none' }), 200, -32602],
      [
        'an unknown resource',
        post('resources/read', { uri: 'no://', _meta: META }, { 'mcp-name': 'no://' }),
        200,
        -32602,
      ],
      ['a bad cursor', post('tools/list', { cursor: 'x', _meta: META }), 200, -32602],
      [
        'tasks/get without the extension',
        post('tasks/get', { taskId: 't', _meta: META }, { 'mcp-name': 't' }),
        400,
        -32021,
      ],
    ];
  for (const [what, { headers, body }, status, code] of rows) {
    test(`${what}: ${status} ${code}`, () => {
      const { send, dispatcher } = setUp();
      const { reply } = send('POST', headers, body);
      assert.equal(reply.status, status);
      assert.equal(reply.contentType, 'application/json');
      assert.equal(reply.json.error?.code ?? 0, code);
      assert.equal(dispatcher.jobs.length, 0);
      if (body.includes('"q"')) assert.equal(reply.json.id, 'q');
    });
  }

  test('an unknown version in both places tells which are spoken', () => {
    const { send } = setUp();
    const meta = { ...META, 'io.modelcontextprotocol/protocolVersion': '2099-01-01' };
    const { reply } = send(
      'POST',
      { ...JSON_HEADERS, 'mcp-protocol-version': '2099-01-01' },
      request('tools/call', { _meta: meta }),
    );
    assert.equal(reply.status, 400);
    assert.deepEqual(reply.json.error?.data, { supported: ['2026-07-28'], requested: '2099-01-01' });
  });

  test('a notification is accepted without a body', () => {
    const { send } = setUp();
    const { reply } = send('POST', MODERN, Buffer.from('{"jsonrpc":"2.0","method":"notifications/x"}'));
    assert.deepEqual([reply.status, reply.contentType, reply.text], [202, '', '']);
  });

  test('a tool that may be a task is looked at here, for what its client can do', () => {
    const { send, dispatcher } = setUp();
    const headers = { ...CALL, 'mcp-name': 'job' };
    send('POST', headers, request('tools/call', { name: 'job', _meta: META }));
    assert.deepEqual(dispatcher.last.extras ?? {}, {});
    const { reply } = send('POST', headers, request('tools/call', { name: 'job', _meta: META_WITH_TASKS }, 5));
    assert.equal(reply.text, '{"jsonrpc":"2.0","id":5,"result":{"resultType":"task","taskId":"task-1"}}');
    assert.equal(dispatcher.last.extras?.taskId, 'task-1');
  });

  test('a missing Accept is no reason to refuse', () => {
    const { send } = setUp();
    const { accept: _accept, ...headers } = list.headers as Record<string, string>;
    assert.equal(send('POST', headers, list.body).reply.status, 200);
  });

  test('session headers are ignored and not sent back', () => {
    const { send, sessions } = setUp();
    const { reply } = send('POST', { ...list.headers, 'mcp-session-id': 's', 'last-event-id': '1' }, list.body);
    assert.deepEqual([reply.status, reply.headers, sessions.seen], [200, [], []]);
  });
});

describe('the session era', () => {
  const SESSION = { ...JSON_HEADERS, 'mcp-protocol-version': '2025-11-25', 'mcp-session-id': 's1' };

  test('a request is handed on with its headers and its envelope', () => {
    const { send, sessions } = setUp(() => ({ id: 'ann', scopes: ['a'] }));
    const { reply, taken } = send(
      'POST',
      { ...SESSION, 'x-correlation-id': 'c-1' },
      request('tools/call', { name: 'echo' }, 4),
    );
    assert.equal(reply.answers, 0);
    assert.deepEqual(sessions.seen, ['request tools/call 4']);
    assert.deepEqual(
      { ...sessions.facts },
      {
        sessionId: 's1',
        protocolVersion: '2025-11-25',
        lastEventId: '',
        accept: JSON_HEADERS.accept,
        principal: { id: 'ann', scopes: ['a'] },
        trace: null,
        correlationId: 'c-1',
        idempotencyKey: '',
      },
    );
    taken?.aborted();
    assert.equal(sessions.aborts, 1);
  });

  for (const [accept, status] of [
    ['application/json, text/event-stream', 0],
    ['text/event-stream, application/json;q=0.5', 0],
    ['*/*', 0],
    ['application/*, text/*', 0],
    ['application/json', 406],
    ['text/event-stream', 406],
    ['application/json, text/event-stream;q=0', 406],
    ['text/html', 406],
    ['', 406],
  ] as const) {
    test(`POST with Accept ${JSON.stringify(accept)}: ${status === 0 ? 'taken' : status}`, () => {
      const { send, sessions } = setUp();
      const { reply } = send('POST', { ...SESSION, accept }, request('ping', {}, 4));
      assert.equal(reply.status, status);
      assert.equal(sessions.seen.length, status === 0 ? 1 : 0);
      if (status !== 0) assert.equal(reply.json.id, 4);
    });
  }

  test('GET and DELETE are handed on without waiting for a body', () => {
    const { send, sessions } = setUp();
    const got = send('GET', { ...SESSION, accept: 'text/event-stream', 'last-event-id': 'e7' });
    assert.equal(sessions.facts?.lastEventId, 'e7');
    assert.equal(got.taken?.bodyBytesMax, 0);
    got.taken?.body(new Uint8Array(), true);
    got.taken?.aborted();
    sessions.answers = true;
    assert.equal(send('DELETE', SESSION).taken, null);
    assert.deepEqual(sessions.seen, ['GET', 'DELETE']);
    assert.equal(sessions.aborts, 1);
  });

  test('a body that claims the other era contradicts its headers', () => {
    const { send, sessions } = setUp();
    const { reply } = send('POST', SESSION, request('tools/list', { _meta: META }, 4));
    assert.deepEqual([reply.status, reply.json.error?.code, reply.json.id], [400, -32020, 4]);
    assert.deepEqual(sessions.seen, []);
  });
});
