/**
 * Whether the front-end thread stands still: its count of turns has not changed for a while.
 *
 * Role: pure; the heartbeat thread looks with its own monotonic clock. A node that does nothing else than wait turns all
 * the same, by a timer.
 */

/** Longer than a long garbage collection, shorter than the patience of who waits for a call. */
export const STALL_MS = 1000;

export class StallWatch {
  #turns = -1;
  #changedAtMs = 0;

  /** Call it a few times per `STALL_MS`. */
  stalled(turns: number, nowMs: number): boolean {
    if (turns !== this.#turns) {
      this.#turns = turns;
      this.#changedAtMs = nowMs;
    }
    return nowMs - this.#changedAtMs >= STALL_MS;
  }
}
