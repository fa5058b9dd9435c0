/**
 * Every method in every revision, asked rightly and wrongly, over HTTP: each answer matches the official schema of the
 * revision it was asked in, and has the status and code the specification gives it.
 *
 * The catalogue has one of everything: all content types, icons, titles, output schemas with and without an object at
 * the root, templates, completions, questions, tasks, changes, and tools and resources that fail.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { REVISION_2026_07_28, REVISIONS, type Revision } from '../../src/protocol/revisions.ts';
import { FRONT_ENDS, type Served, serveFixtures } from '../clients/serve.ts';
import { type Answer, metaOf, Session, Stateless } from './raw-clients.ts';
import { tapFetch } from './tap-fetch.ts';
import { type Json, WireCheck } from './wire-check.ts';

const SESSION_REVISIONS = REVISIONS.filter((revision) => revision.era === 'session');
const TASKS = { extensions: { 'io.modelcontextprotocol/tasks': {} } };
const ALL = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {}, ...TASKS };

/** `code` 0: a result. `status` where both eras do not have 200. */
interface Row {
  readonly method: string;
  readonly params?: Json;
  readonly code?: number;
  /** Where the session revisions have another. */
  readonly sessionCode?: number;
  readonly status?: number;
}

const ROWS: readonly Row[] = [
  { method: 'tools/list' },
  { method: 'tools/list', params: { cursor: 'forged' }, code: -32602 },
  { method: 'tools/list', params: { cursor: 5 }, code: -32602 },
  { method: 'resources/list' },
  { method: 'resources/templates/list' },
  { method: 'prompts/list' },
  { method: 'prompts/list', params: { cursor: '' }, code: -32602 },
  ...['every-content', 'structured', 'structured-list', 'fails', 'later'].map((name) => ({
    method: 'tools/call',
    params: { name, arguments: {} },
  })),
  { method: 'tools/call', params: { name: 'echo', arguments: { text: '\u0000"\\€😀' } } },
  { method: 'tools/call', params: { name: 'unkept', arguments: {} }, code: -32603 },
  { method: 'tools/call', params: { name: 'refuses', arguments: {} }, code: -32010 },
  { method: 'tools/call', params: { name: 'nobody', arguments: {} }, code: -32602 },
  { method: 'tools/call', params: { name: 'echo', arguments: [] }, code: -32602 },
  { method: 'resources/read', params: { uri: 'notes://today' } },
  { method: 'resources/read', params: { uri: 'notes://picture' } },
  { method: 'resources/read', params: { uri: 'notes://day/monday' } },
  { method: 'resources/read', params: { uri: 'notes://missing' }, code: -32602, sessionCode: -32002 },
  { method: 'resources/read', params: { uri: 'nothing://at/all' }, code: -32602, sessionCode: -32002 },
  { method: 'resources/read', params: { uri: 'notes://broken' }, code: -32603 },
  { method: 'prompts/get', params: { name: 'review', arguments: { language: 'C' } } },
  { method: 'prompts/get', params: { name: 'review', arguments: {} }, code: -32602 },
  { method: 'prompts/get', params: { name: 'nobody' }, code: -32602 },
  {
    method: 'completion/complete',
    params: { ref: { type: 'ref/prompt', name: 'review' }, argument: { name: 'language', value: 'type' } },
  },
  {
    method: 'completion/complete',
    params: { ref: { type: 'ref/prompt', name: 'review' }, argument: { name: 'style', value: 'x' } },
  },
  {
    method: 'completion/complete',
    params: { ref: { type: 'ref/resource', uri: 'notes://day/{day}' }, argument: { name: 'day', value: 's' } },
  },
  { method: 'completion/complete', params: { ref: { type: 'ref/what' }, argument: {} }, code: -32602 },
  { method: 'completion/complete', params: {}, code: -32602 },
  { method: 'no/such/method', code: -32601, status: 404 },
];

/** Arguments a schema does not allow: for the model to correct from 2025-11-25 on, an error of the request before. */
const BAD_ARGUMENTS: readonly Row[] = [
  { method: 'tools/call', params: { name: 'echo', arguments: { text: 5 } } },
  { method: 'tools/call', params: { name: 'echo' } },
];

const SESSION_ROWS: readonly Row[] = [
  { method: 'ping' },
  { method: 'logging/setLevel', params: { level: 'debug' } },
  { method: 'logging/setLevel', params: { level: 'loud' }, code: -32602 },
  { method: 'resources/subscribe', params: { uri: 'notes://today' } },
  { method: 'resources/subscribe', params: { uri: 'nothing://here' }, code: -32002 },
  { method: 'resources/subscribe', params: {}, code: -32602 },
  { method: 'resources/unsubscribe', params: { uri: 'notes://today' } },
  { method: 'server/discover', code: -32601 },
  { method: 'subscriptions/listen', code: -32601 },
  { method: 'tasks/get', params: { taskId: 'x' }, code: -32601 },
];

const STATELESS_ROWS: readonly Row[] = [
  { method: 'server/discover' },
  ...['initialize', 'ping', 'logging/setLevel', 'resources/subscribe', 'tasks/list', 'tasks/result'].map((method) => ({
    method,
    code: -32601,
    status: 404,
  })),
  { method: 'tools/call', params: { name: 'only-later', arguments: {} }, code: -32021, status: 400 },
  { method: 'tools/call', params: { name: 'ask-model', arguments: {} }, code: -32021, status: 400 },
  { method: 'tasks/get', params: { taskId: 'forged' }, code: -32021, status: 400 },
  { method: 'tasks/get', params: { taskId: 'forged', _meta: metaOf(TASKS) }, code: -32602 },
  { method: 'tools/call', params: { name: 'echo', arguments: {}, _meta: {} }, code: -32602, status: 400 },
  {
    method: 'tools/list',
    params: { _meta: metaOf({}, { 'io.modelcontextprotocol/protocolVersion': '2027-01-01' }) },
    code: -32020,
    status: 400,
  },
  { method: 'subscriptions/listen', params: {}, code: -32602 },
];

/** What is wrong with the answer to a row, or `''`. */
function wrongWith(row: Row, answer: Answer, revision: Revision): string {
  const session = revision.era === 'session';
  const code = session ? (row.sessionCode ?? row.code ?? 0) : (row.code ?? 0);
  const status = session ? 200 : (row.status ?? 200);
  if (answer.error.code === code && answer.status === status) return '';
  const asked = `${row.method} ${JSON.stringify(row.params ?? {})}`;
  return `${asked}: wanted ${status} ${code}, got ${answer.status} ${JSON.stringify(answer.last)}`;
}

const badArguments = (revision: Revision): readonly Row[] =>
  revision.icons ? BAD_ARGUMENTS : BAD_ARGUMENTS.map((row) => ({ ...row, code: -32602 }));

async function askAll(
  rows: readonly Row[],
  revision: Revision,
  ask: (method: string, params: Json | undefined) => Promise<Answer>,
): Promise<void> {
  const wrong: string[] = [];
  for (const row of rows) wrong.push(wrongWith(row, await ask(row.method, row.params), revision));
  assert.deepEqual(
    wrong.filter((text) => text !== ''),
    [],
  );
}

for (const frontend of FRONT_ENDS) {
  describe(`every method in every revision on ${frontend}`, () => {
    const check = new WireCheck();
    let served: Served;
    before(async () => {
      served = await serveFixtures(frontend, { pageSize: 5, server: { title: 'Fixture', instructions: 'Ask.' } });
    });
    after(() => served.close());

    for (const revision of SESSION_REVISIONS) {
      test(revision.name, async () => {
        const session = await Session.begin(served.url, revision, {}, tapFetch(check));
        await askAll([...ROWS, ...badArguments(revision), ...SESSION_ROWS], revision, (method, params) =>
          session.request(method, params),
        );
        await walkPages((params) => session.request('tools/list', params));
        const counted = await session.call('count', { to: 3 }, { _meta: { progressToken: 7 } });
        const told = counted.before.map((message) => String(message['method']));
        assert.equal(told.filter((method) => method === 'notifications/progress').length, 3);
        assert.equal(told.filter((method) => method === 'notifications/message').length, 3);
        assert.equal((await session.end()).status, 200);
        const gone = await session.request('ping');
        assert.deepEqual([gone.status, gone.error.code], [404, -32001]);
        check.assertClean(50);
      });
    }

    test('2026-07-28', async () => {
      const client = new Stateless(served.url, tapFetch(check));
      await askAll([...ROWS, ...BAD_ARGUMENTS, ...STATELESS_ROWS], REVISION_2026_07_28, (method, params) =>
        client.request(method, params),
      );
      await walkPages((params) => client.request('tools/list', params));
      const level = { progressToken: 'p', 'io.modelcontextprotocol/logLevel': 'warning' };
      const counted = await client.call('count', { to: 3 }, { _meta: metaOf({}, level) });
      const told = counted.before.map((message) => String(message['method']));
      assert.equal(told.filter((method) => method === 'notifications/progress').length, 3);
      assert.equal(told.filter((method) => method === 'notifications/message').length, 1);
      assert.equal((await client.call('count', { to: 3 })).before.length, 0);
      check.assertClean(50);
    });

    test('2026-07-28: rounds of questions, of a tool and of a prompt', async () => {
      const client = new Stateless(served.url, tapFetch(check));
      const _meta = metaOf(ALL);
      for (const [method, name, key, content] of [
        ['tools/call', 'ask-name', 'name', { name: 'Ada' }],
        ['prompts/get', 'asking', 'topic', { topic: 'mills' }],
      ] as const) {
        const first = await client.request(method, { name, _meta });
        assert.equal(first.result['resultType'], 'input_required', JSON.stringify(first.last));
        const inputResponses = { [key]: { action: 'accept', content } };
        const second = await client.request(method, {
          name,
          _meta,
          inputResponses,
          requestState: first.result['requestState'],
        });
        assert.match(JSON.stringify(second.result), /Ada|mills/);
      }
      for (const name of ['ask-model', 'ask-roots']) {
        assert.equal((await client.call(name, {}, { _meta })).result['resultType'], 'input_required');
      }
      check.assertClean(6);
    });

    test('2026-07-28: tasks from creation to each end', async () => {
      const client = new Stateless(served.url, tapFetch(check));
      const _meta = metaOf(ALL);
      const outcomes: unknown[] = [];
      for (const args of [{}, { fail: 'tool' }, { fail: 'request' }, { ask: true }]) {
        const created = await client.call('later', args, { _meta });
        assert.equal(created.result['resultType'], 'task');
        const { taskId } = created.result;
        const asked = await until(client, taskId, _meta, (status) => status !== 'working');
        if (asked['status'] === 'input_required') {
          const inputResponses = { sure: { action: 'decline' } };
          await client.request('tasks/update', { taskId, inputResponses, _meta });
        }
        const done = await until(client, taskId, _meta, (status) => status === 'completed' || status === 'failed');
        outcomes.push(done['status']);
        assert.equal((await client.request('tasks/cancel', { taskId, _meta })).error.code, 0);
      }
      assert.deepEqual(outcomes, ['completed', 'completed', 'failed', 'completed']);
      check.assertClean(10);
    });

    test('2026-07-28: a listening stream is told what it asked for, and ends with a result', async () => {
      const client = new Stateless(served.url, tapFetch(check));
      const stream = await client.open('subscriptions/listen', {
        notifications: {
          toolsListChanged: true,
          promptsListChanged: true,
          resourcesListChanged: true,
          resourceSubscriptions: ['notes://today'],
        },
      });
      const whole = stream.text();
      await new Stateless(served.url).call('touch', { uri: 'notes://today' });
      await served.close();
      const methods = [...(await whole).matchAll(/"method":"([^"]+)"/g)].map((match) => match[1]);
      assert.deepEqual(methods.slice(0, 1), ['notifications/subscriptions/acknowledged']);
      assert.deepEqual(
        new Set(methods.slice(1)),
        new Set([
          'notifications/tools/list_changed',
          'notifications/prompts/list_changed',
          'notifications/resources/list_changed',
          'notifications/resources/updated',
        ]),
      );
      assert.match(await whole, /"resultType":"complete"/);
      check.assertClean(5);
    });
  });
}

/** Follows the cursors; every entry comes once. */
async function walkPages(list: (params: Json) => Promise<Answer>): Promise<void> {
  const names: string[] = [];
  let cursor: unknown;
  do {
    const { result } = await list(cursor === undefined ? {} : { cursor });
    for (const tool of result['tools'] as { readonly name: string }[]) names.push(tool.name);
    cursor = result['nextCursor'];
  } while (cursor !== undefined);
  assert.ok(names.length > 15);
  assert.equal(new Set(names).size, names.length);
}

/** Asks for the task until it is as wanted: polling is what the extension has. */
async function until(
  client: Stateless,
  taskId: unknown,
  _meta: object,
  wanted: (status: unknown) => boolean,
): Promise<Json> {
  for (;;) {
    const { result } = await client.request('tasks/get', { taskId, _meta });
    assert.equal(typeof result['status'], 'string', JSON.stringify(result));
    if (wanted(result['status'])) return result;
  }
}
