/**
 * Messages to other nodes that must not be lost because Redis is away when they are sent: cancellations.
 *
 * Role: keeps what could not be published and publishes it when that is possible again. Others may listen again a little
 * later than this node sends, so it is then repeated for `REPEATED_MS`: only what may be heard twice is kept here.
 * Invariants: at most `KEPT_MAX` messages, the oldest of which makes room, each for at most `KEPT_MS_MAX`: what it is about
 * is over by then, and a cancellation of a call that is over does nothing.
 */

const KEPT_MAX = 1_000;
/** More than most calls may take. */
const KEPT_MS_MAX = 60_000;
const AGAIN_MS = 500;
/** Longer than the longest pause before a connection that was lost is tried again. */
const REPEATED_MS = 4_000;

interface Kept {
  readonly send: () => Promise<unknown>;
  untilMs: number;
  sent: boolean;
}

export class KeptMessages {
  readonly #kept = new Set<Kept>();
  readonly #nowMs: () => number;
  #timer: NodeJS.Timeout | null = null;

  /** `nowMs`: monotonic. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Sends it now, or as soon as that works. */
  send(send: () => Promise<unknown>): void {
    send().catch(() => this.#keep(send));
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#kept.clear();
  }

  #keep(send: () => Promise<unknown>): void {
    for (const oldest of this.#kept) {
      if (this.#kept.size < KEPT_MAX) break;
      this.#kept.delete(oldest);
    }
    this.#kept.add({ send, untilMs: this.#nowMs() + KEPT_MS_MAX, sent: false });
    this.#timer ??= setInterval(() => this.#sendAll(), AGAIN_MS).unref();
  }

  #sendAll(): void {
    const nowMs = this.#nowMs();
    for (const kept of this.#kept) {
      if (nowMs >= kept.untilMs) this.#kept.delete(kept);
      else kept.send().then(() => this.#sent(kept), stillAway);
    }
    if (this.#kept.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }

  #sent(kept: Kept): void {
    if (kept.sent) return;
    kept.sent = true;
    kept.untilMs = Math.min(kept.untilMs, this.#nowMs() + REPEATED_MS);
  }
}

/** It stays, and is sent with the others after the next pause. */
function stillAway(): void {
  return;
}
