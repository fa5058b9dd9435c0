// HOT PATH
/**
 * Events of one side of a join that may still find a partner: per key a block of rows in order of event time.
 *
 * Role: an event costs one row at the end of its key's block, and its texts go to `text-chunks.ts`; a probe goes over
 * neighbouring rows; what expires goes from the front. Rows are laid out by `row-layout.ts`; a row is named by its offset
 * in the arena, a key's rows by the offset of their block, 0 for none.
 * Layout of a block: two words, first · count, then rows:
 *
 *   first = 2   count = 3   | – | – | r | r | r | – |        rows before `first` have been dropped
 *
 * The text of a row: its context when it has one (`row-context.ts`), then the texts of the fields.
 * Invariants: rows of the same time stand in order of arrival; offsets of rows are valid until the next `insert` or
 * `drop`; a block without rows does not exist.
 */
import { ABSENT, type EventBatch } from '../decode/event-batch.ts';
import { NO_CONTEXT, type OwnContext } from '../event-context.ts';
import type { LineBuffer } from '../lines/line-buffer.ts';
import type { Arena } from '../state/arena.ts';
import { readContextBytes } from './row-context.ts';
import { ROW_HEAD_BYTES, type RowLayout } from './row-layout.ts';
import { TEXT_HEAD_BYTES, type TextChunks } from './text-chunks.ts';

/** No row: of the right side, where a left event is told alone. */
export const NO_ROW = 0;
const BLOCK_HEAD_BYTES = 8;
const SEQ = 1;
const ROW = 4;
const TEXT = 5;
const MATCHED = 0x80000000;
const CONTEXT = 0x40000000;
const ROW_MASK = 0x3fffffff;
/** Smaller blocks are not given back for being mostly empty. */
const KEPT_BYTES = 512;
/** The call of a built-in copy costs as much as this many bytes four by four. */
const COPIED_BY_HAND_MAX = 256;

export class SideRows {
  readonly #arena: Arena;
  readonly #layout: RowLayout;
  readonly #stride: number;
  readonly #chunks: TextChunks;
  /** The arena's bytes, to be read as text: `TextDecoder` refuses shared memory. */
  #text: Buffer;
  /** The same, and those of the batch rows come from. */
  #to: DataView;
  #from: DataView;

  constructor(arena: Arena, layout: RowLayout, chunks: TextChunks) {
    this.#arena = arena;
    this.#layout = layout;
    this.#stride = layout.strideBytes;
    this.#chunks = chunks;
    this.#text = Buffer.from(arena.bytes.buffer);
    this.#to = new DataView(arena.bytes.buffer);
    this.#from = this.#to;
  }

  count(block: number): number {
    return block === 0 ? 0 : (this.#arena.words[(block >>> 2) + 1] as number);
  }

  rowAt(block: number, index: number): number {
    return block + BLOCK_HEAD_BYTES + ((this.#arena.words[block >>> 2] as number) + index) * this.#stride;
  }

  /** Time of the row at `index`; Infinity when there is none. */
  tsAt(block: number, index: number): number {
    const { doubles, words } = this.#arena;
    const at = block >>> 2;
    if (block === 0 || index >= (words[at + 1] as number)) return Number.POSITIVE_INFINITY;
    const row = block + BLOCK_HEAD_BYTES + ((words[at] as number) + index) * this.#stride;
    return doubles[row >>> 3] as number;
  }

  /** Index of the first one whose time is not before `ts`. */
  firstFrom(block: number, ts: number): number {
    if (block === 0) return 0;
    const { doubles } = this.#arena;
    const base = this.rowAt(block, 0) >>> 3;
    const step = this.#stride >>> 3;
    let low = 0;
    let high = this.count(block);
    // What is looked for is near the front, where rows expire, more often than anywhere else.
    if (high === 0 || (doubles[base] as number) >= ts) return 0;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((doubles[base + middle * step] as number) < ts) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  ts(row: number): number {
    return this.#arena.doubles[row >>> 3] as number;
  }

  isMatched(row: number): boolean {
    return ((this.#arena.words[(row >>> 2) + ROW] as number) & MATCHED) !== 0;
  }

  match(row: number): void {
    const at = (row >>> 2) + ROW;
    this.#arena.words[at] = (this.#arena.words[at] as number) | MATCHED;
  }

  /** Sequence number of the record the event came with. */
  seq(row: number): number {
    return this.#arena.doubles[(row >>> 3) + SEQ] as number;
  }

  rowInBatch(row: number): number {
    return (this.#arena.words[(row >>> 2) + ROW] as number) & ROW_MASK;
  }

  context(row: number): OwnContext {
    const { bytes, words } = this.#arena;
    if (!this.hasContext(row)) return NO_CONTEXT;
    return readContextBytes(bytes, words, (words[(row >>> 2) + TEXT] as number) + TEXT_HEAD_BYTES);
  }

  hasContext(row: number): boolean {
    return ((this.#arena.words[(row >>> 2) + ROW] as number) & CONTEXT) !== 0;
  }

  /** NaN when absent; booleans as 1 and 0. Not for texts. */
  number(row: number, position: number): number {
    return this.#arena.doubles[((row + ROW_HEAD_BYTES) >>> 3) + position] as number;
  }

  text(row: number, position: number): string | null {
    const { words } = this.#arena;
    const at = ((row + ROW_HEAD_BYTES) >>> 2) + 2 * position;
    const length = words[at + 1] as number;
    if (length === ABSENT) return null;
    const begin = words[at] as number;
    if (this.#text.buffer !== this.#arena.bytes.buffer) this.#text = Buffer.from(this.#arena.bytes.buffer);
    return this.#text.toString('utf8', begin, begin + length);
  }

  /** The text as a JSON value. */
  writeText(row: number, position: number, out: LineBuffer): void {
    const { bytes, words } = this.#arena;
    const at = ((row + ROW_HEAD_BYTES) >>> 2) + 2 * position;
    const length = words[at + 1] as number;
    if (this.#to.buffer !== bytes.buffer) this.#to = new DataView(bytes.buffer);
    if (length === ABSENT) out.value(null);
    else out.string(this.#to, words[at] as number, length);
  }

  /**
   * Index a row of this time would have: behind those of the same time. That is mostly at the end, or not far from it:
   * steps back that double, then halves of the last one.
   */
  placeOf(block: number, ts: number): number {
    let high = this.count(block);
    if (high === 0) return 0;
    const { doubles } = this.#arena;
    const base = this.rowAt(block, 0) >>> 3;
    const step = this.#stride >>> 3;
    let low = high - 1;
    for (let back = 2; low >= 0 && (doubles[base + low * step] as number) > ts; back *= 2) {
      high = low;
      low -= back;
    }
    low = Math.max(0, low + 1);
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((doubles[base + middle * step] as number) > ts) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Puts a row of a batch at `index`; gives the block, which may have moved. */
  insert(block: number, index: number, batch: EventBatch, row: number, seq: number, context: Uint8Array): number {
    const text = this.#takeText(batch, row, context);
    const at = this.#withRoom(block);
    const { bytes, doubles, words } = this.#arena;
    const count = words[(at >>> 2) + 1] as number;
    const row0 = this.rowAt(at, 0);
    const to = row0 + index * this.#stride;
    if (index < count) bytes.copyWithin(to + this.#stride, to, row0 + count * this.#stride);
    words[(at >>> 2) + 1] = count + 1;
    doubles[to >>> 3] = batch.ts[row] as number;
    doubles[(to >>> 3) + SEQ] = seq;
    words[(to >>> 2) + ROW] = row | (context.length === 0 ? 0 : CONTEXT);
    words[(to >>> 2) + TEXT] = text;
    this.#writeFields(to, text + TEXT_HEAD_BYTES + context.length, batch, row);
    return at;
  }

  /** Drops rows from the front; gives the block, or 0 when nothing is left. */
  drop(block: number, dropped: number): number {
    if (dropped === 0) return block;
    const { words } = this.#arena;
    const count = words[(block >>> 2) + 1] as number;
    for (let i = 0; i < dropped; i++) this.#freeText(this.rowAt(block, i));
    if (dropped === count) {
      this.#arena.free(block);
      return 0;
    }
    words[block >>> 2] = (words[block >>> 2] as number) + dropped;
    words[(block >>> 2) + 1] = count - dropped;
    return this.#shrunk(block);
  }

  #freeText(row: number): void {
    const text = this.#arena.words[(row >>> 2) + TEXT] as number;
    if (text !== 0) this.#chunks.release(text);
  }

  /** Room for context and texts of a row; 0 when there are none. Texts are written with the fields. */
  #takeText(batch: EventBatch, row: number, context: Uint8Array): number {
    const { fields, hasTexts, types } = this.#layout;
    let byteLength = context.length;
    if (hasTexts) {
      for (let i = 0; i < fields.length; i++) {
        if (types[i] !== 'string') continue;
        const length = (batch.length[fields[i] as number] as Uint32Array)[row] as number;
        if (length !== ABSENT) byteLength += length;
      }
    }
    if (byteLength === 0) return 0;
    const text = this.#chunks.take(byteLength);
    if (context.length > 0) this.#arena.bytes.set(context, text + TEXT_HEAD_BYTES);
    return text;
  }

  #writeFields(to: number, textFrom: number, batch: EventBatch, row: number): void {
    const { fields, types } = this.#layout;
    const { doubles, words } = this.#arena;
    let textAt = textFrom;
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i] as number;
      const at = to + ROW_HEAD_BYTES + 8 * i;
      if (types[i] !== 'string') {
        doubles[at >>> 3] = (batch.values[field] as Float64Array)[row] as number;
        continue;
      }
      const length = (batch.length[field] as Uint32Array)[row] as number;
      words[at >>> 2] = textAt;
      words[(at >>> 2) + 1] = length;
      if (length === ABSENT) continue;
      this.#copyText(batch.bytes, (batch.at[field] as Uint32Array)[row] as number, length, textAt);
      textAt += length;
    }
  }

  #copyText(from: Uint8Array, begin: number, length: number, to: number): void {
    const { bytes } = this.#arena;
    if (length > COPIED_BY_HAND_MAX) {
      bytes.set(from.subarray(begin, begin + length), to);
      return;
    }
    if (this.#to.buffer !== bytes.buffer) this.#to = new DataView(bytes.buffer);
    if (this.#from.buffer !== from.buffer) this.#from = new DataView(from.buffer);
    const target = this.#to;
    const source = this.#from;
    const sourceAt = from.byteOffset + begin;
    const last = length - 3;
    let i = 0;
    for (; i < last; i += 4) target.setInt32(to + i, source.getInt32(sourceAt + i, true), true);
    for (; i < length; i++) bytes[to + i] = from[begin + i] as number;
  }

  /** The block with room for one row more at its end. */
  #withRoom(block: number): number {
    const arena = this.#arena;
    if (block === 0) {
      const at = arena.alloc(BLOCK_HEAD_BYTES + this.#stride);
      arena.words[at >>> 2] = 0;
      arena.words[(at >>> 2) + 1] = 0;
      return at;
    }
    const first = arena.words[block >>> 2] as number;
    const count = arena.words[(block >>> 2) + 1] as number;
    const end = BLOCK_HEAD_BYTES + (first + count + 1) * this.#stride;
    if (end <= arena.capacity(block)) return block;
    // As many rows were dropped as are moved: that pays for it.
    if (first >= count) this.#toFront(block);
    else return arena.resize(block, BLOCK_HEAD_BYTES + 2 * (first + count) * this.#stride);
    return block;
  }

  #toFront(block: number): void {
    const { bytes, words } = this.#arena;
    const begin = this.rowAt(block, 0);
    const end = this.rowAt(block, words[(block >>> 2) + 1] as number);
    bytes.copyWithin(block + BLOCK_HEAD_BYTES, begin, end);
    words[block >>> 2] = 0;
  }

  /** A block that is mostly empty becomes a smaller one. */
  #shrunk(block: number): number {
    const arena = this.#arena;
    const capacity = arena.capacity(block);
    const used = BLOCK_HEAD_BYTES + this.count(block) * this.#stride;
    if (capacity <= KEPT_BYTES || used * 8 > capacity) return block;
    this.#toFront(block);
    const smaller = arena.alloc(2 * used);
    arena.bytes.copyWithin(smaller, block, block + used);
    arena.free(block);
    return smaller;
  }
}
