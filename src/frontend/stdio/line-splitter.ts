/**
 * Cuts a byte stream into lines.
 *
 * Role: the framing of stdio, without any stream in it: bytes in, lines out. A line ends at LF; a CR before it is not
 * part of it; blank lines are nothing. A line within one chunk is handed on as a view of that chunk; one that spans
 * chunks is joined once, at its end.
 * Invariants: never holds more than `lineBytesMax` bytes (and as many parts as chunks it came in). A longer line is
 * reported once, as soon as it is known to be too long, and skipped up to its LF.
 */
export interface LineSink {
  /** A line without its end. `bytes` is lent for this call. */
  line(bytes: Uint8Array): void;
  /** A line was longer than `lineBytesMax`; its bytes are gone. */
  oversize(): void;
}

const LF = 0x0a;
const CR = 0x0d;

export class LineSplitter {
  readonly #lineBytesMax: number;
  readonly #sink: LineSink;
  #parts: Uint8Array[] = [];
  #heldBytes = 0;
  #skipping = false;

  constructor(lineBytesMax: number, sink: LineSink) {
    this.#lineBytesMax = lineBytesMax;
    this.#sink = sink;
  }

  push(chunk: Uint8Array): void {
    let from = 0;
    for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, from)) {
      this.#finish(chunk.subarray(from, at));
      from = at + 1;
    }
    if (from < chunk.length) this.#hold(chunk.subarray(from));
  }

  /** The stream has ended: what stands after the last LF is a line too. */
  end(): void {
    this.#finish(new Uint8Array(0));
  }

  #hold(rest: Uint8Array): void {
    if (this.#skipping) return;
    // One more than the limit may be a CR that will be taken off.
    if (this.#heldBytes + rest.length > this.#lineBytesMax + 1) {
      this.#forget();
      this.#skipping = true;
      this.#sink.oversize();
      return;
    }
    // A copy: the stream may use the chunk's memory again.
    this.#parts.push(Buffer.from(rest));
    this.#heldBytes += rest.length;
  }

  #finish(last: Uint8Array): void {
    if (this.#skipping) {
      this.#skipping = false;
      return;
    }
    const whole = this.#heldBytes === 0 ? last : Buffer.concat([...this.#parts, last]);
    this.#forget();
    const line = whole[whole.length - 1] === CR ? whole.subarray(0, -1) : whole;
    if (line.length > this.#lineBytesMax) this.#sink.oversize();
    else if (line.length > 0) this.#sink.line(line);
  }

  #forget(): void {
    if (this.#heldBytes === 0) return;
    this.#parts = [];
    this.#heldBytes = 0;
  }
}
