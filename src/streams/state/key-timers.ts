// HOT PATH
/**
 * One timer per key in shared memory: a binary heap that knows where each key stands in it.
 *
 * Role: lets `advance` find the keys that are due in time proportional to their number, and move or drop a key's timer
 * without leaving dead entries behind, so the heap never holds more than one entry per key.
 * Layout of the heap's buffer: Float64 0 is the number of entries; entry i (from 0) is the pair
 *   [2 + 2i] time   [3 + 2i] key id
 * Layout of the places' buffer: Uint32 per key id, the entry's number + 1, or 0 for a key without a timer.
 * Invariants: an entry's time is never below its parent's; `places` names exactly the entries there are. What the heap
 * looks like depends on the calls alone, so a replay leads to the same bytes.
 */
import type { ShardMemory } from './memory.ts';

export const TIMER_HEAP_BYTES_AT_START = 16 * 9;
export const TIMER_PLACES_BYTES_AT_START = 4 * 16;

const FIRST = 2;

export class KeyTimers {
  readonly #memory: ShardMemory;
  readonly #heapIndex: number;
  readonly #placesIndex: number;
  #heap: Float64Array;
  #places: Uint32Array;

  /** Over two buffers of the memory, zero-filled at first. */
  constructor(memory: ShardMemory, heapIndex: number, placesIndex: number) {
    this.#memory = memory;
    this.#heapIndex = heapIndex;
    this.#placesIndex = placesIndex;
    this.#heap = new Float64Array(memory.buffer(heapIndex));
    this.#places = new Uint32Array(memory.buffer(placesIndex));
  }

  /** Time of a key's timer; Infinity for none. */
  get(keyId: number): number {
    const place = keyId < this.#places.length ? (this.#places[keyId] as number) : 0;
    return place === 0 ? Infinity : (this.#heap[2 * place] as number);
  }

  /** Infinity takes the timer away. */
  set(keyId: number, time: number): void {
    const place = keyId < this.#places.length ? (this.#places[keyId] as number) : 0;
    if (place === 0) {
      if (time === Infinity) return;
      this.#insert(keyId, time);
      return;
    }
    if (time === Infinity) {
      this.#remove(place - 1);
      return;
    }
    const before = this.#heap[2 * place] as number;
    if (time < before) this.#rise(place - 1, time, keyId);
    else if (time > before) this.#sink(place - 1, time, keyId);
  }

  /** A key whose time is the earliest, if that is at or before `until`; −1 for none. Nothing is taken out. */
  first(until: number): number {
    const heap = this.#heap;
    return (heap[0] as number) > 0 && (heap[FIRST] as number) <= until ? (heap[FIRST + 1] as number) : -1;
  }

  /** Keys whose time is at or before `until`, by time then key id. Nothing is taken out. */
  due(until: number): number[] {
    const found: number[] = [];
    const heap = this.#heap;
    const count = heap[0] as number;
    if (count === 0 || !((heap[FIRST] as number) <= until)) return found;
    const open: number[] = [0];
    while (open.length > 0) {
      const entry = open.pop() as number;
      found.push(heap[FIRST + 1 + 2 * entry] as number);
      for (let child = 2 * entry + 1; child <= 2 * entry + 2; child++) {
        if (child < count && (heap[FIRST + 2 * child] as number) <= until) open.push(child);
      }
    }
    const places = this.#places;
    found.sort(
      (a, b) => (heap[2 * (places[a] as number)] as number) - (heap[2 * (places[b] as number)] as number) || a - b,
    );
    return found;
  }

  #insert(keyId: number, time: number): void {
    if (keyId >= this.#places.length) {
      let length = this.#places.length;
      while (length <= keyId) length *= 2;
      this.#places = new Uint32Array(this.#memory.grow(this.#placesIndex, length * 4));
    }
    const count = this.#heap[0] as number;
    if (FIRST + 2 * count + 2 > this.#heap.length) {
      this.#heap = new Float64Array(this.#memory.grow(this.#heapIndex, this.#heap.byteLength * 2));
    }
    this.#heap[0] = count + 1;
    this.#rise(count, time, keyId);
  }

  #remove(entry: number): void {
    const heap = this.#heap;
    const last = (heap[0] as number) - 1;
    this.#places[heap[FIRST + 1 + 2 * entry] as number] = 0;
    heap[0] = last;
    const time = heap[FIRST + 2 * last] as number;
    const keyId = heap[FIRST + 1 + 2 * last] as number;
    heap[FIRST + 2 * last] = 0;
    heap[FIRST + 1 + 2 * last] = 0;
    if (entry === last) return;
    const parent = (entry - 1) >> 1;
    if (entry > 0 && time < (heap[FIRST + 2 * parent] as number)) this.#rise(entry, time, keyId);
    else this.#sink(entry, time, keyId);
  }

  #rise(from: number, time: number, keyId: number): void {
    const heap = this.#heap;
    let entry = from;
    while (entry > 0) {
      const parent = (entry - 1) >> 1;
      const above = heap[FIRST + 2 * parent] as number;
      if (above <= time) break;
      this.#place(entry, above, heap[FIRST + 1 + 2 * parent] as number);
      entry = parent;
    }
    this.#place(entry, time, keyId);
  }

  #sink(from: number, time: number, keyId: number): void {
    const heap = this.#heap;
    const count = heap[0] as number;
    let entry = from;
    for (;;) {
      let child = 2 * entry + 1;
      if (child >= count) break;
      if (child + 1 < count && (heap[FIRST + 2 * child + 2] as number) < (heap[FIRST + 2 * child] as number)) child++;
      const below = heap[FIRST + 2 * child] as number;
      if (below >= time) break;
      this.#place(entry, below, heap[FIRST + 1 + 2 * child] as number);
      entry = child;
    }
    this.#place(entry, time, keyId);
  }

  #place(entry: number, time: number, keyId: number): void {
    this.#heap[FIRST + 2 * entry] = time;
    this.#heap[FIRST + 1 + 2 * entry] = keyId;
    this.#places[keyId] = entry + 1;
  }
}
