/**
 * Tasks of the live streams on a worker thread.
 *
 * Role: one runner per thread; takes plans as they come, with the modules their custom reducers are in, and turns
 * exceptions of a task into values.
 */
import { loadReducers } from '../src/streams/aggregates/load-reducers.ts';
import { OperatorParts } from '../src/streams/engine/operators.ts';
import { StreamTaskRunner } from '../src/streams/engine/run-task.ts';
import type { StreamAnswer, StreamMessage } from '../src/streams/engine/task.ts';

let runner: StreamTaskRunner | null = null;
let loading: Promise<unknown> = Promise.resolve();

export async function answerStream({ plan, task }: StreamMessage): Promise<StreamAnswer> {
  try {
    if (plan !== null) {
      loading = loading.then(async () => {
        const reducers = await loadReducers(plan);
        runner ??= new StreamTaskRunner(new OperatorParts(reducers));
        runner.usePlan(plan);
      });
    }
    await loading;
    if (runner === null) throw new Error('a task came before its plan');
    return { ok: true, result: task.kind === 'decode' ? runner.decode(task) : runner.apply(task) };
  } catch (error) {
    return { ok: false, message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
