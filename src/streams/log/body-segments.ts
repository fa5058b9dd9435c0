/**
 * Bodies of the records in memory, one behind the other in long segments of shared memory that are used again.
 *
 * Role: beside `MemoryLog`. V8 counts each body that lives for more than a moment when it decides to collect garbage,
 * so that 100 MB of them per second cost ten collections of everything else. Shared memory is not counted, but it is
 * freed late, which is why it is used again here.
 * Rule: first in, first out. What `put` gave is valid until it, and all that were put before it, have been dropped.
 */
import { copyToShared } from '../shared-copy.ts';

const SEGMENT_BYTES = 4 * 1024 * 1024;
/** Of segments that wait to be filled again. */
const FREE_SEGMENTS_MAX = 16;
const EMPTY = new Uint8Array(0);

interface Segment {
  readonly bytes: Uint8Array;
  used: number;
  /** Bodies in it that were not dropped. */
  bodies: number;
}

export class BodySegments {
  /** Oldest first; the last one is being filled. */
  #segments: Segment[] = [];
  readonly #free: Uint8Array[] = [];

  /** A copy. */
  put(body: Uint8Array): Uint8Array {
    const { byteLength } = body;
    if (byteLength === 0) return EMPTY;
    let segment = this.#segments.at(-1);
    if (segment === undefined || segment.used + byteLength > segment.bytes.byteLength) {
      segment = { bytes: this.#room(byteLength), used: 0, bodies: 0 };
      this.#segments.push(segment);
    }
    const at = segment.used;
    copyToShared(body, segment.bytes, at);
    // Each begins with a word, so that it is copied by words.
    segment.used = (at + byteLength + 7) & ~7;
    segment.bodies += 1;
    return segment.bytes.subarray(at, at + byteLength);
  }

  #room(byteLength: number): Uint8Array {
    if (byteLength > SEGMENT_BYTES) return new Uint8Array(new SharedArrayBuffer(byteLength));
    return this.#free.pop() ?? new Uint8Array(new SharedArrayBuffer(SEGMENT_BYTES));
  }

  /** The oldest body that was not dropped yet. */
  drop(body: Uint8Array): void {
    if (body.byteLength === 0) return;
    const oldest = this.#segments[0] as Segment;
    oldest.bodies -= 1;
    if (oldest.bodies > 0) return;
    this.#segments.shift();
    if (oldest.bytes.byteLength === SEGMENT_BYTES && this.#free.length < FREE_SEGMENTS_MAX)
      this.#free.push(oldest.bytes);
  }
}
