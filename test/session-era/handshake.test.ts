/** Sessions over HTTP: how they begin, are found, are refused and end. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CAPABILITIES_CHARS_MAX, CLIENT_CHARS_MAX } from '../../src/protocol/session/initialize.ts';
import { call, Harness, initialize, LIMITS, notification, principalOf } from './fakes.ts';

const SESSION_REVISIONS = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'];

describe('initialize', () => {
  for (const revision of SESSION_REVISIONS) {
    test(`agrees to ${revision} and names the session in the answer alone`, () => {
      const harness = new Harness();
      const { reply } = harness.post(initialize('first', revision));
      assert.equal(reply.status, 200);
      assert.equal(reply.contentType, 'application/json');
      assert.equal(reply.json.id, 'first');
      assert.deepEqual(reply.json.result, {
        protocolVersion: revision,
        capabilities: { tools: { listChanged: true } },
        serverInfo: { name: 's', version: '1' },
      });
      const sessionId = reply.header('mcp-session-id');
      assert.match(sessionId, /^[\x21-\x7e]{22,}$/);
      const ping = harness.post({ jsonrpc: '2.0', id: 1, method: 'ping' }, { sessionId }).reply;
      assert.equal(ping.body, '{"jsonrpc":"2.0","id":1,"result":{}}');
      assert.equal(ping.header('mcp-session-id'), '');
    });
  }

  for (const asked of ['2026-07-28', '2024-10-07', '1.0', '']) {
    test(`answers the version ${JSON.stringify(asked)} with the latest one that has sessions`, () => {
      const { reply } = new Harness().post(initialize(1, asked));
      assert.equal(reply.json.result?.['protocolVersion'], '2025-11-25');
    });
  }

  test('refuses params it cannot make a session of, and makes none', () => {
    const good = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } };
    const bad = [
      undefined,
      { ...good, protocolVersion: 1 },
      { ...good, capabilities: [] },
      { ...good, capabilities: { experimental: { x: 'x'.repeat(CAPABILITIES_CHARS_MAX) } } },
      { ...good, clientInfo: 'me' },
      { ...good, clientInfo: { name: 'c' } },
      { ...good, clientInfo: { name: 'x'.repeat(CLIENT_CHARS_MAX + 1), version: '1' } },
    ];
    const harness = new Harness();
    for (const params of bad) {
      const { reply } = harness.post({ jsonrpc: '2.0', id: 1, method: 'initialize', params });
      assert.equal(reply.json.error?.code, -32602, JSON.stringify(params)?.slice(0, 80));
    }
    assert.equal(harness.store.size, 0);
  });

  test('is refused on a session that has been initialized', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    const { reply } = harness.post(initialize(7, '2025-11-25'), { sessionId });
    assert.equal(reply.status, 400);
    assert.equal(reply.json.error?.code, -32600);
    assert.equal(reply.json.id, 7);
  });

  test('keeps of the client what a session needs and no more', async () => {
    const harness = new Harness();
    const message = initialize(1, '2025-06-18') as { params: { clientInfo: object } };
    message.params.clientInfo = { name: 'c', version: '1', icons: [{ src: `data:,${'x'.repeat(100_000)}` }] };
    const id = harness.post(message).reply.header('mcp-session-id');
    const session = await harness.store.get(id, null, harness.nowMs);
    assert.deepEqual(session?.clientInfo, { name: 'c', version: '1' });
    assert.deepEqual(session?.clientCapabilities, { sampling: {} });
  });
});

test('requests are counted by method and by how they ended, whatever refused them', () => {
  const harness = new Harness();
  const { finished } = harness.meters;
  const sessionId = harness.open();
  assert.deepEqual(finished.splice(0), [['initialize', 'ok']]);
  for (const [method, message, facts] of [
    ['initialize', { jsonrpc: '2.0', id: 1, method: 'initialize', params: {} }, {}],
    ['initialize', initialize(2, '2025-11-25'), { sessionId }],
    ['tools/call', call(3), {}],
    ['tools/call', call(4), { sessionId: 'gone' }],
    ['tools/call', call(5), { sessionId, protocolVersion: '2024-01-01' }],
  ] as const) {
    const { reply } = harness.post(message, facts);
    assert.notEqual(reply.json.error, undefined, JSON.stringify(message));
    assert.deepEqual(finished.splice(0), [[method, 'invalid']], JSON.stringify(message));
  }
  // No request, and no answer.
  harness.post(notification('notifications/initialized'), { sessionId: 'gone' });
  assert.deepEqual(finished, []);
});

describe('the session of a request', () => {
  test('must be named: 400 and -32000 without, for POST, GET and DELETE', () => {
    const harness = new Harness();
    for (const reply of [harness.post(call(1)).reply, harness.get({}).reply, harness.delete({})]) {
      assert.equal(reply.status, 400);
      assert.equal(reply.json.error?.code, -32000);
    }
    assert.equal(harness.post(call(1)).reply.json.id, 1);
  });

  test('must be known: 404 and -32001 otherwise, for POST, GET and DELETE', () => {
    const harness = new Harness();
    const facts = { sessionId: 'guessed' };
    for (const reply of [harness.post(call(1), facts).reply, harness.get(facts).reply, harness.delete(facts)]) {
      assert.equal(reply.status, 404);
      assert.equal(reply.json.error?.code, -32001);
    }
    assert.equal(harness.post(initialize(1, '2025-11-25'), facts).reply.status, 404);
    assert.equal(harness.methods.reached.length, 0);
  });

  test('is unknown to any other principal', () => {
    const harness = new Harness();
    const ada = principalOf('ada');
    const sessionId = harness.open('2025-11-25', { principal: ada });
    for (const principal of [principalOf('bob'), null]) {
      assert.equal(harness.post(call(1), { sessionId, principal }).reply.status, 404);
      assert.equal(harness.get({ sessionId, principal }).reply.status, 404);
      assert.equal(harness.delete({ sessionId, principal }).status, 404);
    }
    harness.post(call(1), { sessionId, principal: ada });
    assert.equal(harness.methods.get().caller.session?.id, sessionId);
    assert.equal(harness.methods.get().caller.share(), 'ada');
  });

  test('shares by itself without a principal, and passes a renewed principal on', () => {
    const harness = new Harness();
    const open = harness.open();
    harness.post(call(1), { sessionId: open });
    assert.equal(harness.methods.get().caller.share(), open);
    const sessionId = harness.open('2025-11-25', { principal: principalOf('ada') });
    const renewed = { id: 'ada', scopes: ['more'] };
    harness.post(call(2), { sessionId, principal: renewed });
    assert.equal(harness.methods.get().caller.principal, renewed);
  });

  test('is gone once it was not used for its time to live', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    harness.nowMs += LIMITS.ttlMs;
    assert.equal(harness.post(notification('notifications/initialized'), { sessionId }).reply.status, 202);
    harness.nowMs += LIMITS.ttlMs + 1;
    assert.equal(harness.post(call(1), { sessionId }).reply.status, 404);
    assert.equal(harness.hub.size, 0);
  });

  test('is in use while a request of it runs, whether its client says anything meanwhile or not', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    const { reply } = harness.post(call(1), { sessionId });
    for (let i = 0; i < 3; i++) {
      harness.nowMs += LIMITS.ttlMs + 1;
      harness.store.sweep(harness.nowMs);
    }
    assert.equal(harness.methods.get('1').cancelled, '');
    harness.nowMs += LIMITS.ttlMs + 1;
    assert.equal(harness.post({ jsonrpc: '2.0', id: 2, method: 'ping' }, { sessionId }).reply.status, 200);
    harness.methods.answer('1');
    assert.equal(reply.status, 200);
    harness.nowMs += LIMITS.ttlMs + 1;
    harness.store.sweep(harness.nowMs);
    assert.equal(harness.hub.size, 0);
  });

  test('is the least recently used one that goes when there are too many', () => {
    const harness = new Harness();
    const ids = Array.from({ length: LIMITS.max }, () => harness.open());
    harness.post(notification('notifications/initialized'), { sessionId: ids[0] });
    harness.open();
    assert.equal(harness.post(call(1), { sessionId: ids[1] }).reply.status, 404);
    for (const sessionId of [ids[0], ids[2]]) {
      assert.equal(harness.post({ jsonrpc: '2.0', id: 1, method: 'ping' }, { sessionId }).reply.status, 200);
    }
    assert.equal(harness.hub.size, LIMITS.max);
  });
});

describe('the MCP-Protocol-Version header', () => {
  for (const revision of SESSION_REVISIONS) {
    test(`of a ${revision} session: absent or any version with sessions is right, others are not`, () => {
      const harness = new Harness();
      const sessionId = harness.open(revision);
      for (const protocolVersion of ['', ...SESSION_REVISIONS]) {
        const facts = { sessionId, protocolVersion };
        assert.equal(harness.post(notification('notifications/x'), facts).reply.status, 202, protocolVersion);
      }
      for (const protocolVersion of ['1999-01-01', '2026-07-28', '2025-11-25 ', 'DRAFT']) {
        const facts = { sessionId, protocolVersion };
        const replies = [harness.post(call(3), facts).reply, harness.get(facts).reply, harness.delete(facts)];
        for (const reply of replies) {
          assert.equal(reply.status, 400, protocolVersion);
          assert.equal(reply.json.error?.code, -32000);
        }
      }
      assert.equal(harness.methods.reached.length, 0);
    });
  }

  test('never changes the revision of the session', () => {
    const harness = new Harness();
    const sessionId = harness.open('2025-06-18');
    harness.post(call(1), { sessionId, protocolVersion: '2025-11-25' });
    assert.equal(harness.methods.get().caller.revision.name, '2025-06-18');
  });
});

describe('DELETE', () => {
  test('ends the session: its id is gone, its work stops, its streams end', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    const plain = harness.post(call(1), { sessionId }).reply;
    const streaming = harness.post(call(2), { sessionId }).reply;
    harness.methods.get('2').channel.send('{"jsonrpc":"2.0","method":"notifications/message","params":{}}');
    const listening = harness.get({ sessionId }).reply;
    assert.equal(harness.delete({ sessionId }).status, 200);
    assert.match(harness.methods.get('1').cancelled, /deleted/);
    assert.match(harness.methods.get('2').cancelled, /deleted/);
    assert.equal(plain.status, 404);
    assert.equal(plain.json.id, 1);
    assert.equal(plain.json.error?.code, -32001);
    assert.equal(JSON.parse(streaming.events.messages.at(-1) ?? '').error.code, -32001);
    assert.ok(streaming.events.ended);
    assert.ok(listening.events.ended);
    assert.equal(harness.post(call(3), { sessionId }).reply.status, 404);
    assert.equal(harness.delete({ sessionId }).status, 404);
    assert.equal(harness.hub.size, 0);
    assert.equal(harness.hub.streams, 0);
    assert.equal(harness.timerRuns, false);
    assert.equal((harness.events as unknown as { size: number }).size, 0);
  });

  test('what answers afterwards is not heard', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    const { reply } = harness.post(call(1), { sessionId });
    harness.delete({ sessionId });
    const before = reply.body;
    harness.methods.answer('1');
    harness.methods.get('1').channel.send('{}');
    harness.methods.get('1').channel.release(10);
    assert.equal(reply.body, before);
    assert.equal(reply.stream, null);
  });
});

test('a shutdown ends what clients listen to and lets requests go on', () => {
  const harness = new Harness();
  const sessionId = harness.open();
  const listening = harness.get({ sessionId }).reply;
  const { reply } = harness.post(call(1), { sessionId });
  harness.hub.close();
  assert.ok(listening.events.ended);
  assert.equal(harness.bus.listeners.size, 0);
  assert.equal(harness.timerRuns, false);
  harness.methods.answer('1');
  assert.equal(reply.status, 200);
});
