/**
 * Two numbers in shared memory that the front-end thread writes and the heartbeat thread reads.
 *
 *   Int32  0 load   calls in flight and waiting
 *          1 turns  counts up while the front-end thread's event loop turns
 *
 * Role: a heartbeat tells the load without waiting for the front end, and sees that it stands still. Written by a timer,
 * never per request.
 */
const LOAD = 0;
const TURNS = 1;
const CELLS = 2;
/** A loop that did not turn for a multiple of this is stalled. */
export const TURN_MS = 200;

export class LoadBoard {
  readonly shared: SharedArrayBuffer;
  readonly #cells: Int32Array;
  #timer: NodeJS.Timeout | null = null;

  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(CELLS * Int32Array.BYTES_PER_ELEMENT)) {
    this.shared = shared;
    this.#cells = new Int32Array(shared);
  }

  /** From now on `read` is asked on each turn of the timer. */
  start(read: () => number): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    const write = (): void => {
      Atomics.store(this.#cells, LOAD, read());
      Atomics.add(this.#cells, TURNS, 1);
    };
    write();
    this.#timer = setInterval(write, TURN_MS);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  get load(): number {
    return Atomics.load(this.#cells, LOAD);
  }

  /** Compared for being another, never for being more: it wraps round. */
  get turns(): number {
    return Atomics.load(this.#cells, TURNS);
  }
}
