/**
 * How a server came to its end, and what it said last.
 *
 * Role: a server that ends by itself ends what is done with it at once: clients that go on would be refused until their
 * own limits of time, and tell of refused connections instead of the reason.
 */
import type { ChildProcess } from 'node:child_process';

const LAST_CHARS = 2000;
const LAST_LINES = 5;
/** Past its end, for what it wrote to be read: somebody else may hold the other end of the pipe. */
const READ_MS_MAX = 500;
/** A connection that broke may be heard of before the end of the process. */
const HEARD_MS_MAX = 500;

/** When what it wrote has been read. `how`: `SIGKILL`, `exit code 3`. */
export function onceEnded(child: ChildProcess, told: (how: string) => void): void {
  child.once('exit', (code, signal) => {
    const tell = (): void => {
      clearTimeout(timer);
      child.off('close', tell);
      told(signal ?? `exit code ${code}`);
    };
    const timer = setTimeout(tell, READ_MS_MAX);
    child.once('close', tell);
  });
}

export class ServerEnd {
  /** With how it ended; null: it was wanted. */
  readonly #ended: Promise<string | null>;
  readonly #byItself = new AbortController();
  #wanted = false;
  #stderr = '';

  constructor(child: ChildProcess) {
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-LAST_CHARS);
    });
    this.#ended = new Promise((resolve) => {
      onceEnded(child, (how) => {
        resolve(this.#wanted ? null : this.#text(how));
        if (!this.#wanted) this.#byItself.abort();
      });
    });
  }

  /** From now on an end is no failure. */
  want(): void {
    this.#wanted = true;
  }

  /** Tells `work` to stop when the server ends by itself, and rejects with that once it has. */
  async during<T>(stopped: AbortSignal, work: (stopped: AbortSignal) => Promise<T>): Promise<T> {
    const either = AbortSignal.any([stopped, this.#byItself.signal]);
    let outcome: { readonly value: T } | { readonly error: unknown };
    try {
      outcome = { value: await work(either) };
    } catch (error) {
      outcome = { error };
      await Promise.race([this.#ended, new Promise((resolve) => setTimeout(resolve, HEARD_MS_MAX))]);
    }
    if (this.#byItself.signal.aborted) throw new Error((await this.#ended) ?? 'the server ended');
    if ('error' in outcome) throw outcome.error;
    return outcome.value;
  }

  #text(how: string): string {
    const lines = this.#stderr.trim().split('\n').slice(-LAST_LINES).join('\n');
    return `the server ended by itself (${how}); ${lines === '' ? 'it said nothing on stderr' : `the last on stderr:\n${lines}`}`;
  }
}
