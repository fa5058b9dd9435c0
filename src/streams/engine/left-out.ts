/**
 * Batches that no thread could decode: kept as dead letters, whole, and left out of the streams for good.
 *
 * Role: such a batch is in the log already, before others that count. A replay must not take it after all: what its sender
 * was told, its dead letter and the results behind it say that it did not count. So each has a note beside its letter,
 * added with it, among the dead letters of a stream that nobody can declare; the notes are read before the log is. A
 * note goes when no replay meets its record any more.
 */
import { type DeadLetter, type DeadLetterStore, LETTER_PAGE_MAX, letterId } from '../dead-letters/port.ts';
import type { EventsRecord } from './engine.ts';
import { letterOfBatch, placeIn } from './letters.ts';
import { StreamRefusal } from './port.ts';

/** No stream has such a name. */
const NOTES = '(left out)';

export class LeftOut {
  readonly #store: Pick<DeadLetterStore, 'list' | 'remove'>;
  /** Why, by place. */
  readonly #whys = new Map<string, string>();

  constructor(store: Pick<DeadLetterStore, 'list' | 'remove'>) {
    this.#store = store;
  }

  /** Reads what an earlier process has left out. */
  async restore(): Promise<void> {
    for (let after = ''; ; ) {
      const page = await this.#store.list(NOTES, { after, limit: LETTER_PAGE_MAX });
      for (const { id, reason } of page) this.#whys.set(id, reason);
      const last = page.at(-1);
      if (last === undefined) return;
      after = last.id;
    }
  }

  /** Why the record does not count; null when it may. */
  why(seq: number): string | null {
    return this.#whys.get(idOf(seq)) ?? null;
  }

  /** From now on the record does not count. Gives what is to be kept: the note first. */
  add(record: EventsRecord, seq: number, why: string): readonly DeadLetter[] {
    this.#whys.set(idOf(seq), why);
    const letter = letterOfBatch(record, seq, why);
    return [{ ...letter, stream: NOTES, bytes: new Uint8Array(0) }, letter];
  }

  /** For who sent it. */
  refusal(stream: string, seq: number, why: string): StreamRefusal {
    const text = `${why}; it does not count, is kept as dead letter ${idOf(seq)} of ${stream} and need not be sent again`;
    return new StreamRefusal('undecodable', text);
  }

  /** No replay meets records up to this one. Rejects as the store does. */
  async forget(seq: number): Promise<void> {
    const gone = [...this.#whys.keys()].filter((id) => Number.parseInt(id, 10) <= seq);
    if (gone.length === 0) return;
    await this.#store.remove(NOTES, gone);
    for (const id of gone) this.#whys.delete(id);
  }
}

const idOf = (seq: number): string => letterId(Math.floor(seq), placeIn(seq));
