/**
 * Tasks that wait for their users for as long as those like, beside calls of others.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRuntime } from '../../src/index.ts';
import { eventually } from '../clients/eventually.ts';
import { NodeClient, textOf } from './node-pair.ts';

const MAX_CONCURRENT = 4;
/** Without a permit, and half as many with one. */
const WAITING_MAX = MAX_CONCURRENT + MAX_CONCURRENT / 2;

for (const [where, asking, plain] of [
  ['in the pool', 'ask-user', 'plain'],
  ['inline', 'inline-ask-user', 'inline-plain'],
] as const) {
  test(`calls run beside tasks that wait for their users, however many there are (${where})`, async () => {
    const modules = [new URL('./fixtures/asking-tools.js', import.meta.url).href];
    const runtime = await createRuntime({
      modules,
      workers: 1,
      maxConcurrent: MAX_CONCURRENT,
      port: 0,
      logLevel: 'error',
    });
    try {
      const client = new NodeClient((await runtime.listen()).url);
      const taskIds: string[] = [];
      const statusOf = (taskId: string, wanted: string): Promise<unknown> =>
        eventually(
          `${taskId} ${wanted}`,
          () => client.status(taskId),
          (status) => status === wanted,
        );
      const start = async (): Promise<string> => String((await client.call(asking)).result['taskId']);
      for (let i = 0; i < WAITING_MAX; i++) {
        const taskId = await start();
        taskIds.push(taskId);
        await statusOf(taskId, 'input_required');
        assert.equal(textOf(await client.call(plain)), 'here');
      }
      const oneMore = await start();
      await statusOf(oneMore, 'failed');
      const { result } = await client.task(oneMore);
      assert.match(JSON.stringify(result['error']), /too many calls wait for answers from their clients/);
      assert.equal(textOf(await client.call(plain)), 'here');
      for (const taskId of taskIds) {
        const { inputRequests } = (await client.task(taskId)).result as { inputRequests: object };
        const inputResponses = Object.fromEntries(
          Object.keys(inputRequests).map((key) => [key, { action: 'accept', content: { go: true } }]),
        );
        await client.request('tasks/update', { taskId, inputResponses });
        await statusOf(taskId, 'completed');
        assert.match(JSON.stringify((await client.task(taskId)).result['result']), /accept/);
      }
      const again = await start();
      await statusOf(again, 'input_required');
    } finally {
      await runtime.close(0);
    }
  });
}
