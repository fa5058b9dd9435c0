/**
 * What every `TaskStore` promises, as tests. Each implementation runs this suite from a test file of its own.
 *
 * `open(tasksMax)` gives an empty store for that many tasks. Answers may be promises; a record read back need not be
 * the object that was written.
 */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import type { TaskRecord, TaskStore } from '../../src/tasks/port.ts';

export interface TaskStoreUnderTest {
  readonly store: TaskStore;
  /** Lets `ms` pass since its tasks were made, and what has expired then be dropped. */
  later(ms: number): Promise<void>;
  close(): Promise<void>;
}

const SHORT_MS = 300;

export function taskRecord(taskId: string, changes: Partial<TaskRecord> = {}): TaskRecord {
  return {
    taskId,
    principalId: 'ann',
    status: 'working',
    statusMessage: '',
    bornAtMs: 0,
    createdAt: 1_000,
    lastUpdatedAt: 1_000,
    ttlMs: 60_000,
    pollIntervalMs: 500,
    inputRequests: new Map(),
    resultJson: '',
    errorJson: '',
    ...changes,
  };
}

export function taskStoreContract(name: string, open: (tasksMax: number) => Promise<TaskStoreUnderTest>): void {
  describe(`task store contract: ${name}`, () => {
    const opened: TaskStoreUnderTest[] = [];
    const openFor = async (tasksMax: number): Promise<TaskStoreUnderTest> => {
      const under = await open(tasksMax);
      opened.push(under);
      return under;
    };
    const storeFor = async (tasksMax: number): Promise<TaskStore> => (await openFor(tasksMax)).store;
    afterEach(async () => {
      for (const under of opened.splice(0)) await under.close();
    });

    test('a task can be read as soon as it is stored, with every member', async () => {
      const store = await storeFor(4);
      const record = taskRecord('t', {
        status: 'input_required',
        statusMessage: 'ä "quoted"',
        ttlMs: null,
        inputRequests: new Map([
          ['b', '{"method":"roots/list","params":{}}'],
          ['a', '{"method":"elicitation/create","params":{"message":"?"}}'],
        ]),
      });
      assert.equal(await store.put(record), 'stored');
      assert.deepEqual(await store.get('t'), record);
      assert.equal(store.size, 1);
    });

    test('an unknown id is undefined, also one that is a member of every object', async () => {
      const store = await storeFor(4);
      await store.put(taskRecord('t'));
      for (const id of ['u', '', '__proto__', 'constructor', 'T']) assert.equal(await store.get(id), undefined);
    });

    test('a later write replaces the record and takes no further place', async () => {
      const store = await storeFor(1);
      const record = taskRecord('t');
      await store.put(record);
      record.status = 'completed';
      record.resultJson = '{"content":[]}';
      assert.equal(await store.put(record), 'stored');
      assert.equal((await store.get('t'))?.resultJson, '{"content":[]}');
      assert.equal(store.size, 1);
    });

    test('a deleted task is gone, and deleting it again is harmless', async () => {
      const store = await storeFor(4);
      await store.put(taskRecord('t'));
      await store.delete('t');
      await store.delete('t');
      assert.equal(await store.get('t'), undefined);
      assert.equal(store.size, 0);
    });

    test('a full store refuses a new task while all others run, and goes on storing those it has', async () => {
      const store = await storeFor(2);
      const first = taskRecord('a');
      await store.put(first);
      await store.put(taskRecord('b', { status: 'input_required' }));
      assert.equal(await store.put(taskRecord('c')), 'full');
      assert.equal(await store.get('c'), undefined);
      assert.equal(store.size, 2);
      first.status = 'completed';
      assert.equal(await store.put(first), 'stored');
    });

    test('a full store makes room by dropping the task that ended first', async () => {
      const store = await storeFor(3);
      await store.put(taskRecord('running'));
      const late = taskRecord('ended-late');
      await store.put(late);
      await store.put(taskRecord('ended-early', { status: 'cancelled' }));
      late.status = 'failed';
      await store.put(late);
      assert.equal(await store.put(taskRecord('new')), 'stored');
      assert.equal(await store.get('ended-early'), undefined);
      assert.equal((await store.get('ended-late'))?.status, 'failed');
      assert.equal(await store.put(taskRecord('newer')), 'stored');
      assert.equal(await store.get('ended-late'), undefined);
      assert.equal(await store.put(taskRecord('newest')), 'full');
    });

    test('a sweep drops what has lived longer than its time, and nothing earlier', async () => {
      const { later, store } = await openFor(4);
      const beganMs = performance.now();
      await store.put(taskRecord('short', { ttlMs: SHORT_MS, status: 'completed' }));
      await store.put(taskRecord('long', { ttlMs: 60_000 }));
      await store.put(taskRecord('for-good', { ttlMs: null }));
      const early = await store.get('short');
      // A slow machine may have taken all of its time.
      if (performance.now() - beganMs < SHORT_MS) assert.equal(early?.taskId, 'short');
      await later(SHORT_MS + 1);
      assert.equal(await store.get('short'), undefined);
      assert.equal((await store.get('long'))?.taskId, 'long');
      assert.equal((await store.get('for-good'))?.taskId, 'for-good');
      assert.equal(store.size, 2);
    });
  });
}
