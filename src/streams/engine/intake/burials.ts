/**
 * Dead letters on their way to their store.
 *
 * Role: between applied records, which leave poison events behind, and a store that may be away for a moment. Letters
 * that it does not take are offered again before any later ones, since a store takes places only in rising order, and
 * at each checkpoint, which is not made while any letter waits: until then they are in the log. A letter that waits
 * fails no batch; a note of what was left out does hold up what follows it (`keep`).
 * Bounds: as many letters wait as a stream may have; then the oldest go, which is logged.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '../../../observe/port.ts';
import { RedisUnavailable } from '../../../redis/unavailable.ts';
import {
  DEAD_LETTER_LIMITS,
  type DeadLetter,
  type DeadLetterStore,
  LettersUnavailable,
  letterBytes,
} from '../../dead-letters/port.ts';
import { StreamRefusal } from '../port.ts';

const RETRY_MS = 100;
const RETRY_MS_MAX = 1000;

export interface BurialPorts {
  readonly store: Pick<DeadLetterStore, 'add' | 'addNoted'>;
  readonly log: Pick<Log, 'error'>;
  /** Everything waits for the store. */
  held(): void;
  /** Nobody waits for it any more. */
  ended(): boolean;
}

/** A checkpoint would pass over poison events that are nowhere else than in the log. */
export class NotBuried extends Error {
  constructor(letters: number, cause: unknown) {
    super(`${letters} poison events cannot be kept as dead letters yet: the log keeps them, and what came since`, {
      cause,
    });
    this.name = 'NotBuried';
  }
}

export class Burials {
  readonly #ports: BurialPorts;
  #held = false;
  #leaving = false;
  /** Why those that wait were not taken. */
  #trouble: unknown = null;
  #waiting: DeadLetter[] = [];
  #adding: Promise<void> | null = null;
  /** Takes everything that waits by then. */
  #next: Promise<void> | null = null;

  constructor(ports: BurialPorts) {
    this.#ports = ports;
  }

  /** Everything waits until the store takes a note. */
  get isHeld(): boolean {
    return this.#held;
  }

  /** Poison events wait for the store, which has not taken them. */
  get isBehind(): boolean {
    return this.#trouble !== null && this.#waiting.length > 0;
  }

  /** The streams end: nobody waits any more for a store that cannot be written. */
  leave(): void {
    this.#leaving = true;
  }

  /**
   * Resolves when a note and its letter are durable, behind the letters added before, however long the store cannot be
   * written. Rejects when it never can be, or when the streams end.
   */
  async keep(note: DeadLetter, letter: DeadLetter | null): Promise<void> {
    for (let pauseMs = RETRY_MS; ; pauseMs = Math.min(RETRY_MS_MAX, pauseMs * 2)) {
      // The store may be closed by now.
      if (this.#ports.ended()) throw new StreamRefusal('stopped', 'the streams are stopping', pauseMs);
      const trouble = await this.#offer(note, letter);
      this.#held = trouble !== null;
      if (trouble === null) return;
      if (!passes(trouble) || this.#leaving) throw trouble;
      this.#ports.held();
      await pause(pauseMs);
    }
  }

  /** Null when it has been taken. */
  async #offer(note: DeadLetter, letter: DeadLetter | null): Promise<unknown> {
    // Those before it have places before it.
    await this.settled();
    if (this.#waiting.length > 0) return this.#trouble;
    try {
      await this.#ports.store.addNoted(note, letter);
      return null;
    } catch (error) {
      const facts = { err: error, seq: note.seq };
      this.#ports.log.error(facts, 'what is left out cannot be noted yet; everything behind it waits');
      return error;
    }
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

  /** As `settled`, of what was added by now. Rejects with `NotBuried` when any could not be kept. */
  async buried(): Promise<void> {
    await this.settled();
    if (this.isBehind) throw new NotBuried(this.#waiting.length, this.#trouble);
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
      await this.#ports.store.add(letters);
      this.#trouble = null;
    } catch (error) {
      this.#trouble = error;
      this.#waiting = [...letters, ...this.#waiting];
      const givenUp = this.#makeRoom();
      const facts = {
        err: error,
        streams: [...new Set(letters.map(({ stream }) => stream))],
        events: letters.length,
        givenUp,
      };
      this.#ports.log.error(facts, 'poison events cannot be kept as dead letters yet; they are offered again');
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

const passes = (error: unknown): boolean => error instanceof LettersUnavailable || error instanceof RedisUnavailable;
