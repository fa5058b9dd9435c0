/**
 * How many streams each client has, and whose gives way when there is room for no other.
 *
 * Role: the rule of admission's queue for what stays open: whoever has most makes room for somebody who has fewer, so that
 * one client may have all of them while nobody else asks, and no longer. Behind a balancer clients without authentication
 * have one address and are one share, which a fixed part for each would lock out.
 * Counts move by one, hence a share only ever moves to the set beside its own, and the most is known at once.
 */
interface Share<Stream> {
  readonly name: string;
  /** Oldest first. */
  readonly streams: Set<Stream>;
}

export class StreamShares<Stream> {
  readonly #shares = new Map<string, Share<Stream>>();
  /** At `n`: the shares that have `n` streams. The first is always empty. */
  readonly #having: Set<Share<Stream>>[] = [new Set()];
  #most = 0;

  add(name: string, stream: Stream): void {
    let share = this.#shares.get(name);
    if (share === undefined) {
      share = { name, streams: new Set() };
      this.#shares.set(name, share);
    }
    this.#having[share.streams.size]?.delete(share);
    const count = share.streams.add(stream).size;
    this.#have(count).add(share);
    this.#most = Math.max(this.#most, count);
  }

  /** One that was added, once. */
  remove(name: string, stream: Stream): void {
    const share = this.#shares.get(name);
    if (share === undefined) return;
    const before = share.streams.size;
    if (!share.streams.delete(stream)) return;
    this.#having[before]?.delete(share);
    if (this.#most === before && this.#have(before).size === 0) this.#most = before - 1;
    if (before === 1) this.#shares.delete(name);
    else this.#have(before - 1).add(share);
  }

  /**
   * The oldest stream of a share that has most: a client that lost track of its streams reads that one least. Null when
   * `name` would not stay the smaller share: else two that are equal would take each other's place for ever.
   */
  givesWay(name: string): Stream | null {
    const own = this.#shares.get(name)?.streams.size ?? 0;
    if (this.#most <= own + 1) return null;
    const [longest] = this.#have(this.#most);
    const [oldest] = longest?.streams ?? [];
    return oldest ?? null;
  }

  #have(count: number): Set<Share<Stream>> {
    this.#having[count] ??= new Set();
    return this.#having[count];
  }
}
