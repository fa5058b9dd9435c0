/**
 * Tasks of the live streams on a worker thread.
 *
 * Role: one runner per engine that asks; takes plans as they come, with the modules their custom reducers are in, and
 * turns exceptions of a task into values. A plan that could not be loaded leaves nothing behind: it may be given again.
 * Bound: one runner per engine, and the front-end thread bounds how many of those there are at a time.
 */
import { loadReducers } from '../src/streams/aggregates/load-reducers.ts';
import { OperatorParts } from '../src/streams/engine/shards/operators.ts';
import {
  type LeftShard,
  NotKept,
  type SentShard,
  SpillProblem,
  type StreamAnswer,
  type StreamMessage,
  type StreamTask,
  type StreamTaskResult,
} from '../src/streams/engine/task.ts';
import { leftOf } from '../src/streams/engine/threads/kept-shards.ts';
import { StreamTaskRunner } from '../src/streams/engine/threads/run-task.ts';

/** A runner, and the life of the engine it is for. */
interface Seat {
  readonly life: number;
  readonly runner: StreamTaskRunner;
}

const seats = new Map<number, Seat>();

export async function answerStream({ engine, life, plan, task }: StreamMessage): Promise<StreamAnswer> {
  try {
    if (plan !== null) {
      const reducers = await loadReducers(plan);
      let seat = seats.get(engine);
      if (seat === undefined || seat.life < life) {
        seat = { life, runner: new StreamTaskRunner(new OperatorParts(reducers)) };
        seats.set(engine, seat);
      }
      if (seat.life === life) seat.runner.usePlan(plan);
    }
    if (task === null) return { ok: true, result: null };
    const seat = seats.get(engine);
    if (seat === undefined || seat.life !== life) throw new Error('a task came without the plan it is of');
    return { ok: true, result: run(seat.runner, task) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const isNotKept = error instanceof NotKept;
    const stack = error instanceof Error ? (error.stack ?? '') : '';
    return { ok: false, message, stack, spill: error instanceof SpillProblem ? error.trouble : null, isNotKept };
  }
}

function run(runner: StreamTaskRunner, task: StreamTask<SentShard>): StreamTaskResult<LeftShard> {
  if (task.kind === 'decode') return runner.decode(task);
  return task.kind === 'split' ? runner.split(task) : leftOf(task, runner.apply(task));
}
