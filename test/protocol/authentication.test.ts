import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AuthRefusal } from '../../src/protocol/authenticator.ts';
import { CALL, call, setUp, type Verdict } from './endpoint-harness.ts';

describe('authentication', () => {
  const refusal: AuthRefusal = { status: 401, message: 'no token', wwwAuthenticate: 'Bearer realm="x"' };

  test('a refusal is told with its challenge and nothing is run', () => {
    const { send, dispatcher } = setUp((header) => (header === 'Bearer good' ? { id: 'ann', scopes: [] } : refusal));
    const { reply, taken } = send('POST', CALL, call('echo'));
    assert.equal(taken, null);
    assert.equal(reply.status, 401);
    assert.deepEqual(reply.headers, [['WWW-Authenticate', 'Bearer realm="x"']]);
    assert.equal(reply.text, '{"jsonrpc":"2.0","error":{"code":-32000,"message":"no token"}}');
    send('POST', { ...CALL, authorization: 'Bearer good' }, call('echo'));
    assert.equal(dispatcher.jobs.length, 1);
  });

  test('a token without the scope is 403', () => {
    const { send } = setUp(() => ({
      status: 403,
      message: 'scope',
      wwwAuthenticate: 'Bearer error="insufficient_scope"',
    }));
    assert.equal(send('GET', { accept: 'text/event-stream' }).reply.status, 403);
  });

  /** An authenticator that waits for the test. */
  function waiting() {
    let settle: (verdict: Verdict) => void = () => undefined;
    let fail: (cause: Error) => void = () => undefined;
    const answer = new Promise<Verdict>((resolve, reject) => {
      settle = resolve;
      fail = reject;
    });
    const settled = (): Promise<unknown> =>
      answer.then(
        () => undefined,
        () => undefined,
      );
    return { ...setUp(() => answer), settle, fail, settled };
  }

  test('a body that comes first waits, as it was', async () => {
    const { send, dispatcher, settle, settled } = waiting();
    const body = call('echo');
    send('POST', CALL, body);
    body.fill(0);
    assert.equal(dispatcher.jobs.length, 0);
    settle({ id: 'ann', scopes: [] });
    await settled();
    assert.equal(dispatcher.bodies[0], call('echo').toString());
    assert.equal(dispatcher.last.extras?.principal?.id, 'ann');
  });

  test('a body that comes later goes straight on', async () => {
    const { send, dispatcher, settle, settled } = waiting();
    const { taken } = send('POST', CALL);
    settle({ id: 'ann', scopes: [] });
    await settled();
    taken?.body(call('echo'), true);
    assert.equal(dispatcher.jobs.length, 1);
    taken?.aborted();
    assert.equal(dispatcher.cancelled.length, 1);
  });

  test('a client that leaves meanwhile is not served', async () => {
    const { send, dispatcher, settle, settled } = waiting();
    const { reply, taken } = send('POST', CALL, call('echo'));
    taken?.aborted();
    settle({ id: 'ann', scopes: [] });
    await settled();
    assert.equal(dispatcher.jobs.length, 0);
    assert.equal(reply.answers, 0);
  });

  test('a late refusal is a refusal', async () => {
    const { send, sessions, settle, settled } = waiting();
    const { reply } = send('GET', { accept: 'text/event-stream' });
    settle(refusal);
    await settled();
    assert.equal(reply.status, 401);
    assert.deepEqual(sessions.seen, []);
  });

  test('a GET goes on by itself', async () => {
    const { send, sessions, settle, settled } = waiting();
    send('GET', { accept: 'text/event-stream' });
    settle({ id: 'ann', scopes: [] });
    await settled();
    assert.deepEqual(sessions.seen, ['GET']);
    assert.equal(sessions.facts?.principal?.id, 'ann');
  });

  test('an authenticator that breaks is logged, and tells the client nothing', async () => {
    const { send, log, fail, settled } = waiting();
    const { reply } = send('POST', CALL, call('echo'));
    fail(new Error('secret'));
    await settled();
    assert.equal(reply.status, 500);
    assert.equal(reply.text, '{"jsonrpc":"2.0","error":{"code":-32603,"message":"internal error"}}');
    assert.deepEqual(log.errors, ['the authenticator failed']);
  });
});
