/**
 * Dead letters on their way to their store.
 *
 * Role: between applied records, of which poison events are left, and a store that may be away for a moment: what it does
 * not take is offered again, before the letters that come next, as a store takes places only in rising order, and at each
 * checkpoint. Nobody's batch fails for it: its other events are counted.
 * Bounds: what waits is as much as a stream's letters may be; then the oldest go, which is told.
 */
import { DEAD_LETTER_LIMITS, type DeadLetter, type DeadLetterStore, letterBytes } from '../../dead-letters/port.ts';

interface BurialLog {
  error(fields: object, message: string): void;
}

export class Burials {
  readonly #store: Pick<DeadLetterStore, 'add'>;
  readonly #log: BurialLog;
  #waiting: DeadLetter[] = [];
  #adding: Promise<void> | null = null;
  /** Takes everything that waits by then. */
  #next: Promise<void> | null = null;

  constructor(store: Pick<DeadLetterStore, 'add'>, log: BurialLog) {
    this.#store = store;
    this.#log = log;
  }

  /** Resolves when they are durable, or could not be kept for now. Never rejects. */
  add(letters: readonly DeadLetter[]): Promise<void> {
    for (const letter of letters) this.#waiting.push(letter);
    if (this.#adding === null) return this.#begin();
    this.#next ??= this.#adding.then(() => {
      this.#next = null;
      // Who came in between has taken these along.
      return this.#adding ?? this.#begin();
    });
    return this.#next;
  }

  /** Resolves when none is on its way; those that still cannot be kept have been offered once more. */
  async settled(): Promise<void> {
    if (this.#waiting.length > 0 || this.#adding !== null) await this.add([]);
  }

  #begin(): Promise<void> {
    const adding = this.#addAll().finally(() => {
      if (this.#adding === adding) this.#adding = null;
    });
    this.#adding = adding;
    return adding;
  }

  async #addAll(): Promise<void> {
    const letters = this.#waiting;
    if (letters.length === 0) return;
    this.#waiting = [];
    try {
      await this.#store.add(letters);
    } catch (error) {
      this.#waiting = [...letters, ...this.#waiting];
      const givenUp = this.#makeRoom();
      const facts = {
        err: error,
        streams: [...new Set(letters.map(({ stream }) => stream))],
        events: letters.length,
        givenUp,
      };
      this.#log.error(facts, 'poison events cannot be kept as dead letters yet; they are offered again');
    }
  }

  /** How many had to go. */
  #makeRoom(): number {
    const { bytesMax, lettersMax } = DEAD_LETTER_LIMITS;
    let bytes = 0;
    let from = this.#waiting.length;
    while (from > 0 && this.#waiting.length - from < lettersMax) {
      bytes += letterBytes(this.#waiting[from - 1] as DeadLetter);
      if (bytes > bytesMax) break;
      from -= 1;
    }
    this.#waiting = this.#waiting.slice(from);
    return from;
  }
}
