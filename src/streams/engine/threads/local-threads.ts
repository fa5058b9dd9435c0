/**
 * Stream tasks on the calling thread, one after the other, each in a turn of its own.
 *
 * Role: the other implementation of `StreamThreads` beside the worker pool, for tests and benchmarks. A server's streams
 * always work in the pool.
 */
import type { Plan } from '../../plan.ts';
import type { ShardParts } from '../shards/shard.ts';
import type {
  ApplyResult,
  ApplyTask,
  DecodeResult,
  DecodeTask,
  SplitResult,
  SplitTask,
  StreamThreads,
} from '../task.ts';
import { StreamTaskRunner } from './run-task.ts';

export class LocalThreads implements StreamThreads {
  readonly size: number = 1;
  readonly #runner: StreamTaskRunner;

  constructor(parts: ShardParts) {
    this.#runner = new StreamTaskRunner(parts);
  }

  usePlan(plan: Plan): void {
    this.#runner.usePlan(plan);
  }

  decode(task: DecodeTask): Promise<DecodeResult> {
    return this.#soon(() => this.#runner.decode(task));
  }

  split(task: SplitTask): Promise<SplitResult> {
    return this.#soon(() => this.#runner.split(task));
  }

  apply(task: ApplyTask): Promise<ApplyResult> {
    return this.#soon(() => this.#runner.apply(task));
  }

  #soon<T>(run: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      setImmediate(() => {
        try {
          resolve(run());
        } catch (error) {
          reject(error);
        }
      });
    });
  }
}
