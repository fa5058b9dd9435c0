/** Connections of messages (WebSocket, stdio): both eras on one connection, and its end. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Principal } from '../../src/catalogue/define.ts';
import type { MessageConnection, RequestHead } from '../../src/frontend/port.ts';
import type { AuthRefusal } from '../../src/protocol/authenticator.ts';
import { HELD_MESSAGES_MAX, MessageConnections } from '../../src/protocol/session/message-handler.ts';
import {
  askOf,
  call,
  FakePeer,
  fakeCatalogue,
  fakeJob,
  Harness,
  initialize,
  LIMITS,
  notification,
  principalOf,
  progress,
  resultOf,
} from './fakes.ts';

const HEAD: RequestHead = { method: 'GET', path: '/mcp', query: '', header: () => '' };

const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};

function stateless(id: unknown, method: string, params: object = {}): object {
  return { jsonrpc: '2.0', id, method, params: { ...params, _meta: META } };
}

class Wire {
  readonly peer = new FakePeer();
  readonly connection: MessageConnection;

  constructor(harness: Harness, principal: Principal | null | Promise<Principal | AuthRefusal> = null) {
    const { hub, methods } = harness;
    const handler = new MessageConnections({ hub, methods, catalogue: fakeCatalogue, admit: () => ({ principal }) });
    const ticket = handler.upgrade(HEAD);
    if ('status' in ticket) throw new Error('refused');
    this.connection = ticket.connect(this.peer);
  }

  say(message: unknown): void {
    const body = Buffer.from(typeof message === 'string' ? message : JSON.stringify(message));
    this.connection.message(body);
    body.fill(0x20);
  }

  initialize(revision = '2025-11-25'): void {
    this.say(initialize('i', revision));
    assert.equal(this.peer.last.result?.['protocolVersion'], revision);
  }
}

test('what a connection is answered without a session is counted, as is its handshake', () => {
  const harness = new Harness();
  const wire = new Wire(harness);
  wire.say({ jsonrpc: '2.0', id: 1, method: 'ping' });
  wire.say(call(2));
  wire.say({ jsonrpc: '2.0', id: 3, method: 'initialize', params: {} });
  wire.initialize();
  wire.say(initialize(4, '2025-11-25'));
  assert.deepEqual(harness.meters.finished, [
    ['ping', 'ok'],
    ['tools/call', 'invalid'],
    ['initialize', 'invalid'],
    ['initialize', 'ok'],
    ['initialize', 'invalid'],
  ]);
});

describe('a session on a connection', () => {
  for (const revision of ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25']) {
    test(`is negotiated as ${revision}, and its requests are answered on the connection`, () => {
      const harness = new Harness();
      const wire = new Wire(harness);
      wire.initialize(revision);
      wire.say(call(1));
      const { caller, channel, request } = harness.methods.get();
      assert.equal(caller.revision.name, revision);
      assert.notEqual(caller.session, null);
      assert.equal(request.params, null);
      assert.equal(channel.canStream, true);
      channel.send(progress(1));
      channel.release(5);
      channel.respond(503, resultOf('1'), 1000);
      assert.deepEqual(wire.peer.sent.slice(1), [progress(1), resultOf('1')]);
      channel.send(progress(2));
      assert.equal(wire.peer.sent.length, 3);
      assert.equal(harness.store.size, 1);
    });
  }

  test('is one: a second initialize is refused', () => {
    const harness = new Harness();
    const wire = new Wire(harness);
    wire.initialize();
    wire.say(initialize(2, '2025-11-25'));
    assert.equal(wire.peer.last.error?.code, -32600);
    assert.equal(harness.store.size, 1);
  });

  test('is needed for everything but ping', () => {
    const harness = new Harness();
    const wire = new Wire(harness);
    wire.say({ jsonrpc: '2.0', id: 1, method: 'ping' });
    assert.deepEqual(wire.peer.sent, ['{"jsonrpc":"2.0","id":1,"result":{}}']);
    wire.say(call(2));
    assert.equal(wire.peer.last.id, 2);
    assert.equal(wire.peer.last.error?.code, -32000);
    wire.say([call(3)]);
    assert.equal(wire.peer.last.error?.code, -32000);
    wire.say(notification('notifications/cancelled', { requestId: 1 }));
    wire.say({ jsonrpc: '2.0', id: 1, result: {} });
    assert.equal(wire.peer.sent.length, 3);
    assert.equal(harness.methods.reached.length, 0);
  });

  test('hears of changes on the connection, coalesced while it is congested', () => {
    const harness = new Harness();
    const wire = new Wire(harness);
    wire.initialize();
    wire.say({ jsonrpc: '2.0', id: 1, method: 'resources/subscribe', params: { uri: 'test://x' } });
    harness.methods.get().caller.session?.subscriptions.add('test://x');
    harness.methods.answer('1');
    wire.peer.congested = true;
    const before = wire.peer.sent.length;
    for (let i = 0; i < 50; i++) {
      harness.bus.publish({ kind: 'tools' });
      harness.bus.publish({ kind: 'resource', uri: 'test://x' });
    }
    assert.equal(wire.peer.sent.length, before);
    wire.peer.congested = false;
    wire.connection.drained();
    assert.deepEqual(
      wire.peer.sent.slice(before).map((message) => JSON.parse(message).method),
      ['notifications/tools/list_changed', 'notifications/resources/updated'],
    );
  });

  test('is asked on the connection and answers there', () => {
    const harness = new Harness();
    const wire = new Wire(harness);
    wire.initialize();
    wire.say(call(1));
    const { caller, channel } = harness.methods.get();
    const job = fakeJob();
    channel.send(caller.asks?.open(job, askOf(3)) ?? '');
    wire.say({ jsonrpc: '2.0', id: wire.peer.last.id, result: { roots: [] } });
    assert.deepEqual(harness.dispatcher.answers, [{ job, askId: 3, resultJson: '{"roots":[]}', error: null }]);
  });

  test('stays in use as long as the connection lives', () => {
    const harness = new Harness();
    const wire = new Wire(harness);
    wire.initialize();
    for (let i = 0; i < 4; i++) {
      harness.nowMs += LIMITS.ttlMs - 1;
      harness.keepAlivePeriod();
      harness.store.sweep(harness.nowMs);
    }
    assert.equal(harness.store.size, 1);
    assert.equal(wire.peer.sent.length, 1, 'nothing is written to keep it alive');
  });

  test('that is evicted closes the connection', () => {
    const harness = new Harness();
    const wire = new Wire(harness);
    wire.initialize();
    wire.say(call(1));
    for (let i = 0; i < LIMITS.max; i++) harness.open();
    assert.deepEqual(wire.peer.closed, { code: 1001, reason: 'session evicted' });
    assert.match(harness.methods.get('1').cancelled, /evicted/);
    assert.equal(harness.hub.streams, 0);
    wire.connection.closed();
    assert.equal(harness.store.size, LIMITS.max);
  });

  test('may send batches where its revision has them', () => {
    const harness = new Harness();
    const wire = new Wire(harness);
    wire.initialize('2025-03-26');
    wire.say([call(1), call(2), notification('notifications/initialized')]);
    harness.methods.get('1').channel.send(progress(1));
    harness.methods.answer('2');
    harness.methods.answer('1');
    assert.deepEqual(wire.peer.sent.slice(1), [progress(1), `[${resultOf('2')},${resultOf('1')}]`]);
    const other = new Wire(harness);
    other.initialize('2025-06-18');
    other.say([call(1)]);
    assert.equal(other.peer.last.error?.code, -32600);
  });
});

describe('the stateless era on a connection', () => {
  test('needs no session and shares by the peer, or by the principal', () => {
    const harness = new Harness();
    const wire = new Wire(harness);
    wire.say(stateless(1, 'tools/call', { name: 'echo' }));
    const { caller, request } = harness.methods.get();
    assert.equal(caller.revision.name, '2026-07-28');
    assert.equal(caller.session, null);
    assert.equal(caller.asks, null);
    assert.equal(caller.share(), '192.0.2.7');
    assert.equal(request.name, 'echo');
    assert.equal(request.checkHeaders, false);
    assert.ok(request.params);
    wire.say(stateless(2, 'tools/list'));
    assert.equal(harness.methods.get().caller, caller);
    const known = new Wire(harness, principalOf('ada'));
    known.say(stateless(3, 'tools/list'));
    assert.equal(harness.methods.get().caller.share(), 'ada');
    assert.equal(harness.store.size, 0);
  });

  test('lives beside a session: ids of both are cancelled by notification', () => {
    const harness = new Harness();
    const wire = new Wire(harness);
    wire.initialize();
    wire.say(call('session'));
    wire.say(stateless('stateless', 'tools/call', { name: 'echo' }));
    wire.say(stateless('listen', 'subscriptions/listen', { notifications: {} }));
    for (const requestId of ['listen', 'stateless', 'session']) {
      assert.equal(harness.methods.get(`"${requestId}"`).cancelled, '');
      wire.say(notification('notifications/cancelled', { requestId, reason: `no ${requestId}` }));
      assert.equal(harness.methods.get(`"${requestId}"`).cancelled, `no ${requestId}`);
      harness.methods.answer(`"${requestId}"`);
    }
    assert.equal(wire.peer.sent.length, 1, 'nothing is sent for what was cancelled');
  });

  test('cancels with a notification that claims the revision, too', () => {
    const harness = new Harness();
    const wire = new Wire(harness);
    wire.say(stateless(1, 'tools/call', { name: 'echo' }));
    wire.say(notification('notifications/cancelled', { requestId: 1, _meta: META }));
    assert.equal(harness.methods.get().cancelled, 'cancelled by the client');
  });

  test('keeps several subscriptions open at once and lets each know when the reader drains', () => {
    const harness = new Harness();
    const wire = new Wire(harness);
    let drained = 0;
    for (const id of [1, 2]) {
      wire.say(stateless(id, 'subscriptions/listen', { notifications: {} }));
      const { channel } = harness.methods.get();
      assert.equal(channel.canStream, true);
      channel.onDrain = () => drained++;
      channel.send(`{"for":${id}}`);
    }
    wire.peer.congested = true;
    assert.equal(harness.methods.get('1').channel.congested, true);
    wire.connection.drained();
    assert.equal(drained, 2);
    harness.methods.answer('1');
    wire.connection.drained();
    assert.equal(drained, 3);
    assert.deepEqual(wire.peer.sent, ['{"for":1}', '{"for":2}', resultOf('1')]);
  });

  test('is refused in band when its envelope is wrong', () => {
    const wire = new Wire(new Harness());
    const old = { ...META, 'io.modelcontextprotocol/protocolVersion': '2025-11-25' };
    wire.say({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta: old } });
    assert.equal(wire.peer.last.error?.code, -32022);
    const bare = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
    wire.say({ jsonrpc: '2.0', id: 2, method: 'tools/list', params: { _meta: bare } });
    assert.equal(wire.peer.last.error?.code, -32602);
  });
});

describe('what is no message', () => {
  test('is answered with an error, and the connection goes on', () => {
    const harness = new Harness();
    const wire = new Wire(harness);
    const bad: [string, number][] = [
      ['{', -32700],
      ['', -32700],
      ['1', -32600],
      ['{"jsonrpc":"1.0","id":1,"method":"x"}', -32600],
      ['[]', -32600],
      ['{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', -32600],
    ];
    for (const [message, code] of bad) {
      wire.say(message);
      assert.equal(wire.peer.last.error?.code, code, message);
    }
    wire.connection.message(Buffer.from([0x22, 0xff, 0x22]));
    assert.equal(wire.peer.last.error?.code, -32700);
    wire.initialize();
    wire.say('{"jsonrpc":"2.0","id":3,"method":"tools/list","params":{"x":tru}}');
    assert.equal(wire.peer.last.error?.code, -32700);
    wire.say({ jsonrpc: '2.0', id: 4, method: 'test/throws' });
    assert.equal(wire.peer.last.error?.code, -32603);
  });
});

describe('the end of a connection', () => {
  test('cancels everything in flight on it, and only that, and ends its session', () => {
    const harness = new Harness();
    const [wire, other] = [new Wire(harness), new Wire(harness)];
    for (const each of [wire, other]) {
      each.initialize();
      each.say(call(1));
      each.say(stateless(2, 'tools/call', { name: 'echo' }));
      each.say(stateless(3, 'subscriptions/listen', { notifications: {} }));
    }
    wire.peer.open = false;
    wire.connection.closed();
    assert.deepEqual(
      harness.methods.reached.map((each) => each.cancelled !== ''),
      [true, true, true, false, false, false],
    );
    assert.equal(harness.store.size, 1);
    assert.equal(harness.hub.streams, 1);
    assert.equal(wire.peer.sent.length, 1);
  });

  test('of its input waits for what is in flight, then closes', () => {
    const harness = new Harness();
    const wire = new Wire(harness);
    wire.initialize();
    wire.say(call(1));
    wire.say(stateless(2, 'tools/call', { name: 'echo' }));
    wire.say(stateless(3, 'subscriptions/listen', { notifications: {} }));
    wire.connection.ended?.();
    assert.equal(harness.methods.get('3').cancelled, 'end of input');
    harness.methods.answer('1');
    assert.equal(wire.peer.closed, null);
    harness.methods.answer('2');
    assert.deepEqual(wire.peer.closed, { code: 1000, reason: '' });
    assert.equal(wire.peer.sent.at(-1), resultOf('2'));
  });

  test('of its input leaves nobody waiting for an answer, and lets nobody ask any more', async () => {
    const harness = new Harness();
    const wire = new Wire(harness);
    wire.initialize();
    wire.say(call(1));
    const { caller, channel } = harness.methods.get('1');
    const [waits, asksLater] = [fakeJob(), fakeJob()];
    channel.send(caller.asks?.open(waits, askOf(4)) ?? '');
    wire.connection.ended?.();
    assert.equal(caller.asks?.open(asksLater, askOf(5)), '');
    await Promise.resolve();
    const answers = harness.dispatcher.answers.map(({ job, askId, error }) => [job, askId, error?.code]);
    assert.deepEqual(answers, [
      [waits, 4, -32603],
      [asksLater, 5, -32603],
    ]);
    harness.methods.answer('1');
    assert.deepEqual(wire.peer.closed, { code: 1000, reason: '' });
    assert.equal(wire.peer.sent.at(-1), resultOf('1'));
  });

  test('of its input closes at once when nothing is in flight', () => {
    const wire = new Wire(new Harness());
    wire.connection.ended?.();
    assert.notEqual(wire.peer.closed, null);
  });
});

describe('admission of a connection', () => {
  test('is refused with the status it was given', () => {
    const { hub, methods } = new Harness();
    const refusal = { status: 403, message: 'origin' };
    const handler = new MessageConnections({ hub, methods, catalogue: fakeCatalogue, admit: () => refusal });
    assert.equal(handler.upgrade(HEAD), refusal);
  });

  test('that takes time holds messages and serves them afterwards, in order', async () => {
    const harness = new Harness();
    const wire = new Wire(harness, Promise.resolve(principalOf('ada')));
    wire.say(initialize(1, '2025-06-18'));
    wire.say(call(2));
    assert.equal(wire.peer.sent.length, 0);
    await Promise.resolve();
    assert.equal(wire.peer.last.id, 1);
    assert.equal(harness.methods.get('2').caller.principal?.id, 'ada');
    wire.say(call(3));
    assert.equal(harness.methods.get().request.idJson, '3');
  });

  test('that fails, or is flooded meanwhile, closes the connection', async () => {
    const harness = new Harness();
    const refusal: AuthRefusal = { status: 401, message: 'who are you', wwwAuthenticate: 'Bearer' };
    const refused = new Wire(harness, Promise.resolve(refusal));
    refused.say(call(1));
    await Promise.resolve();
    assert.deepEqual(refused.peer.closed, { code: 1008, reason: 'who are you' });
    const flooded = new Wire(harness, new Promise(() => undefined));
    for (let i = 0; i <= HELD_MESSAGES_MAX; i++) flooded.say(call(i));
    assert.equal(flooded.peer.closed?.code, 1008);
    const gone = new Wire(harness, Promise.resolve(principalOf('ada')));
    gone.say(call(1));
    gone.connection.closed();
    await Promise.resolve();
    assert.equal(harness.methods.reached.length, 0);
  });
});
