/**
 * Records that no thread could decode or apply: left out of the streams for good.
 *
 * Role: such a record is in the log already, before others that count. A replay must leave it out as well, since its
 * sender, its dead letter and later results have said that it did not count. So each batch has a note beside its
 * letter, written with it, and each step of time has one among the dead letters of streams that nobody can declare. The
 * notes are read before the log is, and removed when no replay can meet their record any more.
 * The time of a batch that could be decoded has counted, since results may have followed from it: a replay decodes it
 * too.
 */
import { type DeadLetter, type DeadLetterStore, LETTER_PAGE_MAX, letterId } from '../../dead-letters/port.ts';
import { StreamRefusal } from '../port.ts';
import { placeIn } from './letters.ts';

/** No stream has such a name. Of batches that could not be decoded; of those that could, and not be applied. */
const BATCHES = ['(left out)', '(not applied)'] as const;
/** The number of the step in its record is the index in the place. */
const STEPS = '(steps not applied)';

/** A batch that does not count. */
export interface LeftOutBatch {
  readonly why: string;
  /** Its time counts. */
  readonly isDecoded: boolean;
}

const notesOf = ({ isDecoded }: LeftOutBatch): string => BATCHES[isDecoded ? 1 : 0];

export class LeftOut {
  readonly #store: Pick<DeadLetterStore, 'idPrefix' | 'list' | 'remove'>;
  /** By place. */
  readonly #batches = new Map<string, LeftOutBatch>();
  /** Places, as those of batches. */
  readonly #steps = new Set<string>();

  constructor(store: Pick<DeadLetterStore, 'idPrefix' | 'list' | 'remove'>) {
    this.#store = store;
  }

  /** Reads what an earlier process has left out. */
  async restore(): Promise<void> {
    for (const [i, notes] of BATCHES.entries()) {
      await this.#read(notes, (id, why) => this.#batches.set(id, { why, isDecoded: i === 1 }));
    }
    await this.#read(STEPS, (id) => this.#steps.add(id));
  }

  async #read(notes: string, take: (id: string, reason: string) => void): Promise<void> {
    for (let after = ''; ; ) {
      const page = await this.#store.list(notes, { after, limit: LETTER_PAGE_MAX });
      for (const { id, reason } of page) take(id, reason);
      const last = page.at(-1);
      if (last === undefined) return;
      after = last.id;
    }
  }

  /** Null when the record may count. */
  of(seq: number): LeftOutBatch | null {
    return this.#batches.get(idOf(seq)) ?? null;
  }

  /** The record's `nth` step of time may not be applied. */
  hasStep(seq: number, nth: number): boolean {
    return this.#steps.size > 0 && this.#steps.has(idOf(seq, nth));
  }

  /** From now on the record does not count: what says so, to be kept with its letter. */
  add(letter: DeadLetter, seq: number, batch: LeftOutBatch): DeadLetter {
    this.#batches.set(idOf(seq), batch);
    return { ...letter, stream: notesOf(batch), bytes: new Uint8Array(0) };
  }

  /** As `add`, of the record's `nth` step of time. */
  addStep(seq: number, nth: number, reason: string, arrivalMs: number): DeadLetter {
    this.#steps.add(idOf(seq, nth));
    const nobody = { source: '', partition: '', traceparent: '', correlationId: '' };
    const place = { stream: STEPS, seq: Math.floor(seq), index: placeIn(seq) + nth };
    return { ...place, ...nobody, reason, arrivalMs, format: 'ndjson', bytes: new Uint8Array(0) };
  }

  /** For who sent it. */
  refusal(stream: string, seq: number, why: string): StreamRefusal {
    const id = `${this.#store.idPrefix}${idOf(seq)}`;
    const text = `${why}; it does not count, is kept as dead letter ${id} of ${stream} and need not be sent again`;
    return new StreamRefusal('undecodable', text);
  }

  /** No replay meets records up to this one. Rejects as the store does. */
  async forget(seq: number): Promise<void> {
    const isGone = (id: string): boolean => Number.parseInt(id, 10) <= seq;
    for (const notes of BATCHES) {
      const gone = [...this.#batches].filter(([id, batch]) => isGone(id) && notesOf(batch) === notes);
      await this.#remove(
        notes,
        gone.map(([id]) => id),
        this.#batches,
      );
    }
    await this.#remove(STEPS, [...this.#steps].filter(isGone), this.#steps);
  }

  async #remove(notes: string, ids: readonly string[], from: { delete(id: string): unknown }): Promise<void> {
    if (ids.length === 0) return;
    await this.#store.remove(notes, ids);
    for (const id of ids) from.delete(id);
  }
}

const idOf = (seq: number, nth = 0): string => letterId(Math.floor(seq), placeIn(seq) + nth);
