/**
 * A node dies between what it says and what is stored: no client has seen an event that other nodes cannot read.
 *
 * The node talks to Redis through a proxy which holds back answers, swallows requests, or is only late, so that events
 * are under way when it is killed. Checker over the whole history of a stream: the numbers that a client has seen over
 * all of its connections are consecutive and rise, and every event of them reads the same, and alone, on another node.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { decodeEventId } from '../../src/sessions/event-id.ts';
import { sessionKeys } from '../../src/sessions/redis-keys.ts';
import { eventually } from '../clients/eventually.ts';
import { RedisServer } from '../redis/redis-server.ts';
import { TcpProxy } from '../redis/tcp-proxy.ts';
import { ChildNode } from './child-node.ts';
import { type EventReader, SessionClient, type SseEvent, textOf } from './http-client.ts';
import { Nodes } from './nodes.ts';

/** Above what a test holds back, however slow the machine is: what was not answered by then is told, stored or not. */
const COMMAND_MS_MAX = 60_000;
/** A node that does not hold back what it says has said more than this in the time it takes. */
const CALLS_MEANWHILE = 20;

const sequenceOf = (id: string): number => decodeEventId(id)?.sequence ?? -1;

describe('a node that dies with events under way', () => {
  let server: RedisServer;
  let others: Nodes;
  let b: string;
  let c: string;
  let proxy: TcpProxy;
  let a: ChildNode;
  let client: SessionClient;
  before(async () => {
    server = await RedisServer.start();
    others = await Nodes.start(2, server.url);
    [b, c] = others.urls as [string, string];
  });
  after(async () => {
    await others.close();
    await server.end();
  });
  beforeEach(async () => {
    proxy = await TcpProxy.start(server.port);
    a = await ChildNode.start(`redis://127.0.0.1:${proxy.port}`, COMMAND_MS_MAX);
    client = await new SessionClient().initialize(a.url);
  });
  afterEach(async () => {
    client.close();
    await a.kill();
    await proxy.end();
  });

  /** What Redis has of the stream that `reader` reads. */
  async function storedOf(reader: EventReader): Promise<number> {
    const stream = decodeEventId(reader.lastEventId)?.streamId.toString(36) ?? '';
    const record = await server.run('HGET', sessionKeys('mcp:', client.sessionId)[2], stream);
    return Number(String(record).split(' ')[1]);
  }

  async function ticking(): Promise<EventReader> {
    const { stream } = await client.call(a.url, 'tick', { count: 1000, everyMs: 20 });
    assert.ok(stream);
    return stream.until('progress', ({ messages }) => messages.length >= 10);
  }

  /** The node goes on for a while. */
  async function meanwhile(): Promise<void> {
    for (let i = 0; i < CALLS_MEANWHILE; i++) await client.call(a.url, 'echo', { text: `${i}` });
  }

  async function killed(reader: EventReader): Promise<void> {
    await a.kill();
    await reader.until('its end', ({ ended }) => ended);
  }

  /** `readers`: of one stream, in the order they were connected. Reads all of it again at `url`. */
  async function checkHistory(url: string, readers: readonly EventReader[]): Promise<void> {
    const seen: SseEvent[] = readers.flatMap(({ events }) => events);
    const first = sequenceOf(seen[0]?.id ?? '');
    assert.deepEqual(
      seen.map(({ id }) => sequenceOf(id)),
      seen.map((_, i) => first + i),
      'numbers rise one by one',
    );
    const { status, stream } = await client.resume(url, seen[0]?.id);
    assert.equal(status, 200, 'all that was seen can be read elsewhere');
    const rest = seen.slice(1);
    await stream?.until('what was seen', ({ ended, events }) => ended || events.length >= rest.length);
    stream?.leave();
    // The session's own stream goes on.
    assert.deepEqual(stream?.events.slice(0, rest.length), rest);
  }

  test('stored, and the node was not told: nothing is missing, nothing comes twice', async () => {
    const first = await ticking();
    proxy.holdAnswers();
    await eventually(
      'events that are stored and not sent, or sent and not stored',
      async () => (await storedOf(first)) - sequenceOf(first.lastEventId),
      (ahead) => ahead > 0 || ahead < -3,
    );
    await meanwhile();
    await killed(first);
    const { status, stream: second } = await client.resume(b, first.lastEventId);
    assert.equal(status, 200, 'what was stored and not sent');
    assert.ok(second);
    await second.until('its end', ({ ended }) => ended);
    assert.ok(second.events.length > 0);
    await checkHistory(c, [first, second]);
  });

  test('not stored: nobody has seen it, even when it comes to Redis after the end of its node', async () => {
    const first = await ticking();
    proxy.blackHole();
    await eventually(
      'a batch under way',
      () => proxy.heldPieces,
      (pieces) => pieces > 0,
    );
    await meanwhile();
    await killed(first);
    assert.ok((await storedOf(first)) >= sequenceOf(first.lastEventId), 'what was seen is stored');
    proxy.heal();
    // Stored at last, or lost with the node.
    const { stream: second } = await client.resume(b, first.lastEventId);
    await second?.until('its end', ({ ended }) => ended);
    await checkHistory(c, second === null ? [first] : [first, second]);
  });

  test('of the stream of the session: another node numbers on, and what comes late is refused', async () => {
    const first = await client.listen(a.url);
    await client.call(a.url, 'touch', {});
    await first.until('changes', ({ messages }) => messages.length >= 3);
    proxy.blackHole();
    for (let i = 0; i < 3; i++) await client.call(a.url, 'touch', {});
    await eventually(
      'a batch under way',
      () => proxy.heldPieces,
      (pieces) => pieces > 0,
    );
    await meanwhile();
    await killed(first);
    const second = await client.listen(b, first.lastEventId);
    proxy.heal();
    await second.until('everything anew', ({ messages }) => messages.length >= 3);
    await client.call(c, 'touch', {});
    await second.until('changes', ({ messages }) => messages.length >= 6);
    await checkHistory(c, [first, second]);
  });

  test('or only stands still: a client that comes back elsewhere is asked to wait, and then reads on to the answer', async () => {
    // All of it fits the log, and it takes longer than a machine stands still.
    const { stream: first } = await client.call(a.url, 'tick', { count: 200, everyMs: 20 });
    assert.ok(first);
    await first.until('progress', ({ messages }) => messages.length >= 10);
    proxy.holdAnswers();
    first.leave();
    const waiting = await client.get(b, first.lastEventId);
    assert.equal(waiting.status, 503, 'nobody is told that it is over');
    proxy.heal();
    const { stream: second } = await eventually(
      'the stream',
      () => client.get(b, first.lastEventId),
      ({ status }) => status !== 503,
    );
    assert.ok(second);
    await second.until('its end', ({ ended }) => ended);
    assert.equal(textOf(second.messages.at(-1)), 'ticked 200');
    await checkHistory(c, [first, second]);
  });

  test('over a slow network, time and again: each return reads on where the client was', async () => {
    let first = await ticking();
    for (let round = 0; round < 2; round++) {
      proxy.delayMs = 5 + 10 * round;
      const from = first.messages.length;
      await first.until('more progress', ({ messages }) => messages.length > from + 20);
      await killed(first);
      const { stream: second } = await client.resume(round % 2 === 0 ? b : c, first.lastEventId);
      await second?.until('its end', ({ ended }) => ended);
      await checkHistory(round % 2 === 0 ? c : b, second === null ? [first] : [first, second]);
      proxy.heal();
      a = await ChildNode.start(`redis://127.0.0.1:${proxy.port}`, COMMAND_MS_MAX);
      first = await ticking();
    }
  });
});
