// HOT PATH
/**
 * Texts of the rows of one side of a join, many to a block of the arena.
 *
 * Role: rows of one side come and go in about the same order, so their texts share blocks: one costs what it is long,
 * not the next power of two, and neither an allocation nor a release. Where that is not so (versions of a look-up, of
 * which any may stay) each text has a block of its own.
 * Layout of a chunk: two words, texts that live · bytes used, then the texts, each aligned to 4:
 *   0 offset of its chunk   4 bytes
 * Texts go to the open chunk, whose offset is in a word of the operator's header, 0 for none.
 * Invariant: a chunk lives as long as one of its texts.
 */
import type { Arena } from '../state/arena.ts';

/** What stands in front of a text's bytes. */
export const TEXT_HEAD_BYTES = 4;
const CHUNK_BYTES = 4096;
const CHUNK_HEAD_BYTES = 8;
/** Longer texts have blocks of their own, so that no more than this is left unused at a chunk's end. */
const SHARED_BYTES_MAX = CHUNK_BYTES / 8;

export class TextChunks {
  readonly #arena: Arena;
  readonly #header: Uint32Array;
  readonly #open: number;
  readonly #sharedBytesMax: number;

  /** `open`: index of the header's word. */
  constructor(arena: Arena, header: Uint32Array, open: number, isShared: boolean) {
    this.#arena = arena;
    this.#header = header;
    this.#open = open;
    this.#sharedBytesMax = isShared ? SHARED_BYTES_MAX : 0;
  }

  /** Offset of a text of so many bytes, which are to be written behind its head. */
  take(byteLength: number): number {
    const needed = (TEXT_HEAD_BYTES + byteLength + 3) & ~3;
    if (needed > this.#sharedBytesMax) return this.#place(this.#begin(needed), needed);
    let chunk = this.#header[this.#open] as number;
    if (chunk === 0 || (this.#arena.words[(chunk >>> 2) + 1] as number) + needed > CHUNK_BYTES) {
      chunk = this.#begin(CHUNK_BYTES - CHUNK_HEAD_BYTES);
      this.#header[this.#open] = chunk;
    }
    return this.#place(chunk, needed);
  }

  release(text: number): void {
    const { words } = this.#arena;
    const chunk = words[text >>> 2] as number;
    const live = (words[chunk >>> 2] as number) - 1;
    words[chunk >>> 2] = live;
    if (live > 0) return;
    if (this.#header[this.#open] === chunk) this.#header[this.#open] = 0;
    this.#arena.free(chunk);
  }

  #begin(byteLength: number): number {
    const chunk = this.#arena.alloc(CHUNK_HEAD_BYTES + byteLength);
    const { words } = this.#arena;
    words[chunk >>> 2] = 0;
    words[(chunk >>> 2) + 1] = CHUNK_HEAD_BYTES;
    return chunk;
  }

  #place(chunk: number, needed: number): number {
    const { words } = this.#arena;
    const used = words[(chunk >>> 2) + 1] as number;
    words[chunk >>> 2] = (words[chunk >>> 2] as number) + 1;
    words[(chunk >>> 2) + 1] = used + needed;
    words[(chunk + used) >>> 2] = chunk;
    return chunk + used;
  }
}
