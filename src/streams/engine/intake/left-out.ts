/**
 * Batches that no thread could decode, or apply: kept as dead letters, whole, and left out of the streams for good.
 *
 * Role: such a batch is in the log already, before others that count. A replay must not take it after all: what its sender
 * was told, its dead letter and the results behind it say that it did not count. So each has a note beside its letter,
 * added with it, among the dead letters of streams that nobody can declare; the notes are read before the log is. A
 * note goes when no replay meets its record any more.
 * The time of a batch that could be decoded has counted, as what closed by it may have been told: a replay decodes it, too.
 */
import { type DeadLetter, type DeadLetterStore, LETTER_PAGE_MAX, letterId } from '../../dead-letters/port.ts';
import type { EventsRecord } from '../engine.ts';
import { StreamRefusal } from '../port.ts';
import { letterOfBatch, placeIn } from './letters.ts';

/** No stream has such a name. Of batches that could not be decoded; of those that could, and not be applied. */
const NOTES = ['(left out)', '(not applied)'] as const;

/** A batch that does not count. */
export interface LeftOutBatch {
  readonly why: string;
  /** Its time counts. */
  readonly isDecoded: boolean;
}

const notesOf = ({ isDecoded }: LeftOutBatch): string => NOTES[isDecoded ? 1 : 0];

export class LeftOut {
  readonly #store: Pick<DeadLetterStore, 'idPrefix' | 'list' | 'remove'>;
  /** By place. */
  readonly #batches = new Map<string, LeftOutBatch>();

  constructor(store: Pick<DeadLetterStore, 'idPrefix' | 'list' | 'remove'>) {
    this.#store = store;
  }

  /** Reads what an earlier process has left out. */
  async restore(): Promise<void> {
    for (const notes of NOTES) await this.#restoreFrom(notes);
  }

  async #restoreFrom(notes: (typeof NOTES)[number]): Promise<void> {
    const isDecoded = notes === NOTES[1];
    for (let after = ''; ; ) {
      const page = await this.#store.list(notes, { after, limit: LETTER_PAGE_MAX });
      for (const { id, reason } of page) this.#batches.set(id, { why: reason, isDecoded });
      const last = page.at(-1);
      if (last === undefined) return;
      after = last.id;
    }
  }

  /** Null when the record may count. */
  of(seq: number): LeftOutBatch | null {
    return this.#batches.get(idOf(seq)) ?? null;
  }

  /** From now on the record does not count. Gives what is to be kept: the note first. */
  add(record: EventsRecord, seq: number, batch: LeftOutBatch): readonly DeadLetter[] {
    this.#batches.set(idOf(seq), batch);
    const letter = letterOfBatch(record, seq, batch.why);
    return [{ ...letter, stream: notesOf(batch), bytes: new Uint8Array(0) }, letter];
  }

  /** For who sent it. */
  refusal(stream: string, seq: number, why: string): StreamRefusal {
    const id = `${this.#store.idPrefix}${idOf(seq)}`;
    const text = `${why}; it does not count, is kept as dead letter ${id} of ${stream} and need not be sent again`;
    return new StreamRefusal('undecodable', text);
  }

  /** No replay meets records up to this one. Rejects as the store does. */
  async forget(seq: number): Promise<void> {
    for (const notes of NOTES) {
      const gone = [...this.#batches].filter(
        ([id, batch]) => Number.parseInt(id, 10) <= seq && notesOf(batch) === notes,
      );
      if (gone.length === 0) continue;
      const ids = gone.map(([id]) => id);
      await this.#store.remove(notes, ids);
      for (const id of ids) this.#batches.delete(id);
    }
  }
}

const idOf = (seq: number): string => letterId(Math.floor(seq), placeIn(seq));
