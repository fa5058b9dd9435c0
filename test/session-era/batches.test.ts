/** JSON-RPC batches: revision 2025-03-26 has them, the others do not. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BATCH_MESSAGES_MAX } from '../../src/protocol/session/batch-call.ts';
import { askOf, call, fakeJob, Harness, initialize, notification, progress, resultOf } from './fakes.ts';

describe('a batch', () => {
  for (const revision of ['2024-11-05', '2025-06-18', '2025-11-25']) {
    test(`is refused by a session of ${revision}`, () => {
      const harness = new Harness();
      const { reply } = harness.post([call(1)], { sessionId: harness.open(revision) });
      assert.equal(reply.status, 400);
      assert.equal(reply.json.error?.code, -32600);
      assert.equal(harness.methods.reached.length, 0);
    });
  }

  test('is answered with one array when all its requests are', () => {
    const harness = new Harness();
    const sessionId = harness.open('2025-03-26');
    const { reply, exchange } = harness.post(
      [call(1), notification('notifications/initialized'), call('two'), { jsonrpc: '2.0', id: 3, method: 'ping' }],
      { sessionId },
    );
    assert.notEqual(exchange, null);
    harness.methods.answer('"two"');
    assert.equal(reply.status, 0);
    harness.methods.answer('1');
    assert.equal(reply.status, 200);
    assert.equal(reply.contentType, 'application/json');
    const answers: { id: unknown }[] = JSON.parse(reply.body);
    assert.deepEqual(
      answers.map((each) => each.id),
      [3, 'two', 1],
    );
  });

  test('hands every request its own body', () => {
    const harness = new Harness();
    harness.post([call(1, 'a'), call(2, 'b')], { sessionId: harness.open('2025-03-26') });
    for (const [id, name] of [
      ['1', 'a'],
      ['2', 'b'],
    ]) {
      const { request } = harness.methods.get(id);
      assert.equal(request.name, name);
      assert.deepEqual(JSON.parse(Buffer.from(request.body).toString()), call(Number(id), name));
    }
  });

  test('of requests that are answered at once is answered at once', () => {
    const harness = new Harness();
    const ping = { jsonrpc: '2.0', id: 1, method: 'ping' };
    const { reply, exchange } = harness.post([ping], { sessionId: harness.open('2025-03-26') });
    assert.equal(exchange, null);
    assert.equal(reply.body, '[{"jsonrpc":"2.0","id":1,"result":{}}]');
  });

  test('becomes a stream when something is said before all answers are there', () => {
    const harness = new Harness();
    const sessionId = harness.open('2025-03-26');
    const { reply, exchange } = harness.post([call(1), call(2)], { sessionId });
    harness.methods.answer('1');
    harness.methods.get('2').channel.send(progress(1));
    assert.deepEqual(reply.events.messages, [resultOf('1'), progress(1)]);
    const lastEventId = reply.events.events.at(-1)?.id ?? '';
    exchange?.aborted();
    harness.methods.answer('2');
    assert.deepEqual(harness.get({ sessionId, lastEventId }).reply.events.messages, [resultOf('2')]);
  });

  test('without requests is accepted: notifications, or responses', () => {
    const harness = new Harness();
    const sessionId = harness.open('2025-03-26');
    harness.post(call(1), { sessionId });
    const asks = harness.methods.get().caller.asks;
    const ids = [1, 2].map((askId) => JSON.parse(asks?.open(fakeJob(), askOf(askId)) ?? '').id);
    const responses = ids.map((id) => ({ jsonrpc: '2.0', id, result: {} }));
    assert.equal(harness.post(responses, { sessionId }).reply.status, 202);
    assert.equal(harness.dispatcher.answers.length, 2);
    assert.equal(harness.post([notification('notifications/x')], { sessionId }).reply.status, 202);
  });

  test('may not hold initialize, nor mix requests with responses, nor be longer than the limit', () => {
    const harness = new Harness();
    const sessionId = harness.open('2025-03-26');
    const ping = { jsonrpc: '2.0', id: 1, method: 'ping' };
    const bad = [
      [call(1), initialize(2, '2025-03-26')],
      [call(1), { jsonrpc: '2.0', id: 1, result: {} }],
      Array.from({ length: BATCH_MESSAGES_MAX + 1 }, () => ping),
    ];
    for (const batch of bad) {
      const { reply } = harness.post(batch, { sessionId });
      assert.equal(reply.status, 400);
      assert.equal(reply.json.error?.code, -32600);
    }
    assert.equal(harness.methods.reached.length, 0);
    const full = Array.from({ length: BATCH_MESSAGES_MAX }, () => ping);
    assert.equal(JSON.parse(harness.post(full, { sessionId }).reply.body).length, BATCH_MESSAGES_MAX);
  });

  test('loses a cancelled request and ends with the others', () => {
    const harness = new Harness();
    const sessionId = harness.open('2025-03-26');
    const { reply } = harness.post([call(1), call(2)], { sessionId });
    harness.post(notification('notifications/cancelled', { requestId: 1, reason: 'r' }), { sessionId });
    assert.equal(harness.methods.get('1').cancelled, 'r');
    harness.methods.answer('2');
    harness.methods.answer('1');
    assert.equal(reply.body, `[${resultOf('2')}]`);
    const all = harness.post([call(3)], { sessionId }).reply;
    harness.post(notification('notifications/cancelled', { requestId: 3 }), { sessionId });
    assert.ok(all.events.ended);
    assert.deepEqual(all.events.messages, []);
  });

  test('ends with its session: every request gets an error', () => {
    const harness = new Harness();
    const sessionId = harness.open('2025-03-26');
    const { reply } = harness.post([call(1), call(2)], { sessionId });
    harness.delete({ sessionId });
    const answers: { id: unknown; error: { code: number } }[] = JSON.parse(reply.body);
    assert.deepEqual(answers.map((each) => [each.id, each.error.code]).sort(), [
      [1, -32001],
      [2, -32001],
    ]);
  });
});
