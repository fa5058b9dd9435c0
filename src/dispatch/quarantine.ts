/**
 * Keeps entries that keep ending workers from running for a while.
 *
 * Role: a pure table of (entry key → losses in the last minute). An entry with `after` losses inside the window is
 * quarantined for `ms`; the first loss after that counts anew. Bounded by the entries of the catalogue.
 */
import { type Fault, fault } from '../protocol/faults.ts';
import type { Job } from './job.ts';

export const LOSS_WINDOW_MS = 60_000;

export class Quarantine {
  readonly #after: number;
  readonly #ms: number;
  readonly #losses = new Map<number, number[]>();
  readonly #until = new Map<number, number>();

  constructor(after: number, ms: number) {
    this.#after = after;
    this.#ms = ms;
  }

  /** Counts one loss; true when it is the one that quarantines. */
  record(key: number, nowMs: number): boolean {
    const recent = (this.#losses.get(key) ?? []).filter((at) => nowMs - at < LOSS_WINDOW_MS);
    recent.push(nowMs);
    if (recent.length < this.#after) {
      this.#losses.set(key, recent);
      return false;
    }
    this.#losses.delete(key);
    this.#until.set(key, nowMs + this.#ms);
    return true;
  }

  /** Milliseconds until the entry may run again, 0 when it may now. */
  remainingMs(key: number, nowMs: number): number {
    if (this.#until.size === 0) return 0;
    const until = this.#until.get(key);
    if (until === undefined) return 0;
    if (until > nowMs) return until - nowMs;
    this.#until.delete(key);
    return 0;
  }

  /** Forgets entries that no longer exist. */
  retain(keys: ReadonlySet<number>): void {
    for (const key of this.#losses.keys()) if (!keys.has(key)) this.#losses.delete(key);
    for (const key of this.#until.keys()) if (!keys.has(key)) this.#until.delete(key);
  }
}

export function quarantineFault(job: Job, remainingMs: number): Fault {
  const message = `${job.entry.kind} ${job.entry.name} is quarantined: it kept ending its worker`;
  return fault('quarantined', message, { retryAfterMs: Math.ceil(remainingMs) });
}
