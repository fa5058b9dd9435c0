/**
 * When a thread is ended for a task of the streams, and whose fault that is; what a thread is charged for tasks.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WorkerLoad } from '../../../src/dispatch/flights.ts';
import { failureOf, Hung, isOfTheSteps } from '../../../src/streams/engine/shards/task-failures.ts';
import {
  type DecodeTask,
  PROGRESS_BYTES,
  type Step,
  type StreamAnswer,
  ThreadLost,
} from '../../../src/streams/engine/task.ts';
import { PoolThreads } from '../../../src/streams/engine/threads/pool-threads.ts';

const TASK = { kind: 'decode', epoch: 1 } as DecodeTask;
const ANSWER = { ok: true, result: {} } as StreamAnswer;
const TASK_MS_MAX = 20;
/** Looks at a task, of which four without progress end its thread. */
const LOOKS = 20;
const ROUNDS = 500;

test('a thread is not ended for a task that waits behind a call', { timeout: 120_000 }, async () => {
  const worker = new WorkerLoad({ index: 0, threadId: 1 }, 0);
  let inCall = true;
  let looks = 0;
  let lookedOften = (): void => undefined;
  const often = new Promise<void>((resolve) => {
    lookedOften = resolve;
  });
  let end = (_error: Error): void => undefined;
  let killed = 0;
  const threads = new PoolThreads(
    {
      size: 1,
      workers: () => [worker],
      run: () =>
        new Promise((_resolve, reject) => {
          end = reject;
        }),
      isInCall() {
        looks += 1;
        if (looks === LOOKS) lookedOften();
        return inCall;
      },
      kill() {
        killed += 1;
        end(new Error('worker exited'));
      },
    },
    TASK_MS_MAX,
  );
  const decoded = threads.decode(TASK).catch((error: unknown) => error);
  await often;
  assert.equal(killed, 0, 'the call has the thread');
  inCall = false;
  const error = await decoded;
  assert.ok(error instanceof ThreadLost && error.hung, String(error));
  assert.equal(killed, 1, 'nothing has it but the task');
});

test('a step is blamed for a thread that hung only if it had begun', () => {
  const steps = [{ kind: 'tick', seq: 1, nowMs: 1 }] satisfies Step[];
  const progress = new Int32Array(PROGRESS_BYTES / Int32Array.BYTES_PER_ELEMENT);
  const hung = new ThreadLost('worker exited', true);
  const before = failureOf(hung, progress, steps);
  assert.ok(before instanceof ThreadLost && !isOfTheSteps(before));
  progress[0] = 1;
  const begun = failureOf(hung, progress, steps);
  assert.ok(begun instanceof Hung && begun.step === steps[0] && isOfTheSteps(begun));
});

test('a worker whose tasks have ended has nothing left to run, whatever fractions of time they were charged', async () => {
  const load = new WorkerLoad({ index: 0, threadId: 1 }, 0);
  const threads = new PoolThreads({
    size: 1,
    workers: () => [load],
    run: () => new Promise((resolve) => setImmediate(resolve, ANSWER)),
    isInCall: () => false,
    kill: () => assert.fail('no task hangs'),
  });
  // Two at a time, each charged what those before it took: every few rounds their sum leaves a rest.
  for (let round = 0; round < ROUNDS; round++) {
    await Promise.all([1, 2, 3, 4].map(() => threads.decode(TASK)));
    assert.equal(load.expectedUs, 0, `after round ${round}`);
  }
});
