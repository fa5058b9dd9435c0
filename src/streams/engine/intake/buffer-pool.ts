/**
 * Shared buffers that are used again: bodies on their way to decoding, and batches that no redo needs any more.
 *
 * Role: fresh memory costs the operating system a page fault every 4 KiB and the collector its attention; both together
 * were a tenth of an event. Who takes a buffer writes all of it that is read later: it is not zero.
 * Bound: `bytesMax` held; what is given beyond that is left to the collector.
 */
import { roomFor } from '../../decode/event-batch.ts';
import { copyToShared } from '../../shared-copy.ts';

/** A buffer is taken for what fills it to half or more. */
const SLACK = 2;
const SCANNED_MAX = 16;

export class BufferPool {
  readonly #bytesMax: number;
  #free: SharedArrayBuffer[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes held. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A buffer of at least so many bytes, and not far more; null when there is none at hand. */
  take(byteLength: number): SharedArrayBuffer | null {
    const free = this.#free;
    for (let i = free.length - 1; i >= 0 && i >= free.length - SCANNED_MAX; i--) {
      const buffer = free[i] as SharedArrayBuffer;
      if (buffer.byteLength < byteLength || buffer.byteLength > SLACK * byteLength) continue;
      free[i] = free[free.length - 1] as SharedArrayBuffer;
      free.pop();
      this.#bytes -= buffer.byteLength;
      return buffer;
    }
    return null;
  }

  /** Nobody reads or writes it any more. */
  give(buffer: SharedArrayBuffer): void {
    if (this.#bytes + buffer.byteLength > this.#bytesMax) {
      // Sizes change with what comes in: the older half makes room.
      const kept = this.#free.splice(this.#free.length >> 1);
      this.#free = kept;
      this.#bytes = kept.reduce((sum, { byteLength }) => sum + byteLength, 0);
      if (this.#bytes + buffer.byteLength > this.#bytesMax) return;
    }
    this.#free.push(buffer);
    this.#bytes += buffer.byteLength;
  }

  /** A buffer of at least `byteLength` bytes, with a copy of the bytes at this place. */
  copyOf(bytes: Uint8Array, at: number, byteLength: number): SharedArrayBuffer {
    const buffer = this.take(byteLength) ?? new SharedArrayBuffer(roomFor(byteLength));
    copyToShared(bytes, new Uint8Array(buffer), at);
    return buffer;
  }
}
