/**
 * Which messages of one start of a node have been taken: each number once.
 *
 * Role: keeps a recorded message from being taken a second time, without a clock. Numbers rise by one per message and
 * may arrive out of order; one that is further behind than the window is refused, taken or not.
 *
 *     …refused | window: one bit per number, at `number % WINDOW` | newest
 */

/** Messages one node may have under way to another, with room for those that a slow body holds back. */
export const WINDOW = 16_384;

export class ReplayWindow {
  #newest = -1;
  readonly #taken = new Uint32Array(WINDOW / 32);

  /** Whether the number may still be taken. */
  fresh(number: number): boolean {
    if (number > this.#newest) return true;
    if (number <= this.#newest - WINDOW) return false;
    return ((this.#taken[wordOf(number)] as number) & bitOf(number)) === 0;
  }

  /** False when it has been taken before, or is too old to tell. */
  take(number: number): boolean {
    if (!this.fresh(number)) return false;
    if (number > this.#newest) this.#advance(number);
    this.#taken[wordOf(number)] = (this.#taken[wordOf(number)] as number) | bitOf(number);
    return true;
  }

  #advance(number: number): void {
    if (number - this.#newest >= WINDOW) this.#taken.fill(0);
    else
      for (let skipped = this.#newest + 1; skipped <= number; skipped++)
        this.#taken[wordOf(skipped)] = (this.#taken[wordOf(skipped)] as number) & ~bitOf(skipped);
    this.#newest = number;
  }
}

const wordOf = (number: number): number => Math.floor((number % WINDOW) / 32);
const bitOf = (number: number): number => 1 << (number % 32);
