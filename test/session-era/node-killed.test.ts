/**
 * A node is killed with streams open: its clients go on elsewhere, and miss nothing that was stored, nor see anything
 * twice.
 *
 * Checker: sequences of a stream are consecutive, so the ids that a client has seen over all of its connections have to
 * be the numbers from 0 on, each once.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { RedisServer } from '../redis/redis-server.ts';
import { ChildNode } from './child-node.ts';
import { type EventReader, progressOf, SessionClient, textOf } from './http-client.ts';
import { Nodes } from './nodes.ts';

/** The numbers of the events of all connections of one stream, in the order they came. */
function sequences(...readers: readonly EventReader[]): number[] {
  return readers.flatMap(({ events }) => events.map(({ id }) => Number.parseInt(id.slice(id.indexOf('.') + 1), 36)));
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** With each, who reads a stream of another node asks whether that goes on. */
const BEAT_MS = 1000;

describe('a node that is closed in order', () => {
  test('finishes its answers, and its clients listen on elsewhere without a gap', async () => {
    const server = await RedisServer.start();
    const leaving = await Nodes.start(1, server.url, { shutdownGraceMs: 10_000 });
    const staying = await Nodes.start(1, server.url);
    const client = new SessionClient();
    try {
      const [a] = leaving.urls as [string];
      const [b] = staying.urls as [string];
      await client.initialize(a);
      const listening = await client.listen(a);
      const { stream: answering } = await client.call(a, 'tick', { count: 30, everyMs: 20 });
      assert.ok(answering);
      await answering.until('progress', ({ messages }) => messages.length >= 2);
      const closed = leaving.close();
      await listening.until('its end', ({ ended }) => ended);
      const next = await client.listen(b, listening.lastEventId);
      await client.call(b, 'touch', {});
      await next.until('changes', ({ messages }) => messages.length >= 3);
      await answering.until('its end', ({ ended }) => ended);
      assert.equal(textOf(answering.messages.at(-1)), 'ticked 30');
      await closed;
      for (const seen of [sequences(listening, next), sequences(answering)]) assert.deepEqual(seen, upTo(seen.length));
      const late = await client.listen(b, answering.events[0]?.id);
      await late.until('its end', ({ ended }) => ended);
      const rest = answering.events.slice(1).map(({ message }) => message);
      assert.deepEqual(late.messages, rest, 'what it said last was stored before it went');
    } finally {
      client.close();
      await Promise.all([leaving.close(), staying.close()]);
      await server.end();
    }
  });
});

describe('a node that is killed', () => {
  let server: RedisServer;
  let nodes: Nodes;
  let b: string;
  let c: string;
  before(async () => {
    server = await RedisServer.start();
    nodes = await Nodes.start(2, server.url, { streamKeepAliveMs: BEAT_MS });
    [b, c] = nodes.urls as [string, string];
  });
  after(async () => {
    await nodes.close();
    await server.end();
  });

  test('leaves what it had said of a call to be read elsewhere, whole and once', async () => {
    const a = await ChildNode.start(server.url);
    const client = new SessionClient();
    try {
      await client.initialize(a.url);
      const { stream: first } = await client.call(a.url, 'tick', { count: 1000, everyMs: 20 });
      assert.ok(first);
      await first.until('progress', ({ messages }) => messages.length >= 5);
      // What comes from here on, the client never sees, though its node says and stores it.
      first.leave();
      const follower = await client.listen(b, first.lastEventId);
      await follower.until('progress elsewhere', ({ messages }) => messages.length >= 20);
      await a.kill();
      await follower.until('its end', ({ ended }) => ended);
      const last = await client.resume(c, follower.lastEventId);
      assert.equal(last.status, 204, 'all that was stored has been read');
      const seen = sequences(first, follower);
      assert.deepEqual(seen, upTo(seen.length));
      const steps = progressOf([...first.messages, ...follower.messages]);
      assert.deepEqual(
        steps,
        upTo(steps.length).map((i) => i + 1),
      );
      assert.ok(steps.length >= 25);
    } finally {
      client.close();
      await a.kill();
    }
  });

  test('with a client connected to it: the client reads on elsewhere where it was', async () => {
    const a = await ChildNode.start(server.url);
    const client = new SessionClient();
    try {
      await client.initialize(a.url);
      const { stream: first } = await client.call(a.url, 'tick', { count: 1000, everyMs: 20 });
      await first?.until('progress', ({ messages }) => messages.length >= 30);
      assert.ok(first);
      await a.kill();
      await first.until('its end', ({ ended }) => ended);
      const { status, stream } = await client.resume(b, first.lastEventId);
      assert.ok(status === 204 || status === 200);
      await stream?.until('its end', ({ ended }) => ended);
      const seen = sequences(first, ...(stream === null ? [] : [stream]));
      assert.deepEqual(seen, upTo(seen.length));
      // The session itself goes on.
      assert.equal(textOf((await client.call(c, 'echo', { text: 'still here' })).message), 'still here');
    } finally {
      client.close();
      await a.kill();
    }
  });

  test('while it held the stream of a session: another one holds it, numbered on, and nothing is taken for unchanged', async () => {
    const a = await ChildNode.start(server.url);
    const client = new SessionClient();
    try {
      await client.initialize(a.url);
      const first = await client.listen(a.url);
      await client.call(c, 'touch', {});
      await first.until('changes', ({ messages }) => messages.length >= 3);
      await a.kill();
      await client.request(b, 'resources/subscribe', { uri: 'notes://today' });
      const second = await client.listen(b, first.lastEventId);
      // Nobody knows what the dead node had still to tell.
      const told = (await second.until('everything', ({ messages }) => messages.length >= 4)).messages;
      assert.deepEqual(
        new Set(told.map(({ method }) => method)),
        new Set([
          'notifications/tools/list_changed',
          'notifications/resources/list_changed',
          'notifications/prompts/list_changed',
          'notifications/resources/updated',
        ]),
      );
      await client.call(c, 'touch', {});
      await second.until('changes', ({ messages }) => messages.length >= 7);
      const seen = sequences(first, second);
      assert.deepEqual(seen, upTo(seen.length));
    } finally {
      client.close();
      await a.kill();
    }
  });
});
