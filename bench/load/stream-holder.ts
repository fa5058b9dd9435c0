/**
 * The harness' side of the process that holds streams: one question, one answer, in turn.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { FromStreams, ToStreams } from './streams-job.ts';

const PROCESS_FILE = fileURLToPath(new URL(`./streams-process${import.meta.url.slice(-3)}`, import.meta.url));

export class StreamHolder {
  readonly #child: ChildProcess;
  #answer: (message: FromStreams) => void = () => undefined;
  #fail: (error: Error) => void = () => undefined;

  constructor(stopped: AbortSignal) {
    this.#child = fork(PROCESS_FILE, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.#child.on('message', (message) => this.#answer(message as FromStreams));
    this.#child.on('exit', () => this.#fail(new Error('the process that holds the streams ended early')));
    stopped.addEventListener('abort', () => this.#fail(new Error('stopped')), { once: true });
  }

  /** Rejects when the process says so, ends, or the run is stopped. */
  async ask<Is extends FromStreams['is']>(
    question: ToStreams,
    is: Is,
  ): Promise<Extract<FromStreams, { readonly is: Is }>> {
    const answer = await new Promise<FromStreams>((resolve, reject) => {
      this.#answer = resolve;
      this.#fail = reject;
      this.#child.send(question);
    });
    if (answer.is === 'failed') throw new Error(answer.reason);
    if (answer.is !== is) throw new Error(`the process that holds the streams answered ${answer.is}, not ${is}`);
    return answer as Extract<FromStreams, { readonly is: Is }>;
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || !this.#child.connected) return;
    const exited = new Promise<void>((resolve) => void this.#child.once('exit', () => resolve()));
    this.#fail = () => undefined;
    this.#child.send({ do: 'end' } satisfies ToStreams);
    await exited;
  }
}
