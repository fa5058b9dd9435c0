/**
 * Lines on their way to stderr, which may be a pipe that nobody reads, or a file on a disk that is full.
 *
 * Role: under the log. Writing does not block, and what goes wrong with it is nobody's error: a log that cannot be written
 * must neither end a process nor keep one from ending. What is refused for good is lost, and later lines are tried again.
 * Bounds: `HELD_BYTES_MAX` are held for a slow reader, lines past them are dropped; at the exit a reader has
 * `EXIT_MS_MAX` for what is still held. A worker thread may be ended at any moment, so it writes at once.
 */
import { write, writeSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

const HELD_BYTES_MAX = 4 * 1024 * 1024;

const STDERR = 2;
const EXIT_MS_MAX = 1000;
const RETRY_MS = 20;

const isSlow = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'EAGAIN';

class StderrLines {
  #held: string[] = [];
  #heldBytes = 0;
  /** What is left of the lines that are being written. */
  #rest: Buffer = Buffer.alloc(0);
  /** The operating system has them. */
  #underWay = false;
  #retry: NodeJS.Timeout | null = null;
  /** A part of a line was written, and its end never will be. */
  #torn = false;

  write(line: string): void {
    if (!isMainThread) {
      this.#rest = Buffer.from(line);
      this.#writeRest();
      return;
    }
    const bytes = Buffer.byteLength(line);
    if (this.#heldBytes + this.#rest.byteLength + bytes > HELD_BYTES_MAX) return;
    this.#held.push(line);
    this.#heldBytes += bytes;
    if (!this.#underWay && this.#retry === null) this.#next();
  }

  /** What is held, at the end of the process. */
  flush(): void {
    if (!this.#underWay) this.#writeRest();
    this.#takeHeld();
    this.#writeRest();
  }

  #takeHeld(): void {
    this.#rest = Buffer.from(`${this.#torn ? '\n' : ''}${this.#held.join('')}`);
    this.#held = [];
    this.#heldBytes = 0;
  }

  #next(): void {
    if (this.#held.length === 0) return;
    this.#takeHeld();
    this.#begin();
  }

  #begin(): void {
    this.#underWay = true;
    write(STDERR, this.#rest, (error, written) => {
      this.#underWay = false;
      if (isSlow(error)) {
        this.#retry = setTimeout(() => {
          this.#retry = null;
          this.#begin();
        }, RETRY_MS);
        return;
      }
      this.#wrote(error === null ? written : -1);
      if (this.#rest.byteLength > 0) this.#begin();
      else this.#next();
    });
  }

  /** `bytes` −1: it is refused. */
  #wrote(bytes: number): void {
    if (bytes > 0) this.#torn = this.#rest[bytes - 1] !== 10;
    this.#rest = bytes < 0 ? Buffer.alloc(0) : this.#rest.subarray(bytes);
  }

  #writeRest(): void {
    const untilMs = performance.now() + EXIT_MS_MAX;
    while (this.#rest.byteLength > 0) {
      try {
        this.#wrote(writeSync(STDERR, this.#rest));
      } catch (error) {
        if (!isSlow(error) || performance.now() > untilMs) this.#wrote(-1);
        else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
      }
    }
  }
}

/** One for all logs of the thread: there is one stderr. */
export const stderrLines = new StderrLines();
if (isMainThread) process.on('exit', () => stderrLines.flush());
