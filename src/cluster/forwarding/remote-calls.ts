/**
 * The calls that other nodes run for clients of this one.
 *
 * Role: keeps them from submission to their ending, and bounds them. What happens to one of them is in
 * `forwarded-call.ts`, where it is sent is for `NodeChoice`.
 * Invariants: at most `forwardedMax` and `FORWARDED_BYTES_MAX` at once; each job hears of one ending, or of none when it was cancelled.
 */
import type { Dispatcher, Job, RpcError } from '../../dispatch/job.ts';
import type { Log } from '../../observe/port.ts';
import { type Fault, fault, overloadFault } from '../../protocol/faults.ts';
import { type Deferred, deferred } from '../../waiting.ts';
import type { Peers } from '../peers/port.ts';
import { ForwardedCall } from './forwarded-call.ts';
import type { NodeChoice } from './node-choice.ts';

const RETRY_AFTER_MS = 1000;
/** Bodies kept for a second attempt, all together; a larger one is taken when there is no other. */
export const FORWARDED_BYTES_MAX = 64 * 1024 * 1024;

export interface RemoteCallsOptions {
  readonly peers: Peers;
  readonly choice: NodeChoice;
  /** Calls at once. */
  readonly forwardedMax: number;
  /** For another node to take a call. */
  readonly forwardMsMax: number;
  readonly log: Pick<Log, 'warn'>;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

export class RemoteCalls implements Dispatcher {
  readonly options: RemoteCallsOptions;
  readonly #calls = new Map<Job, ForwardedCall>();
  #bytes = 0;
  #stopped = false;
  #lastId = 0;
  #idle: Deferred<void> | null = null;
  /** Calls sent a second time. */
  retries = 0;
  forwarded = 0;

  constructor(options: RemoteCallsOptions) {
    this.options = options;
  }

  get size(): number {
    return this.#calls.size;
  }

  submit(job: Job, body: Uint8Array): void {
    const { forwardedMax, now } = this.options;
    job.acceptedAtMs = now();
    job.deadlineAtMs = job.acceptedAtMs + job.timeoutMs;
    if (this.#stopped) refuse(job, fault('draining', 'the server is shutting down', { retryAfterMs: RETRY_AFTER_MS }));
    else if (this.#calls.size >= forwardedMax || (this.#bytes > 0 && this.#bytes + body.length > FORWARDED_BYTES_MAX)) {
      refuse(job, overloadFault('too many calls are forwarded to other nodes', RETRY_AFTER_MS));
    } else {
      this.forwarded += 1;
      this.#lastId += 1;
      const call = new ForwardedCall(this, job, Uint8Array.from(body), String(this.#lastId));
      this.#calls.set(job, call);
      this.#bytes += body.length;
      call.begin();
    }
  }

  cancel(job: Job): void {
    this.#calls.get(job)?.cancel();
  }

  answer(job: Job, askId: number, resultJson: string | null, error: RpcError | null): void {
    this.#calls.get(job)?.answer(askId, resultJson, error);
  }

  taskStarted(job: Job, taskId: string, deadlineMs: number): void {
    this.#calls.get(job)?.taskStarted(taskId, deadlineMs);
  }

  bodyOf(job: Job): Uint8Array | null {
    return this.#calls.get(job)?.body ?? null;
  }

  /** Told by a call when nobody waits for it any more. */
  over(job: Job): void {
    this.#bytes -= this.#calls.get(job)?.body.length ?? 0;
    this.#calls.delete(job);
    if (this.#calls.size > 0 || this.#idle === null) return;
    this.#idle.resolve();
    this.#idle = null;
  }

  /** Resolves when no call is under way. */
  idle(): Promise<void> {
    if (this.#calls.size === 0) return Promise.resolve();
    this.#idle ??= deferred();
    return this.#idle.promise;
  }

  /** What is under way, and what comes, is refused. */
  stop(): void {
    this.#stopped = true;
    const f = fault('draining', 'the server is shutting down', { retryAfterMs: RETRY_AFTER_MS });
    for (const call of [...this.#calls.values()]) call.refuse(f);
  }
}

function refuse(job: Job, f: Fault): void {
  job.settled = true;
  job.sink.refused(job, f);
}
