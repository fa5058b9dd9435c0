/**
 * Memory of lines that is used again: threads write results into blocks, and readers give them back.
 *
 * Role: V8 counts every buffer of a thread when it decides to collect garbage, so that 100 MB of results, each chunk in
 * fresh memory, cost some eight collections of everything else. Shared memory is not counted, and crosses threads
 * without being copied, but it is freed late, which is why it is given back by hand here.
 * Rules: a block is written by one task. Each chunk in it is held by its readers, and given back when the last one lets
 * go. A chunk that nobody gives back is collected like anything else, so a forgotten `release` costs a block, while one
 * that comes too early shows other results: only holders may call it. Lines in other memory are left alone.
 */
import { LineBuffer } from './line-buffer.ts';

/** Fewer bytes than this get memory of their own. */
export const OWN_BYTES_MAX = 4096;
const LOG2_MIN = 16;
const LOG2_MAX = 23;
/** Of blocks that wait to be written. */
export const FREE_BYTES_MAX = 32 * 1024 * 1024;
/** A chunk that pins more than so many times its operator's bytes is copied. */
const PINNED_MAX = 4;

const log2For = (bytes: number): number => Math.max(LOG2_MIN, 32 - Math.clz32(bytes - 1));

/** Buffers of this thread that are written again: fresh memory costs a page fault every 4 KiB. */
const SPARE_MAX = 4;
const SPARE_BYTES_MAX = 12 * 1024 * 1024;
const spare: LineBuffer[] = [];

function keepSpare(lines: LineBuffer): void {
  if (spare.length < SPARE_MAX && lines.bytes.length <= SPARE_BYTES_MAX) spare.push(lines);
}

/** A block of which no more than this part is left is full. */
const REST = 1 / 8;

/** Where one task writes its lines: in its blocks, as long as no other lines are being written there. */
export class LineSpace {
  readonly #rooms: SharedArrayBuffer[];
  #block: SharedArrayBuffer | null = null;
  /** The block is one of the rooms. */
  #isRoom = false;
  #at = 0;
  /** The lines that are being written in the block, from `#at` on. */
  #inBlock: LineBuffer | null = null;

  /** `rooms`: blocks that are nobody else's, used in their order; when there are none, or no more, they are made. */
  constructor(rooms: readonly SharedArrayBuffer[]) {
    this.#rooms = [...rooms];
  }

  /** The last so many of its rooms hold nothing. */
  get roomsLeft(): number {
    return this.#rooms.length + (this.#isRoom && this.#at === 0 ? 1 : 0);
  }

  /** To be given back by `put`. */
  lines(): LineBuffer {
    if (this.#inBlock !== null) return spare.pop() ?? new LineBuffer();
    let block = this.#block;
    if (block === null || block.byteLength - this.#at <= block.byteLength * REST) block = this.#turn();
    if (block === null) return spare.pop() ?? new LineBuffer();
    this.#inBlock = LineBuffer.over(block, this.#at);
    return this.#inBlock;
  }

  /** To the next block, if there is one. */
  #turn(): SharedArrayBuffer | null {
    const next = this.#rooms.shift();
    if (next !== undefined) this.#begin(next, true);
    return next ?? null;
  }

  #begin(block: SharedArrayBuffer, isRoom: boolean): void {
    this.#block = block;
    this.#isRoom = isRoom;
    this.#at = 0;
  }

  /** How far lines should go that `lines` gave: what is longer is copied. */
  endOf(lines: LineBuffer): number {
    return lines === this.#inBlock ? lines.bytes.length * (1 - REST) : Number.POSITIVE_INFINITY;
  }

  /** Takes over what was written; the buffer is no longer its writer's. */
  put(lines: LineBuffer): Uint8Array {
    const length = lines.at;
    const isInBlock = lines === this.#inBlock;
    if (isInBlock) this.#inBlock = null;
    let taken: Uint8Array;
    if (length < OWN_BYTES_MAX) taken = lines.take();
    else if (isInBlock && lines.bytes.buffer === this.#block) return this.#next(this.#block, length);
    else {
      taken = this.#roomFor(length);
      taken.set(lines.bytes.subarray(0, length));
      lines.at = 0;
    }
    if (!isInBlock) keepSpare(lines);
    return taken;
  }

  /** As `put`, of what nobody reads. */
  drop(lines: LineBuffer): void {
    lines.at = 0;
    if (lines === this.#inBlock) this.#inBlock = null;
    else keepSpare(lines);
  }

  #roomFor(length: number): Uint8Array {
    if (this.#inBlock !== null) return new Uint8Array(new SharedArrayBuffer(2 ** log2For(length)), 0, length);
    let block = this.#block;
    if (block === null || this.#at + length > block.byteLength) block = this.#turn();
    if (block === null || length > block.byteLength) {
      // Longer than the last one: a task that gives far more than the one before needs few of them.
      const longer = this.#block === null ? LOG2_MIN : Math.min(LOG2_MAX, log2For(2 * this.#block.byteLength));
      block = new SharedArrayBuffer(2 ** Math.max(log2For(length), longer));
      this.#begin(block, false);
    }
    return this.#next(block, length);
  }

  #next(block: SharedArrayBuffer, length: number): Uint8Array {
    const next = new Uint8Array(block, this.#at, length);
    this.#at += (length + 7) & ~7;
    return next;
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
    this.give(buffer as SharedArrayBuffer);
  }

  /** Takes back a block that nothing was written to, or that nobody reads any more. */
  give(block: SharedArrayBuffer): void {
    const free = this.#free[log2For(block.byteLength)];
    if (free === undefined || this.#freeBytes + block.byteLength > FREE_BYTES_MAX) return;
    free.push(block);
    this.#freeBytes += block.byteLength;
  }
}

/** What is asked for by what was needed, and how much of that is remembered after another task. */
const MORE = 1.25;
const REMEMBERED = 0.9;

/** Blocks for tasks that come one after another: the next one mostly gives about as many lines as those before. */
export class LineRooms {
  readonly #memory: LineMemory;
  /** Of long chunks of a task. */
  #bytes = 0;

  constructor(memory: LineMemory) {
    this.#memory = memory;
  }

  /** For the next task; none when few lines are to be thought of. */
  take(): SharedArrayBuffer[] {
    const rooms: SharedArrayBuffer[] = [];
    for (let rest = Math.min(FREE_BYTES_MAX, this.#bytes * MORE); rest >= OWN_BYTES_MAX; ) {
      const room = this.#memory.block(rest);
      rooms.push(room);
      rest -= room.byteLength;
    }
    return rooms;
  }

  /** What a task gave that had these; the last `left` of them were not needed. */
  used(rooms: readonly SharedArrayBuffer[], left: number, chunks: readonly { readonly lines: Uint8Array }[]): void {
    let bytes = 0;
    for (const { lines } of chunks) if (lines.buffer instanceof SharedArrayBuffer) bytes += lines.byteLength;
    this.#bytes = Math.max(bytes, this.#bytes * REMEMBERED);
    for (const room of rooms.slice(rooms.length - left)) this.#memory.give(room);
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
