/**
 * What the session era says outside of plain answers: batches, the session's own stream, a stream that is left and
 * resumed, questions to the client. All of it checked against the revision it is said in.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { REVISION_2025_03_26, REVISION_2025_11_25, REVISIONS } from '../../src/protocol/revisions.ts';
import { FRONT_ENDS, type Served, serveFixtures } from '../clients/serve.ts';
import { EventReader, type ServerEvent } from './event-reader.ts';
import { Session } from './raw-clients.ts';
import { tapFetch } from './tap-fetch.ts';
import { type Json, WireCheck } from './wire-check.ts';

/** The events of a response, as they come. */
async function* eventsOf(response: Response): AsyncGenerator<ServerEvent> {
  assert.equal(response.status, 200);
  const found: ServerEvent[] = [];
  const reader = new EventReader((event) => found.push(event));
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    reader.push(chunk);
    yield* found.splice(0);
  }
}

async function take(events: AsyncGenerator<ServerEvent>, count: number): Promise<Json[]> {
  const messages: Json[] = [];
  while (messages.length < count) {
    const { value, done } = await events.next();
    if (done === true) break;
    if (value.data !== '') messages.push(JSON.parse(value.data) as Json);
  }
  return messages;
}

for (const frontend of FRONT_ENDS) {
  describe(`session streams on ${frontend}`, () => {
    const check = new WireCheck();
    let served: Served;
    before(async () => {
      served = await serveFixtures(frontend);
    });
    after(() => served.close());

    test('a batch of 2025-03-26 is answered as one', async () => {
      const session = await Session.begin(served.url, REVISION_2025_03_26, {}, tapFetch(check));
      const response = await session.post([
        { jsonrpc: '2.0', id: 'a', method: 'ping' },
        { jsonrpc: '2.0', method: 'notifications/roots/list_changed' },
        { jsonrpc: '2.0', id: 'b', method: 'tools/call', params: { name: 'echo', arguments: { text: 'x' } } },
        { jsonrpc: '2.0', id: 'c', method: 'no/such' },
      ]);
      const text = await response.text();
      for (const id of ['a', 'b', 'c']) assert.ok(text.includes(`"id":"${id}"`), text);
      check.assertClean(4);
    });

    for (const revision of REVISIONS.filter((known) => known.era === 'session')) {
      test(`${revision.name}: the session's stream is told of changes, once each`, async () => {
        const session = await Session.begin(served.url, revision, {}, tapFetch(check));
        await session.request('resources/subscribe', { uri: 'notes://today' });
        const leaving = new AbortController();
        const events = eventsOf(await session.listen(leaving.signal));
        await session.call('touch', { uri: 'notes://today' });
        const told = (await take(events, 4)).map((message) => message['method']).sort();
        assert.deepEqual(told, [
          'notifications/prompts/list_changed',
          'notifications/resources/list_changed',
          'notifications/resources/updated',
          'notifications/tools/list_changed',
        ]);
        leaving.abort();
        check.assertClean(6);
      });
    }

    test('2025-11-25: a stream that sends its client away is resumed without gap or duplicate', async () => {
      const session = await Session.begin(served.url, REVISION_2025_11_25, {}, tapFetch(check));
      const params = { name: 'come-back', arguments: {}, _meta: { progressToken: 't' } };
      const response = await session.post({ jsonrpc: '2.0', id: 'away', method: 'tools/call', params });
      let lastId = '';
      const first: Json[] = [];
      for await (const event of eventsOf(response)) {
        lastId = event.id ?? lastId;
        if (event.data !== '') first.push(JSON.parse(event.data) as Json);
      }
      assert.equal(first.length, 1);
      const events = eventsOf(await session.listen(new AbortController().signal, lastId));
      const rest = await take(events, 2);
      assert.deepEqual(
        rest.map((message) => message['id']),
        [undefined, 'away'],
      );
      assert.match(JSON.stringify(rest[1]), /welcome back/);
      check.assertClean(4);
    });

    test('2025-11-25: questions are asked on the stream of the call and answered by POST', async () => {
      const capabilities = { elicitation: {}, sampling: {}, roots: {} };
      const session = await Session.begin(served.url, REVISION_2025_11_25, capabilities, tapFetch(check));
      const answers: Record<string, object> = {
        'ask-name': { action: 'accept', content: { name: 'Ada' } },
        'ask-model': { role: 'assistant', model: 'm', content: { type: 'text', text: 'wheel' } },
        'ask-roots': { roots: [{ uri: 'file:///a' }] },
      };
      for (const [name, result] of Object.entries(answers)) {
        const call = { jsonrpc: '2.0', id: name, method: 'tools/call', params: { name, arguments: {} } };
        const events = eventsOf(await session.post(call));
        const [question] = await take(events, 1);
        const reply = await session.post({ jsonrpc: '2.0', id: question?.['id'], result });
        assert.equal(reply.status, 202);
        const [answer] = await take(events, 1);
        assert.match(JSON.stringify(answer), /Ada|wheel|file:\/\/\/a/);
      }
      check.assertClean(7);
    });
  });
}
