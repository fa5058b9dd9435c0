/**
 * A wall clock that is set while tasks run: it says when they began, not how long they live.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defineTool } from '../../src/catalogue/define.ts';
import { createRuntime } from '../../src/index.ts';
import { eventually } from '../clients/eventually.ts';
import { NodeClient } from './node-pair.ts';

const HOUR_MS = 3_600_000;

test('a task lives on when the wall clock is put forward', async (context) => {
  const wall = Date.now;
  let aheadMs = 0;
  context.mock.method(Date, 'now', () => wall() + aheadMs);
  let finish: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const slow = defineTool({ name: 'slow', run: 'inline' }, async (_args, call) => {
    await call.startTask({ ttlMs: HOUR_MS / 2 });
    await gate;
    return 'done';
  });
  const runtime = await createRuntime({ definitions: [slow], workers: 1, port: 0, logLevel: 'error' });
  try {
    const client = new NodeClient((await runtime.listen()).url);
    const { result } = await client.call('slow');
    const taskId = String(result['taskId']);
    const { createdAt } = (await client.task(taskId)).result;
    aheadMs = HOUR_MS;
    assert.equal(await client.status(taskId), 'working');
    finish();
    await eventually(
      'status',
      () => client.status(taskId),
      (status) => status === 'completed',
    );
    const task = (await client.task(taskId)).result;
    assert.ok(Date.parse(String(task['lastUpdatedAt'])) >= Date.parse(String(createdAt)) + HOUR_MS);
  } finally {
    await runtime.close();
  }
});
