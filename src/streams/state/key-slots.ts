// HOT PATH
/**
 * The slots of a key table: pairs of words, hash and id + 1 (0: empty), open addressing with linear probing.
 *
 * Role: what changes slots as a whole; looking one up is in `key-table.ts`. A key's own slot is its hash times SPREAD,
 * shifted to the right by `shiftOf`, so that it depends on all bits: the low ones of all keys of a shard agree.
 * Invariant: from a key's own slot to where it is, no slot is empty. So nothing needs to mark what was removed.
 */

/** Golden ratio, 32 bits. */
export const KEY_SPREAD = 0x9e3779b1;

export function shiftOf(slots: Uint32Array): number {
  return Math.clz32(slots.length / 2) + 1;
}

/**
 * Id + 1 of what has the same hash in the slot where a key belongs, or in one of the two behind it; 0 for none. Without
 * branches: a guess that went wrong would wait for its slot to come from memory, and with it all loads behind it.
 */
export function guessIds(
  slots: Uint32Array,
  hashes: Uint32Array,
  rows: Uint32Array,
  begin: number,
  end: number,
  out: Uint32Array,
): void {
  const mask = slots.length - 1;
  const shift = shiftOf(slots);
  for (let i = begin; i < end; i++) {
    const hash = hashes[rows[i] as number] as number;
    const first = 2 * (Math.imul(hash, KEY_SPREAD) >>> shift);
    const second = (first + 2) & mask;
    const third = (first + 4) & mask;
    const other1 = (slots[first] as number) ^ hash;
    const other2 = (slots[second] as number) ^ hash;
    const other3 = (slots[third] as number) ^ hash;
    // All bits where the hash is another one, none where it is the same.
    const not1 = (other1 | (0 - other1)) >> 31;
    const not2 = (other2 | (0 - other2)) >> 31;
    const not3 = (other3 | (0 - other3)) >> 31;
    out[i - begin] =
      ((slots[first + 1] as number) & ~not1) |
      ((slots[second + 1] as number) & not1 & ~not2) |
      ((slots[third + 1] as number) & not1 & not2 & ~not3);
  }
}

/** Puts all keys of `from` into slots that are empty. */
export function placeAll(from: Uint32Array, slots: Uint32Array): void {
  const mask = slots.length / 2 - 1;
  const shift = shiftOf(slots);
  for (let i = 0; i < from.length; i += 2) {
    if (from[i + 1] === 0) continue;
    let slot = Math.imul(from[i] as number, KEY_SPREAD) >>> shift;
    while (slots[2 * slot + 1] !== 0) slot = (slot + 1) & mask;
    slots[2 * slot] = from[i] as number;
    slots[2 * slot + 1] = from[i + 1] as number;
  }
}

/** Empties the slot of a key. Slots after the gap move up as far as their own place allows. */
export function removeSlot(slots: Uint32Array, id: number, hash: number): void {
  const mask = slots.length / 2 - 1;
  const shift = shiftOf(slots);
  let gap = Math.imul(hash, KEY_SPREAD) >>> shift;
  while (slots[2 * gap + 1] !== id + 1) gap = (gap + 1) & mask;
  for (let slot = (gap + 1) & mask; slots[2 * slot + 1] !== 0; slot = (slot + 1) & mask) {
    const home = Math.imul(slots[2 * slot] as number, KEY_SPREAD) >>> shift;
    if (((slot - home) & mask) < ((slot - gap) & mask)) continue;
    slots[2 * gap] = slots[2 * slot] as number;
    slots[2 * gap + 1] = slots[2 * slot + 1] as number;
    gap = slot;
  }
  slots[2 * gap] = 0;
  slots[2 * gap + 1] = 0;
}
