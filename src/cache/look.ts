/**
 * One node's look for the result of a key among all nodes.
 *
 *   asking ──► kept                                        over
 *     ▲  └───► nobody leads ──► leading ──► landed, left   over
 *     │  └───► led elsewhere ─┐   or lost: Redis does not know any more who leads, and may be told again
 *     └─ woken, or in time ── waiting ──► left             over
 *
 * Role: what is known of the look while it lasts; `redis-cache.ts` does the asking. A look that waits is woken by a
 * published message, and asks by itself when the lease has run out, since messages may be lost.
 * A flight of which Redis has no trace is believed in until its lease would end: Redis lost it, and its leader will
 * claim it again.
 * Invariants: a look that is woken while it asks asks once more, since the answer may be older than the message; it
 * waits for at most `FLIGHTS_AWAITED_MAX` flights, so that a call that fails everywhere is not made in turns for ever.
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
  /** Of its tool, as Redis said last; -1: it did not say. */
  generation = -1;
  #leader = '';
  /** The lease of the flight it waits for lasts at least as long; monotonic milliseconds. */
  #ledUntilMs = Number.NEGATIVE_INFINITY;
  /** The flight it waits for, or asks for just now, was said to be over. */
  #isOver = false;
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
  follows(leader: string, ledUntilMs: number): boolean {
    // What was asked may be older than the news.
    this.#ledUntilMs = this.#isOver ? Number.NEGATIVE_INFINITY : ledUntilMs;
    if (leader !== this.#leader) {
      this.#leader = leader;
      this.#awaited += 1;
    }
    return this.#awaited <= FLIGHTS_AWAITED_MAX;
  }

  /** It asks now. Whether it waits for a flight whose lease cannot be over. */
  asks(nowMs: number): boolean {
    this.#isOver = false;
    return this.trustMs(nowMs) > 0;
  }

  /** So long it need not believe that nobody leads, whatever Redis has lost. */
  trustMs(nowMs: number): number {
    return Math.max(0, this.#ledUntilMs - nowMs);
  }

  /** The flight it waits for is over. */
  over(): void {
    this.#isOver = true;
    this.#ledUntilMs = Number.NEGATIVE_INFINITY;
    this.wake();
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
