/**
 * Specialised nodes as their clients see them: one catalogue, and calls that work the same wherever they are run.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { REVISION_2025_11_25 } from '../../../src/protocol/revisions.ts';
import { eventually } from '../../clients/eventually.ts';
import { fixture } from '../../clients/serve.ts';
import { RedisServer } from '../../redis/redis-server.ts';
import { textOf as messageText, progressOf, SessionClient } from '../../session-era/http-client.ts';
import { Stateless } from '../../wire/raw-clients.ts';
import { until } from '../peers/two-nodes.ts';
import { own, type SpecialNode, startSpecialNode, textOf, untilShown } from './specialised-nodes.ts';

const TALKING = ['ask-model', 'ask-name', 'ask-roots', 'come-back', 'count', 'later', 'only-later', 'touch'];
const TOKEN = 'a-token-of-sixteen-characters-or-more';

describe('a cluster of specialised nodes', () => {
  let redis: RedisServer;
  let a: SpecialNode;
  let b: SpecialNode;
  let talking: SpecialNode;

  before(async () => {
    redis = await RedisServer.start();
    // Two front ends, and a node whose tools run in worker threads.
    a = await startSpecialNode(redis.url, 'a', '-a', { frontend: 'node' });
    b = await startSpecialNode(redis.url, 'b', '-b');
    talking = await startSpecialNode(redis.url, 'talking', '-t', {
      modules: [fixture('talking-tools')],
      cluster: { offer: TALKING, commandTimeoutMs: 10_000 },
    });
    const run = [...own('-a'), ...own('-b'), ...TALKING];
    await untilShown([a, b], run);
    // What it has and nobody runs is shown where it is known.
    await untilShown([talking], [...run, ...own('-t')]);
  });
  after(async () => {
    await Promise.all([a.close(), b.close(), talking.close()]);
    await redis.end();
  });

  test('every node shows the tools of all, alike, in both eras', async () => {
    const lists = await Promise.all(
      [a, b, talking].map(async ({ stateless }) => (await stateless.request('tools/list')).result),
    );
    const tools = (list: (typeof lists)[number]) =>
      (list['tools'] as { name: string }[]).filter(({ name }) => TALKING.includes(name));
    assert.deepEqual(tools(lists[0] as (typeof lists)[number]), tools(lists[2] as (typeof lists)[number]));
    assert.deepEqual(lists[0], lists[1]);
    const client = await new SessionClient().initialize(b.url);
    const listed = await client.request(b.url, 'tools/list', {});
    const shown = listed.message?.result?.['tools'] as { name: string }[];
    assert.equal(shown.length, 8 + TALKING.length);
    client.close();
  });

  test('a call lands where its tool is run, with correlation and trace', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const answer = await a.stateless.request(
      'tools/call',
      { name: 'where-b', arguments: {} },
      { traceparent, 'x-correlation-id': 'order 7' },
    );
    const { correlationId, node, trace } = JSON.parse(textOf(answer.result));
    assert.deepEqual([node, correlationId, trace.traceparent], ['b', 'order 7', traceparent]);
    assert.deepEqual(b.done.filter((what) => what === 'where-b').length, 1);
    assert.equal(JSON.parse(textOf((await a.stateless.call('where-a')).result)).node, 'a');
  });

  test('no tool is run by a node that does not offer it, though it has it', async () => {
    const { error, result, status } = await talking.stateless.call('where-t');
    assert.deepEqual([status, error.code], [503, -32000], JSON.stringify(result));
    assert.match(error.message, /no node of the cluster runs tool where-t/);
    assert.deepEqual(talking.done, []);
  });

  test('arguments are checked where the tool is run, headers against the body as well', async () => {
    const call = (header: string) =>
      a.stateless.request(
        'tools/call',
        { name: 'region-b', arguments: { region: 'eu' } },
        { 'mcp-param-region': header },
      );
    assert.equal(textOf((await call('eu')).result), 'b eu');
    assert.equal((await call('us')).error.code, -32020);
    const wrong = await a.stateless.request('tools/call', { name: 'count', arguments: { to: 'x' } });
    assert.ok(wrong.error.code === -32602 || wrong.result['isError'] === true, JSON.stringify(wrong.last));
  });

  test('progress and log records reach the client, in order', async () => {
    const answer = await a.stateless.call(
      'count',
      { to: 250 },
      {
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientCapabilities': {},
          'io.modelcontextprotocol/logLevel': 'warning',
          progressToken: 'p',
        },
      },
    );
    assert.equal(textOf(answer.result), 'counted to 250');
    const of = (method: string) => answer.before.filter((message) => message['method'] === method);
    const steps = of('notifications/progress').map(({ params }) => (params as { progress: number }).progress);
    assert.deepEqual(
      steps,
      Array.from({ length: 250 }, (_, n) => n + 1),
    );
    assert.equal(of('notifications/message').length, 1);
  });

  test('a tool asks its client: in the session era by a question, stateless by asking for the call again', async () => {
    const client = await new SessionClient().initialize(a.url);
    const { stream } = await client.call(a.url, 'ask-name');
    assert.ok(stream !== null);
    await stream.until('the question', ({ messages }) =>
      messages.some(({ method }) => method === 'elicitation/create'),
    );
    const question = stream.messages.find(({ method }) => method === 'elicitation/create');
    const result = { action: 'accept', content: { name: 'Ada' } };
    await client.post(a.url, { jsonrpc: '2.0', id: question?.id, result });
    await stream.until('the answer', ({ messages }) => messages.some((message) => message.result !== undefined));
    assert.equal(messageText(stream.messages.at(-1)), 'Hello, Ada');
    client.close();

    const _meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': { elicitation: {} },
    };
    const first = await b.stateless.call('ask-name', {}, { _meta });
    assert.equal(first.result['resultType'], 'input_required', JSON.stringify(first.last));
    const { requestState } = first.result;
    const second = await a.stateless.call('ask-name', {}, { _meta, requestState, inputResponses: { name: result } });
    assert.equal(textOf(second.result), 'Hello, Ada');
  });

  test('progress of a session is numbered and resumable wherever it comes from', async () => {
    const client = await new SessionClient().initialize(a.url);
    const { stream } = await client.call(a.url, 'count', { to: 5 });
    assert.ok(stream !== null);
    await stream.until('the answer', ({ messages }) => messages.some((message) => message.result !== undefined));
    assert.deepEqual(progressOf(stream.messages), [1, 2, 3, 4, 5]);
    client.close();
  });

  test('a tool sends its client away, who comes back for the answer', async () => {
    const client = await new SessionClient(REVISION_2025_11_25.name).initialize(a.url);
    const { stream } = await client.call(a.url, 'come-back');
    assert.ok(stream !== null);
    await eventually(
      'the stream',
      () => stream.ended,
      (ended) => ended,
    );
    const resumed = await client.listen(a.url, stream.lastEventId);
    await resumed.until('the answer', ({ messages }) => messages.some((message) => message.result !== undefined));
    assert.equal(messageText(resumed.messages.at(-1)), 'welcome back');
    client.close();
  });

  test('a call becomes a task, asks, and is finished by its answer', async () => {
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {
        elicitation: {},
        extensions: { 'io.modelcontextprotocol/tasks': {} },
      },
    };
    const created = await a.stateless.call('later', { ask: true }, { _meta });
    const taskId = created.result['taskId'];
    assert.equal(typeof taskId, 'string', JSON.stringify(created.last));
    const get = async () => (await a.stateless.request('tasks/get', { taskId, _meta })).result;
    const asking = await eventually('the question', get, ({ status }) => status === 'input_required');
    const [key] = Object.keys(asking['inputRequests'] as object);
    const inputResponses = { [key as string]: { action: 'accept', content: {} } };
    await a.stateless.request('tasks/update', { taskId, inputResponses, _meta });
    const done = await eventually('the end', get, ({ status }) => status === 'completed');
    assert.equal(textOf(done['result'] as Record<string, unknown>), 'done after accept');
  });

  test('whoever leaves cancels the tool, wherever it runs', async () => {
    const leaving = new AbortController();
    const before = b.done.length;
    const open = a.stateless.open('tools/call', { name: 'wait-b', arguments: {} }, {}, leaving.signal);
    await until(() => b.done.slice(before).includes('wait-b'));
    leaving.abort();
    await open.catch(() => undefined);
    await until(() => b.done.slice(before).includes('aborted'));
  });

  test('totals of the metrics are counters, and nothing else is', async () => {
    const metrics = await a.runtime.metrics();
    const types = [...metrics.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type]) => ({ name, type }));
    assert.ok(types.some(({ name }) => name === 'millrace_forwarded_total'));
    for (const { name, type } of types) assert.equal(type === 'counter', name.endsWith('_total'), `${name} ${type}`);
  });

  test('no call is sent to a third node: it is run by the one that was asked, or refused', async () => {
    const sentBy = async (node: SpecialNode): Promise<number> =>
      Number(/^millrace_forwarded_total (\d+)/m.exec(await node.runtime.metrics())?.[1]);
    const before = await Promise.all([a, b, talking].map(sentBy));
    const answers = await Promise.all([a, b, talking].map(({ stateless }) => stateless.call('where-b')));
    for (const { result } of answers) assert.equal(JSON.parse(textOf(result)).node, 'b');
    const after = await Promise.all([a, b, talking].map(sentBy));
    assert.deepEqual(
      after.map((count, n) => count - (before[n] as number)),
      [1, 0, 1],
    );
  });
});

describe('deadlines, principals and labels', () => {
  let redis: RedisServer;
  before(async () => {
    redis = await RedisServer.start();
  });
  after(() => redis.end());

  test('who calls is told to the tool on the other node, and how long it has', async () => {
    const auth = { tokens: [{ token: TOKEN, id: 'ada', scopes: ['read'] }] };
    const a = await startSpecialNode(redis.url, 'a', '-a', { auth, requestTimeoutMs: 700 });
    const b = await startSpecialNode(redis.url, 'b', '-b', { auth, requestTimeoutMs: 60_000 });
    try {
      const client = new Stateless(a.url, fetch, { authorization: `Bearer ${TOKEN}` });
      const names = async (): Promise<number> =>
        ((await client.request('tools/list')).result['tools'] as unknown[]).length;
      await eventually('the tools', names, (count) => count === 8);
      // A machine that stands still for longer than a call may take has no answer, or has not sent it yet: then again.
      const where = async (): Promise<string> => textOf((await client.call('where-b')).result);
      const answer = await eventually('an answer in time', where, (text) => text !== '');
      assert.deepEqual(JSON.parse(answer).principal, { id: 'ada', scopes: ['read'] });
      const aborted = async (): Promise<boolean> => {
        const slow = await client.call('wait-b');
        assert.match(slow.error.message, /did not finish within 700 ms/);
        return b.done.includes('wait-b');
      };
      await eventually('a call that arrived', aborted, Boolean);
      await until(() => b.done.includes('aborted'));
    } finally {
      await Promise.all([a.close(), b.close()]);
    }
  });

  test('a tool runs only where all labels are that it requires', async () => {
    const label = (labels: string[]) => ({
      cluster: { labels },
      modules: [new URL(`./fixtures/labelled.${extension}`, import.meta.url)],
    });
    const plain = await startSpecialNode(redis.url, 'plain', '-p', label([]));
    const gpu = await startSpecialNode(redis.url, 'gpu', '-g', label(['gpu', 'eu']));
    try {
      await untilShown([plain, gpu], [...own('-p'), ...own('-g'), 'render']);
      const shown = (await (await fetch(plain.url.replace('/mcp', '/cluster'))).json()) as {
        nodes: { id: string; tools: string[] }[];
      };
      assert.deepEqual(
        shown.nodes.filter(({ tools }) => tools.includes('render')).map(({ id }) => id),
        ['gpu'],
      );
      assert.equal(textOf((await plain.stateless.call('render')).result), 'rendered');
    } finally {
      await Promise.all([plain.close(), gpu.close()]);
    }
  });
});

const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
