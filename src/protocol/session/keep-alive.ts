/**
 * One coarse timer that keeps all quiet streams alive.
 *
 * Role: proxies and clients drop streams that say nothing; every stream is given a beat once per period, and writes a
 * comment if it was quiet. The streams are spread over `SLOTS` parts of the period, so that 10,000 idle ones are not
 * all written to in one turn.
 * Invariants: the timer exists only while there are streams; a stream is in exactly one slot.
 */

/** Something that wants a beat per period. */
export interface Beating {
  /** Its slot, kept by `KeepAlive`; `NO_SLOT` to begin with. */
  keepAliveSlot: number;
  beat(): void;
}

export const NO_SLOT = -1;

/** Calls `tick` every `ms` until the returned function is called. */
export type Repeat = (ms: number, tick: () => void) => () => void;

export const repeatWithTimer: Repeat = (ms, tick) => {
  const timer = setInterval(tick, ms);
  return () => clearInterval(timer);
};

export const SLOTS = 16;

export class KeepAlive {
  readonly #slots: readonly Set<Beating>[] = Array.from({ length: SLOTS }, () => new Set<Beating>());
  readonly #periodMs: number;
  readonly #repeat: Repeat;
  #size = 0;
  #next = 0;
  #now = 0;
  #stop: (() => void) | null = null;

  constructor(periodMs: number, repeat: Repeat) {
    this.#periodMs = periodMs;
    this.#repeat = repeat;
  }

  get size(): number {
    return this.#size;
  }

  add(stream: Beating): void {
    if (stream.keepAliveSlot !== NO_SLOT) return;
    stream.keepAliveSlot = this.#next;
    this.#slots[this.#next]?.add(stream);
    this.#next = (this.#next + 1) % SLOTS;
    this.#size++;
    this.#stop ??= this.#repeat(Math.max(1, Math.floor(this.#periodMs / SLOTS)), () => this.#tick());
  }

  remove(stream: Beating): void {
    if (stream.keepAliveSlot === NO_SLOT) return;
    this.#slots[stream.keepAliveSlot]?.delete(stream);
    stream.keepAliveSlot = NO_SLOT;
    this.#size--;
    if (this.#size > 0) return;
    this.#stop?.();
    this.#stop = null;
  }

  #tick(): void {
    this.#now = (this.#now + 1) % SLOTS;
    for (const stream of this.#slots[this.#now] ?? []) stream.beat();
  }
}
