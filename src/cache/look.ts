/**
 * One node's look for the result of a key among all nodes.
 *
 *   asking ──► kept                                        over
 *     ▲  └───► nobody leads ──► leading ──► landed, left   over
 *     │  └───► led elsewhere ─┐
 *     └─ woken, or in time ── waiting ──► left             over
 *
 * Role: what is known of it while it lasts; `redis-cache.ts` asks. Who waits is woken by what is published, and asks by
 * itself when a lease has run out: messages may be lost.
 * Invariants: a look that is woken while it asks asks once more, since the answer may be older than the news; it waits
 * for `FLIGHTS_AWAITED_MAX` flights at most, so that a call that fails everywhere is not made in turns for ever.
 */

/** Flights of others that ended without a result for everybody, or are out of date, before the call is made beside them. */
export const FLIGHTS_AWAITED_MAX = 2;

export class Look {
  readonly tool: string;
  readonly key: string;
  /** Nobody else has it. */
  readonly token: string;
  isLeading = false;
  /** Whoever wanted the result does not any more. */
  gone = false;
  /** When Redis was last asked for a lease that it gave; monotonic milliseconds. */
  leasedAtMs = 0;
  #leader = '';
  #awaited = 0;
  #woken = false;
  #timer: NodeJS.Timeout | null = null;
  #resume: (() => void) | null = null;

  constructor(tool: string, key: string, token: string) {
    this.tool = tool;
    this.key = key;
    this.token = token;
  }

  /** False: it has waited for enough flights, and this is one more. */
  follows(leader: string): boolean {
    if (leader !== this.#leader) {
      this.#leader = leader;
      this.#awaited += 1;
    }
    return this.#awaited <= FLIGHTS_AWAITED_MAX;
  }

  /** Resolves when it is woken, at the latest after this time. */
  pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#resume = resolve;
      if (this.#woken) this.wake();
      else this.wakeIn(ms);
    });
  }

  wake(): void {
    const resume = this.#resume;
    this.#woken = resume === null;
    if (resume === null) return;
    this.#resume = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    resume();
  }

  /** Instead of whatever time was set for it. Does nothing to a look that does not wait. */
  wakeIn(ms: number): void {
    if (this.#resume === null) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.wake(), ms).unref();
  }
}
