/** Questions of tools to the client of a session, and the answers it posts. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { askOf, call, fakeJob, Harness, LIMITS, notification, resultOf } from './fakes.ts';

function asking(harness: Harness, sessionId: string) {
  harness.post(call(1), { sessionId });
  const { caller } = harness.methods.get();
  assert.ok(caller.asks);
  return caller.asks;
}

describe('a question', () => {
  test('goes out on the stream of its request and its answer comes back to the job', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    const { reply } = harness.post(call(1), { sessionId });
    const { caller, channel } = harness.methods.get();
    const job = fakeJob();
    channel.send(caller.asks?.open(job, askOf(4)) ?? '');
    const question = JSON.parse(reply.events.messages[0] ?? '');
    assert.equal(question.method, 'elicitation/create');
    assert.deepEqual(question.params, { message: '?' });
    const posted = harness.post({ jsonrpc: '2.0', id: question.id, result: { action: 'accept' } }, { sessionId }).reply;
    assert.equal(posted.status, 202);
    assert.deepEqual(harness.dispatcher.answers, [{ job, askId: 4, resultJson: '{"action":"accept"}', error: null }]);
    channel.respond(200, resultOf('1'), 0);
    assert.equal(reply.events.messages.length, 2);
  });

  test('may be answered with an error', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    const asks = asking(harness, sessionId);
    for (const [error, expected] of [
      [
        { code: -1, message: 'no' },
        { code: -1, message: 'no' },
      ],
      ['odd', { code: -32603, message: 'the client answered with an error it did not describe' }],
    ]) {
      const { id } = JSON.parse(asks.open(fakeJob(), askOf(1)));
      harness.post({ jsonrpc: '2.0', id, error }, { sessionId });
      assert.deepEqual(harness.dispatcher.answers.at(-1)?.error, expected);
    }
  });

  test('is answered once; a late answer is accepted and does nothing, one never asked is refused', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    const asks = asking(harness, sessionId);
    const { id } = JSON.parse(asks.open(fakeJob(), askOf(1)));
    const post = (of: unknown): number =>
      harness.post({ jsonrpc: '2.0', id: of, result: {} }, { sessionId }).reply.status;
    assert.equal(post(id), 202);
    assert.equal(post(id), 202);
    for (const never of [id + 1, 0, -1, String(id)]) assert.equal(post(never), 400);
    assert.equal(harness.dispatcher.answers.length, 1);
  });

  test('cannot be answered by another session', () => {
    const harness = new Harness();
    const [mine, other] = [harness.open(), harness.open()];
    const { id } = JSON.parse(asking(harness, mine).open(fakeJob(), askOf(1)));
    asking(harness, other).open(fakeJob(), askOf(1));
    harness.post({ jsonrpc: '2.0', id, result: { of: 'other' } }, { sessionId: other });
    harness.post({ jsonrpc: '2.0', id, result: { of: 'mine' } }, { sessionId: mine });
    assert.deepEqual(
      harness.dispatcher.answers.map((each) => each.resultJson),
      ['{"of":"other"}', '{"of":"mine"}'],
    );
    assert.notEqual(harness.dispatcher.answers[0]?.job, harness.dispatcher.answers[1]?.job);
  });

  test('ends with its job, while those of other jobs wait on', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    const asks = asking(harness, sessionId);
    const [gone, stays] = [fakeJob(), fakeJob()];
    const first = JSON.parse(asks.open(gone, askOf(1))).id;
    const second = JSON.parse(asks.open(stays, askOf(1))).id;
    asks.forget(gone);
    for (const id of [first, second]) harness.post({ jsonrpc: '2.0', id, result: {} }, { sessionId });
    assert.deepEqual(
      harness.dispatcher.answers.map((each) => each.job),
      [stays],
    );
  });

  test('past the limit is answered with an error instead of being sent', async () => {
    const harness = new Harness();
    const asks = asking(harness, harness.open());
    for (let i = 0; i < LIMITS.asksMax; i++) assert.notEqual(asks.open(fakeJob(), askOf(i)), '');
    const job = fakeJob();
    assert.equal(asks.open(job, askOf(9)), '');
    await Promise.resolve();
    assert.equal(harness.dispatcher.answers[0]?.job, job);
    assert.equal(harness.dispatcher.answers[0]?.askId, 9);
    assert.match(harness.dispatcher.answers[0]?.error?.message ?? '', /2 questions/);
  });

  test('dies with its session', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    const asks = asking(harness, sessionId);
    const { id } = JSON.parse(asks.open(fakeJob(), askOf(1)));
    harness.delete({ sessionId });
    harness.post(notification('notifications/x'), { sessionId });
    assert.equal(harness.post({ jsonrpc: '2.0', id, result: {} }, { sessionId }).reply.status, 404);
    assert.deepEqual(harness.dispatcher.answers, []);
  });

  test('asked after the client left its stream waits there to be fetched', () => {
    const harness = new Harness();
    const sessionId = harness.open();
    const { reply, exchange } = harness.post(call(1), { sessionId });
    const { caller, channel } = harness.methods.get();
    channel.send('{"jsonrpc":"2.0","method":"notifications/message","params":{}}');
    const lastEventId = reply.events.events.at(-1)?.id ?? '';
    exchange?.aborted();
    const question = caller.asks?.open(fakeJob(), askOf(1)) ?? '';
    channel.send(question);
    assert.deepEqual(harness.get({ sessionId, lastEventId }).reply.events.messages, [question]);
  });
});
