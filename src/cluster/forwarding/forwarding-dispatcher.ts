// HOT PATH
/**
 * The dispatcher of a node among others: calls of tools that other nodes run go there, everything else to the
 * dispatcher of this node.
 *
 * Role: the one look at `entry.run` that a local call pays. `RemoteCalls` does the rest.
 */
import type { Dispatcher, Job, RpcError } from '../../dispatch/job.ts';
import type { RemoteCalls } from './remote-calls.ts';

export class ForwardingDispatcher implements Dispatcher {
  readonly #local: Dispatcher;
  readonly #remote: RemoteCalls;

  constructor(local: Dispatcher, remote: RemoteCalls) {
    this.#local = local;
    this.#remote = remote;
  }

  submit(job: Job, body: Uint8Array): void {
    if (job.entry.run === 'remote') this.#remote.submit(job, body);
    else this.#local.submit(job, body);
  }

  cancel(job: Job, reason: string): void {
    if (job.entry.run === 'remote') this.#remote.cancel(job);
    else this.#local.cancel(job, reason);
  }

  answer(job: Job, askId: number, resultJson: string | null, error: RpcError | null): void {
    if (job.entry.run === 'remote') this.#remote.answer(job, askId, resultJson, error);
    else this.#local.answer(job, askId, resultJson, error);
  }

  taskStarted(job: Job, taskId: string, deadlineMs: number): void {
    if (job.entry.run === 'remote') this.#remote.taskStarted(job, taskId, deadlineMs);
    else this.#local.taskStarted(job, taskId, deadlineMs);
  }

  bodyOf(job: Job): Uint8Array | null {
    return job.entry.run === 'remote' ? this.#remote.bodyOf(job) : this.#local.bodyOf(job);
  }
}
