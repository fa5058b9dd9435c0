/** The session's own stream: changes, slow readers, replacement, and staying alive. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { call, Harness, LIMITS, progress } from './fakes.ts';

const methodsOf = (messages: readonly string[]): string[] => messages.map((message) => JSON.parse(message).method);

function subscribe(harness: Harness, sessionId: string, uri: string, method = 'resources/subscribe'): void {
  harness.post({ jsonrpc: '2.0', id: 's', method, params: { uri } }, { sessionId });
  const { caller, channel } = harness.methods.get('"s"');
  if (method === 'resources/subscribe') caller.session?.subscriptions.add(uri);
  else caller.session?.subscriptions.delete(uri);
  channel.respond(200, '{"jsonrpc":"2.0","id":"s","result":{}}', 0);
}

describe('the stream of a session', () => {
  for (const [revision, primed] of [
    ['2025-03-26', false],
    ['2025-11-25', true],
  ] as const) {
    test(`${primed ? 'begins' : 'does not begin'} with an empty event for ${revision}`, () => {
      const harness = new Harness();
      const { reply } = harness.get({ sessionId: harness.open(revision) });
      assert.equal(reply.contentType, 'text/event-stream');
      assert.equal(reply.events.events.length, primed ? 1 : 0);
    });
  }

  test('carries list changes to every session, each with one event', () => {
    const harness = new Harness();
    const streams = [harness.open(), harness.open()].map((sessionId) => harness.get({ sessionId }).reply.events);
    for (const kind of ['tools', 'resources', 'prompts'] as const) harness.bus.publish({ kind });
    harness.bus.publish({ kind: 'task', taskId: 't', taskJson: '{}' });
    for (const stream of streams) {
      assert.deepEqual(methodsOf(stream.messages), [
        'notifications/tools/list_changed',
        'notifications/resources/list_changed',
        'notifications/prompts/list_changed',
      ]);
    }
    assert.equal(harness.bus.listeners.size, 1, 'one subscription serves all sessions');
  });

  test('carries updates of subscribed resources only, until they are unsubscribed', () => {
    const harness = new Harness();
    const [a, b] = [harness.open(), harness.open()];
    const [ofA, ofB] = [a, b].map((sessionId) => harness.get({ sessionId }).reply.events);
    subscribe(harness, a, 'test://x');
    harness.bus.publish({ kind: 'resource', uri: 'test://x' });
    harness.bus.publish({ kind: 'resource', uri: 'test://y' });
    subscribe(harness, a, 'test://x', 'resources/unsubscribe');
    harness.bus.publish({ kind: 'resource', uri: 'test://x' });
    assert.deepEqual(ofA?.messages, [
      '{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"test://x"}}',
    ]);
    assert.deepEqual(ofB?.messages, []);
  });

  test('is told that everything may have changed when changes of other nodes were missed', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    const { events } = harness.get({ sessionId }).reply;
    subscribe(harness, sessionId, 'test://x');
    harness.bus.publish({ kind: 'missed' });
    assert.deepEqual(methodsOf(events.messages), [
      'notifications/tools/list_changed',
      'notifications/resources/list_changed',
      'notifications/prompts/list_changed',
      'notifications/resources/updated',
    ]);
  });

  test('is told, once it opens, what changed before, each thing once', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    subscribe(harness, sessionId, 'test://x');
    for (let i = 0; i < 100; i++) {
      harness.bus.publish({ kind: 'tools' });
      harness.bus.publish({ kind: 'resource', uri: 'test://x' });
    }
    const { reply } = harness.get({ sessionId });
    assert.deepEqual(methodsOf(reply.events.messages), [
      'notifications/tools/list_changed',
      'notifications/resources/updated',
    ]);
    assert.equal(reply.events.events[0]?.data, '', 'the priming event comes first');
  });

  test('coalesces what happens while its reader is slow, and goes on as it drains', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    for (const uri of ['test://1', 'test://2', 'test://3']) subscribe(harness, sessionId, uri);
    const { events } = harness.get({ sessionId }).reply;
    events.congested = true;
    const before = events.text;
    for (let i = 0; i < 1000; i++) {
      harness.bus.publish({ kind: 'prompts' });
      for (const uri of ['test://1', 'test://2', 'test://3']) harness.bus.publish({ kind: 'resource', uri });
    }
    subscribe(harness, sessionId, 'test://2', 'resources/unsubscribe');
    assert.equal(events.text, before);
    events.drain();
    assert.deepEqual(
      events.messages.map((message) => JSON.parse(message).params?.uri ?? JSON.parse(message).method),
      ['notifications/prompts/list_changed', 'test://1', 'test://3'],
    );
    events.drain();
    assert.equal(events.messages.length, 3);
  });

  test('stops flushing where the reader falls behind again, and finishes later', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    const { events } = harness.get({ sessionId }).reply;
    events.congested = true;
    for (const uri of ['test://1', 'test://2']) {
      subscribe(harness, sessionId, uri);
      harness.bus.publish({ kind: 'resource', uri });
    }
    harness.bus.publish({ kind: 'tools' });
    harness.bus.publish({ kind: 'prompts' });
    const write = events.write.bind(events);
    events.write = (frames) => {
      events.congested = true;
      return write(frames);
    };
    for (const told of [1, 2, 3, 4, 4]) {
      events.drain();
      assert.equal(events.messages.length, told);
    }
  });

  test('is replaced by a newer one of the same session, which gets what follows', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    const first = harness.get({ sessionId });
    const second = harness.get({ sessionId });
    assert.ok(first.reply.events.ended);
    harness.bus.publish({ kind: 'tools' });
    assert.deepEqual(first.reply.events.messages, []);
    assert.equal(second.reply.events.messages.length, 1);
    // The end of the first one is noticed late: it must not take the second with it.
    first.exchange?.aborted();
    harness.bus.publish({ kind: 'tools' });
    assert.equal(second.reply.events.messages.length, 2);
    assert.equal(harness.hub.streams, 1);
  });
});

describe('keep-alive', () => {
  test('writes a comment per period to quiet streams only', () => {
    const harness = new Harness();
    const sessionId = harness.open('2025-06-18');
    const { events } = harness.get({ sessionId }).reply;
    harness.keepAlivePeriod();
    assert.equal(events.text, ':\n\n');
    harness.bus.publish({ kind: 'tools' });
    const spoken = events.text;
    harness.keepAlivePeriod();
    assert.equal(events.text, spoken);
    harness.keepAlivePeriod();
    assert.equal(events.text, `${spoken}:\n\n`);
    events.congested = true;
    harness.keepAlivePeriod();
    assert.equal(events.text, `${spoken}:\n\n`, 'nothing is added for a reader that does not read');
  });

  test('reaches the streams of requests, too, and keeps the session in use', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    const { reply } = harness.post(call(1), { sessionId });
    harness.methods.get().channel.send(progress(1));
    for (let i = 0; i < 4; i++) {
      harness.nowMs += LIMITS.ttlMs - 1;
      harness.keepAlivePeriod();
    }
    assert.match(reply.events.text, /:\n\n:\n\n/);
    assert.equal(harness.post({ jsonrpc: '2.0', id: 1, method: 'ping' }, { sessionId }).reply.status, 200);
  });

  test('runs one timer for all streams, and none without', () => {
    const harness = new Harness();
    assert.equal(harness.timerRuns, false);
    const ids = [harness.open(), harness.open()];
    const exchanges = ids.map((sessionId) => harness.get({ sessionId }).exchange);
    assert.equal(harness.timerRuns, true);
    exchanges[0]?.aborted();
    assert.equal(harness.timerRuns, true);
    exchanges[1]?.aborted();
    assert.equal(harness.hub.streams, 0);
    assert.equal(harness.timerRuns, false);
  });

  test('lets go of a stream whose connection is gone', () => {
    const harness = new Harness();
    const { events } = harness.get({ sessionId: harness.open() }).reply;
    events.open = false;
    harness.keepAlivePeriod();
    assert.equal(harness.hub.streams, 0);
  });
});

test('a session that ends takes its subscriptions with it', () => {
  const harness = new Harness();
  const sessionId = harness.open();
  subscribe(harness, sessionId, 'test://x');
  const { events } = harness.get({ sessionId }).reply;
  harness.delete({ sessionId });
  const before = events.text;
  harness.bus.publish({ kind: 'resource', uri: 'test://x' });
  harness.bus.publish({ kind: 'tools' });
  assert.equal(events.text, before);
});
