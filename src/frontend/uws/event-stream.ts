// HOT PATH
/**
 * A server-sent event answer on uWebSockets.js.
 *
 * Role: writes frames, and keeps them in a queue of its own once the socket holds back: uWebSockets.js would buffer
 * without bound.
 *
 *     flowing ──write() took less──▶ congested (frames queue up, at most `bytesMax`) ──all written──▶ flowing, onDrain()
 *                                          └── one frame too many ──▶ closed, `aborted()` follows
 *
 * Facts it is built on: inside a cork a write that fits the cork buffer (16 KiB) reports success whatever the socket
 * does, so congestion shows one frame late; with a writable handler registered, uWebSockets.js leaves it to the handler
 * to push out what it holds itself; a reader that takes nothing at all for 10 s is closed by uWebSockets.js.
 * A frame larger than `bytesMax` is written when nothing else is held.
 */
import type { EventStream } from '../port.ts';
import { COMMENT_FRAME } from '../sse.ts';
import type { NativeResponse } from './native.ts';

/** Whoever owns the native response. */
export interface StreamOwner {
  streamEnded(): void;
}

export class UwsEventStream implements EventStream {
  open = true;
  congested = false;
  onDrain: (() => void) | null = null;

  readonly #res: NativeResponse;
  readonly #bytesMax: number;
  readonly #owner: StreamOwner;
  #queue: Uint8Array[] = [];
  /** Bytes in `#queue`, and in the write that uWebSockets.js could not finish. */
  #heldBytes = 0;
  #ending = false;
  #gone = false;
  #watching = false;

  constructor(res: NativeResponse, bytesMax: number, owner: StreamOwner) {
    this.#res = res;
    this.#bytesMax = bytesMax;
    this.#owner = owner;
  }

  write(frames: Uint8Array | string): boolean {
    if (!this.open) return false;
    if (this.congested) return this.#enqueue(frames);
    corked.stream = this;
    corked.frames = frames;
    this.#res.cork(writeCorked);
    return true;
  }

  end(): void {
    if (!this.open) return;
    this.open = false;
    if (this.congested && this.#queue.length > 0) this.#ending = true;
    else this.#end();
  }

  /** The connection has gone. */
  lost(): void {
    this.open = false;
    this.#gone = true;
    this.#queue = [];
    this.#heldBytes = 0;
    this.onDrain = null;
  }

  static write(stream: UwsEventStream, frames: Uint8Array | string): void {
    if (!stream.#res.write(frames)) stream.#holdBack(byteLength(frames));
  }

  #holdBack(bytes: number): void {
    this.congested = true;
    this.#heldBytes += bytes;
    if (this.#watching) return;
    this.#watching = true;
    this.#res.onWritable(() => this.#writable());
  }

  #enqueue(frames: Uint8Array | string): boolean {
    const bytes = byteLength(frames);
    if (this.#heldBytes + bytes > this.#bytesMax) {
      this.open = false;
      // Not from within write(): the owner hears `aborted()` when it is done with this.
      queueMicrotask(() => {
        if (!this.#gone) this.#res.close();
      });
      return false;
    }
    this.#heldBytes += bytes;
    // The frames are lent.
    this.#queue.push(Buffer.from(frames));
    return true;
  }

  /** True: go on. Uncorked, since only then a write tells what the socket really took. */
  #writable(): boolean {
    if (this.#gone) return true;
    if (!this.congested) {
      this.#res.cork(nothing);
      return true;
    }
    const queue = this.#queue;
    let written = 0;
    // An empty queue: something has to be written for uWebSockets.js to push out and report on what it holds.
    let flowing = this.#res.write(queue[written++] ?? COMMENT_FRAME);
    while (flowing && written < queue.length) flowing = this.#res.write(queue[written++] as Uint8Array);
    this.#forget(queue, Math.min(written, queue.length), flowing);
    if (!flowing) return true;
    this.congested = false;
    if (this.#ending) this.#end();
    else if (this.open) this.onDrain?.();
    return true;
  }

  #forget(queue: Uint8Array[], written: number, flowing: boolean): void {
    const last = written > 0 ? (queue[written - 1] as Uint8Array).byteLength : this.#heldBytes;
    this.#queue = queue.slice(written);
    let bytes = flowing ? 0 : last;
    for (const frame of this.#queue) bytes += frame.byteLength;
    this.#heldBytes = bytes;
  }

  #end(): void {
    this.#ending = false;
    this.#res.cork(() => {
      this.#res.end('', false);
    });
    this.#gone = true;
    this.#owner.streamEnded();
  }
}

const corked = { stream: null as UwsEventStream | null, frames: '' as Uint8Array | string };

function writeCorked(): void {
  const stream = corked.stream;
  corked.stream = null;
  if (stream !== null) UwsEventStream.write(stream, corked.frames);
  corked.frames = '';
}

function nothing(): void {
  // Corking nothing makes uWebSockets.js push out what it holds.
}

function byteLength(frames: Uint8Array | string): number {
  return typeof frames === 'string' ? Buffer.byteLength(frames) : frames.byteLength;
}
