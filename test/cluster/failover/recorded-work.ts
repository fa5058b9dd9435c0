/**
 * Work that goes on while Redis fails over, and writes down what became of every attempt.
 *
 * Role: the history that the checkers read. Each kind of work is one loop, so its attempts follow one another. An
 * attempt succeeds, is refused in a way that says "later", or fails the test: there is no fourth ending.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { RedisUnavailable } from '../../../src/redis/unavailable.ts';
import { eventually } from '../../clients/eventually.ts';

/** Between two attempts of one kind: the machine is shared with six servers. */
const PAUSE_MS = 40;

export interface Attempt {
  readonly startedMs: number;
  readonly endedMs: number;
  /** `''`: it succeeded; else why it was refused. */
  readonly refused: string;
}

/** Resolves with `''`, or why it was refused. Anything else that goes wrong rejects. */
export type Try = () => Promise<string>;

export class RecordedWork {
  readonly #kinds = new Map<string, Attempt[]>();
  readonly #loops: Promise<void>[] = [];
  readonly #failures: unknown[] = [];
  #stopped = false;

  get kinds(): readonly string[] {
    return [...this.#kinds.keys()];
  }

  add(kind: string, attempt: Try): void {
    this.#kinds.set(kind, []);
    this.#loops.push(this.#loop(kind, attempt));
  }

  of(kind: string): readonly Attempt[] {
    return this.#kinds.get(kind) ?? [];
  }

  /** Each kind succeeds so often from now on. */
  async goesOn(count: number, patienceMs: number): Promise<void> {
    const sinceMs = performance.now();
    const open = (): string[] => this.kinds.filter((kind) => this.#succeeded(kind, sinceMs) < count);
    const look = (): string[] => {
      if (this.#failures.length > 0) throw this.#failures[0];
      return open().map((kind) => `${kind} ${this.of(kind).at(-1)?.refused}`);
    };
    await eventually('work that goes on', look, (left) => left.length === 0, patienceMs);
  }

  /** Each of these kinds was refused since then. */
  async refused(kinds: readonly string[], sinceMs: number, patienceMs: number): Promise<void> {
    const without = (): string[] =>
      kinds.filter((kind) => !this.of(kind).some(({ endedMs, refused }) => refused !== '' && endedMs > sinceMs));
    await eventually('work that is refused', without, (left) => left.length === 0, patienceMs);
  }

  /** Resolves when the last attempt has ended; rejects when any of them failed otherwise than by a refusal. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
    if (this.#failures.length > 0) throw this.#failures[0];
  }

  #succeeded(kind: string, sinceMs: number): number {
    return this.of(kind).filter(({ refused, startedMs }) => refused === '' && startedMs >= sinceMs).length;
  }

  async #loop(kind: string, attempt: Try): Promise<void> {
    const attempts = this.#kinds.get(kind) ?? [];
    while (!this.#stopped) {
      const startedMs = performance.now();
      try {
        const refused = await attempt();
        attempts.push({ startedMs, endedMs: performance.now(), refused });
      } catch (cause) {
        this.#failures.push(new Error(`${kind} failed`, { cause }));
        return;
      }
      await delay(PAUSE_MS);
    }
  }
}

/** An attempt at what asks Redis itself: its refusal is a `RedisUnavailable`. */
export function refusable(attempt: () => Promise<void>): Try {
  return () =>
    attempt().then(
      () => '',
      (error: unknown) => {
        if (error instanceof RedisUnavailable) return error.why;
        throw error;
      },
    );
}
