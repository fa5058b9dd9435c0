import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { JOB_FLAG } from '../../src/dispatch/job.ts';
import type { RequestEnvelope } from '../../src/protocol/channel.ts';
import {
  REVISION_2025_06_18,
  REVISION_2025_11_25,
  REVISION_2026_07_28,
  REVISIONS,
} from '../../src/protocol/revisions.ts';
import { sharedJson } from '../catalogue/shared-data.ts';
import {
  callerOf,
  entry,
  envelopeOf,
  FakeChannel,
  META,
  META_WITH_TASKS,
  methodsWith,
  request,
  sessionOf,
} from './fakes.ts';

const TOOL = entry('tool', 'echo');
const ALL = [
  TOOL,
  entry('tool', 'slow', { timeoutMs: 90 }),
  entry('prompt', 'greet'),
  entry('prompt', 'plain'),
  entry('resource', 'file:///a'),
  entry('template', 't://{id}'),
  entry('completion', 'prompt:greet'),
];

function ask(method: string, params: object, caller = callerOf(), rest: Partial<RequestEnvelope> = {}, entries = ALL) {
  const table = methodsWith(entries);
  const channel = new FakeChannel();
  const open = table.methods.request(caller, envelopeOf(method, params, rest), channel);
  return { ...table, channel, open };
}
const modern = (method: string, params: object = {}) => ask(method, { ...params, _meta: META });
const legacy = (method: string, params: object = {}) =>
  ask(method, params, callerOf(REVISION_2025_11_25), { checkHeaders: false, params: null });

describe('which methods exist in which era', () => {
  const both = ['tools/list', 'resources/list', 'resources/templates/list', 'prompts/list'];
  const statelessOnly = ['server/discover'];
  const sessionOnly = ['ping'];
  const neither = ['initialize', 'tasks/result', 'tasks/list', 'unknown/method', 'toString', '__proto__', ''];
  for (const method of [...both, ...statelessOnly]) {
    test(`${method} in the stateless era`, () => assert.equal(modern(method).channel.status, 200));
  }
  for (const method of [...both, ...sessionOnly]) {
    test(`${method} in a session`, () => assert.equal('result' in legacy(method).channel.json, true));
  }
  for (const method of [
    ...sessionOnly,
    ...neither,
    'logging/setLevel',
    'resources/subscribe',
    'resources/unsubscribe',
  ]) {
    test(`no ${JSON.stringify(method)} in the stateless era`, () => {
      const { channel, meters } = modern(method);
      assert.deepEqual([channel.status, channel.json.error?.code, channel.json.id], [404, -32601, 1]);
      assert.deepEqual(meters.finished, [['other', 'invalid']]);
    });
  }
  for (const method of [
    ...statelessOnly,
    ...neither,
    'subscriptions/listen',
    'tasks/get',
    'tasks/update',
    'tasks/cancel',
  ]) {
    test(`no ${JSON.stringify(method)} in a session`, () => {
      const { channel } = legacy(method);
      assert.deepEqual([channel.status, channel.json.error?.code, channel.json.id], [200, -32601, 1]);
    });
  }

  test('a server without tools has no methods about tools, and so on', () => {
    for (const [kept, gone] of [
      [
        'tool',
        [
          'prompts/list',
          'prompts/get',
          'resources/list',
          'resources/templates/list',
          'resources/read',
          'completion/complete',
        ],
      ],
      ['prompt', ['tools/list', 'tools/call', 'resources/list', 'completion/complete']],
    ] as const) {
      for (const method of gone) {
        const { channel } = ask(method, { _meta: META, name: 'x' }, callerOf(), {}, [entry(kept, 'x')]);
        assert.deepEqual([channel.status, channel.json.error?.code], [404, -32601], `${method} with a ${kept}`);
      }
    }
    const session = callerOf(REVISION_2025_11_25);
    for (const method of ['resources/subscribe', 'resources/unsubscribe']) {
      assert.equal(ask(method, { uri: 'u' }, session, {}, [TOOL]).channel.json.error?.code, -32601);
    }
  });
});

describe('lists and discover', () => {
  test('the bytes of the catalogue around the id, per revision and cursor', () => {
    for (const revision of REVISIONS) {
      const { channel } = ask('tools/list', { cursor: 'c1', _meta: META }, callerOf(revision), { idJson: '"x"' });
      assert.equal(
        channel.text,
        `{"jsonrpc":"2.0","id":"x","result":{"list":"tools","revision":"${revision.name}","cursor":"c1"}}`,
      );
    }
    assert.equal(modern('server/discover').channel.text, '{"jsonrpc":"2.0","id":1,"result":{"discover":true}}');
  });

  test('one list is answered to many ids, of any length and script', () => {
    const { methods } = methodsWith(ALL);
    for (const id of ['1', '-5', '"a"', `"${'x'.repeat(5000)}"`, '"世界"', `"${'界'.repeat(63)}"`, '2']) {
      const channel = new FakeChannel();
      methods.request(callerOf(), envelopeOf('prompts/list', {}, { idJson: id }), channel);
      assert.deepEqual(channel.json.id, JSON.parse(id));
      assert.deepEqual(channel.json.result, { list: 'prompts', revision: '2026-07-28', cursor: '' });
    }
  });

  test('a cursor of somebody else is refused', () => {
    for (const cursor of ['', 'x', 'c1 ', 7, null, {}]) {
      const { channel } = modern('tools/list', { cursor });
      assert.deepEqual([channel.status, channel.json.error?.code], [200, -32602]);
    }
  });

  test('a session body that was only scanned and is not JSON is a parse error', () => {
    const body = Buffer.from('{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"a":}}');
    const { channel } = ask('tools/list', {}, callerOf(REVISION_2025_11_25), { params: null, body });
    assert.deepEqual([channel.status, channel.json.error?.code, channel.json.id], [400, -32700, 1]);
  });
});

describe('what runs in the pool', () => {
  test('a session call is submitted from its scanned envelope alone', () => {
    const session = sessionOf({ logLevel: 'info', clientCapabilities: { roots: {} } });
    const caller = callerOf(REVISION_2025_11_25, { session });
    const body = Buffer.from('{"unread":');
    const { dispatcher, channel, open } = ask('tools/call', { name: 'echo' }, caller, {
      params: null,
      body,
      checkHeaders: false,
    });
    assert.equal(dispatcher.bodies[0], '{"unread":');
    assert.deepEqual(dispatcher.last.extras, { logLevel: 'info', clientCapabilities: { roots: {} } });
    assert.equal(dispatcher.last.flags, JOB_FLAG.CAN_STREAM);
    assert.equal(channel.answers, 0);
    assert.notEqual(open, null);
  });

  test('an entry keeps its own time', () => {
    const { dispatcher } = modern('tools/call', { name: 'slow' });
    assert.equal(dispatcher.last.timeoutMs, 90);
  });

  test('a call that has waited has the rest of its time', () => {
    const params = { name: 'slow', _meta: META };
    assert.equal(ask('tools/call', params, callerOf(), { waitedMs: 40.5 }).dispatcher.last.timeoutMs, 50);
    assert.equal(ask('tools/call', params, callerOf(), { waitedMs: 100 }).dispatcher.last.timeoutMs, 1);
  });

  for (const [method, params, code, data] of [
    ['tools/call', { name: 'none' }, -32602, undefined],
    ['tools/call', {}, -32602, undefined],
    ['prompts/get', { name: 'none' }, -32602, undefined],
    ['resources/read', {}, -32602, undefined],
    ['resources/read', { uri: 'no://' }, -32602, { uri: 'no://' }],
  ] as const) {
    test(`${method} ${JSON.stringify(params)} is not found`, () => {
      const { channel, dispatcher } = modern(method, params);
      assert.deepEqual([channel.status, channel.json.error?.code, channel.json.error?.data], [200, code, data]);
      assert.equal(dispatcher.jobs.length, 0);
    });
  }

  test('a missing resource has the code of its revision', () => {
    const { channel } = legacy('resources/read', { uri: 'no://' });
    assert.deepEqual([channel.status, channel.json.error?.code], [200, -32002]);
    assert.deepEqual(channel.json.error?.data, { uri: 'no://' });
  });

  test('naughty names are not found, and said back whole or shortened', () => {
    for (const name of sharedJson('reliability', 'corpora', 'blns', 'blns.json') as string[]) {
      for (const method of ['tools/call', 'prompts/get', 'resources/read'] as const) {
        const params = method === 'resources/read' ? { uri: name } : { name };
        const { channel } = modern(method, name.startsWith('t://') ? {} : params);
        assert.equal(channel.json.error?.code, -32602, name);
      }
    }
    assert.ok(modern('tools/call', { name: 'n'.repeat(100_000) }).channel.text.length < 400);
  });
});

describe('completion/complete', () => {
  const argument = { name: 'a', value: 'v' };
  test('runs where there is something to complete', () => {
    const { dispatcher } = modern('completion/complete', { ref: { type: 'ref/prompt', name: 'greet' }, argument });
    assert.equal(dispatcher.last.entry.name, 'prompt:greet');
  });

  test('is empty where there is nothing, stamped as its revision wants', () => {
    const params = { ref: { type: 'ref/prompt', name: 'plain' }, argument };
    assert.deepEqual(modern('completion/complete', params).channel.json.result, {
      completion: { values: [] },
      resultType: 'complete',
      _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'test', version: '1.0.0' } },
    });
    assert.deepEqual(legacy('completion/complete', params).channel.json.result, { completion: { values: [] } });
    const template = { ref: { type: 'ref/resource', uri: 't://{id}' }, argument };
    assert.deepEqual(legacy('completion/complete', template).channel.json.result, { completion: { values: [] } });
  });

  for (const params of [
    {},
    { ref: 'greet', argument },
    { ref: { type: 'ref/tool', name: 'echo' }, argument },
    { ref: { type: 'ref/prompt' }, argument },
    { ref: { type: 'ref/prompt', name: 'none' }, argument },
    { ref: { type: 'ref/resource', uri: 'no://' }, argument },
    { ref: { type: 'ref/prompt', name: 'greet' } },
    { ref: { type: 'ref/prompt', name: 'greet' }, argument: { name: 'a', value: 1 } },
  ]) {
    test(`${JSON.stringify(params)} is refused`, () => {
      const { channel, dispatcher } = modern('completion/complete', params);
      assert.deepEqual([channel.status, channel.json.error?.code, dispatcher.jobs.length], [200, -32602, 0]);
    });
  }
});

describe('methods of sessions', () => {
  test('ping', () => {
    assert.equal(legacy('ping').channel.text, '{"jsonrpc":"2.0","id":1,"result":{}}');
  });

  test('logging/setLevel keeps the level, and refuses what is none', () => {
    const caller = callerOf(REVISION_2025_06_18);
    assert.deepEqual(ask('logging/setLevel', { level: 'error' }, caller).channel.json.result, {});
    assert.equal(caller.session?.logLevel, 'error');
    for (const level of ['loud', '', 3, null, 'toString']) {
      assert.equal(ask('logging/setLevel', { level }, caller).channel.json.error?.code, -32602);
    }
    assert.equal(caller.session?.logLevel, 'error');
  });

  test('subscriptions are kept, bounded, and only to what exists', () => {
    const caller = callerOf(REVISION_2025_11_25);
    const subscriptions = caller.session?.subscriptions;
    const outcome = (method: string, uri: unknown): unknown => {
      const { json } = ask(method, { uri }, caller).channel;
      return json.error?.code ?? json.result;
    };
    assert.deepEqual(outcome('resources/subscribe', 'file:///a'), {});
    assert.deepEqual(outcome('resources/subscribe', 't://1'), {});
    assert.equal(outcome('resources/subscribe', 't://2'), -32602);
    assert.deepEqual(outcome('resources/subscribe', 't://1'), {});
    assert.equal(outcome('resources/subscribe', 'no://'), -32002);
    assert.equal(outcome('resources/subscribe', 7), -32602);
    assert.deepEqual([...(subscriptions ?? [])], ['file:///a', 't://1']);
    assert.deepEqual(outcome('resources/unsubscribe', 'file:///a'), {});
    assert.deepEqual(outcome('resources/unsubscribe', 'never'), {});
    assert.deepEqual(outcome('resources/subscribe', 't://2'), {});
  });
});

describe('methods of the tasks extension', () => {
  const params = { taskId: 'task-1', _meta: META_WITH_TASKS };
  test('are handed to the manager with the principal', () => {
    const caller = callerOf(REVISION_2026_07_28, { principal: { id: 'ann', scopes: [] } });
    const got = ask('tasks/get', params, caller);
    assert.deepEqual(got.tasks.calls, [['get', 'task-1', 'ann']]);
    assert.equal(got.channel.text, '{"jsonrpc":"2.0","id":1,"result":{"status":"working"}}');
    assert.deepEqual(ask('tasks/cancel', params, caller).tasks.calls, [['cancel', 'task-1', 'ann']]);
    const updated = ask('tasks/update', { ...params, inputResponses: { a: {} } }, caller);
    assert.deepEqual(updated.tasks.calls, [['update', 'task-1', 'ann', { a: {} }]]);
  });

  test('are only for clients that declared it', () => {
    for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel']) {
      const { channel, tasks } = modern(method, { taskId: 'task-1' });
      assert.equal(channel.status, 400);
      assert.deepEqual(channel.json.error?.data, {
        requiredCapabilities: { extensions: { 'io.modelcontextprotocol/tasks': {} } },
      });
      assert.equal(channel.json.error?.code, -32021);
      assert.deepEqual(tasks.calls, []);
    }
  });

  test('refuse bad params and unknown tasks in band', () => {
    for (const [method, bad] of [
      ['tasks/get', { taskId: 7 }],
      ['tasks/get', { taskId: 'other' }],
      ['tasks/update', { taskId: 'task-1' }],
      ['tasks/update', { taskId: 'task-1', inputResponses: [] }],
    ] as const) {
      const { channel } = ask(method, { ...bad, _meta: META_WITH_TASKS });
      assert.deepEqual([channel.status, channel.json.error?.code], [200, -32602]);
    }
  });

  test('answer later when the store does', async () => {
    const { channel, open } = ask('tasks/get', { ...params, taskId: 'slow' });
    assert.equal(channel.answers, 0);
    assert.notEqual(open, null);
    await Promise.resolve();
    assert.deepEqual(channel.json.result, { slow: true });
  });
});

describe('subscriptions/listen', () => {
  test('is handed on with its id, and can be cancelled', () => {
    const { opened, open } = ask('subscriptions/listen', { notifications: {}, _meta: META }, callerOf(), {
      idJson: '"l"',
    });
    assert.deepEqual(opened, [['"l"', { notifications: {}, _meta: META }]]);
    open?.cancel('gone');
    assert.equal(opened[1], 'cancelled');
  });

  test('needs a client that takes a stream', () => {
    const { methods, opened } = methodsWith(ALL);
    const channel = new FakeChannel();
    channel.canStream = false;
    methods.request(callerOf(), envelopeOf('subscriptions/listen', { notifications: {} }), channel);
    assert.deepEqual([channel.status, opened.length], [406, 0]);
  });
});

test('a handler with a bug is logged, and answered without its cause', () => {
  const { methods, dispatcher, log } = methodsWith(ALL);
  dispatcher.onSubmit = () => {
    throw new Error('secret');
  };
  const channel = new FakeChannel();
  methods.request(
    callerOf(),
    envelopeOf('tools/call', { name: 'echo' }, { idJson: '', body: request('tools/call', {}, 'b') }),
    channel,
  );
  assert.equal(channel.text, '{"jsonrpc":"2.0","id":"b","error":{"code":-32603,"message":"internal error"}}');
  assert.deepEqual(log.errors, ['a method failed']);
});
