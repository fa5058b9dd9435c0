import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fault } from '../../src/protocol/faults.ts';
import { RedisUnavailable } from '../../src/redis/unavailable.ts';
import { MemoryTaskStore } from '../../src/tasks/memory-store.ts';
import type { TaskStore } from '../../src/tasks/port.ts';
import { ASKS_PER_TASK_MAX } from '../../src/tasks/running-task.ts';
import { FakeEngine, newJob, textOf, WISH } from './fake-engine.ts';
import { taskRecord } from './task-store.contract.ts';

const unknown = fault('invalidParams', 'unknown task');

describe('creating a task', () => {
  test('answers with the flat shape, dates in ISO 8601 and whole milliseconds', async () => {
    const { created } = await new FakeEngine().start('ann', { ttlMs: 1_500.4, pollIntervalMs: 0 });
    assert.deepEqual(created, {
      resultType: 'task',
      taskId: 'task-1',
      status: 'working',
      createdAt: '2026-11-21T00:00:00.000Z',
      lastUpdatedAt: '2026-11-21T00:00:00.000Z',
      ttlMs: 1500,
      pollIntervalMs: 1000,
    });
  });

  test('keeps the wished time within the bound; a wish for ever gets the bound', async () => {
    const engine = new FakeEngine();
    for (const ttlMs of [null, 1e12, -1, Number.NaN]) {
      const { created } = await engine.start('ann', { ttlMs, pollIntervalMs: 100 });
      assert.equal(created.ttlMs, 3_600_000);
    }
  });

  test('is refused with a retryable fault when there is no room, and nothing is kept', async () => {
    const engine = new FakeEngine({ tasksMax: 1 });
    await engine.start();
    const refused = await engine.tasks.create(newJob(), 'ann', WISH, null);
    assert.ok('message' in refused);
    assert.equal(refused.name, 'limitReached');
    assert.equal(engine.tasks.size, 1);
  });

  test('puts the metadata of the server on every result, not on notifications', async () => {
    const engine = new FakeEngine({ metaJson: '{"srv":1}' });
    const { created, taskId, respond } = await engine.start();
    const results = [created, await engine.view(taskId)] as { _meta?: unknown }[];
    results.push(JSON.parse(textOf(await engine.tasks.update(taskId, 'ann', {}))) as object);
    results.push(JSON.parse(textOf(await engine.tasks.cancel(taskId, 'ann'))) as object);
    for (const result of results) assert.deepEqual(result._meta, { srv: 1 });
    respond({ result: {} });
    assert.equal('_meta' in (engine.told[0] ?? {}), false);
  });
});

describe('reading a task', () => {
  test('shows status and times only while it works', async () => {
    const engine = new FakeEngine();
    const { taskId, created } = await engine.start();
    assert.deepEqual(await engine.view(taskId), { ...created, resultType: 'complete' });
  });

  test('is refused alike for an unknown, an expired and another principal’s task', async () => {
    const engine = new FakeEngine();
    const { taskId } = await engine.start('ann');
    const anonymous = await engine.start(null);
    for (const [id, who] of [
      ['nothing', 'ann'],
      [taskId, 'bob'],
      [taskId, null],
      [anonymous.taskId, 'ann'],
    ] as const) {
      assert.deepEqual(await engine.tasks.get(id, who), unknown);
      assert.deepEqual(await engine.tasks.update(id, who, {}), unknown);
      assert.deepEqual(await engine.tasks.cancel(id, who), unknown);
    }
    assert.equal(engine.cancelled.length, 0);
    engine.nowMs += 60_001;
    assert.deepEqual(await engine.tasks.get(taskId, 'ann'), unknown);
  });

  test('a result is inlined as it was, also one that says isError', async () => {
    for (const isError of [false, true]) {
      const engine = new FakeEngine();
      const { taskId, respond } = await engine.start();
      const result = { content: [{ type: 'text', text: 'ü' }], isError, resultType: 'complete' };
      engine.nowMs += 500;
      respond({ result });
      const view = await engine.view(taskId);
      assert.equal(view.status, 'completed');
      assert.deepEqual(view.result, result);
      assert.equal('error' in view, false);
      assert.equal(view.lastUpdatedAt, '2026-11-21T00:00:00.500Z');
    }
  });

  test('a JSON-RPC error fails it, with the error and a message, without a result', async () => {
    const engine = new FakeEngine();
    const { taskId, respond } = await engine.start();
    respond({ error: { code: -32000, message: 'boom', data: { a: 1 } } });
    const view = await engine.view(taskId);
    assert.equal(view.status, 'failed');
    assert.deepEqual(view.error, { code: -32000, message: 'boom', data: { a: 1 } });
    assert.equal(view.statusMessage, 'boom');
    assert.equal('result' in view, false);
  });

  test('a job that was shed, timed out or lost its worker fails it', async () => {
    const engine = new FakeEngine();
    const { taskId, sink, job } = await engine.start();
    sink.refused(job, fault('timeout', 'the deadline passed', { afterMs: 5 }));
    const view = await engine.view(taskId);
    assert.deepEqual(view.error, { code: -32000, message: 'the deadline passed', data: { afterMs: 5 } });
  });

  test('bytes that are no response fail it as internal and are logged', async () => {
    for (const text of ['not json', '{"jsonrpc":"2.0","id":1}', '3', '{"result":7}']) {
      const engine = new FakeEngine();
      const { taskId, sink, job } = await engine.start();
      sink.completed(job, 200, Buffer.from(text));
      assert.deepEqual((await engine.view(taskId)).error, { code: -32603, message: 'internal error' });
      assert.equal(engine.logged.length, 1);
    }
  });

  test('progress, log records and released connections change nothing', async () => {
    const engine = new FakeEngine();
    const { taskId, sink, job, created } = await engine.start();
    sink.emitted(job, Buffer.from('{}'));
    sink.releasedConnection(job, 100);
    assert.deepEqual(await engine.view(taskId), { ...created, resultType: 'complete' });
    assert.equal(engine.told.length, 0);
  });

  test('a tool that asks again to be a task is told which it is', async () => {
    const engine = new FakeEngine();
    const { taskId, sink, job } = await engine.start();
    sink.becameTask(job, WISH);
    assert.deepEqual(engine.started, [{ taskId, deadlineMs: 5_000 }]);
  });
});

describe('answering a task', () => {
  test('questions stand under their keys until answered; a part may be answered', async () => {
    const engine = new FakeEngine();
    const { taskId, ask, job } = await engine.start();
    ask(1, 'name');
    ask(2, 'colour');
    const view = await engine.view(taskId);
    assert.equal(view.status, 'input_required');
    assert.deepEqual(view.inputRequests, {
      name: { method: 'elicitation/create', params: { message: 'q1' } },
      colour: { method: 'elicitation/create', params: { message: 'q2' } },
    });
    const acknowledgement = await engine.tasks.update(taskId, 'ann', { colour: { action: 'accept' }, other: {} });
    assert.equal(acknowledgement, '{"resultType":"complete"}');
    assert.deepEqual(engine.answered, [{ job, askId: 2, resultJson: '{"action":"accept"}', error: null }]);
    const after = await engine.view(taskId);
    assert.equal(after.status, 'input_required');
    assert.deepEqual(Object.keys(after.inputRequests ?? {}), ['name']);
    await engine.tasks.update(taskId, 'ann', { name: { action: 'decline' } });
    const resumed = await engine.view(taskId);
    assert.equal(resumed.status, 'working');
    assert.equal('inputRequests' in resumed, false);
  });

  test('an answer given twice, unknown, malformed or inherited is ignored', async () => {
    const engine = new FakeEngine();
    const { taskId, ask } = await engine.start();
    ask(1, 'constructor');
    ask(2, '__proto__');
    for (const answers of [{}, { nothing: {} }, { constructor: 1 }, { constructor: null }, { constructor: ['x'] }]) {
      assert.equal(await engine.tasks.update(taskId, 'ann', answers), '{"resultType":"complete"}');
    }
    assert.equal(engine.answered.length, 0);
    await engine.tasks.update(taskId, 'ann', { constructor: {} });
    await engine.tasks.update(taskId, 'ann', { constructor: {} });
    assert.deepEqual(
      engine.answered.map((answer) => answer.askId),
      [1],
    );
  });

  test('a key is never used twice in the life of a task', async () => {
    const engine = new FakeEngine();
    const { taskId, ask } = await engine.start();
    const seen: string[] = [];
    for (const [askId, key] of ['name', 'name', 'name-2', '', 'name', '__proto__'].entries()) {
      ask(askId, key);
      const open = Object.keys((await engine.view(taskId)).inputRequests ?? {});
      assert.equal(open.length, 1);
      seen.push(...open);
      await engine.tasks.update(
        taskId,
        'ann',
        JSON.parse(`{${JSON.stringify(open[0])}:{}}`) as Record<string, unknown>,
      );
    }
    assert.equal(new Set(seen).size, seen.length, seen.join());
    assert.deepEqual(
      engine.answered.map((answer) => answer.askId),
      [0, 1, 2, 3, 4, 5],
    );
  });

  test('a task that asks without end gets an error instead of an answer', async () => {
    const engine = new FakeEngine();
    const { ask } = await engine.start();
    for (let n = 0; n <= ASKS_PER_TASK_MAX; n += 1) ask(n, 'again');
    assert.equal(engine.answered.length, 1);
    assert.equal(engine.answered[0]?.askId, ASKS_PER_TASK_MAX);
    assert.equal(engine.answered[0]?.error?.code, -32603);
  });
});

describe('cancelling a task', () => {
  test('cancels the job once, is acknowledged each time, and late events change nothing', async () => {
    const engine = new FakeEngine();
    const { taskId, job, ask, respond, sink } = await engine.start();
    ask(1, 'name');
    for (let n = 0; n < 3; n += 1) {
      assert.equal(await engine.tasks.cancel(taskId, 'ann'), '{"resultType":"complete"}');
    }
    assert.deepEqual(engine.cancelled, [job]);
    respond({ result: { content: [] } });
    sink.refused(job, fault('timeout', 'late'));
    ask(2, 'late');
    await engine.tasks.update(taskId, 'ann', { name: {} });
    const view = await engine.view(taskId);
    assert.equal(view.status, 'cancelled');
    assert.equal('inputRequests' in view || 'result' in view || 'error' in view, false);
    assert.equal(engine.answered.length, 0);
  });

  test('of one that has ended leaves it as it was', async () => {
    const engine = new FakeEngine();
    const { taskId, respond } = await engine.start();
    respond({ result: { content: [] } });
    assert.equal(await engine.tasks.cancel(taskId, 'ann'), '{"resultType":"complete"}');
    assert.equal((await engine.view(taskId)).status, 'completed');
    assert.equal(engine.cancelled.length, 0);
  });

  test('of one whose job is not on this node marks the record', async () => {
    const store = new MemoryTaskStore({ tasksMax: 2 });
    const engine = new FakeEngine({ store });
    store.put(taskRecord('elsewhere', { bornAtMs: engine.nowMs }));
    assert.equal(await engine.tasks.cancel('elsewhere', 'ann'), '{"resultType":"complete"}');
    assert.equal((await engine.view('elsewhere')).status, 'cancelled');
    assert.deepEqual(
      engine.told.map((task) => task.status),
      ['cancelled'],
    );
    assert.equal(engine.logged.length, 1);
  });
});

describe('dropping a task that nobody was told of', () => {
  test('leaves nothing, so that calls that are refused take no room from results that are kept', async () => {
    const engine = new FakeEngine({ tasksMax: 3 });
    const ended = [await engine.start(), await engine.start()];
    for (const { respond } of ended) respond({ result: { content: [] } });
    for (let n = 0; n < 10; n += 1) {
      const { taskId } = await engine.start();
      await engine.tasks.drop(taskId);
      assert.deepEqual(await engine.tasks.get(taskId, 'ann'), unknown);
    }
    for (const { taskId } of ended) assert.equal((await engine.view(taskId)).status, 'completed');
    assert.equal(engine.tasks.size, 2);
    assert.deepEqual([engine.told.length, engine.cancelled.length], [2, 0]);
  });

  test('marks it as cancelled when the store is away', async () => {
    const store: TaskStore = new MemoryTaskStore({ tasksMax: 3 });
    const engine = new FakeEngine({ store });
    const { taskId } = await engine.start();
    store.delete = () => Promise.reject(new RedisUnavailable('away', 'away', false));
    await engine.tasks.drop(taskId);
    assert.equal((await engine.view(taskId)).status, 'cancelled');
  });
});

describe('the time of a task', () => {
  test('ends its job and its record at the sweep after it', async () => {
    const engine = new FakeEngine();
    const { taskId, job } = await engine.start();
    engine.nowMs += 60_000;
    engine.tasks.sweep(engine.nowMs);
    assert.equal((await engine.view(taskId)).status, 'working');
    engine.nowMs += 1;
    engine.tasks.sweep(engine.nowMs);
    engine.tasks.sweep(engine.nowMs);
    assert.deepEqual(engine.cancelled, [job]);
    assert.equal(engine.tasks.size, 0);
  });

  test('never runs backwards on the wire', async () => {
    const engine = new FakeEngine();
    const { taskId, respond } = await engine.start();
    engine.nowMs -= 10_000;
    respond({ result: {} });
    assert.equal((await engine.view(taskId)).lastUpdatedAt, '2026-11-21T00:00:00.000Z');
  });
});

describe('notifications of a task', () => {
  test('tell every change with what reading it would have shown', async () => {
    const engine = new FakeEngine();
    const { taskId, ask, respond } = await engine.start();
    const expected: object[] = [];
    const remember = async () => {
      const { resultType: _, ...task } = await engine.view(taskId);
      expected.push(task);
    };
    ask(1, 'a');
    await remember();
    await engine.tasks.update(taskId, 'ann', { a: {} });
    await remember();
    respond({ result: { content: [] } });
    await remember();
    assert.deepEqual(engine.told, expected);
    assert.deepEqual(
      engine.told.map((task) => task.status),
      ['input_required', 'working', 'completed'],
    );
  });
});
