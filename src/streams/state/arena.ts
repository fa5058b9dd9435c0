// HOT PATH
/**
 * Blocks of bytes of any size in one growable shared buffer: sketches, texts, encoded state.
 *
 * Role: what is too large or too various for rows of doubles. Offsets stay valid while the buffer grows; views do not
 * (`bytes`, `words`, `doubles` are made anew then): read them again after whatever may allocate. One Arena object at a
 * time over a buffer.
 * Layout: a header of 64 32-bit words, then blocks, one after the other:
 *   word 0    bytes used, header included      word 1    bytes of live blocks, heads included
 *   word 8+c  offset of the first free block of class c, 0 for none
 *   block     class (32 bits), LIVE or FREE (32 bits), then 2^class bytes, aligned to 8; `offset` means these bytes.
 *             A free block's first word is the offset of the next free one.
 * Size classes are powers of two from 16 bytes; a freed block serves its class again, it is neither split nor joined.
 * Invariants: live blocks do not overlap; to free what is not live is a bug and throws; what an allocation that throws
 * would have changed is unchanged.
 */
import type { ShardMemory } from './memory.ts';

export const ARENA_BYTES_AT_START = 4096;
/** The buffer doubles; at this size it is full. */
export const ARENA_BYTES_MAX = 0x80000000;
const HEADER_WORDS = 64;
const USED = 0;
const LIVE_BYTES = 1;
const FREE_HEADS = 8;
const CLASS_MIN_LOG2 = 4;
const HEAD_BYTES = 8;
const LIVE = 0x6576696c;
const FREE = 0x65657266;

export class Arena {
  readonly #memory: ShardMemory;
  readonly #index: number;
  bytes: Uint8Array;
  words: Uint32Array;
  doubles: Float64Array;

  /** Over buffer `index` of the memory, which is zero-filled at first. */
  constructor(memory: ShardMemory, index: number) {
    this.#memory = memory;
    this.#index = index;
    const buffer = memory.buffer(index);
    if (buffer.byteLength < HEADER_WORDS * 4 || buffer.byteLength % 8 !== 0) {
      throw new RangeError(`an arena needs at least ${HEADER_WORDS * 4} bytes, in eights, not ${buffer.byteLength}`);
    }
    this.bytes = new Uint8Array(buffer);
    this.words = new Uint32Array(buffer);
    this.doubles = new Float64Array(buffer);
    if (this.words[USED] === 0) this.words[USED] = HEADER_WORDS * 4;
  }

  /** Bytes in blocks that are in use, heads included. */
  get liveBytes(): number {
    return this.words[LIVE_BYTES] as number;
  }

  /** Offset of a block of at least `byteLength` bytes, aligned to 8; its content is undefined. */
  alloc(byteLength: number): number {
    const log2 = classOf(byteLength);
    const size = HEAD_BYTES + bytesOf(log2);
    let offset = this.words[FREE_HEADS + log2] as number;
    if (offset !== 0) {
      this.words[FREE_HEADS + log2] = this.words[offset >>> 2] as number;
    } else {
      const at = this.words[USED] as number;
      if (at + size > this.bytes.byteLength) this.#grow(at + size);
      this.words[USED] = at + size;
      this.words[at >>> 2] = log2;
      offset = at + HEAD_BYTES;
    }
    this.words[(offset - 4) >>> 2] = LIVE;
    this.words[LIVE_BYTES] = (this.words[LIVE_BYTES] as number) + size;
    return offset;
  }

  free(offset: number): void {
    if (this.words[(offset - 4) >>> 2] !== LIVE || (offset & 7) !== 0) throw new Error(`no live block at ${offset}`);
    const log2 = this.words[(offset - HEAD_BYTES) >>> 2] as number;
    this.words[(offset - 4) >>> 2] = FREE;
    this.words[LIVE_BYTES] = (this.words[LIVE_BYTES] as number) - HEAD_BYTES - bytesOf(log2);
    this.words[offset >>> 2] = this.words[FREE_HEADS + log2] as number;
    this.words[FREE_HEADS + log2] = offset;
  }

  /** The block itself when it has the room, else a larger one with its content; the old one is freed then. */
  resize(offset: number, byteLength: number): number {
    const capacity = this.capacity(offset);
    if (byteLength <= capacity) return offset;
    const moved = this.alloc(byteLength);
    this.bytes.copyWithin(moved, offset, offset + capacity);
    this.free(offset);
    return moved;
  }

  /** Bytes the block can hold. */
  capacity(offset: number): number {
    return bytesOf(this.words[(offset - HEAD_BYTES) >>> 2] as number);
  }

  #grow(byteLength: number): void {
    let size = this.bytes.byteLength;
    while (size < byteLength) size *= 2;
    if (size > ARENA_BYTES_MAX)
      throw new RangeError(`state of one operator in one shard is past ${ARENA_BYTES_MAX} bytes`);
    const buffer = this.#memory.grow(this.#index, size);
    this.bytes = new Uint8Array(buffer);
    this.words = new Uint32Array(buffer);
    this.doubles = new Float64Array(buffer);
  }
}

/** 2^log2, without the call that `**` is. */
const bytesOf = (log2: number): number => (1 << log2) >>> 0;

function classOf(byteLength: number): number {
  if (!(byteLength >= 0 && byteLength <= ARENA_BYTES_MAX)) throw new RangeError(`no block of ${byteLength} bytes`);
  if (byteLength <= 2 ** CLASS_MIN_LOG2) return CLASS_MIN_LOG2;
  return 32 - Math.clz32(byteLength - 1);
}
