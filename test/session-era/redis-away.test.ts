/** Sessions of several nodes whose Redis is slow, silent, killed, or comes back empty: clear answers, and no hanging. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { eventually } from '../clients/eventually.ts';
import { Watcher } from '../clients/watcher.ts';
import { RedisServer } from '../redis/redis-server.ts';
import { TcpProxy } from '../redis/tcp-proxy.ts';
import { type Answer, SessionClient, textOf } from './http-client.ts';
import { Nodes } from './nodes.ts';

/** Far above the time of a command below; a request that takes longer hangs. */
const ANSWER_MS_MAX = 60_000;

async function withNodes(
  run: (server: RedisServer, nodes: Nodes, client: SessionClient) => Promise<void>,
): Promise<void> {
  const server = await RedisServer.start();
  let nodes: Nodes | null = null;
  const client = new SessionClient();
  try {
    nodes = await Nodes.start(2, server.url, { cluster: { commandTimeoutMs: 300 } });
    await run(server, nodes, client);
  } finally {
    client.close();
    await nodes?.close();
    await server.end();
  }
}

/** A busy machine takes longer than a command has here. */
async function opened(client: SessionClient, url: string): Promise<SessionClient> {
  const attempt = (): Promise<boolean> =>
    client.initialize(url).then(
      () => true,
      (error: Error) => {
        if (!error.message.includes('503')) throw error;
        client.sessionId = '';
        return false;
      },
    );
  await eventually('a session', attempt, Boolean);
  return client;
}

async function known(client: SessionClient, url: string): Promise<void> {
  const status = async (): Promise<number> => (await client.call(url, 'echo', { text: 'known' })).status;
  await eventually('the session to be known', status, (s) => s === 200);
}

async function inTime(answer: Promise<Answer>): Promise<Answer> {
  const sinceMs = performance.now();
  const given = await answer;
  assert.ok(performance.now() - sinceMs < ANSWER_MS_MAX);
  return given;
}

function assertUnavailable({ headers, message, status }: Answer): void {
  assert.equal(status, 503);
  assert.equal(message?.error?.code, -32000);
  assert.ok(Number(headers.get('retry-after')) >= 1);
}

describe('sessions whose Redis hurts', () => {
  test('silent: known sessions are served, others are asked to come again, and nothing is called unknown', async () => {
    await withNodes(async (server, nodes, client) => {
      const [a, b] = nodes.urls as [string, string];
      await opened(client, a);
      const { stream: listening } = await eventually(
        'the stream',
        () => client.get(a),
        ({ stream }) => stream !== null,
      );
      server.pause();
      const echoed = await inTime(client.call(a, 'echo', { text: 'known' }));
      assert.equal(textOf(echoed.message), 'known');
      assertUnavailable(await inTime(client.call(b, 'echo', { text: 'unknown here' })));
      assertUnavailable(await inTime(client.get(b)));
      assertUnavailable(await inTime(client.delete(a)));
      assertUnavailable(await inTime(client.request(a, 'logging/setLevel', { level: 'error' })));
      const fresh = new SessionClient();
      await assert.rejects(fresh.initialize(a), /503/);
      // What a tool says goes to its client all the same.
      const { stream } = await inTime(client.call(a, 'tick', { count: 3, everyMs: 1 }));
      await stream?.until('the answer', ({ ended }) => ended);
      assert.equal(textOf(stream?.messages.at(-1)), 'ticked 3');
      server.resume();
      await eventually(
        'the other node',
        async () => (await client.call(b, 'echo', { text: 'again' })).status,
        (status) => status === 200,
      );
      assert.equal(listening?.ended, false);
      // And what was said meanwhile has been stored.
      const firstId = stream?.events[0]?.id ?? '';
      const replayed = await eventually(
        'the replay',
        () => client.get(b, firstId),
        ({ status }) => status !== 503,
      );
      await replayed.stream?.until('its end', ({ ended }) => ended);
      assert.deepEqual(
        replayed.stream?.messages,
        stream?.messages.filter((_, i) => stream.events[0]?.message === null || i > 0),
      );
    });
  });

  test('killed, and back empty: old sessions are gone for certain, and new ones work on all nodes', async () => {
    await withNodes(async (server, nodes, client) => {
      const [a, b] = nodes.urls as [string, string];
      await opened(client, a);
      await known(client, b);
      await server.end();
      await eventually(
        'the nodes to notice',
        async () =>
          (
            await inTime(
              new SessionClient().post(a, {
                jsonrpc: '2.0',
                id: 1,
                method: 'initialize',
                params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } },
              }),
            )
          ).status,
        (status) => status === 503,
      );
      assert.equal(textOf((await inTime(client.call(a, 'echo', { text: 'on' }))).message), 'on');
      await server.startAgain();
      for (const url of [a, b]) {
        await eventually(
          'the end of the session',
          async () => (await inTime(client.call(url, 'echo', { text: 'x' }))).status,
          (status) => status === 404,
        );
      }
      const fresh = await opened(new SessionClient(), a);
      const echoed = await eventually(
        'the other node',
        () => fresh.call(b, 'echo', { text: 'new' }),
        ({ status }) => status === 200,
      );
      assert.equal(textOf(echoed.message), 'new');
    });
  });

  test('away from one node: what is cancelled there meanwhile is cancelled when Redis is back', async () => {
    const server = await RedisServer.start();
    const proxy = await TcpProxy.start(server.port);
    const near = await Nodes.start(1, server.url);
    const far = await Nodes.start(1, `redis://127.0.0.1:${proxy.port}`);
    const watcher = new Watcher();
    const client = new SessionClient();
    try {
      const [a, b] = [...near.urls, ...far.urls] as [string, string];
      await client.initialize(a);
      await client.call(b, 'echo', { text: 'known here' });
      const requestId = client.nextId;
      const label = 'cancelled while Redis was away';
      const called = client.call(a, 'watched', { label, ms: 60_000 });
      await watcher.seen('started', label);
      await proxy.refuse();
      const [node] = far.all;
      const trouble = async (): Promise<unknown> => (await fetch(new URL('/health/ready', node?.url))).json();
      await eventually('the loss', trouble, (ready) => JSON.stringify(ready).includes('redis away'));
      assert.equal((await client.notify(b, 'notifications/cancelled', { requestId })).status, 202);
      await proxy.accept();
      await watcher.seen('cancelled', label);
      client.close();
      await called.catch(() => undefined);
    } finally {
      client.close();
      watcher.close();
      await Promise.all([near.close(), far.close()]);
      await proxy.end();
      await server.end();
    }
  });
});
