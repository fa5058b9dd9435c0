/**
 * Holds batches back while a plan gets its place in the log.
 *
 * A record of the log is applied under the plan that stands before it there, now and when it is replayed. So nothing is
 * appended from when a change of the plan begins to wait for the records before it until its own record is written.
 * Role: `lifecycle.ts` closes and opens it, `intake.ts` waits at it. Those that wait go on in the order they came, and
 * before any that come later; the intake bounds their bytes.
 */
export class PlanGate {
  #opened: Promise<void> = Promise.resolve();
  #open: (() => void) | null = null;
  #waiting = 0;

  /** A batch that comes now has to wait. */
  get holds(): boolean {
    return this.isClosed || this.#waiting > 0;
  }

  get isClosed(): boolean {
    return this.#open !== null;
  }

  /** One change at a time. */
  close(): void {
    if (this.#open !== null) throw new Error('the gate is closed already');
    this.#opened = new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  open(): void {
    this.#open?.();
    this.#open = null;
  }

  async pass(): Promise<void> {
    this.#waiting += 1;
    try {
      do await this.#opened;
      while (this.isClosed);
    } finally {
      this.#waiting -= 1;
    }
  }
}
