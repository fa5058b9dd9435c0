/**
 * Tasks that were given to another node, when that one cannot run them at once: they wait, and are not lost.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { SharedRedis, until } from '../redis/shared-redis.ts';
import { Node, Stage, textOf } from './node-pair.ts';

const HEARTBEAT_MS = 500;
const AGAIN = { task: 'required', annotations: { readOnlyHint: true } } as const;

describe('a task that may be repeated', () => {
  let redis: SharedRedis;
  before(async () => {
    redis = await SharedRedis.single();
  });
  after(() => redis.end());

  const settingsOf = (test: string, nodeId: string) => ({
    redisUrl: redis.url,
    nodeId,
    heartbeatMs: HEARTBEAT_MS,
    cluster: { prefix: `${test}:` },
  });
  const shows = (node: Node, tool: string) => async (): Promise<boolean> => {
    const { result } = await node.request('tools/list', {});
    return (result['tools'] as readonly { name: string }[]).some(({ name }) => name === tool);
  };
  const completed = async (node: Node, taskId: string): Promise<string> => {
    await until('the end', async () => {
      const status = await node.status(taskId);
      assert.notEqual(status, 'failed');
      return status === 'completed';
    });
    return textOf({ result: (await node.task(taskId)).result['result'] } as never);
  };

  for (const front of ['made by the node that is left', 'made by the node that goes']) {
    test(`${front}, waits for the only node that runs its tool, however unknown that becomes`, async () => {
      const stage = new Stage();
      const prefix = front.replaceAll(' ', '-');
      const startB = () => Node.start(settingsOf(prefix, 'b'), [stage.slowTool('rare', AGAIN)]);
      const a = await Node.start(settingsOf(prefix, 'a'), [stage.tool('other')]);
      let b = await startB();
      try {
        await until('the tool', shows(a, 'rare'));
        const asked = front.endsWith('left') ? a : b;
        const { error, result } = await asked.call('rare');
        assert.equal(error, undefined);
        const taskId = String(result['taskId']);
        await until('the execution', () => stage.waiting === 1);
        await b.runtime.close(50);
        // Nobody offers it, then nobody has heard of it.
        await until('the tool to be gone', async () => !(await shows(a, 'rare')()));
        assert.equal(await a.status(taskId), 'working');
        b = await startB();
        await until('the second execution', () => stage.executions('rare') === 2);
        stage.release();
        assert.equal(await completed(a, taskId), 'rare 2');
      } finally {
        await Promise.all([a.runtime.close(0), b.runtime.close(0)]);
      }
    });
  }

  test('waits for a node that is full', async () => {
    const stage = new Stage();
    const tools = [stage.slowTool('long-again', AGAIN), stage.slowTool('busy')];
    const full = { maxConcurrent: 1, queueSize: 1, overload: 'reject' } as const;
    const a = await Node.start(settingsOf('full', 'a'), tools);
    const b = await Node.start({ ...settingsOf('full', 'b'), ...full, requestTimeoutMs: 60_000 }, tools);
    try {
      const taskId = String((await a.call('long-again')).result['taskId']);
      await until('the execution', () => stage.waiting === 1);
      const busy = [b.call('busy'), b.call('busy')];
      await until('the other node to be full', async () => (await b.call('busy')).status === 503);
      await a.runtime.close(50);
      await until('the refusal', async () => Number(await redis.server?.run('ZCARD', 'full:{tasks}:claims')) === 1);
      assert.equal(await b.status(taskId), 'working');
      await until('both to end', async () => {
        stage.release();
        return stage.executions('long-again') === 2;
      });
      stage.release();
      await Promise.all(busy);
      assert.equal(await completed(b, taskId), 'long-again 2');
    } finally {
      await Promise.all([a.runtime.close(0), b.runtime.close(0)]);
    }
  });
});
