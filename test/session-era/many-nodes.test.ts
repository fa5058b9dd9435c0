/** Sessions over HTTP served by several nodes that share one Redis: every request may go to any of them. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { BroadcastChannel } from 'node:worker_threads';
import { eventually } from '../clients/eventually.ts';
import { Watcher } from '../clients/watcher.ts';
import { ENOUGH_CHANNEL } from '../fixtures/session-era/enough-channel.ts';
import { RedisServer } from '../redis/redis-server.ts';
import { type SharedRedis, TOPOLOGIES } from '../redis/shared-redis.ts';
import { openSocket } from '../wire/message-client.ts';
import { progressOf, SessionClient, textOf } from './http-client.ts';
import { Nodes } from './nodes.ts';

for (const [topology, start] of TOPOLOGIES)
  describe(`sessions over three nodes and ${topology}`, () => {
    const watcher = new Watcher();
    const clients: SessionClient[] = [];
    let server: SharedRedis;
    let nodes: Nodes;
    let a: string;
    let b: string;
    let c: string;

    const open = async (url: string, revision?: string): Promise<SessionClient> => {
      const client = new SessionClient(revision);
      clients.push(client);
      return client.initialize(url);
    };

    before(async () => {
      server = await start();
      nodes = await Nodes.start(3, server.url);
      [a, b, c] = nodes.urls as [string, string, string];
    });
    after(async () => {
      for (const client of clients) client.close();
      watcher.close();
      await nodes.close();
      await server.end();
    });

    for (const revision of ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25']) {
      test(`${revision}: opened on one node, a session is served by all and deleted by any`, async () => {
        const client = await open(a, revision);
        for (const url of [b, c, a]) {
          const { message } = await client.call(url, 'echo', { text: `at ${url}` });
          assert.equal(textOf(message), `at ${url}`);
        }
        assert.equal((await client.delete(c)).status, 200);
        // The node that heard of it last may still answer once; then it is gone everywhere.
        for (const url of [c, b, a]) {
          await eventually(
            'the ending',
            async () => (await client.call(url, 'echo', { text: 'x' })).status,
            (s) => s === 404,
          );
        }
      });
    }

    test('an unknown session is unknown on every node', async () => {
      const client = new SessionClient();
      client.sessionId = 'x'.repeat(32);
      for (const url of [a, b, c]) assert.equal((await client.call(url, 'echo', { text: 'x' })).status, 404);
      client.sessionId = '{a}:*';
      assert.equal((await client.call(a, 'echo', { text: 'x' })).status, 404);
    });

    test('a stream opened on one node hears of what happened on another', async () => {
      const client = await open(a);
      const listening = await client.listen(c);
      await client.request(b, 'resources/subscribe', { uri: 'notes://today' });
      await eventually(
        'the subscription where the stream is',
        async () => {
          await client.call(a, 'touch', { uri: 'notes://today' });
          return listening.messages.map(({ method }) => method);
        },
        (methods) => methods.includes('notifications/resources/updated'),
      );
      assert.ok(listening.messages.some(({ method }) => method === 'notifications/tools/list_changed'));
      await client.request(a, 'resources/unsubscribe', { uri: 'notes://today' });
    });

    test('the log level set on one node holds on the others', async () => {
      const client = await open(a);
      await client.call(b, 'echo', { text: 'known here' });
      await client.request(c, 'logging/setLevel', { level: 'warning' });
      await eventually(
        'the level',
        async () => {
          const { stream } = await client.call(b, 'count', { to: 3 });
          await stream?.until('the answer', ({ ended }) => ended);
          return stream?.messages.filter(({ method }) => method === 'notifications/message').length;
        },
        (records) => records === 1,
      );
    });

    test('a question is answered through any node', async () => {
      const client = await open(a);
      for (const through of [b, c, a]) {
        const { stream } = await client.call(a, 'ask-name');
        assert.ok(stream);
        await stream.until('the question', ({ messages }) => messages.length > 0);
        const question = stream.messages[0];
        assert.equal(question?.method, 'elicitation/create');
        const result = { action: 'accept', content: { name: 'Ada' } };
        const answered = { jsonrpc: '2.0', id: question.id, result };
        // A node that stood still did not hear in time that it was taken: it is given again.
        const posted = await eventually(
          'the answer to be taken',
          () => client.post(through, answered),
          ({ status }) => status !== 503,
        );
        assert.equal(posted.status, 202);
        await stream.until('the answer', ({ ended }) => ended);
        assert.equal(textOf(stream.messages.at(-1)), 'Hello, Ada');
        assert.equal((await client.post(through, { jsonrpc: '2.0', id: question.id, result })).status, 202, 'late');
      }
      for (const id of [1, 'x', 'zzzzzz.0', '']) {
        const never = await client.post(b, { jsonrpc: '2.0', id, result: {} });
        assert.equal(never.status, 400, `${id}`);
      }
      const gone = await client.post(b, { jsonrpc: '2.0', id: 'zzzzzz.1', result: {} });
      assert.equal(gone.status, 503, 'a node that is not there');
      assert.ok(Number(gone.headers.get('retry-after')) >= 1);
    });

    test('a question cannot be answered by another session, through any node', async () => {
      const [client, other] = [await open(a), await open(a)];
      const { stream } = await client.call(a, 'ask-name');
      await stream?.until('the question', ({ messages }) => messages.length > 0);
      const id = stream?.messages[0]?.id;
      await other.post(b, { jsonrpc: '2.0', id, result: { action: 'accept', content: { name: 'Eve' } } });
      await client.post(b, { jsonrpc: '2.0', id, result: { action: 'accept', content: { name: 'Ada' } } });
      await stream?.until('the answer', ({ ended }) => ended);
      assert.equal(textOf(stream?.messages.at(-1)), 'Hello, Ada');
    });

    test('a call is cancelled through another node', async () => {
      const client = await open(a);
      const requestId = client.nextId;
      const label = `cancelled elsewhere ${topology}`;
      const called = client.call(a, 'watched', { label, ms: 60_000 });
      await watcher.seen('started', label);
      assert.equal((await client.notify(b, 'notifications/cancelled', { requestId, reason: 'enough' })).status, 202);
      await watcher.seen('cancelled', label);
      const { stream } = await called;
      await stream?.until('its end', ({ ended }) => ended);
      assert.deepEqual(stream?.messages, []);
    });

    test('deleting a session on one node ends its calls and streams on the others', async () => {
      const client = await open(a);
      const listening = await client.listen(b);
      const label = `deleted elsewhere ${topology}`;
      const called = client.call(a, 'watched', { label, ms: 60_000 });
      await watcher.seen('started', label);
      assert.equal((await client.delete(c)).status, 200);
      await watcher.seen('cancelled', label);
      assert.equal((await called).status, 404);
      await listening.until('its end', ({ ended }) => ended);
    });

    test('an answer is read to its end on other nodes while the call goes on, without gap or duplicate', async () => {
      const client = await open(a);
      // It goes on until it has been left for the last time, however long that takes.
      const { stream: first } = await client.call(a, 'tick', { count: 10_000, everyMs: 20 });
      assert.ok(first);
      await first.until('some progress', ({ messages }) => messages.length >= 5);
      first.leave();
      const second = await client.listen(b, first.lastEventId);
      await second.until('more progress', ({ messages }) => messages.length >= 5);
      second.leave();
      const third = await client.listen(c, second.lastEventId);
      await third.until('more progress', ({ messages }) => messages.length >= 5);
      third.leave();
      // Back where it runs, and away again.
      const fourth = await client.listen(a, third.lastEventId);
      await fourth.until('more progress', ({ messages }) => messages.length >= 5);
      fourth.leave();
      const enough = new BroadcastChannel(ENOUGH_CHANNEL);
      enough.postMessage('');
      enough.close();
      const last = await client.listen(b, fourth.lastEventId);
      await last.until('the end', ({ ended }) => ended);
      const all = [first, second, third, fourth, last].flatMap(({ messages }) => messages);
      const ticked = progressOf(all);
      assert.deepEqual(
        ticked,
        ticked.map((_, i) => i + 1),
      );
      assert.equal(textOf(all.at(-1)), `ticked ${ticked.length}`);
      const ids = [first, second, third, fourth, last].flatMap(({ events }) => events.map(({ id }) => id));
      assert.equal(new Set(ids).size, ids.length);
      const late = await client.resume(c, last.lastEventId);
      assert.equal(late.status, 204, 'nothing is left to read');
    });

    test('a client that comes back elsewhere takes its stream along, and the former node lets go', async () => {
      const client = await open(a);
      const first = await client.listen(a);
      await first.until('the first event', ({ events }) => events.length === 1);
      // The first connection stands: its node does not know that the client has moved.
      const second = await client.listen(b, first.lastEventId);
      await first.until('its end', ({ ended }) => ended);
      await client.call(c, 'touch', {});
      await second.until('changes', ({ messages }) => messages.length >= 3);
      assert.deepEqual(first.messages, []);
      second.leave();
      const [, node] = nodes.all;
      await eventually(
        'the stream to be left',
        async () => node?.metric('millrace_streams', 'session'),
        (open) => open === 0,
      );
      await client.call(c, 'touch', {});
      const third = await client.listen(c, second.lastEventId);
      await third.until('what happened meanwhile', ({ messages }) => messages.length >= 3);
      const ids = [first, second, third].flatMap(({ events }) => events.map(({ id }) => id));
      assert.equal(new Set(ids).size, ids.length);
      assert.deepEqual(
        ids.map((id) => Number.parseInt(id.slice(2), 36)),
        ids.map((_, i) => i),
        'numbered on from node to node',
      );
    });

    test('a batch of 2025-03-26 is answered by a node that did not open the session', async () => {
      const client = await open(a, '2025-03-26');
      const answer = await client.post(b, [
        { jsonrpc: '2.0', id: 'one', method: 'tools/call', params: { name: 'echo', arguments: { text: '1' } } },
        { jsonrpc: '2.0', id: 'two', method: 'ping' },
      ] as object);
      const answers = answer.message as unknown as { readonly id: string }[];
      assert.deepEqual(answers.map(({ id }) => id).sort(), ['one', 'two']);
    });
  });

/** Of those that requests are made of; what nodes do by the clock is made of others. */
const COMMANDS = /^cmdstat_(evalsha|eval|hgetall|publish|hget|set|get|del):/;

describe('nodes that share a Redis', () => {
  let server: RedisServer;
  let nodes: Nodes;
  let a: string;
  before(async () => {
    server = await RedisServer.start();
    nodes = await Nodes.start(1, server.url);
    [a] = nodes.urls as [string];
  });
  after(async () => {
    await nodes.close();
    await server.end();
  });

  test('a stateless request makes no command to Redis', async () => {
    const commands = async (): Promise<number> => {
      const lines = String(await server.run('INFO', 'commandstats')).split('\r\n');
      return lines
        .filter((line) => COMMANDS.test(line))
        .reduce((sum, line) => sum + Number(/calls=(\d+)/.exec(line)?.[1]), 0);
    };
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 'c', version: '1' },
      'io.modelcontextprotocol/clientCapabilities': {},
    };
    const params = { name: 'echo', arguments: { text: 'x' }, _meta };
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': 'echo',
    };
    const before = await commands();
    const requests = 200;
    for (let i = 0; i < requests; i++) {
      const response = await fetch(a, { method: 'POST', headers, body });
      assert.equal(response.status, 200);
      await response.text();
    }
    const made = (await commands()) - before;
    assert.ok(made < requests / 4, `${made} commands in the time of ${requests} requests`);
  });

  test('a session of a WebSocket needs no Redis', async () => {
    server.pause();
    try {
      const { client, socket } = await openSocket(a);
      const { result } = await client.initialize('2025-06-18');
      assert.equal((result as { readonly protocolVersion?: string }).protocolVersion, '2025-06-18');
      socket.close();
    } finally {
      server.resume();
    }
  });
});
