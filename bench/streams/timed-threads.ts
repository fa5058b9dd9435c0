/**
 * One thread that adds up how long its tasks take: what a worker would do of the work.
 */

import type { ApplyResult, ApplyTask, DecodeResult, DecodeTask } from '../../src/streams/engine/task.ts';
import { LocalThreads } from '../../src/streams/engine/threads/local-threads.ts';

export class TimedThreads extends LocalThreads {
  us = 0;

  override async decode(task: DecodeTask): Promise<DecodeResult> {
    const result = await super.decode(task);
    this.us += result.us;
    return result;
  }

  override async apply(task: ApplyTask): Promise<ApplyResult> {
    const result = await super.apply(task);
    this.us += result.us;
    return result;
  }
}
