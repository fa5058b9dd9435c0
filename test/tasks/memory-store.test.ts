import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { MemoryTaskStore } from '../../src/tasks/memory-store.ts';
import type { TaskStatus } from '../../src/tasks/port.ts';
import { isTerminal } from '../../src/tasks/transitions.ts';
import { taskRecord, taskStoreContract } from './task-store.contract.ts';

taskStoreContract('memory', async (tasksMax) => {
  const store = new MemoryTaskStore({ tasksMax });
  return {
    store,
    later: async (ms) => store.sweep(taskRecord('any').bornAtMs + ms),
    close: async () => undefined,
  };
});

describe('memory task store', () => {
  test('drops ended tasks, first ended first, when their results outgrow the bound; never the one just written', () => {
    const store = new MemoryTaskStore({ tasksMax: 100, charsMax: 1_000 });
    const ended = (taskId: string, chars: number) =>
      taskRecord(taskId, { status: 'completed', resultJson: 'x'.repeat(chars) });
    store.put(taskRecord('running'));
    store.put(ended('a', 400));
    store.put(ended('b', 400));
    store.put(ended('c', 400));
    assert.deepEqual(
      ['running', 'a', 'b', 'c'].map((id) => store.get(id) !== undefined),
      [true, false, true, true],
    );
    store.put(ended('huge', 5_000));
    assert.deepEqual(
      ['running', 'b', 'c', 'huge'].map((id) => store.get(id) !== undefined),
      [true, false, false, true],
    );
    store.put(ended('d', 10));
    assert.equal(store.get('huge'), undefined);
    assert.notEqual(store.get('d'), undefined);
  });

  test('never holds more than its bound, and never drops a task that runs, under any order of writes', () => {
    const write = fc.record({
      id: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
      status: fc.constantFrom<TaskStatus>('working', 'input_required', 'completed', 'failed', 'cancelled'),
      chars: fc.nat(600),
      remove: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(write, { maxLength: 40 }), (writes) => {
        const store = new MemoryTaskStore({ tasksMax: 3, charsMax: 1_000 });
        const running = new Set<string>();
        for (const { id, status, chars, remove } of writes) {
          const before = store.get(id);
          if (remove) store.delete(id);
          // A task that has ended stays ended.
          else if (before === undefined || !isTerminal(before.status)) {
            const stored = store.put(taskRecord(id, { status, resultJson: 'x'.repeat(chars) }));
            if (stored === 'full') assert.equal(running.size, 3, 'refused only when full of running tasks');
            else if (!isTerminal(status)) running.add(id);
          }
          if (remove || store.get(id) === undefined || isTerminal(store.get(id)?.status ?? 'failed'))
            running.delete(id);
          assert.ok(store.size <= 3);
          for (const kept of running) assert.notEqual(store.get(kept), undefined, `${kept} still runs`);
        }
      }),
    );
  });
});
