/** Messages of a session over POST: how each kind is answered, streamed, released and cancelled. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { call, Harness, LIMITS, notification, progress, resultOf } from './fakes.ts';

describe('a request', () => {
  test('is answered as JSON with the status the methods gave', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    const { reply, exchange } = harness.post(call(1), { sessionId });
    assert.notEqual(exchange, null);
    const { channel, request } = harness.methods.get();
    assert.equal(request.name, 'echo');
    assert.equal(request.params, null, 'arguments are not parsed here');
    assert.equal(request.checkHeaders, false);
    assert.equal(channel.canStream, true);
    assert.equal(channel.congested, false);
    channel.respond(200, Buffer.from(resultOf('1')), 0);
    assert.equal(reply.status, 200);
    assert.equal(reply.contentType, 'application/json');
    assert.equal(reply.body, resultOf('1'));
    channel.respond(200, 'again', 0);
    assert.equal(reply.body, resultOf('1'));
  });

  test('that was shed says when to come back', () => {
    const harness = new Harness();
    const { reply } = harness.post(call(1), { sessionId: harness.open() });
    harness.methods.get().channel.respond(503, '{}', 1200);
    assert.equal(reply.status, 503);
    assert.equal(reply.header('retry-after'), '2');
  });

  test('has its params parsed here unless a worker does it', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    const params = { uri: 'test://a' };
    harness.post({ jsonrpc: '2.0', id: 1, method: 'resources/subscribe', params }, { sessionId });
    assert.deepEqual(harness.methods.get().request.params, params);
    assert.equal(harness.methods.get().request.name, 'test://a');
    harness.post({ jsonrpc: '2.0', id: 2, method: 'tools/list' }, { sessionId });
    assert.deepEqual(harness.methods.get().request.params, {});
    const { reply } = harness.post('{"jsonrpc":"2.0","id":3,"method":"tools/list","params":{"x":tru}}', { sessionId });
    assert.equal(reply.status, 400);
    assert.equal(reply.json.error?.code, -32700);
  });

  test('carries trace and correlation on', () => {
    const harness = new Harness();
    const trace = { traceparent: '00-a-b-01' };
    harness.post(call(1), { sessionId: harness.open(), trace, correlationId: 'c-1' });
    assert.deepEqual(harness.methods.get().request.trace, trace);
    assert.equal(harness.methods.get().request.correlationId, 'c-1');
  });

  test('whose method has a bug is answered as an internal error and forgotten', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    const { reply } = harness.post({ jsonrpc: '2.0', id: 5, method: 'test/throws' }, { sessionId });
    assert.equal(reply.json.error?.code, -32603);
    assert.doesNotMatch(reply.body, /a bug/);
    assert.deepEqual(harness.log.errors, ['a method failed']);
    harness.post(notification('notifications/cancelled', { requestId: 5 }), { sessionId });
  });
});

describe('a request that says something before its answer', () => {
  for (const [revision, primed] of [
    ['2025-03-26', false],
    ['2025-06-18', false],
    ['2025-11-25', true],
  ] as const) {
    test(`becomes an event stream; ${revision} ${primed ? 'begins' : 'does not begin'} with an empty event`, () => {
      const harness = new Harness();
      const { reply } = harness.post(call(1), { sessionId: harness.open(revision) });
      const { channel } = harness.methods.get();
      channel.send(Buffer.from(progress(1)));
      channel.send(progress(2));
      channel.respond(200, resultOf('1'), 0);
      assert.equal(reply.contentType, 'text/event-stream');
      assert.deepEqual(reply.events.messages, [progress(1), progress(2), resultOf('1')]);
      assert.ok(reply.events.ended);
      const { events } = reply.events;
      assert.equal(events[0]?.data === '', primed);
      assert.ok(events.every((event) => event.id !== ''));
      assert.equal(new Set(events.map((event) => event.id)).size, events.length);
    });
  }

  test('takes no more streams than a session may have; the answer is JSON then', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    for (let id = 1; id <= LIMITS.streamsMax; id++) {
      harness.post(call(id), { sessionId });
      harness.methods.get().channel.send(progress(1));
    }
    const { reply } = harness.post(call('last'), { sessionId });
    assert.equal(harness.methods.get().channel.canStream, false);
    harness.methods.get().channel.send(progress(1));
    harness.methods.answer('"last"');
    assert.equal(reply.contentType, 'application/json');
    harness.methods.answer('1');
    harness.post(call(9), { sessionId });
    assert.equal(harness.methods.get().channel.canStream, true);
  });

  test('passes the slowness of its reader on', () => {
    const harness = new Harness();
    const { reply } = harness.post(call(1), { sessionId: harness.open() });
    const { channel } = harness.methods.get();
    let drained = 0;
    channel.onDrain = () => drained++;
    channel.send(progress(1));
    reply.events.congested = true;
    assert.equal(channel.congested, true);
    drained = 0;
    reply.events.drain();
    assert.equal(channel.congested, false);
    assert.equal(drained, 1);
  });
});

describe('early release of the connection', () => {
  test('tells the client when to come back, and delivers the rest then', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    const { reply } = harness.post(call(1), { sessionId });
    const { channel } = harness.methods.get();
    channel.release(250);
    const { events } = reply.events;
    assert.equal(events[0]?.data, '');
    assert.notEqual(events[0]?.id, '');
    assert.equal(events[1]?.retry, '250');
    assert.ok(reply.events.ended);
    channel.send(progress(1));
    const resumed = harness.get({ sessionId, lastEventId: events[0]?.id ?? '' }).reply;
    assert.deepEqual(resumed.events.messages, [progress(1)]);
    assert.equal(resumed.events.open, true);
    channel.respond(200, resultOf('1'), 0);
    assert.deepEqual(resumed.events.messages, [progress(1), resultOf('1')]);
    assert.ok(resumed.events.ended);
  });

  test('is told in whole milliseconds, which is all a reader takes', () => {
    for (const [retryMs, told] of [
      [1500.7, '1500'],
      [-1, '0'],
    ] as const) {
      const harness = new Harness();
      const { reply } = harness.post(call(1), { sessionId: harness.open() });
      harness.methods.get().channel.release(retryMs);
      assert.equal(reply.events.events[1]?.retry, told);
    }
  });

  test('is nothing to revisions that do not have it', () => {
    const harness = new Harness();
    const { reply } = harness.post(call(1), { sessionId: harness.open('2025-06-18') });
    harness.methods.get().channel.release(250);
    assert.equal(reply.stream, null);
    harness.methods.answer('1');
    assert.equal(reply.body, resultOf('1'));
  });
});

describe('a client that goes away', () => {
  test('cancels nothing; what its stream had to say can be fetched', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    const { reply, exchange } = harness.post(call(1), { sessionId });
    const { channel } = harness.methods.get();
    channel.send(progress(1));
    const lastEventId = reply.events.events.at(-1)?.id ?? '';
    reply.events.open = false;
    exchange?.aborted();
    channel.send(progress(2));
    harness.methods.answer('1');
    assert.equal(harness.methods.get('1').cancelled, '');
    assert.equal(harness.hub.streams, 0);
    const resumed = harness.get({ sessionId, lastEventId }).reply;
    assert.deepEqual(resumed.events.messages, [progress(2), resultOf('1')]);
    assert.ok(resumed.events.ended);
  });

  test('before there was a stream leaves nothing to fetch and nothing behind', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    const { reply, exchange } = harness.post(call(1), { sessionId });
    reply.open = false;
    exchange?.aborted();
    harness.methods.get().channel.send(progress(1));
    harness.methods.answer('1');
    assert.equal(reply.stream, null);
    assert.equal(harness.hub.streams, 0);
    assert.equal(harness.methods.get().cancelled, '');
  });

  test('but listens still hears what belongs to its request', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    const listening = harness.get({ sessionId }).reply;
    const { reply, exchange } = harness.post(call(1), { sessionId });
    reply.open = false;
    exchange?.aborted();
    harness.methods.get().channel.send(progress(1));
    assert.deepEqual(listening.events.messages, [progress(1)]);
  });
});

describe('notifications/cancelled', () => {
  test('stops the request of that id and that session, and ends its POST without an answer', () => {
    const harness = new Harness();
    const [mine, other] = [harness.open(), harness.open()];
    const first = harness.post(call('a'), { sessionId: mine }).reply;
    harness.post(call('b'), { sessionId: mine });
    harness.post(call('a'), { sessionId: other });
    const cancel = notification('notifications/cancelled', { requestId: 'a', reason: 'bored' });
    assert.equal(harness.post(cancel, { sessionId: mine }).reply.status, 202);
    assert.deepEqual(
      harness.methods.reached.map((each) => each.cancelled),
      ['bored', '', ''],
    );
    assert.ok(first.events.ended);
    assert.deepEqual(first.events.events, []);
    harness.methods.reached[0]?.channel.respond(200, resultOf('"a"'), 0);
    assert.deepEqual(first.events.events, []);
  });

  test('tells ids apart by type, and ignores what is not in flight', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    harness.post(call(1), { sessionId });
    for (const requestId of ['1', 2, null, undefined, { id: 1 }]) {
      const { reply } = harness.post(notification('notifications/cancelled', { requestId }), { sessionId });
      assert.equal(reply.status, 202);
    }
    assert.equal(harness.methods.get().cancelled, '');
    harness.post(notification('notifications/cancelled', { requestId: 1 }), { sessionId });
    assert.equal(harness.methods.get().cancelled, 'cancelled by the client');
  });

  test('that comes after the answer changes nothing', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    harness.post(call(1), { sessionId });
    harness.methods.answer('1');
    const late = harness.post(notification('notifications/cancelled', { requestId: 1 }), { sessionId }).reply;
    assert.equal(late.status, 202);
    harness.delete({ sessionId });
    assert.equal(harness.methods.get('1').cancelled, '');
  });

  test('of a stream ends it, and a client that comes back is told not to', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    const { reply } = harness.post(call(1), { sessionId });
    harness.methods.get().channel.send(progress(1));
    harness.post(notification('notifications/cancelled', { requestId: 1 }), { sessionId });
    assert.ok(reply.events.ended);
    const lastEventId = reply.events.events.at(-1)?.id ?? '';
    assert.equal(harness.get({ sessionId, lastEventId }).reply.status, 204);
  });

  test('takes one of two requests that share an id; both get their end', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    const older = harness.post(call(1), { sessionId }).reply;
    const newer = harness.post(call(1), { sessionId }).reply;
    harness.post(notification('notifications/cancelled', { requestId: 1 }), { sessionId });
    assert.ok(newer.events.ended);
    harness.methods.reached[0]?.channel.respond(200, resultOf('1'), 0);
    assert.equal(older.body, resultOf('1'));
  });
});

test('notifications are accepted with 202 and no body, and initialized is remembered', async () => {
  const harness = new Harness();
  const sessionId = harness.open();
  for (const method of [
    'notifications/initialized',
    'notifications/roots/list_changed',
    'notifications/progress',
    'x/y',
  ]) {
    const { reply, exchange } = harness.post(notification(method), { sessionId });
    assert.equal(reply.status, 202);
    assert.equal(reply.body, '');
    assert.equal(exchange, null);
  }
  assert.equal((await harness.store.get(sessionId, null, harness.nowMs))?.initialized, true);
});
