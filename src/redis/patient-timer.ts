/**
 * A limit on waiting that does not count the time in which this process stood still.
 *
 * After a process was stopped or got no processor it runs its timers first and reads what arrived second: a plain timer
 * would give up everything that is waited for, though all of it was answered long ago. This timer, when it fires late,
 * waits once more for as long as it was late, at most `msMax`. It gives up only after what has arrived was read: the
 * process may have stood still until the very moment the timer was due, and then it is not late.
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
