/**
 * The dead-letter port: events that could not be taken, kept with the reason and their bytes until someone looks.
 *
 * Role: a poison event must not stop its stream, nor vanish. The engine adds what decoding rejected, operators list and
 * remove it, or take it out to publish it again.
 * Invariants: per stream at most so many letters and bytes; the oldest go first and are counted. A letter's place is
 * (seq, index), and letters of a stream are added with rising places: one at or before the newest place ever seen is
 * ignored, so that a replay of the log after a restart neither doubles a letter nor brings back one that was taken.
 * A record that counted before, and that a replay leaves out, has a place behind that of later letters: a note tells
 * whether its letter was ever there (`addNoted`).
 * An `add` must have resolved before a checkpoint that covers its sequence number is saved.
 */
import type { WireFormat } from '../engine/task.ts';

export interface DeadLetter {
  readonly stream: string;
  /** Log record it came with, and which of that record's events it is. */
  readonly seq: number;
  readonly index: number;
  readonly source: string;
  readonly partition: string;
  /** For people. */
  readonly reason: string;
  readonly arrivalMs: number;
  readonly traceparent: string;
  readonly correlationId: string;
  readonly format: WireFormat;
  /** The event as it came in. */
  readonly bytes: Uint8Array;
}

/** `{seq}:{index}`, unique in its stream. */
export type LetterId = string;

export interface StoredLetter extends DeadLetter {
  readonly id: LetterId;
}

export interface LetterPage {
  /** `''`: from the oldest. */
  readonly after: LetterId;
  readonly limit: number;
}

export interface LetterCounts {
  readonly stream: string;
  readonly letters: number;
  readonly bytes: number;
  /** Oldest ones that had to go, ever. */
  readonly dropped: number;
}

export interface DeadLetterLimits {
  readonly lettersMax: number;
  readonly bytesMax: number;
}

/** Per stream. */
export const DEAD_LETTER_LIMITS: DeadLetterLimits = { lettersMax: 10_000, bytesMax: 64 * 2 ** 20 };
/** Letters of one `list`. */
export const LETTER_PAGE_MAX = 1000;

/** The letters that are kept cannot be changed, for now: they stay as they are. */
export class LettersUnavailable extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'LettersUnavailable';
  }
}

/** One on disk rejects other changes that it cannot write with `LettersUnavailable`, too, one in Redis with `RedisUnavailable`. */
export interface DeadLetterStore {
  /** In front of an id where the letters of several stores are those of one stream: `3/` in a partition. Else `''`. */
  readonly idPrefix: string;
  /** Letters of any streams, of each with rising places. Resolves when they are durable. */
  add(letters: readonly DeadLetter[]): Promise<void>;
  /**
   * Adds a note and its letter (null: there is none), both or neither, at the same place of their streams, whatever
   * stands behind it. Does nothing when the note is there already: then the letter is there too, or was taken. Callers
   * bound the notes by removing them. Resolves when both are durable. Rejects with `LettersUnavailable` when they
   * cannot be written for now.
   */
  addNoted(note: DeadLetter, letter: DeadLetter | null): Promise<void>;
  /** Oldest first. */
  list(stream: string, page: LetterPage): Promise<readonly StoredLetter[]>;
  /** Removes them and gives back those that were there. */
  take(stream: string, ids: readonly LetterId[]): Promise<readonly StoredLetter[]>;
  /** Resolves with how many were there. */
  remove(stream: string, ids: readonly LetterId[]): Promise<number>;
  /** Newest record that it ever had a letter of, which the log may have lost; 0 for none. */
  newestSeq(): number;
  /** Of every stream that ever had a letter, by name. */
  counts(): readonly LetterCounts[];
  close(): Promise<void>;
}

export const letterId = (seq: number, index: number): LetterId => `${seq}:${index}`;

/** Where a letter is among those of its stream, or the newest one of a stream. */
type Place = Pick<DeadLetter, 'seq' | 'index'>;

export const isBehind = (a: Place, b: Place): boolean => a.seq > b.seq || (a.seq === b.seq && a.index > b.index);

/** Sequence number and index; null when it is not a letter's id. */
export function placeOf(id: LetterId): readonly [seq: number, index: number] | null {
  const match = /^(\d{1,15}):(\d{1,15})$/.exec(id);
  return match === null ? null : [Number(match[1]), Number(match[2])];
}

/** What it counts as. */
export const letterBytes = (letter: DeadLetter): number =>
  letter.bytes.byteLength +
  letter.reason.length +
  letter.source.length +
  letter.partition.length +
  letter.traceparent.length +
  letter.correlationId.length;
