/**
 * The test's end of the watched tools: counts what they say and waits for it.
 */
import { BroadcastChannel } from 'node:worker_threads';
import { WATCH_CHANNEL } from '../fixtures/clients/watch-channel.ts';

type What = 'started' | 'cancelled' | 'ended';

interface Wait {
  readonly what: What;
  readonly label: string;
  readonly count: number;
  readonly resolve: () => void;
}

/** Longest wait for a tool to say something; far above what it takes. */
const PATIENCE_MS = 60_000;

export class Watcher {
  readonly #channel = new BroadcastChannel(WATCH_CHANNEL);
  readonly #counts = new Map<string, number>();
  readonly #waits = new Set<Wait>();

  constructor() {
    this.#channel.onmessage = (event: unknown) => {
      const { label, what } = (event as { readonly data: { readonly label: string; readonly what: What } }).data;
      const key = `${what} ${label}`;
      this.#counts.set(key, this.count(what, label) + 1);
      for (const wait of this.#waits) {
        if (this.count(wait.what, wait.label) < wait.count) continue;
        this.#waits.delete(wait);
        wait.resolve();
      }
    };
  }

  count(what: What, label: string): number {
    return this.#counts.get(`${what} ${label}`) ?? 0;
  }

  /** Resolves when it was said so many times. */
  seen(what: What, label: string, count = 1): Promise<void> {
    if (this.count(what, label) >= count) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`${what} ${label}: ${this.count(what, label)} of ${count}`));
      }, PATIENCE_MS);
      const done = (): void => {
        clearTimeout(timer);
        resolve();
      };
      this.#waits.add({ what, label, count, resolve: done });
    });
  }

  close(): void {
    this.#channel.close();
  }
}
