/**
 * Connections that wait for a request, the longest waiting first.
 *
 * Role: in the open loop every connection has its turn. Taking the warmest instead would leave most of thousands of
 * connections idle, and the server would never see how many there are. Taking and giving cost the same however many.
 */
const COMPACT_AT = 1024;

export class FreeList<T> {
  readonly #items: T[] = [];
  #at = 0;

  give(item: T): void {
    this.#items.push(item);
  }

  take(): T | undefined {
    const item = this.#items[this.#at];
    if (item === undefined) return undefined;
    this.#at++;
    if (this.#at >= COMPACT_AT && this.#at * 2 >= this.#items.length) {
      this.#items.splice(0, this.#at);
      this.#at = 0;
    }
    return item;
  }

  takeAll(): T[] {
    const items = this.#items.splice(0).slice(this.#at);
    this.#at = 0;
    return items;
  }
}
