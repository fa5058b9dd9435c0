/**
 * Asks a server one call at a time and keeps when each began and how it ended: how long until it is as before?
 *
 * Role: recovery after overload. "As before" is an answer within a few times what the same call took alone.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { exchange } from '../wire/exchange.ts';
import type { WireRequest } from '../wire/request.ts';

const PAUSE_MS = 5;
const BASELINE_CALLS = 10;
const TIMES_BASELINE = 3;
const GIVE_UP_MS = 10_000;
/** A call of a few hundred microseconds alone may well take this long without anything being wrong. */
const SLACK_MS = 5;

export class Prober {
  readonly #url: string;
  readonly #request: WireRequest;
  #aloneMs = 0;
  #probing = false;
  #done: Promise<void> = Promise.resolve();
  /** Begin of the first probe of the last unbroken series of good ones. */
  #goodSinceMs = Number.NaN;

  constructor(url: string, request: WireRequest) {
    this.#url = url;
    this.#request = request;
  }

  async baseline(): Promise<void> {
    for (let i = 0; i < BASELINE_CALLS; i++) {
      const startMs = performance.now();
      await exchange(this.#url, this.#request);
      this.#aloneMs = Math.max(this.#aloneMs, performance.now() - startMs);
    }
  }

  start(): void {
    this.#probing = true;
    this.#done = this.#probe();
  }

  /** Milliseconds from `endMs` to the begin of the first good probe after it; 10 s when there is none by then. */
  async recoveredAfter(endMs: number): Promise<number> {
    while (!(this.#goodSinceMs >= endMs) && performance.now() - endMs < GIVE_UP_MS) {
      // Good all along is good from the end on.
      if (this.#goodSinceMs < endMs) break;
      await wait(PAUSE_MS);
    }
    this.#probing = false;
    await this.#done;
    return Number.isNaN(this.#goodSinceMs) ? GIVE_UP_MS : Math.max(0, this.#goodSinceMs - endMs);
  }

  async #probe(): Promise<void> {
    while (this.#probing) {
      const startMs = performance.now();
      const status = await exchange(this.#url, this.#request).then(
        (reply) => reply.status,
        () => 0,
      );
      const tookMs = performance.now() - startMs;
      const good = status === 200 && tookMs <= this.#aloneMs * TIMES_BASELINE + SLACK_MS;
      if (!good) this.#goodSinceMs = Number.NaN;
      else if (Number.isNaN(this.#goodSinceMs)) this.#goodSinceMs = startMs;
      await wait(PAUSE_MS);
    }
  }
}
