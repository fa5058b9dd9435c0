/**
 * A server-sent event answer on node:http.
 *
 * Role: Node.js queues what the socket does not take; this keeps that queue under `bytesMax`, then closes.
 * A frame larger than `bytesMax` is written when nothing else is held.
 */
import type { ServerResponse } from 'node:http';
import type { EventStream } from '../port.ts';

export class NodeEventStream implements EventStream {
  open = true;
  congested = false;
  onDrain: (() => void) | null = null;
  readonly #res: ServerResponse;
  readonly #bytesMax: number;

  constructor(res: ServerResponse, bytesMax: number) {
    this.#res = res;
    this.#bytesMax = bytesMax;
    res.on('drain', () => this.#drained());
  }

  write(frames: Uint8Array | string): boolean {
    if (!this.open) return false;
    const copy = Buffer.from(frames);
    if (this.congested && this.#res.writableLength + copy.byteLength > this.#bytesMax) {
      this.open = false;
      // Emits 'close' later, so the owner hears `aborted()` when it is done with this.
      this.#res.destroy();
      return false;
    }
    if (!this.#res.write(copy)) this.congested = true;
    return true;
  }

  end(): void {
    if (!this.open) return;
    this.open = false;
    this.#res.end();
  }

  /** The connection has gone. */
  lost(): void {
    this.open = false;
    this.onDrain = null;
  }

  #drained(): void {
    if (!this.congested) return;
    this.congested = false;
    if (this.open) this.onDrain?.();
  }
}
