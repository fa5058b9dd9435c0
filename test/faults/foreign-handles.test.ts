/**
 * Handles a client holds (session, event, cursor, task, request state): guessed, altered, replayed elsewhere, or used by
 * another principal. Each is refused as if it did not exist, and what it stands for is untouched.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { REVISION_2025_11_25 } from '../../src/protocol/revisions.ts';
import { FRONT_ENDS, fixture, type Served, serve } from '../clients/serve.ts';
import { openSocket } from '../wire/message-client.ts';
import { answerOf, metaOf, Session, Stateless, statelessHeaders } from '../wire/raw-clients.ts';

const TOKENS = { alice: 'alice-0123456789abcdef', bob: 'bob-0123456789abcdef' } as const;
const bearer = (who: keyof typeof TOKENS): Record<string, string> => ({ authorization: `Bearer ${TOKENS[who]}` });
const ALICE = bearer('alice');
const BOB = bearer('bob');
const TASKS = metaOf({ elicitation: {}, extensions: { 'io.modelcontextprotocol/tasks': {} } });
const ASKS = metaOf({ elicitation: {} });
const ENOUGH_BITS = 128;

/** Handles like it, with one character changed in each place. */
function altered(handle: string): string[] {
  return [...handle].map((char, at) => handle.slice(0, at) + (char === 'A' ? 'B' : 'A') + handle.slice(at + 1));
}

/** Bits of a handle at least, if its characters are random: counted where handles differ from each other. */
function bitsOf(handles: readonly string[]): number {
  let bits = 0;
  const length = Math.min(...handles.map((handle) => handle.length));
  for (let at = 0; at < length; at++) {
    const seen = new Set(handles.map((handle) => handle[at])).size;
    bits += Math.log2(seen);
  }
  return bits;
}

for (const frontend of FRONT_ENDS) {
  describe(`foreign handles on ${frontend}`, () => {
    let served: Served;
    before(async () => {
      const tokens = Object.entries(TOKENS).map(([id, token]) => ({ id, token }));
      served = await serve(frontend, {
        modules: ['talking-tools', 'readings'].map(fixture),
        auth: { tokens },
        pageSize: 2,
        maxConnections: 5000,
      });
    });
    after(() => served.close());

    const statusWith = async (session: Session, id: string, headers: Record<string, string>): Promise<number> => {
      const own = { ...session.headers, 'mcp-session-id': id, ...headers };
      const body = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
      const response = await fetch(served.url, { method: 'POST', headers: own, body });
      await response.arrayBuffer();
      return response.status;
    };

    test('no token, a wrong one, or one in the query: 401 on every way in', async () => {
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta: metaOf() } });
      const headers = statelessHeaders('tools/list', {});
      for (const [url, extra] of [
        [served.url, {}],
        [served.url, { authorization: `Bearer ${TOKENS.alice}x` }],
        [served.url, { authorization: `Basic ${TOKENS.alice}` }],
        [served.url, { authorization: 'Bearer ' }],
        [`${served.url}?access_token=${TOKENS.alice}`, {}],
      ] as const) {
        const response = await fetch(url, { method: 'POST', headers: { ...headers, ...extra }, body });
        assert.equal(response.status, 401);
        assert.match(response.headers.get('www-authenticate') ?? '', /^Bearer/);
        assert.match(await response.text(), /"jsonrpc"/);
      }
      await assert.rejects(openSocket(served.url), /401/);
      await assert.rejects(openSocket(served.url, null, { authorization: 'Bearer nobody-0123456789' }), /401/);
    });

    test('a session is found by nobody but its principal: 404 whether it exists or not', async () => {
      const session = await Session.begin(served.url, REVISION_2025_11_25, {}, fetch, ALICE);
      assert.equal(await statusWith(session, session.id, ALICE), 200);
      for (const id of [...altered(session.id), session.id.toLowerCase(), `${session.id}A`, session.id.slice(0, -1)]) {
        if (id !== session.id) assert.equal(await statusWith(session, id, ALICE), 404, id);
      }
      assert.equal(await statusWith(session, session.id, BOB), 404);
      const asBob = { ...session.headers, ...BOB };
      assert.equal((await fetch(served.url, { headers: asBob })).status, 404);
      assert.equal((await fetch(served.url, { method: 'DELETE', headers: asBob })).status, 404);
      assert.equal(await statusWith(session, session.id, ALICE), 200);
      assert.equal((await session.end()).status, 200);
      assert.equal(await statusWith(session, session.id, ALICE), 404);
    });

    test('an event id resumes nothing but the stream of its own session', async () => {
      const alice = await Session.begin(served.url, REVISION_2025_11_25, {}, fetch, ALICE);
      const bob = await Session.begin(served.url, REVISION_2025_11_25, {}, fetch, BOB);
      const message = {
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name: 'come-back', arguments: {}, _meta: { progressToken: 1 } },
      };
      const text = await (await alice.post(message)).text();
      const eventId = /^id: (.+)$/m.exec(text)?.[1] ?? '';
      assert.notEqual(eventId, '');
      for (const id of [eventId, ...altered(eventId), '0', `${eventId}0`]) {
        const refused = await bob.listen(AbortSignal.timeout(5000), id);
        assert.equal(refused.status, 400, id);
        assert.doesNotMatch(await refused.text(), /welcome/);
      }
      const resumed = await alice.listen(new AbortController().signal, eventId);
      assert.match(await resumed.text(), /welcome back/);
    });

    test('a cursor is good for its own list and as it was given', async () => {
      const client = new Stateless(served.url, fetch, ALICE);
      const { result } = await client.request('tools/list');
      const cursor = String(result['nextCursor']);
      assert.equal((await client.request('tools/list', { cursor })).error.code, 0);
      assert.equal((await client.request('prompts/list', { cursor })).error.code, -32602);
      for (const forged of [
        ...altered(cursor),
        `${cursor}A`,
        cursor.slice(1),
        Buffer.from('2').toString('base64url'),
      ]) {
        assert.equal((await client.request('tools/list', { cursor: forged })).error.code, -32602, forged);
      }
    });

    test('a task is seen, changed and heard of by nobody but its principal', async () => {
      const alice = new Stateless(served.url, fetch, ALICE);
      const bob = new Stateless(served.url, fetch, BOB);
      const { taskId } = (await alice.call('later', { ask: true }, { _meta: TASKS })).result;
      const inputResponses = { sure: { action: 'accept', content: {} } };
      for (const id of [taskId, ...altered(String(taskId)), 'x']) {
        const who = id === taskId ? bob : alice;
        for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel']) {
          const answer = await who.request(method, { taskId: id, inputResponses, _meta: TASKS });
          assert.equal(answer.error.code, -32602, `${method} ${String(id)}: ${JSON.stringify(answer.last)}`);
        }
      }
      const leaving = new AbortController();
      const listening = await bob.open(
        'subscriptions/listen',
        { notifications: { toolsListChanged: true, taskIds: [taskId] }, _meta: TASKS },
        {},
        leaving.signal,
      );
      const first = await listening.body?.getReader().read();
      assert.doesNotMatch(Buffer.from(first?.value ?? []).toString(), new RegExp(String(taskId)));
      leaving.abort();
      const still = await alice.request('tasks/get', { taskId, _meta: TASKS });
      assert.ok(['working', 'input_required'].includes(String(still.result['status'])), JSON.stringify(still.last));
      assert.equal((await alice.request('tasks/cancel', { taskId, _meta: TASKS })).error.code, 0);
    });

    test('request state is good for its principal, its tool and its arguments, and as it was given', async () => {
      const alice = new Stateless(served.url, fetch, ALICE);
      const first = await alice.call('ask-name', {}, { _meta: ASKS });
      const requestState = String(first.result['requestState']);
      const inputResponses = { name: { action: 'accept', content: { name: 'Ada' } } };
      const answers = { _meta: ASKS, inputResponses };
      // The first characters name the format: wrong there is wrong, too.
      for (const forged of [...altered(requestState), `${requestState}A`, '', 'v1.e30.AAAA']) {
        const { error } = await alice.call('ask-name', {}, { ...answers, requestState: forged });
        assert.ok(error.code < 0, `${forged}: ${JSON.stringify(error)}`);
      }
      const bob = new Stateless(served.url, fetch, BOB);
      for (const [who, tool, args] of [
        [bob, 'ask-name', {}],
        [alice, 'ask-model', {}],
        [alice, 'ask-name', { other: 1 }],
      ] as const) {
        const { error, last } = await who.call(tool, args, { ...answers, requestState });
        assert.ok(error.code < 0, JSON.stringify(last));
      }
      const right = await alice.call('ask-name', {}, { ...answers, requestState });
      assert.match(JSON.stringify(right.result), /Hello, Ada/);
    });

    test('handles have at least 128 random bits each', async () => {
      const alice = new Stateless(served.url, fetch, ALICE);
      const sessions: string[] = [];
      const tasks: string[] = [];
      for (let i = 0; i < 64; i++) {
        sessions.push((await Session.begin(served.url, REVISION_2025_11_25, {}, fetch, ALICE)).id);
        tasks.push(String((await alice.call('later', {}, { _meta: TASKS })).result['taskId']));
      }
      for (const handles of [sessions, tasks]) {
        assert.equal(new Set(handles).size, 64);
        // 64 samples of 64 characters show fewer than all of them: some 5.3 of 6 bits a place.
        assert.ok(bitsOf(handles) > ENOUGH_BITS * 0.85, `${handles[0]}: ${bitsOf(handles)} bits`);
        assert.ok(Math.min(...handles.map((handle) => handle.length)) * 6 >= ENOUGH_BITS);
      }
    });

    test('a session within a WebSocket belongs to the connection and its principal', async () => {
      const { client, socket } = await openSocket(served.url, null, ALICE);
      await client.initialize('2025-11-25', { elicitation: {} });
      const call = client.request('tools/call', { name: 'ask-name', arguments: {} });
      const question = await client.takeMethod('elicitation/create');
      const other = await openSocket(served.url, null, BOB);
      await other.client.initialize('2025-11-25', { elicitation: {} });
      const stolen = { action: 'accept', content: { name: 'Mallory' } };
      other.client.send({ id: question['id'], result: stolen });
      const bob = await Session.begin(served.url, REVISION_2025_11_25, {}, fetch, BOB);
      const posted = await bob.post({ jsonrpc: '2.0', id: question['id'], result: stolen });
      assert.equal((await answerOf(posted)).status, 400);
      client.send({ id: question['id'], result: { action: 'accept', content: { name: 'Ada' } } });
      assert.match(JSON.stringify(await call), /Hello, Ada/);
      socket.close();
      other.socket.close();
    });
  });
}
