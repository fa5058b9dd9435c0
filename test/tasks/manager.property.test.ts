/** The manager against a model, over stores that answer at once, later, and later in another order. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { MemoryTaskStore } from '../../src/tasks/memory-store.ts';
import type { PutAnswer, TaskRecord, TaskStore } from '../../src/tasks/port.ts';
import { isTerminal, nextStatus, type TaskEvent } from '../../src/tasks/transitions.ts';
import { FakeEngine } from './fake-engine.ts';

type Step =
  | { kind: 'ask'; key: string }
  | { kind: 'answer'; keys: number }
  | { kind: 'cancel' | 'result' | 'error' | 'refused' };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('ask' as const), key: fc.constantFrom('', 'a', 'b') }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('answer' as const), keys: fc.nat(3) }) },
  fc.constantFrom<Step>({ kind: 'cancel' }, { kind: 'result' }, { kind: 'error' }, { kind: 'refused' }),
);

const copy = (record: TaskRecord): TaskRecord => ({ ...record, inputRequests: new Map(record.inputRequests) });

/** Keeps what it was sent when it was sent it, and answers later: one call may overtake another. */
class RemoteLikeStore implements TaskStore {
  readonly #inner = new MemoryTaskStore({ tasksMax: 16 });
  #calls = 0;
  get size(): number {
    return this.#inner.size;
  }
  async put(record: TaskRecord): Promise<PutAnswer> {
    const sent = copy(record);
    await this.#travel();
    return this.#inner.put(sent);
  }
  async get(taskId: string): Promise<TaskRecord | undefined> {
    const found = this.#inner.get(taskId);
    await this.#travel();
    return found === undefined ? undefined : copy(found);
  }
  async delete(taskId: string): Promise<void> {
    this.#inner.delete(taskId);
    await this.#travel();
  }
  sweep(nowMs: number): void {
    this.#inner.sweep(nowMs);
  }
  async #travel(): Promise<void> {
    this.#calls += 1;
    const hops = 12 - (this.#calls % 4) * 3;
    for (let n = 0; n < hops; n += 1) await Promise.resolve();
  }
}

async function settle(): Promise<void> {
  for (let n = 0; n < 2; n += 1) await new Promise((resolve) => setImmediate(resolve));
}

async function run(engine: FakeEngine, steps: readonly Step[], settled: () => Promise<void>): Promise<void> {
  const { taskId, ask, respond, sink, job } = await engine.start();
  const issued: string[] = [];
  let asks = 0;
  let terminal = '';
  for (const s of steps) {
    if (s.kind === 'ask') {
      asks += 1;
      ask(asks, s.key);
    } else if (s.kind === 'answer') {
      const keys = issued.slice(-s.keys);
      await engine.tasks.update(taskId, 'ann', Object.fromEntries(keys.map((key) => [key, {}])));
    } else if (s.kind === 'cancel') await engine.tasks.cancel(taskId, 'ann');
    else if (s.kind === 'result') respond({ result: { content: [] } });
    else if (s.kind === 'error') respond({ error: { code: 1, message: 'm' } });
    else sink.refused(job, { name: 'timeout', message: 'late', data: undefined });
    await settled();
    const view = await engine.view(taskId);
    const open = Object.keys(view.inputRequests ?? {});
    assert.equal(view.status === 'input_required', open.length > 0, 'waiting exactly while a question is open');
    for (const key of open) if (!issued.includes(key)) issued.push(key);
    if (terminal !== '') assert.equal(view.status, terminal, 'what has ended stays as it ended');
    if (['completed', 'failed', 'cancelled'].includes(view.status)) terminal = view.status;
    assert.equal(view.result !== undefined, view.status === 'completed');
    assert.equal(view.error !== undefined, view.status === 'failed');
    const { resultType: _, ...task } = view;
    if (engine.told.length > 0) assert.deepEqual(engine.told.at(-1), task, 'the last notification is the state');
  }
  const answeredIds = engine.answered.map((answer) => answer.askId);
  assert.equal(new Set(answeredIds).size, answeredIds.length, 'no question is answered twice');
  assert.ok(engine.cancelled.length <= 1);
}

describe('the life of a task', () => {
  test('keeps its rules under any order of events', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), (steps) =>
        run(new FakeEngine(), steps, () => Promise.resolve()),
      ),
      { numRuns: 200 },
    );
  });

  test('keeps them over a store that answers later', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), (steps) =>
        run(new FakeEngine({ store: new RemoteLikeStore() }), steps, settle),
      ),
      { numRuns: 60 },
    );
  });

  test('is stored and told in order although later writes travel faster', async () => {
    for (const asks of [1, 2, 3, 4]) {
      const engine = new FakeEngine({ store: new RemoteLikeStore() });
      const { ask, respond, taskId } = await engine.start();
      for (let n = 1; n <= asks; n += 1) ask(n, `q${n}`);
      respond({ result: { content: [] } });
      await settle();
      const open = engine.told.map((task) => Object.keys(task.inputRequests ?? {}).length);
      assert.deepEqual(open, [...Array.from({ length: asks }, (_, n) => n + 1), 0]);
      assert.equal(engine.told.at(-1)?.status, 'completed');
      assert.equal((await engine.view(taskId)).status, 'completed');
    }
  });

  test('a write that fails is logged and does not stop the next', async () => {
    const store = new RemoteLikeStore();
    const put = store.put.bind(store);
    const engine = new FakeEngine({ store });
    const { ask, respond, taskId } = await engine.start();
    store.put = () => Promise.reject(new Error('down'));
    ask(1, 'a');
    await settle();
    assert.equal(engine.logged.length, 1);
    store.put = put;
    respond({ result: { content: [] } });
    await settle();
    assert.equal((await engine.view(taskId)).status, 'completed');
  });

  test('once ended has no event that moves it, and every other status has', () => {
    const events: TaskEvent[] = ['asked', 'answered', 'completed', 'failed', 'cancelled'];
    for (const status of ['working', 'input_required', 'completed', 'failed', 'cancelled'] as const) {
      const moves = events.filter((event) => nextStatus(status, event) !== null).length;
      assert.equal(isTerminal(status), moves === 0);
    }
  });
});
