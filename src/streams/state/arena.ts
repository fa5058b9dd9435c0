/**
 * Blocks of bytes of any size in one growable shared buffer: sketches, texts, encoded state.
 *
 * Role: what is too large or too various for rows of doubles. Offsets stay valid while the buffer grows; views do not
 * (`bytes`, `doubles` are made anew then).
 * Layout: a header of 64 32-bit words (bytes used, free-list heads of the size classes), then blocks; a block is a
 * 64-bit head (its size class) and its content, aligned to 8 bytes. Size classes are powers of two from 16 bytes.
 */
import type { ShardMemory } from './memory.ts';

export const ARENA_BYTES_AT_START = 4096;
const HEADER_WORDS = 64;
const USED = 0;
const LIVE = 1;
const FREE_HEADS = 8;
const CLASS_MIN_LOG2 = 4;
const HEAD_BYTES = 8;

export class Arena {
  readonly #memory: ShardMemory;
  readonly #index: number;
  #words: Uint32Array;
  bytes: Uint8Array;
  doubles: Float64Array;

  /** Over buffer `index` of the memory, which is zero-filled at first. */
  constructor(memory: ShardMemory, index: number) {
    this.#memory = memory;
    this.#index = index;
    const buffer = memory.buffer(index);
    this.#words = new Uint32Array(buffer);
    this.bytes = new Uint8Array(buffer);
    this.doubles = new Float64Array(buffer);
    if (this.#words[USED] === 0) this.#words[USED] = HEADER_WORDS * 4;
  }

  /** Bytes in blocks that are in use, heads included. */
  get liveBytes(): number {
    return this.#words[LIVE] as number;
  }

  /** Offset of a block of at least `byteLength` bytes, aligned to 8; its content is undefined. */
  alloc(byteLength: number): number {
    const log2 = Math.max(CLASS_MIN_LOG2, 32 - Math.clz32(Math.max(1, byteLength) - 1));
    const head = FREE_HEADS + log2;
    const size = HEAD_BYTES + 2 ** log2;
    this.#words[LIVE] = (this.#words[LIVE] as number) + size;
    const free = this.#words[head] as number;
    if (free !== 0) {
      this.#words[head] = this.#words[free >>> 2] as number;
      return free;
    }
    const at = this.#words[USED] as number;
    this.#ensure(at + size);
    this.#words[USED] = at + size;
    this.#words[at >>> 2] = log2;
    return at + HEAD_BYTES;
  }

  free(offset: number): void {
    const log2 = this.#words[(offset - HEAD_BYTES) >>> 2] as number;
    this.#words[LIVE] = (this.#words[LIVE] as number) - HEAD_BYTES - 2 ** log2;
    this.#words[offset >>> 2] = this.#words[FREE_HEADS + log2] as number;
    this.#words[FREE_HEADS + log2] = offset;
  }

  /** Bytes the block can hold. */
  capacity(offset: number): number {
    return 2 ** (this.#words[(offset - HEAD_BYTES) >>> 2] as number);
  }

  #ensure(byteLength: number): void {
    let size = this.bytes.byteLength;
    if (byteLength <= size) return;
    while (size < byteLength) size *= 2;
    if (size > 0xffffffff) throw new RangeError(`state of one operator in one shard is past ${size / 2} bytes`);
    const buffer = this.#memory.grow(this.#index, size);
    this.#words = new Uint32Array(buffer);
    this.bytes = new Uint8Array(buffer);
    this.doubles = new Float64Array(buffer);
  }
}
