/**
 * Threads that end over batches with a text: while they decode them, or while they apply them.
 */
import {
  type ApplyResult,
  type ApplyTask,
  type DecodeResult,
  type DecodeTask,
  ThreadLost,
} from '../../../src/streams/engine/task.ts';
import { LocalThreads } from '../../../src/streams/engine/threads/local-threads.ts';

export const ENDS_DECODING = 'ends who decodes it';
export const ENDS_APPLYING = 'ends who applies it';

export class DeadlyThreads extends LocalThreads {
  /** Records with the second text. */
  readonly #deadly = new Set<number>();

  override decode(task: DecodeTask): Promise<DecodeResult> {
    const body = Buffer.from(new Uint8Array(task.body, task.bodyAt, task.bodyBytes));
    if (body.includes(ENDS_DECODING)) return Promise.reject(new ThreadLost('worker exited'));
    if (body.includes(ENDS_APPLYING)) this.#deadly.add(task.provenance.seq);
    return super.decode(task);
  }

  override async apply(task: ApplyTask): Promise<ApplyResult> {
    const at = task.steps.findIndex((step) => step.kind === 'events' && this.#deadly.has(step.seq));
    if (at < 0) return super.apply(task);
    await super.apply({ ...task, steps: task.steps.slice(0, at) });
    throw new ThreadLost('worker exited');
  }
}
