/** The session era with a store that answers with promises, as one on another machine does. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MessageConnections } from '../../src/protocol/session/message-handler.ts';
import { MemorySessionStore } from '../../src/sessions/memory-store.ts';
import type { Session, SessionEnd, SessionInit, SessionStore } from '../../src/sessions/port.ts';
import { call, FakePeer, fakeCatalogue, Harness, initialize, LIMITS, notification, resultOf } from './fakes.ts';

class RemoteStore implements SessionStore {
  failing = false;
  readonly #store = new MemorySessionStore(LIMITS);

  get size(): number {
    return this.#store.size;
  }
  get isBusy(): ((session: Session) => boolean) | null {
    return this.#store.isBusy;
  }
  set isBusy(ask: ((session: Session) => boolean) | null) {
    this.#store.isBusy = ask;
  }
  get onEnd(): ((session: Session, why: SessionEnd) => void) | null {
    return this.#store.onEnd;
  }
  set onEnd(listener: ((session: Session, why: SessionEnd) => void) | null) {
    this.#store.onEnd = listener;
  }
  get onSubscriptions(): ((session: Session, uri: string) => void) | null {
    return this.#store.onSubscriptions;
  }
  set onSubscriptions(listener: ((session: Session, uri: string) => void) | null) {
    this.#store.onSubscriptions = listener;
  }
  async create(init: SessionInit, nowMs: number): Promise<Session> {
    return this.#answer(this.#store.create(init, nowMs));
  }
  async get(id: string, principalId: string | null, nowMs: number): Promise<Session | undefined> {
    return this.#answer(this.#store.get(id, principalId, nowMs));
  }
  async delete(id: string): Promise<boolean> {
    return this.#answer(this.#store.delete(id));
  }
  sweep(nowMs: number): void {
    this.#store.sweep(nowMs);
  }
  async #answer<T>(value: T): Promise<T> {
    await Promise.resolve();
    if (this.failing) throw new Error('no connection to the store');
    return value;
  }
}

const turns = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await Promise.resolve();
};

async function opened(harness: Harness): Promise<string> {
  const { reply } = harness.post(initialize(0, '2025-11-25'));
  await turns();
  return reply.header('mcp-session-id');
}

describe('with a remote store', () => {
  test('a session opens, serves and ends; lent bytes are not used after the call', async () => {
    const harness = new Harness({ store: new RemoteStore() });
    const sessionId = await opened(harness);
    assert.notEqual(sessionId, '');
    const { reply, exchange } = harness.post(call('x'), { sessionId });
    assert.notEqual(exchange, null);
    await turns();
    const { request } = harness.methods.get();
    assert.deepEqual(JSON.parse(Buffer.from(request.body).toString()), call('x'));
    assert.equal(request.idJson, '"x"');
    harness.methods.answer('"x"');
    assert.equal(reply.body, resultOf('"x"'));
    const listening = harness.get({ sessionId }).reply;
    const noted = harness.post(notification('notifications/initialized'), { sessionId }).reply;
    await turns();
    assert.equal(noted.status, 202);
    assert.equal(listening.contentType, 'text/event-stream');
    const deleted = harness.delete({ sessionId });
    await turns();
    assert.equal(deleted.status, 200);
    assert.ok(listening.events.ended);
    const late = harness.post(call(2), { sessionId }).reply;
    await turns();
    assert.equal(late.status, 404);
    assert.equal(late.json.id, 2);
  });

  test('a client that goes while its session is looked up leaves no stream behind', async () => {
    const harness = new Harness({ store: new RemoteStore() });
    const sessionId = await opened(harness);
    const { exchange } = harness.get({ sessionId });
    exchange?.aborted();
    await turns();
    assert.equal(harness.hub.streams, 0);
  });

  test('a store that fails is an internal error, logged, and nothing of it is told', async () => {
    const store = new RemoteStore();
    const harness = new Harness({ store });
    const sessionId = await opened(harness);
    store.failing = true;
    const replies = [
      harness.post(call(1), { sessionId }).reply,
      harness.get({ sessionId }).reply,
      harness.delete({ sessionId }),
      harness.post(initialize(1, '2025-11-25')).reply,
    ];
    await turns();
    for (const reply of replies) {
      assert.equal(reply.json.error?.code, -32603);
      assert.doesNotMatch(reply.body, /connection/);
    }
    assert.equal(harness.log.errors.length, 4);
  });

  test('a connection gets its session, or hears that it cannot', async () => {
    const store = new RemoteStore();
    const harness = new Harness({ store });
    const { hub, methods } = harness;
    const handler = new MessageConnections({
      hub,
      methods,
      catalogue: fakeCatalogue,
      admit: () => ({ principal: null }),
    });
    const ticket = handler.upgrade({ method: 'GET', path: '', query: '', header: () => '' });
    assert.ok('connect' in ticket);
    const peer = new FakePeer();
    const connection = ticket.connect(peer);
    const say = (message: unknown): void => connection.message(Buffer.from(JSON.stringify(message)));
    store.failing = true;
    say(initialize(1, '2025-06-18'));
    await turns();
    assert.equal(peer.last.error?.code, -32603);
    store.failing = false;
    say(initialize(2, '2025-06-18'));
    say(initialize(3, '2025-06-18'));
    await turns();
    assert.deepEqual(
      peer.sent.slice(1).map((message) => [JSON.parse(message).id, JSON.parse(message).error?.code]),
      [
        [3, -32600],
        [2, undefined],
      ],
    );
    connection.closed();
    await turns();
    assert.equal(store.size - 1, 0, 'the session whose creation was reported as failed is left to expire');
  });
});
