/**
 * Memory of lines that comes again: threads write results into blocks, whoever reads them says when nobody does any more.
 *
 * Role: V8 counts every buffer of a thread's own when it decides to collect garbage, so that 100 MB of results, each chunk
 * in fresh memory, are some eight collections of everything else. Shared memory is not counted, and crosses threads
 * without being copied; it is let go of late, which is why it is given back by hand here.
 * Rules: a block is written by one task. Each chunk in it is held by whoever reads it later, and given back when the last
 * one lets go. What nobody lets go of is garbage as anything else, so an end that is forgotten costs a block, and one that
 * comes too early shows other results: `release` is for those alone who held. Lines in other memory are not looked at.
 */
import type { LineBuffer } from './line-buffer.ts';

/** Fewer bytes than this get memory of their own. */
export const OWN_BYTES_MAX = 4096;
const LOG2_MIN = 16;
const LOG2_MAX = 23;
/** Of blocks that wait to be written. */
export const FREE_BYTES_MAX = 32 * 1024 * 1024;
/** A chunk that pins more than so many times its operator's bytes is copied. */
const PINNED_MAX = 4;

const log2For = (bytes: number): number => Math.max(LOG2_MIN, 32 - Math.clz32(bytes - 1));

/** Where one task writes its lines. */
export class LineSpace {
  #block: SharedArrayBuffer | null;
  #at = 0;

  /** `block`: nobody else's; null: one is made when there is something to write. */
  constructor(block: SharedArrayBuffer | null) {
    this.#block = block;
  }

  /** Takes over what was written; the buffer begins anew. */
  put(lines: LineBuffer): Uint8Array {
    const length = lines.at;
    if (length < OWN_BYTES_MAX) return lines.take();
    let block = this.#block;
    if (block === null || this.#at + length > block.byteLength) {
      // Longer than the last one: a task that gives far more than the one before needs few of them.
      const longer = block === null ? LOG2_MIN : Math.min(LOG2_MAX, log2For(2 * block.byteLength));
      block = new SharedArrayBuffer(2 ** Math.max(log2For(length), longer));
      this.#block = block;
      this.#at = 0;
    }
    const taken = new Uint8Array(block, this.#at, length);
    taken.set(lines.bytes.subarray(0, length));
    this.#at += (length + 7) & ~7;
    lines.at = 0;
    return taken;
  }
}

interface Held {
  holders: number;
}

export class LineMemory {
  /** By the logarithm of their length. */
  readonly #free: SharedArrayBuffer[][] = Array.from({ length: LOG2_MAX + 1 }, () => []);
  #freeBytes = 0;
  /** What is given up without a word is forgotten with its block. */
  readonly #held = new WeakMap<ArrayBufferLike, Held>();

  /** Of blocks that wait to be written. */
  get freeBytes(): number {
    return this.#freeBytes;
  }

  /** A block for so many bytes, or for as many as one has at the most. It is the caller's. */
  block(bytes: number): SharedArrayBuffer {
    const log2 = Math.min(LOG2_MAX, log2For(bytes));
    const block = this.#free[log2]?.pop() ?? this.#free[log2 + 1]?.pop();
    if (block === undefined) return new SharedArrayBuffer(2 ** log2);
    this.#freeBytes -= block.byteLength;
    return block;
  }

  hold({ buffer }: Uint8Array): void {
    if (!(buffer instanceof SharedArrayBuffer)) return;
    const held = this.#held.get(buffer);
    if (held === undefined) this.#held.set(buffer, { holders: 1 });
    else held.holders += 1;
  }

  /** By one that held. The lines must not be looked at any more. */
  release({ buffer }: Uint8Array): void {
    const held = this.#held.get(buffer);
    if (held === undefined) return;
    held.holders -= 1;
    if (held.holders > 0) return;
    this.#held.delete(buffer);
    const free = this.#free[log2For(buffer.byteLength)];
    if (free === undefined || this.#freeBytes + buffer.byteLength > FREE_BYTES_MAX) return;
    free.push(buffer as SharedArrayBuffer);
    this.#freeBytes += buffer.byteLength;
  }
}

/** Of this thread. */
export const lineMemory = new LineMemory();

/**
 * Chunks of which none pins far more memory than its operator has in it: who keeps results of one operator would keep
 * those of all others with them. Others are copied.
 */
export function apart<T extends { readonly operator: number; readonly lines: Uint8Array }>(
  chunks: readonly T[],
): readonly T[] {
  const bytes = new Map<ArrayBufferLike, Map<number, number>>();
  for (const { lines, operator } of chunks) {
    if (!(lines.buffer instanceof SharedArrayBuffer)) continue;
    const own = bytes.get(lines.buffer) ?? new Map<number, number>();
    bytes.set(lines.buffer, own);
    own.set(operator, (own.get(operator) ?? 0) + lines.byteLength);
  }
  if (bytes.size === 0) return chunks;
  return chunks.map((chunk) => {
    const own = bytes.get(chunk.lines.buffer)?.get(chunk.operator);
    if (own === undefined || own * PINNED_MAX >= chunk.lines.buffer.byteLength) return chunk;
    return { ...chunk, lines: chunk.lines.slice() };
  });
}
