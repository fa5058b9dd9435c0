// HOT PATH
/**
 * Which of a few known names stands at a place in the bytes.
 *
 * Role: member names are never made into strings. Names that share length, first and last byte share a bucket, so that
 * most names nobody asks for are told by one look.
 */

/** Not one of the names. */
export const UNKNOWN = -1;
const BUCKETS = 256;
const encoder = new TextEncoder();

const bucketOf = (length: number, first: number, last: number): number =>
  (Math.imul(length, 31) + Math.imul(first, 7) + last) & (BUCKETS - 1);

export class NameTable {
  /** In UTF-8. */
  readonly names: readonly Uint8Array[];
  readonly #heads = new Int16Array(BUCKETS).fill(UNKNOWN);
  readonly #next: Int16Array;

  constructor(names: readonly string[]) {
    this.names = names.map((name) => encoder.encode(name));
    this.#next = new Int16Array(names.length).fill(UNKNOWN);
    for (let i = 0; i < names.length; i++) {
      const name = this.names[i] as Uint8Array;
      const bucket = bucketOf(name.length, name[0] ?? 0, name[name.length - 1] ?? 0);
      this.#next[i] = this.#heads[bucket] as number;
      this.#heads[bucket] = i;
    }
  }

  /** Index of the name made of these bytes. */
  find(bytes: Uint8Array, at: number, length: number): number {
    const first = length === 0 ? 0 : (bytes[at] as number);
    const last = length === 0 ? 0 : (bytes[at + length - 1] as number);
    let index = this.#heads[bucketOf(length, first, last)] as number;
    while (index !== UNKNOWN && !this.is(index, bytes, at, length)) index = this.#next[index] as number;
    return index;
  }

  is(index: number, bytes: Uint8Array, at: number, length: number): boolean {
    const name = this.names[index] as Uint8Array;
    if (name.length !== length) return false;
    for (let i = 0; i < length; i++) if (name[i] !== bytes[at + i]) return false;
    return true;
  }
}
