// HOT PATH
/**
 * Closes requests whose body takes too long to arrive.
 *
 * Role: uWebSockets.js gives slow headers 10 s and slow bodies 10 s without a minimum of progress, both fixed; this adds
 * the configured limit for the body as a whole. All requests wait equally long, so they leave in the order they came:
 *
 *     oldest ⇄ … ⇄ newest        joined at the end, looked at from the front, left from anywhere
 *
 * Time is counted in ticks of a coarse timer: joining and leaving read no clock. A deadline is kept to within a quarter
 * of the limit, never early.
 */
const TICKS_PER_LIMIT = 4;
const TICK_MS_MIN = 5;

/** One request that waits for its body. The links belong to the list. */
export interface Receiving {
  earlier: Receiving | null;
  later: Receiving | null;
  /** Tick at which it joined; -1 when it is not in the list. */
  joinedTick: number;
  /** The body did not come in time. Must leave the list. */
  receiveTimedOut(): void;
}

export class ReceiveDeadlines {
  #oldest: Receiving | null = null;
  #newest: Receiving | null = null;
  #tick = 0;
  readonly #timer: NodeJS.Timeout;

  constructor(limitMs: number) {
    this.#timer = setInterval(() => this.advance(), Math.max(TICK_MS_MIN, Math.ceil(limitMs / TICKS_PER_LIMIT)));
  }

  join(item: Receiving): void {
    item.joinedTick = this.#tick;
    item.earlier = this.#newest;
    if (this.#newest === null) this.#oldest = item;
    else this.#newest.later = item;
    this.#newest = item;
  }

  leave(item: Receiving): void {
    if (item.joinedTick < 0) return;
    item.joinedTick = -1;
    if (item.earlier === null) this.#oldest = item.later;
    else item.earlier.later = item.later;
    if (item.later === null) this.#newest = item.earlier;
    else item.later.earlier = item.earlier;
    item.earlier = null;
    item.later = null;
  }

  /** One tick. The first one after joining may follow at once, hence one more than the limit has. */
  advance(): void {
    this.#tick++;
    let item = this.#oldest;
    while (item !== null && this.#tick - item.joinedTick > TICKS_PER_LIMIT) {
      this.leave(item);
      item.receiveTimedOut();
      item = this.#oldest;
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
