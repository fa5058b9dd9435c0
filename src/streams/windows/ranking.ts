/**
 * The best of one firing in one shard: which keys may be among the best of all.
 *
 * Role: takes each key's value as it is computed and says afterwards who is in, best first; equal values go by the key's
 * text, as they do among the shards (`engine/results/rankings.ts`), and with `ties` all that equal the last one are in. The rule is
 * that of `rank.ts`.
 */
import { byRank, byText, rankOf } from '../rank.ts';

export class Ranking {
  readonly #limit: number;
  readonly #ties: boolean;
  readonly #nameOf: (key: number) => string;
  readonly #values: number[] = [];
  readonly #handles: number[] = [];
  readonly #keys: number[] = [];

  /** `nameOf`: text of a key. */
  constructor(limit: number, ties: boolean, nameOf: (key: number) => string) {
    this.#limit = limit;
    this.#ties = ties;
    this.#nameOf = nameOf;
  }

  add(value: unknown, handle: number, key: number): void {
    this.#values.push(rankOf(value));
    this.#handles.push(handle);
    this.#keys.push(key);
  }

  /** Tells the best ones, best first, and forgets all. */
  take(visit: (handle: number, key: number) => void): void {
    const values = this.#values;
    const last = this.#threshold();
    const above: number[] = [];
    const level: number[] = [];
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number;
      if (value > last) above.push(i);
      else if (value === last) level.push(i);
    }
    const room = this.#ties ? level.length : this.#limit - above.length;
    for (const i of this.#ordered(above)) visit(this.#handles[i] as number, this.#keys[i] as number);
    for (const i of this.#first(level, room)) visit(this.#handles[i] as number, this.#keys[i] as number);
    values.length = 0;
    this.#handles.length = 0;
    this.#keys.length = 0;
  }

  /** Best first. Texts are made of those only that have equals. */
  #ordered(places: number[]): readonly number[] {
    const names = new Map<number, string>();
    const nameOf = (i: number): string => {
      const name = names.get(i) ?? this.#nameOf(this.#keys[i] as number);
      names.set(i, name);
      return name;
    };
    // A query has a key once for each window.
    return places.sort(
      (a, b) => byRank(this.#values[a] as number, this.#values[b] as number) || byText(nameOf(a), nameOf(b)) || a - b,
    );
  }

  /** So many of those that are equal, by their texts: nearly all may be, and few be in. */
  #first(level: number[], room: number): readonly number[] {
    if (level.length <= room) return this.#ordered(level);
    const kept: { readonly place: number; readonly name: string }[] = [];
    for (const place of level) {
      const name = this.#nameOf(this.#keys[place] as number);
      if (kept.length === room && name >= (kept.at(-1) as { name: string }).name) continue;
      let at = kept.length;
      while (at > 0 && name < (kept[at - 1] as { name: string }).name) at -= 1;
      kept.splice(at, 0, { place, name });
      if (kept.length > room) kept.pop();
    }
    return kept.map(({ place }) => place);
  }

  /** Value of the last one that is in: the root of a heap of the best. */
  #threshold(): number {
    const values = this.#values;
    const limit = this.#limit;
    if (values.length <= limit) return Number.NEGATIVE_INFINITY;
    const heap = Float64Array.from(values.slice(0, limit)).sort();
    for (let i = limit; i < values.length; i++) {
      const value = values[i] as number;
      if (value > (heap[0] as number)) sink(heap, value);
    }
    return heap[0] as number;
  }
}

/** Puts a value in place of the smallest one. */
function sink(heap: Float64Array, value: number): void {
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && (heap[child + 1] as number) < (heap[child] as number)) child += 1;
    if ((heap[child] as number) >= value) break;
    heap[at] = heap[child] as number;
    at = child;
  }
  heap[at] = value;
}
