/**
 * A bare WebSocket: both eras on one connection, every message checked.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openSocket } from '../wire/message-client.ts';
import { metaOf } from '../wire/raw-clients.ts';
import { type Json, WireCheck } from '../wire/wire-check.ts';
import { eventually } from './eventually.ts';
import { callFiveTools, textOf } from './five-tools.ts';
import { FRONT_ENDS, fixture, type Served, serve } from './serve.ts';
import { Watcher } from './watcher.ts';

const MODULES = ['talking-tools', 'readings', 'watched-tools'].map(fixture);
const resultOf = (message: Json): Json => message['result'] as Json;

for (const frontend of FRONT_ENDS) {
  describe(`a WebSocket on ${frontend}`, () => {
    const check = new WireCheck();
    const watcher = new Watcher();
    let served: Served;
    before(async () => {
      served = await serve(frontend, { modules: MODULES });
    });
    after(async () => {
      watcher.close();
      await served.close();
      check.assertClean(30);
    });

    test('speaks 2026-07-28 and a session on one connection, interleaved', async () => {
      const { client, socket, closed } = await openSocket(served.url, check);
      assert.equal(socket.protocol, 'mcp');
      const discovered = resultOf(await client.stateless('server/discover'));
      assert.deepEqual(discovered['supportedVersions'], ['2026-07-28']);
      const early = await client.request('tools/list');
      assert.match(JSON.stringify(early['error']), /initialize/);
      const agreed = resultOf(await client.initialize('2025-06-18', { elicitation: {} }));
      assert.equal(agreed['protocolVersion'], '2025-06-18');
      await Promise.all([
        callFiveTools(async (name, args) => resultOf(await client.stateless('tools/call', { name, arguments: args }))),
        callFiveTools(async (name, args) => resultOf(await client.request('tools/call', { name, arguments: args }))),
      ]);
      const stamped = resultOf(await client.stateless('tools/list'));
      const plain = resultOf(await client.request('tools/list'));
      assert.equal(stamped['resultType'], 'complete');
      assert.equal(plain['resultType'], undefined);
      socket.close(1000);
      assert.equal((await closed).code, 1000);
    });

    test('asks in a session, and answers with a question in 2026-07-28', async () => {
      const { client, socket } = await openSocket(served.url, check);
      await client.initialize('2025-11-25', { elicitation: {} });
      const call = client.request('tools/call', { name: 'ask-name', arguments: {} });
      const question = await client.takeMethod('elicitation/create');
      client.send({ id: question['id'], result: { action: 'accept', content: { name: 'Ada' } } });
      assert.equal(textOf(resultOf(await call)), 'Hello, Ada');
      const asked = { name: 'ask-name', arguments: {}, _meta: metaOf({ elicitation: {} }) };
      const first = resultOf(await client.request('tools/call', asked));
      const second = await client.request('tools/call', {
        ...asked,
        requestState: first['requestState'],
        inputResponses: { name: { action: 'accept', content: { name: 'Bob' } } },
      });
      assert.equal(textOf(resultOf(second)), 'Hello, Bob');
      socket.close();
    });

    test('is told of progress, of changes it listens to, and of those of its session', async () => {
      const { client, socket } = await openSocket(served.url, check);
      await client.initialize('2025-11-25');
      await client.request('resources/subscribe', { uri: 'notes://today' });
      const notifications = { toolsListChanged: true, resourceSubscriptions: ['notes://today'] };
      const listening = client.stateless('subscriptions/listen', { notifications }, 'listen');
      await client.takeMethod('notifications/subscriptions/acknowledged');
      const params = { name: 'count', arguments: { to: 2 }, _meta: metaOf({}, { progressToken: 'p' }) };
      await client.request('tools/call', params);
      assert.equal(client.heard.filter((message) => message['method'] === 'notifications/progress').length, 2);
      await client.stateless('tools/call', { name: 'touch', arguments: { uri: 'notes://today' } });
      const updates = (): number =>
        client.heard.filter((message) => message['method'] === 'notifications/resources/updated').length;
      await eventually('updates', updates, (count) => count === 2);
      client.abandon('listen');
      await eventually(
        'streams',
        () => served.metric('millrace_streams', 'listen'),
        (open) => open === 0,
      );
      socket.close();
      await assert.rejects(listening, /closed/);
    });

    for (const era of ['stateless', 'session'] as const) {
      test(`${era}: a call is cancelled by notification, and another by leaving`, async () => {
        const { client, socket } = await openSocket(served.url, check);
        if (era === 'session') await client.initialize('2025-11-25');
        const meta = era === 'session' ? {} : { _meta: metaOf() };
        const label = `ws ${frontend} ${era}`;
        const params = { name: 'watched', arguments: { label, ms: 60_000 }, ...meta };
        const calls = ['first', 'second'].map((id) => client.request('tools/call', params, id));
        const endings = Promise.allSettled(calls);
        await watcher.seen('started', label, 2);
        client.abandon('first');
        await watcher.seen('cancelled', label, 1);
        socket.terminate();
        await watcher.seen('cancelled', label, 2);
        for (const ending of await endings) assert.equal(ending.status, 'rejected');
        await eventually(
          'in flight',
          () => served.metric('millrace_in_flight'),
          (value) => value === 0,
        );
      });
    }
  });
}
