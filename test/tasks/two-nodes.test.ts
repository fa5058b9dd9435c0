import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { defineTool } from '../../src/catalogue/define.ts';
import { SharedRedis, until } from '../redis/shared-redis.ts';
import { metaOf, statelessHeaders } from '../wire/raw-clients.ts';
import { Node, Stage, TASK_CLIENT, textOf } from './node-pair.ts';

const TASK = { task: 'required' } as const;

const toolsOf = (stage: Stage) => [
  stage.slowTool('long', TASK),
  stage.slowTool('long-again', { ...TASK, annotations: { readOnlyHint: true } }),
  defineTool({ name: 'asks', ...TASK }, async (_args, context) => {
    stage.ran.push('asks');
    const { action, content } = await context.elicit({ message: 'Really?', key: 'sure' });
    return `${action} ${JSON.stringify(content ?? null)}`;
  }),
];

const statusOf = (node: Node, taskId: string): Promise<unknown> => node.status(taskId);

/** Statuses of a task as a stream of the node tells them, from when it stands. */
async function listening(node: Node, taskId: string, signal: AbortSignal): Promise<readonly string[]> {
  const params = { notifications: { taskIds: [taskId] }, _meta: metaOf(TASK_CLIENT) };
  const response = await fetch(node.url, {
    method: 'POST',
    headers: statelessHeaders('subscriptions/listen', {}),
    body: JSON.stringify({ jsonrpc: '2.0', id: 9, method: 'subscriptions/listen', params }),
    signal,
  });
  const told: string[] = [];
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  const read = async (): Promise<boolean> => {
    const chunk = await reader?.read();
    text += chunk?.value ?? '';
    for (const [, status] of text.matchAll(/"status":"([a-z_]+)"/g)) told.push(String(status));
    text = text.slice(text.lastIndexOf('\n'));
    return chunk?.done === false;
  };
  await read();
  // Ends with the abort of the test.
  void (async () => {
    while (await read().catch(() => false));
  })();
  return told;
}

describe('tasks on two nodes', () => {
  let redis: SharedRedis;
  let stage: Stage;
  let a: Node;
  let b: Node;
  before(async () => {
    redis = await SharedRedis.single();
    stage = new Stage();
    a = await Node.start({ redisUrl: redis.url, nodeId: 'a' }, toolsOf(stage));
    b = await Node.start({ redisUrl: redis.url, nodeId: 'b' }, toolsOf(stage));
  });
  after(async () => {
    await Promise.all([a.runtime.close(0), b.runtime.close(0)]);
    await redis.end();
  });
  beforeEach(() => {
    stage.release();
    stage.ran.length = 0;
    stage.cancelled.length = 0;
  });
  const begin = async (tool: string): Promise<string> => {
    const { result } = await a.call(tool);
    assert.equal(result['resultType'], 'task');
    return String(result['taskId']);
  };

  test('a task made on one is read on the other, from its beginning to its result', async () => {
    const taskId = await begin('long');
    assert.deepEqual([await statusOf(a, taskId), await statusOf(b, taskId)], ['working', 'working']);
    await until('the execution', () => stage.waiting === 1);
    stage.release();
    await until('the end', async () => (await statusOf(b, taskId)) === 'completed');
    const [onA, onB] = [await a.task(taskId), await b.task(taskId)];
    assert.deepEqual(onB.result, onA.result);
    assert.equal(textOf({ ...onB, result: onB.result['result'] as never }), 'long 1');
  });

  test('a task cancelled on the other is stopped, and stays cancelled', async () => {
    const taskId = await begin('long');
    await until('the execution', () => stage.waiting === 1);
    const cancelled = await b.request('tasks/cancel', { taskId });
    assert.equal(cancelled.result['resultType'], 'complete');
    await until('the end of the execution', () => stage.cancelled.length === 1);
    for (const node of [a, b]) assert.equal(await statusOf(node, taskId), 'cancelled');
    stage.release();
  });

  test('a question is answered on the other', async () => {
    const taskId = await begin('asks');
    await until('the question', async () => (await statusOf(b, taskId)) === 'input_required');
    const { inputRequests } = (await b.task(taskId)).result as { inputRequests: Record<string, { method: string }> };
    assert.equal(inputRequests['sure']?.method, 'elicitation/create');
    const inputResponses = { sure: { action: 'accept', content: { by: 'b' } }, other: { action: 'accept' } };
    await b.request('tasks/update', { taskId, inputResponses });
    await until('the end', async () => (await statusOf(b, taskId)) === 'completed');
    const { result } = (await a.task(taskId)).result as { result: { content: { text: string }[] } };
    assert.equal(result.content[0]?.text, 'accept {"by":"b"}');
  });

  test('whoever listens on the other is told of each change', async () => {
    const taskId = await begin('asks');
    const leaving = new AbortController();
    const told = await listening(b, taskId, leaving.signal);
    await until('the question', async () => (await statusOf(b, taskId)) === 'input_required');
    await a.request('tasks/update', { taskId, inputResponses: { sure: { action: 'decline' } } });
    await until('the end to be told', () => told.includes('completed'));
    leaving.abort();
  });

  test('nobody else reads it', async () => {
    const unknown = await b.task('no-such-task');
    assert.equal(unknown.error.code, -32602);
  });
});

describe('tasks when Redis is away', () => {
  test('cannot be made; those that run here are still told of, and end as they should when it is back', async () => {
    const redis = await SharedRedis.single();
    const stage = new Stage();
    const node = await Node.start({ redisUrl: redis.url, heartbeatMs: 300 }, toolsOf(stage));
    try {
      const taskId = String((await node.call('long')).result['taskId']);
      await until('the execution', () => stage.waiting === 1);
      await redis.server?.end();
      const refused = await until('the refusal', async () => {
        const answer = await node.call('long');
        return answer.status === 503 ? answer : undefined;
      });
      assert.equal(refused.error.code, -32000);
      assert.equal(await statusOf(node, taskId), 'working');
      stage.release();
      await until('the end', async () => (await statusOf(node, taskId)) === 'completed');
      assert.equal((await node.task('other')).status, 503);
      // It has no disk: the task is stored anew.
      await redis.server?.startAgain();
      await until(
        'the task in Redis',
        async () => (await redis.server?.run('EXISTS', `mcp:{tasks}:t:${taskId}`)) === 1,
      );
      assert.equal(await statusOf(node, taskId), 'completed');
    } finally {
      await node.runtime.close(0);
      await redis.end();
    }
  });
});

describe('a node that stops', () => {
  test('leaves what may be repeated to another one, and lets the rest fail', async () => {
    const redis = await SharedRedis.single();
    const stage = new Stage();
    const [a, b] = [
      await Node.start({ redisUrl: redis.url, nodeId: 'a' }, toolsOf(stage)),
      await Node.start({ redisUrl: redis.url, nodeId: 'b' }, toolsOf(stage)),
    ];
    try {
      const again = String((await a.call('long-again')).result['taskId']);
      const once = String((await a.call('long')).result['taskId']);
      await until('the executions', () => stage.waiting === 2);
      await a.runtime.close(50);
      await until('the other execution', () => stage.executions('long-again') === 2);
      assert.equal(await statusOf(b, once), 'failed');
      assert.equal(await statusOf(b, again), 'working');
      stage.release();
      await until('the end', async () => (await statusOf(b, again)) === 'completed');
      assert.equal(stage.executions('long'), 1);
    } finally {
      await b.runtime.close(0);
      await redis.end();
    }
  });
});
