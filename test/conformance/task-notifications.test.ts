/**
 * Task notifications end to end, since the suite's own scenario for them is empty: a task of the fixture, told of on a
 * `subscriptions/listen` stream from its question to its result, until the server ends the stream.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Runtime } from '../../src/index.ts';
import { createFixture } from './serve.ts';

type Message = {
  id?: unknown;
  method?: string;
  params?: Record<string, unknown> & { _meta?: Record<string, unknown>; status?: string };
  result?: Record<string, unknown>;
};

const SUBSCRIPTION_ID = 'io.modelcontextprotocol/subscriptionId';

function post(url: string, id: unknown, method: string, name: string, params: object): Promise<Response> {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {
      elicitation: {},
      extensions: { 'io.modelcontextprotocol/tasks': {} },
    },
  };
  return fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(name === '' ? {} : { 'mcp-name': name }),
    },
    body: JSON.stringify({ jsonrpc: '2.0', id, method, params: { ...params, _meta: meta } }),
  });
}

async function request(url: string, method: string, name: string, params: object): Promise<Record<string, unknown>> {
  const { result } = (await (await post(url, 1, method, name, params)).json()) as Message;
  assert.ok(result !== undefined, method);
  return result;
}

async function* messages(response: Response): AsyncGenerator<Message> {
  assert.ok(response.body !== null);
  let text = '';
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const frames = text.split(/\r?\n\r?\n/);
    text = frames.pop() ?? '';
    for (const frame of frames) {
      const data = /^data: ?(.*)$/m.exec(frame)?.[1] ?? '';
      if (data !== '') yield JSON.parse(data) as Message;
    }
  }
}

describe('task notifications', () => {
  let runtime: Runtime;
  let url: string;
  before(async () => {
    runtime = await createFixture(0);
    ({ url } = await runtime.listen());
  });
  after(() => runtime.close());

  test('tell of a task from its question to its result, and the stream ends with one of its own', async () => {
    const { taskId } = await request(url, 'tools/call', 'confirm_delete', {
      name: 'confirm_delete',
      arguments: { filename: 'a.txt' },
    });
    const filter = { notifications: { taskIds: [taskId, 'of-somebody-else'] } };
    const response = await post(url, 'listen-1', 'subscriptions/listen', '', filter);
    assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);

    const seen: Message[] = [];
    let answered = false;
    for await (const message of messages(response)) {
      seen.push(message);
      if (message.params !== undefined) assert.equal(message.params._meta?.[SUBSCRIPTION_ID], 'listen-1');
      const asked = message.method?.endsWith('acknowledged') === true || message.params?.status === 'input_required';
      if (asked && !answered) {
        const task = await request(url, 'tasks/get', String(taskId), { taskId });
        if (task['status'] === 'input_required') {
          answered = true;
          const inputResponses = { confirm: { action: 'accept', content: { confirm: true } } };
          await request(url, 'tasks/update', String(taskId), { taskId, inputResponses });
        }
      }
      if (message.params?.status === 'completed') void runtime.close();
    }

    assert.deepEqual(seen[0]?.params?.['notifications'], { taskIds: [taskId] });
    const told = seen.find((message) => message.params?.status === 'completed')?.params;
    const result = told?.['result'] as { content?: unknown } | undefined;
    assert.deepEqual(result?.content, [{ type: 'text', text: 'a.txt would be deleted' }]);
    assert.equal(told?.['taskId'], taskId);
    const last = seen.at(-1);
    assert.equal(last?.id, 'listen-1');
    assert.equal(last?.result?.['resultType'], 'complete');
  });
});
