import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { JsonObject } from '../../src/protocol/channel.ts';
import { type Fault, fault } from '../../src/protocol/faults.ts';
import { Listen } from '../../src/subscriptions/listen.ts';
import { HELD_CHARS_MAX } from '../../src/subscriptions/listen-stream.ts';
import { MemoryBus } from '../../src/subscriptions/memory-bus.ts';
import type { Change } from '../../src/subscriptions/port.ts';
import { callerNamed, FakeChannel } from './fake-channel.ts';

const SUBSCRIPTION_ID = 'io.modelcontextprotocol/subscriptionId';
const withTasks = {
  'io.modelcontextprotocol/clientCapabilities': { extensions: { 'io.modelcontextprotocol/tasks': {} } },
};

type TaskLookup = (taskId: string, principalId: string | null) => string | Fault | Promise<string | Fault>;

function setUp(options: { streamsMax?: number; task?: TaskLookup } = {}) {
  const sheds: string[] = [];
  const finished: string[] = [];
  const meters = {
    requestFinished: (method: string, outcome: string) => void finished.push(`${method} ${outcome}`),
    shed: (reason: string) => void sheds.push(reason),
  };
  const quiet = { error: () => undefined, info: () => undefined };
  let deliver = (): void => undefined;
  const bus = new MemoryBus({
    log: quiet,
    defer: (run) => {
      deliver = run;
    },
  });
  const listen = new Listen({
    bus,
    tasks: { get: options.task ?? (() => fault('invalidParams', 'unknown task')) },
    settings: { listenStreamsMax: options.streamsMax ?? 8, listenResourcesMax: 4 },
    metaJson: '{"io.modelcontextprotocol/serverInfo":{"name":"srv","version":"1"}}',
    log: quiet,
    meters,
  });
  const open = (notifications: unknown, idJson = '1', channel = new FakeChannel(), principal: string | null = null) => {
    const params: JsonObject = { notifications, _meta: withTasks };
    return { channel, request: listen.open(callerNamed(principal), idJson, params, channel) };
  };
  const tell = (...changes: Change[]) => {
    for (const change of changes) bus.publish(change);
    deliver();
  };
  return { finished, listen, open, sheds, tell };
}

const methods = (channel: FakeChannel) => channel.sent.map((message) => message.method);

describe('subscriptions/listen', () => {
  test('the acknowledgement comes first and names the honoured subset and the request id', () => {
    const { open } = setUp();
    const filter = {
      toolsListChanged: true,
      promptsListChanged: false,
      resourceSubscriptions: ['a', 'a', 'b'],
      newer: 1,
    };
    const { channel } = open(filter, '5');
    assert.deepEqual(channel.sent, [
      {
        jsonrpc: '2.0',
        method: 'notifications/subscriptions/acknowledged',
        params: {
          notifications: { toolsListChanged: true, resourceSubscriptions: ['a', 'b'] },
          _meta: { [SUBSCRIPTION_ID]: 5 },
        },
      },
    ]);
  });

  test('only what was asked for arrives, tagged with the id in its own JSON type', () => {
    const { open, tell } = setUp();
    const number = open({ toolsListChanged: true, resourceSubscriptions: ['test://a'] }, '5').channel;
    const string = open({ promptsListChanged: true, resourcesListChanged: true }, '"5"').channel;
    tell({ kind: 'tools' }, { kind: 'prompts' }, { kind: 'resources' }, { kind: 'resource', uri: 'test://a' });
    tell({ kind: 'resource', uri: 'test://b' });
    assert.deepEqual(number.sent.slice(1), [
      { jsonrpc: '2.0', method: 'notifications/tools/list_changed', params: { _meta: { [SUBSCRIPTION_ID]: 5 } } },
      {
        jsonrpc: '2.0',
        method: 'notifications/resources/updated',
        params: { uri: 'test://a', _meta: { [SUBSCRIPTION_ID]: 5 } },
      },
    ]);
    assert.deepEqual(methods(string).slice(1), [
      'notifications/prompts/list_changed',
      'notifications/resources/list_changed',
    ]);
    assert.equal(string.sent[1]?.params?._meta?.[SUBSCRIPTION_ID], '5');
  });

  test('a resource name with quotes and control characters stays inside its JSON string', () => {
    const { open, tell } = setUp();
    const uri = 'test://"},"x":1,\u0000\u2028';
    const { channel } = open({ resourceSubscriptions: [uri] });
    tell({ kind: 'resource', uri });
    assert.equal(channel.sent[1]?.params?.['uri'], uri);
  });

  for (const [what, notifications] of [
    ['missing', undefined],
    ['an array', []],
    ['a list flag that is no boolean', { toolsListChanged: 1 }],
    ['resources that are no array', { resourceSubscriptions: 'a' }],
    ['a resource that is no string', { resourceSubscriptions: [1] }],
    ['an empty resource', { resourceSubscriptions: [''] }],
    ['a resource too long', { resourceSubscriptions: ['x'.repeat(2049)] }],
    ['too many resources', { resourceSubscriptions: ['1', '2', '3', '4', '5'] }],
    ['too many tasks', { taskIds: ['1', '2', '3', '4', '5'] }],
  ] as const) {
    test(`a filter that is ${what} is invalid params`, () => {
      const { listen, open } = setUp();
      const { channel, request } = open(notifications, '"x"');
      assert.equal(request, null);
      assert.equal(channel.answers[0]?.message.error?.code, -32602);
      assert.equal(channel.answers[0]?.message.id, 'x');
      assert.equal(channel.sent.length, 0);
      assert.equal(listen.size, 0);
    });
  }

  test('when changes of other nodes were missed, everything asked for is told as changed, but tasks', () => {
    const { open, tell } = setUp({ task: () => '{}' });
    const all = open({ toolsListChanged: true, resourceSubscriptions: ['a', 'task x'], taskIds: ['t'] }).channel;
    const none = open({}, '2').channel;
    tell({ kind: 'missed' });
    assert.deepEqual(
      all.sent.slice(1).map(({ method, params }) => [method, params?.['uri']]),
      [
        ['notifications/tools/list_changed', undefined],
        ['notifications/resources/updated', 'a'],
        ['notifications/resources/updated', 'task x'],
      ],
    );
    assert.equal(none.sent.length, 1);
  });

  test('when all streams are taken, whoever has most makes room for a client with fewer, until they have the same', () => {
    const { finished, listen, open, sheds } = setUp({ streamsMax: 4 });
    const of = (who: string) => open({ toolsListChanged: true }, '1', new FakeChannel(), who);
    const greedy = [of('greedy'), of('greedy'), of('greedy'), of('greedy')];
    const [first, second] = [of('modest'), of('modest')];
    assert.deepEqual([first?.channel.sent.length, second?.channel.sent.length, listen.size], [1, 1, 4]);
    // On purpose, with the result that says so; the oldest first.
    assert.deepEqual(
      greedy.map(({ channel }) => channel.answers[0]?.message.result?.['resultType']),
      ['complete', 'complete', undefined, undefined],
    );
    greedy[0]?.request?.cancel('the client left');
    for (const who of ['modest', 'greedy']) {
      const { channel, request } = of(who);
      assert.equal(request, null);
      assert.deepEqual(channel.answers[0]?.message.error, {
        code: -32603,
        message: 'subscription limit reached',
        data: { limit: 4 },
      });
    }
    assert.equal(listen.size, 4);
    assert.deepEqual(sheds, ['share', 'share', 'limit', 'limit']);
    assert.deepEqual(finished.slice(-3), [
      'subscriptions/listen ok',
      'subscriptions/listen shed',
      'subscriptions/listen shed',
    ]);
  });

  test('a stream that ended makes room, whoever had it', () => {
    const { listen, open } = setUp({ streamsMax: 2 });
    const of = (who: string) => open({ toolsListChanged: true }, '1', new FakeChannel(), who);
    const [a, b] = [of('a'), of('b')];
    assert.equal(of('c').request, null);
    a.request?.cancel('the client left');
    a.request?.cancel('twice');
    assert.notEqual(of('c').request, null);
    assert.equal(b.channel.answers.length, 0);
    assert.equal(listen.size, 2);
  });

  test('an empty filter is acknowledged as such', () => {
    const { channel } = setUp().open({});
    assert.deepEqual(channel.sent[0]?.params?.['notifications'], {});
  });

  test('streams are capped; one more is refused in band, and a freed place can be taken', () => {
    const { listen, open } = setUp({ streamsMax: 2 });
    const first = open({ toolsListChanged: true });
    open({ toolsListChanged: true });
    const third = open({ toolsListChanged: true }, '3');
    assert.equal(third.request, null);
    assert.equal(third.channel.answers[0]?.status, 200);
    assert.equal(third.channel.answers[0]?.message.error?.code, -32603);
    first.request?.cancel('gone');
    assert.equal(listen.size, 1);
    assert.notEqual(open({ toolsListChanged: true }).request, null);
  });

  test('a client that cannot take a stream is refused', () => {
    const { channel } = setUp().open({ toolsListChanged: true }, '1', new FakeChannel(false));
    assert.equal(channel.answers[0]?.status, 406);
  });

  test('after cancel nothing more is sent', () => {
    const { listen, open, tell } = setUp();
    const { channel, request } = open({ toolsListChanged: true });
    request?.cancel('client gone');
    tell({ kind: 'tools' });
    listen.closeAll('shutdown');
    assert.equal(channel.sent.length, 1);
    assert.equal(channel.answers.length, 0);
  });

  test('closing ends every stream with its result, once, after what was still held', () => {
    const { listen, open, tell } = setUp();
    const { channel } = open({ toolsListChanged: true }, '"s"');
    channel.congested = true;
    tell({ kind: 'tools' });
    listen.closeAll('shutdown');
    listen.closeAll('shutdown');
    tell({ kind: 'tools' });
    assert.deepEqual(methods(channel).slice(1), ['notifications/tools/list_changed']);
    assert.deepEqual(channel.answers, [
      {
        status: 200,
        message: {
          jsonrpc: '2.0',
          id: 's',
          result: {
            resultType: 'complete',
            _meta: { [SUBSCRIPTION_ID]: 's', 'io.modelcontextprotocol/serverInfo': { name: 'srv', version: '1' } },
          },
        },
      },
    ]);
    assert.equal(listen.size, 0);
  });
});

describe('a slow subscriber', () => {
  test('is told each change once when it has caught up, not once per change', () => {
    const { open, tell } = setUp();
    const { channel } = open({ toolsListChanged: true, resourceSubscriptions: ['a', 'b'] });
    channel.congested = true;
    for (let n = 0; n < 50; n += 1) tell({ kind: 'tools' }, { kind: 'resource', uri: 'a' }, { kind: 'prompts' });
    assert.equal(channel.sent.length, 1);
    channel.drain();
    assert.deepEqual(methods(channel).slice(1), [
      'notifications/tools/list_changed',
      'notifications/resources/updated',
    ]);
    tell({ kind: 'resource', uri: 'b' });
    assert.equal(channel.sent.length, 4);
  });

  test('that is congested again while it drains keeps the rest for the next time', () => {
    const { open, tell } = setUp();
    const { channel } = open({ resourceSubscriptions: ['a', 'b', 'c'] });
    channel.congested = true;
    for (const uri of ['a', 'b', 'c']) tell({ kind: 'resource', uri });
    const send = channel.send.bind(channel);
    channel.send = (message) => {
      send(message);
      channel.congested = true;
    };
    for (let n = 1; n <= 3; n += 1) {
      channel.drain();
      assert.equal(channel.sent.length, 1 + n);
    }
    assert.deepEqual(
      channel.sent.slice(1).map((message) => message.params?.['uri']),
      ['a', 'b', 'c'],
    );
  });

  test('past the held limit is given everything, for the channel to end it', () => {
    const task = (taskId: string, size: number) => JSON.stringify({ taskId, filler: 'x'.repeat(size) });
    const { open, tell } = setUp({ task: (taskId) => task(taskId, 0) });
    const { channel } = open({ taskIds: ['t', 'u'] });
    channel.congested = true;
    tell({ kind: 'task', taskId: 't', taskJson: task('t', HELD_CHARS_MAX / 2) });
    tell({ kind: 'task', taskId: 't', taskJson: task('t', HELD_CHARS_MAX / 2) });
    assert.equal(channel.sent.length, 1, 'the later state replaced the earlier one');
    tell({ kind: 'task', taskId: 'u', taskJson: task('u', HELD_CHARS_MAX / 2) });
    assert.equal(channel.sent.length, 3);
  });
});

describe('task notifications', () => {
  const owned: TaskLookup = (taskId, principalId) =>
    taskId === `of-${principalId}` ? '{}' : fault('invalidParams', 'unknown task');
  const change = (taskId: string, status: string): Change => ({
    kind: 'task',
    taskId,
    taskJson: JSON.stringify({ taskId, status }),
  });

  test('need the extension to be declared', () => {
    const { listen } = setUp();
    const channel = new FakeChannel();
    const params = { notifications: { taskIds: ['t'] }, _meta: {} };
    assert.equal(listen.open(callerNamed('ann'), '1', params, channel), null);
    assert.equal(channel.answers[0]?.status, 400);
    assert.equal(channel.answers[0]?.message.error?.code, -32021);
    assert.deepEqual(channel.answers[0]?.message.error?.data, {
      requiredCapabilities: { extensions: { 'io.modelcontextprotocol/tasks': {} } },
    });
  });

  test('carry the whole task and the subscription id', () => {
    const { open, tell } = setUp({ task: owned });
    const { channel } = open({ taskIds: ['of-ann'] }, '9', new FakeChannel(), 'ann');
    tell(change('of-ann', 'working'));
    assert.deepEqual(channel.sent[1], {
      jsonrpc: '2.0',
      method: 'notifications/tasks',
      params: { taskId: 'of-ann', status: 'working', _meta: { [SUBSCRIPTION_ID]: 9 } },
    });
  });

  test("of another principal's task are neither honoured nor sent", () => {
    const { open, tell } = setUp({ task: owned });
    const { channel } = open({ taskIds: ['of-ann', 'of-bob'] }, '1', new FakeChannel(), 'bob');
    assert.deepEqual(channel.sent[0]?.params?.['notifications'], { taskIds: ['of-bob'] });
    tell(change('of-ann', 'completed'));
    assert.equal(channel.sent.length, 1);
  });

  test('published while a remote store is asked follow the acknowledgement, own tasks only', async () => {
    const { open, tell } = setUp({ task: (...args) => Promise.resolve(owned(...args)) });
    const { channel } = open({ taskIds: ['of-ann', 'of-bob'], toolsListChanged: true }, '1', new FakeChannel(), 'bob');
    tell(change('of-bob', 'completed'), change('of-ann', 'completed'), { kind: 'tools' });
    assert.equal(channel.sent.length, 0);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(methods(channel), [
      'notifications/subscriptions/acknowledged',
      'notifications/tasks',
      'notifications/tools/list_changed',
    ]);
    assert.equal(channel.sent[1]?.params?.['taskId'], 'of-bob');
  });

  test('when the store fails the request is answered as internal and leaves no stream', async () => {
    const { listen, open } = setUp({ task: () => Promise.reject(new Error('store down')) });
    const { channel } = open({ taskIds: ['t'] });
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(channel.answers[0]?.message.error?.code, -32603);
    assert.doesNotMatch(JSON.stringify(channel.answers), /store down/);
    assert.equal(listen.size, 0);
  });

  test('when the client left before the store answered nothing is sent', async () => {
    const { open } = setUp({ task: () => Promise.resolve('{}') });
    const { channel, request } = open({ taskIds: ['t'] });
    request?.cancel('gone');
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(channel.sent.length + channel.answers.length, 0);
  });
});
