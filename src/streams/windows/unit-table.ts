// HOT PATH
/**
 * The table of one unit of a `RowStore`: from a key to its row.
 *
 * Role: rows by key in one look, mostly. A slot is a row (0: empty). Ids of keys are small numbers without large gaps, so
 * a unit that has a good part of all keys has a slot for each id (`direct`): no key is in another's way, and half the
 * memory is touched. Other units have open addressing, at most half full.
 * Invariants: a key's own slot is its product with `spread`, shifted to the right; in a direct table that is the key
 * itself, which is below `size` or not in the unit.
 */
import type { Arena } from '../state/arena.ts';

/** Golden ratio, 32 bits. */
const SPREAD = 0x9e3779b1;
const LOG2_MIN = 4;
/** So many slots of a direct table, as a power of two, cost no more than one of the other kind: they are never walked. */
const DIRECT_LOG2_MORE = 1;

export interface TableShape {
  readonly log2: number;
  readonly direct: boolean;
}

/** For so many rows, with keys up to this one. */
export function shapeFor(rows: number, keyMax: number): TableShape {
  const log2 = Math.max(LOG2_MIN, 33 - Math.clz32(rows));
  const directLog2 = Math.max(LOG2_MIN, 32 - Math.clz32(keyMax));
  return directLog2 <= log2 + DIRECT_LOG2_MORE ? { log2: directLog2, direct: true } : { log2, direct: false };
}

export class UnitTable {
  readonly #arena: Arena;
  /** Index of the first slot. */
  first = 0;
  size = 0;
  mask = 0;
  spread = SPREAD;
  shift = 0;
  direct = false;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** An empty table; its offset. */
  make({ log2 }: TableShape): number {
    const offset = this.#arena.alloc(4 * 2 ** log2);
    this.#arena.words.fill(0, offset / 4, offset / 4 + 2 ** log2);
    return offset;
  }

  /** Turns to a table. */
  use(offset: number, log2: number, direct: boolean): void {
    this.first = offset / 4;
    this.size = 2 ** log2;
    this.mask = this.size - 1;
    this.direct = direct;
    this.spread = direct ? 1 : SPREAD;
    this.shift = direct ? 0 : 32 - log2;
  }

  /** Whether there is a place for one more row, of this key. */
  takes(rows: number, key: number): boolean {
    return this.direct ? key < this.size : rows * 2 <= this.size;
  }

  /** Row of a key; 0 for none. `words`: of the rows, `step` to each, the key first. */
  find(key: number, words: Uint32Array, step: number): number {
    const slots = this.#arena.words;
    const first = this.first;
    if (this.direct) return key < this.size ? (slots[first + key] as number) : 0;
    const { mask } = this;
    let slot = Math.imul(key, SPREAD) >>> this.shift;
    for (;;) {
      const row = slots[first + slot] as number;
      if (row === 0 || words[row * step] === key) return row;
      slot = (slot + 1) & mask;
    }
  }

  place(row: number, key: number): void {
    const slots = this.#arena.words;
    const { mask } = this;
    let slot = Math.imul(key, this.spread) >>> this.shift;
    while (slots[this.first + slot] !== 0) slot = (slot + 1) & mask;
    slots[this.first + slot] = row;
  }

  clear(): void {
    this.#arena.words.fill(0, this.first, this.first + this.size);
  }
}
