/**
 * A session's own stream moves from node to node while resources change: nodes hear of a change one after the other,
 * and a move may be left unfinished, yet the client is told of it.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { RedisUnavailable } from '../../src/redis/unavailable.ts';
import { eventually } from '../clients/eventually.ts';
import type { RedisNode } from '../sessions/redis-nodes.ts';
import { type FakeReply, type Harness, initialize } from './fakes.ts';
import { answered, ThreeNodes } from './three-nodes.ts';

const NOTE = 'test://note';
const OTHER = 'test://other';

describe('changes while a stream is between two nodes', () => {
  let three: ThreeNodes;
  let sessionId: string;
  before(async () => {
    three = await ThreeNodes.start();
  });
  after(() => three.end());

  /** As when it was used too long ago, or there were too many. */
  const forget = (on: number): void => {
    node(on).store.onEnd?.(node(on).hub.known(sessionId)?.session as never, 'released');
    assert.equal(node(on).hub.known(sessionId), undefined);
  };
  const node = (i: number): Harness => three.harnesses[i] as Harness;
  const changed = (on: number, uri: string): void => node(on).bus.publish({ kind: 'resource', uri });

  async function subscribe(on: number, uri: string): Promise<void> {
    const state = node(on).hub.known(sessionId);
    assert.ok(state);
    state.session.subscriptions.add(uri);
    await state.session.save();
    node(on).hub.subscriptionsChanged(state, uri);
  }

  async function listenOnce(on: number, lastEventId = ''): Promise<FakeReply> {
    const { reply } = node(on).get({ sessionId, lastEventId });
    await answered(reply);
    return reply;
  }

  /** Again while it is told to come again: on a machine that stood still the nodes did not hear one another in time. */
  async function listen(on: number, lastEventId = ''): Promise<FakeReply> {
    for (;;) {
      const reply = await listenOnce(on, lastEventId);
      if (reply.status !== 503) return reply;
    }
  }

  /** What the stream told, of the note alone. */
  const told = (reply: FakeReply): boolean => reply.events.messages.some((message) => message.includes(`"${NOTE}"`));
  const lastId = (reply: FakeReply): string => reply.events.events.at(-1)?.id ?? '';

  /** The session listens on node 0, and has an id to come back with; the others have heard of that. */
  async function listening(): Promise<FakeReply> {
    await subscribe(0, NOTE);
    const first = await listen(0);
    await eventually('the first id, which is stored', () => lastId(first), Boolean);
    for (const on of [1, 2]) await eventually('elsewhere', () => node(on).hub.known(sessionId)?.elsewhere, Boolean);
    return first;
  }

  beforeEach(async () => {
    for (const each of three.harnesses) each.nowMs += 60_000;
    const opening = node(0).post(initialize(0, '2025-11-25')).reply;
    await answered(opening);
    sessionId = opening.header('mcp-session-id');
    // Every node knows it.
    for (const on of [1, 2])
      await answered(node(on).post({ jsonrpc: '2.0', id: 1, method: 'ping' }, { sessionId }).reply);
  });

  test('the node that takes the stream heard of it before, the one that lets go hears of it after', async () => {
    const first = await listening();
    changed(1, NOTE);
    const second = await listen(1, lastId(first));
    changed(0, NOTE);
    await eventually('the change', () => told(second), Boolean);
  });

  test('so did a node that knew nothing of the session, nor of a change of long ago', async () => {
    await subscribe(0, OTHER);
    const first = await listening();
    changed(1, OTHER);
    node(1).nowMs += 10_000;
    changed(1, NOTE);
    forget(1);
    const second = await listen(1, lastId(first));
    changed(0, NOTE);
    await eventually('the change', () => told(second), Boolean);
    assert.equal(second.events.messages.length, 1);
  });

  test('a move that is not finished keeps what was handed over', async () => {
    const first = await listening();
    node(0).hub.endListening();
    for (const on of [0, 1, 2]) changed(on, NOTE);
    for (const each of three.harnesses) each.nowMs += 60_000;
    const { events } = three.nodes[1] as RedisNode;
    const take = events.takeStandalone;
    events.takeStandalone = () => Promise.reject(new RedisUnavailable('away', 'Redis is away', false));
    const refused = await listenOnce(1, lastId(first));
    events.takeStandalone = take;
    assert.equal(refused.status, 503);
    const third = await listen(2, lastId(first));
    await eventually('the change', () => told(third), Boolean);
  });

  /** While the node, which has taken the stream over, reads the log for a client that has come back. */
  function whileReading(on: number, happens: () => Promise<void>): void {
    const { events } = three.nodes[on] as RedisNode;
    const { after, takeStandalone } = events;
    let taken = false;
    events.takeStandalone = async (...args) => {
      taken = await takeStandalone.apply(events, args);
      return taken;
    };
    events.after = async (...args) => {
      const missed = await after.apply(events, args);
      if (!taken) return missed;
      Object.assign(events, { after, takeStandalone });
      await happens();
      return missed;
    };
  }
  const letGo = (on: number): Promise<unknown> =>
    eventually('letting go', () => node(on).hub.known(sessionId)?.elsewhere, Boolean);

  test('what an older move says late does not silence the node that has the stream', async () => {
    const first = await listening();
    whileReading(1, async () => {
      three.nodes[2]?.relay.broadcast('taken', sessionId, '');
      await letGo(1);
    });
    const second = await listen(1, lastId(first));
    for (const each of three.harnesses) each.nowMs += 60_000;
    changed(0, NOTE);
    await eventually('the change', () => told(second), Boolean);
  });

  test('a client that has come back elsewhere meanwhile is told there, and the older connection ends', async () => {
    const first = await listening();
    let third: FakeReply | undefined;
    whileReading(1, async () => {
      third = await listen(2, lastId(first));
      await letGo(1);
    });
    const second = await listen(1, lastId(first));
    await eventually(
      'its end',
      () => second.stream?.open,
      (open) => open === false,
    );
    for (const each of three.harnesses) each.nowMs += 60_000;
    changed(0, NOTE);
    await eventually('the change', () => third !== undefined && told(third), Boolean);
    assert.equal(third?.stream?.open, true);
  });

  test('a node that carries the stream learns late that the client subscribed', async () => {
    const first = await listening();
    const carrier = node(0).hub.known(sessionId);
    assert.ok(carrier);
    const late = 'test://late';
    changed(0, late);
    await subscribe(1, late);
    await eventually('the change', () => first.events.messages.some((message) => message.includes(late)), Boolean);
  });

  /** The client has subscribed, and has not listened yet. The change was long ago when it does. */
  async function changedBeforeListening(): Promise<void> {
    await subscribe(0, NOTE);
    forget(1);
    for (const on of [0, 1, 2]) changed(on, NOTE);
    for (const each of three.harnesses) each.nowMs += 60_000;
  }

  test('what changed before the client listened for the first time, on another node than the one that opened it', async () => {
    await changedBeforeListening();
    const first = await listen(1);
    await eventually('the change', () => told(first), Boolean);
  });

  test('so it is when the node that opened it has gone, or has forgotten it', async () => {
    await changedBeforeListening();
    forget(0);
    const first = await listen(1);
    await eventually('the change', () => told(first), Boolean);
  });

  test('so it is when the node that opened it had forgotten it, and is the one the client comes to', async () => {
    await changedBeforeListening();
    forget(0);
    const first = await listen(0);
    await eventually('the change', () => told(first), Boolean);
  });

  test('nothing is told when nothing has changed', async () => {
    await subscribe(0, NOTE);
    for (const each of three.harnesses) each.nowMs += 60_000;
    const first = await listen(1);
    changed(1, NOTE);
    await eventually('the change', () => told(first), Boolean);
    assert.equal(first.events.messages.length, 1);
  });
});
