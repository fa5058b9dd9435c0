/**
 * Results on their way to a sink, as the bytes they were written as; split into texts when the sink asks for texts.
 *
 * Role: what waits in a `Delivery`. A sink that wants bytes takes them by `chunksOf`.
 */
import { lineMemory } from '../lines/line-memory.ts';
import { bytesOfLines, linesOf } from '../lines/lines-of.ts';
import type { SinkBatch } from './port.ts';

export class LineBatch implements SinkBatch {
  seq: number;
  /** Lines. */
  count = 0;
  byteLength = 0;
  /** Each line with its line feed. */
  readonly chunks: Uint8Array[] = [];
  #lines: string[] | null = null;
  #isOver = false;

  constructor(seq: number) {
    this.seq = seq;
  }

  static of({ lines, seq }: SinkBatch): LineBatch {
    const batch = new LineBatch(seq);
    if (lines.length > 0) batch.add(bytesOfLines(lines), lines.length);
    return batch;
  }

  add(chunk: Uint8Array, count: number): void {
    this.chunks.push(chunk);
    lineMemory.hold(chunk);
    this.count += count;
    this.byteLength += chunk.byteLength;
    this.#lines = null;
  }

  /** Takes over what comes after it. */
  absorb({ chunks, count, byteLength, seq }: LineBatch): void {
    for (const chunk of chunks) this.chunks.push(chunk);
    this.count += count;
    this.byteLength += byteLength;
    this.seq = seq;
    this.#lines = null;
  }

  /** Nobody reads it any more: its memory is written again. */
  letGo(): void {
    for (const chunk of this.chunks) lineMemory.release(chunk);
    this.chunks.length = 0;
    this.#isOver = true;
  }

  get lines(): readonly string[] {
    if (this.#isOver && this.#lines === null)
      throw new Error('the lines of a batch are looked at after it was written');
    this.#lines ??=
      this.chunks.length === 1 ? linesOf(this.chunks[0] as Uint8Array) : this.chunks.flatMap((chunk) => linesOf(chunk));
    return this.#lines;
  }
}

/** All lines of a batch, each with its line feed. */
export function chunksOf(batch: SinkBatch): readonly Uint8Array[] {
  return batch instanceof LineBatch ? batch.chunks : [bytesOfLines(batch.lines)];
}

export function countOf(batch: SinkBatch): number {
  return batch instanceof LineBatch ? batch.count : batch.lines.length;
}
