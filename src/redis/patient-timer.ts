/**
 * A limit on waiting, of which the time that this process stood still is no part.
 *
 * A process that was stopped or got no processor finds timers first and what arrived meanwhile second: a plain timer would
 * then give up everything that is waited for, all of it answered long ago. This one, when it comes late, waits once more
 * for as long as it was late, and for `msMax` at most. It gives up only after what has arrived was read: the process may
 * have stood still until the very moment it was due, and then it is not late.
 */

/** A timer that is later than this tells that the process, and maybe all of the machine, stood still. */
const LATE_MS_MAX = 20;

export class PatientTimer {
  readonly #msMax: number;
  readonly #givenUp: () => void;
  #dueMs = 0;
  #timer: NodeJS.Timeout;
  #last: NodeJS.Immediate | undefined;

  /** `givenUp` is called once, unless the timer is cleared. */
  constructor(msMax: number, givenUp: () => void) {
    this.#msMax = msMax;
    this.#givenUp = givenUp;
    this.#timer = this.#begun();
  }

  /** From now on, as if it had been made now. */
  refresh(): void {
    this.clear();
    this.#timer = this.#begun();
  }

  clear(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#last);
  }

  #begun(): NodeJS.Timeout {
    this.#dueMs = performance.now() + this.#msMax;
    return setTimeout(() => this.#due(), this.#msMax);
  }

  #due(): void {
    const lateMs = performance.now() - this.#dueMs;
    if (lateMs <= LATE_MS_MAX) this.#readAndGiveUp();
    else this.#timer = setTimeout(() => this.#readAndGiveUp(), Math.min(lateMs, this.#msMax));
  }

  /** Sockets are read between timers and immediates. */
  #readAndGiveUp(): void {
    this.#last = setImmediate(this.#givenUp);
  }
}
