/**
 * Dead letters in LMDB.
 *
 * Tables: letters, keyed [stream, seq, index], each a sealed value; boxes, keyed by stream: how much it holds, how much
 * was dropped and the newest place ever seen, written with every change of its letters, so that both agree after a crash.
 * Changes run one after the other, since each decides by what the one before left in the tables; those added meanwhile
 * go together.
 */
import { Packr } from 'msgpackr';
import { type LmdbEnvironment, type LmdbTable, StoreUnavailable } from '../lmdb/open.ts';
import { sealed, seedOf, unsealed } from '../lmdb/sealed-value.ts';
import { decodeLetter, encodeLetter, type LetterKey } from './letter-codec.ts';
import {
  DEAD_LETTER_LIMITS,
  type DeadLetter,
  type DeadLetterLimits,
  type DeadLetterStore,
  isBehind,
  LETTER_PAGE_MAX,
  type LetterCounts,
  type LetterId,
  type LetterPage,
  LettersUnavailable,
  letterBytes,
  placeOf,
  type StoredLetter,
} from './port.ts';

/** Changes waiting for the one before. Callers wait for theirs, so more than a few mean that something is wrong. */
export const CHANGES_WAITING_MAX = 4096;
const OLDEST_PER_LOOK = 64;
const STREAMS_MAX = 65_536;

interface Box {
  letters: number;
  bytes: number;
  dropped: number;
  seq: number;
  index: number;
}

/** What a write does to one stream's letters, and its box afterwards. */
interface Change {
  readonly stream: string;
  readonly box: Box;
  readonly gone: readonly LetterKey[];
  readonly puts: readonly (readonly [LetterKey, Buffer])[];
}

const NO_LETTERS: Box = { letters: 0, bytes: 0, dropped: 0, seq: -1, index: -1 };

const packr = new Packr({ useRecords: false });
const tooMany = (): Error => new LettersUnavailable(`${CHANGES_WAITING_MAX} changes of dead letters are waiting`);

function notWritten(error: unknown): never {
  if (!(error instanceof StoreUnavailable)) throw error;
  throw new LettersUnavailable(`dead letters cannot be written: ${error.message}`, { cause: error });
}
const seedOfBox = (stream: string): number => seedOf(`letters of ${stream}`);

export class LmdbDeadLetterStore implements DeadLetterStore {
  readonly idPrefix = '';
  readonly #environment: LmdbEnvironment;
  readonly #letters: LmdbTable;
  readonly #boxTable: LmdbTable;
  readonly #limits: DeadLetterLimits;
  readonly #boxes = new Map<string, Box>();
  #staged: DeadLetter[] = [];
  #adding: Promise<void> | null = null;
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #damaged = 0;

  constructor(environment: LmdbEnvironment, limits: DeadLetterLimits = DEAD_LETTER_LIMITS) {
    this.#environment = environment;
    this.#letters = environment.table('dead-letters');
    this.#boxTable = environment.table('dead-letter-boxes');
    this.#limits = limits;
    for (const stream of this.#boxTable.keys({ limit: STREAMS_MAX }) as string[]) {
      this.#boxes.set(stream, this.#readBox(stream));
    }
  }

  /** Letters that were found altered, and left out, since it was opened. */
  get damaged(): number {
    return this.#damaged;
  }

  add(letters: readonly DeadLetter[]): Promise<void> {
    if (letters.length === 0) return Promise.resolve();
    if (this.#adding === null && this.#waiting >= CHANGES_WAITING_MAX) return Promise.reject(tooMany());
    for (const letter of letters) this.#staged.push(letter);
    this.#adding ??= this.#inTurn(() => {
      const staged = this.#staged;
      this.#staged = [];
      this.#adding = null;
      return this.#addAll(staged);
    });
    return this.#adding;
  }

  addNoted(note: DeadLetter, letter: DeadLetter | null): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#letters.get(keyOf(note)) !== undefined) return;
      await this.#environment.recover();
      const noted = this.#insertion(note, false);
      await this.#write(letter === null ? [noted] : [noted, this.#insertion(letter, true)]);
    });
  }

  list(stream: string, { after, limit }: LetterPage): Promise<readonly StoredLetter[]> {
    const place = placeOf(after);
    const keys = this.#letters.keys({
      ...(place === null ? { from: [stream] } : { after: [stream, ...place] }),
      before: streamEnd(stream),
      limit: Math.min(limit, LETTER_PAGE_MAX),
    }) as LetterKey[];
    return Promise.resolve(keys.flatMap((key) => this.#read(key) ?? []));
  }

  take(stream: string, ids: readonly LetterId[]): Promise<readonly StoredLetter[]> {
    return this.#inTurn(async () => {
      const box = this.#boxes.get(stream);
      const keys = [...new Set(ids)].flatMap((id): LetterKey[] => {
        const place = placeOf(id);
        return place === null ? [] : [[stream, ...place]];
      });
      const taken = keys.flatMap((key) => this.#read(key) ?? []);
      if (box === undefined || taken.length === 0) return [];
      await this.#environment.recover();
      const left = { ...box };
      for (const letter of taken) takeOff(left, letterBytes(letter));
      const gone = taken.map(({ seq, index }): LetterKey => [stream, seq, index]);
      await this.#write([{ stream, box: left, gone, puts: [] }]);
      return taken;
    });
  }

  async remove(stream: string, ids: readonly LetterId[]): Promise<number> {
    return (await this.take(stream, ids)).length;
  }

  newestSeq(): number {
    let newest = 0;
    for (const { seq } of this.#boxes.values()) newest = Math.max(newest, seq);
    return newest;
  }

  counts(): readonly LetterCounts[] {
    return [...this.#boxes]
      .map(([stream, { letters, bytes, dropped }]) => ({ stream, letters, bytes, dropped }))
      .sort((a, b) => (a.stream < b.stream ? -1 : 1));
  }

  async close(): Promise<void> {
    // Whoever asked for a change is told what became of it.
    await Promise.allSettled([this.#turn]);
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    if (this.#waiting >= CHANGES_WAITING_MAX) return Promise.reject(tooMany());
    this.#waiting++;
    const done = this.#turn
      .then(change, change)
      .catch(notWritten)
      .finally(() => {
        this.#waiting--;
      });
    this.#turn = done;
    return done;
  }

  async #addAll(letters: readonly DeadLetter[]): Promise<void> {
    await this.#environment.recover();
    const byStream = new Map<string, DeadLetter[]>();
    for (const letter of letters) {
      const sameStream = byStream.get(letter.stream);
      if (sameStream === undefined) byStream.set(letter.stream, [letter]);
      else sameStream.push(letter);
    }
    await this.#write([...byStream].map(([stream, each]) => this.#addition(stream, each)));
  }

  #addition(stream: string, letters: readonly DeadLetter[]): Change {
    const box = { ...(this.#boxes.get(stream) ?? NO_LETTERS) };
    const fresh: DeadLetter[] = [];
    for (const letter of letters) {
      if (!isBehind(letter, box)) continue;
      putOn(box, letter);
      fresh.push(letter);
    }
    const gone = this.#makeRoom(stream, box, fresh);
    return { stream, box, gone, puts: fresh.map(putOf) };
  }

  /** At its place, which may be before others'. */
  #insertion(letter: DeadLetter, isBounded: boolean): Change {
    const { stream } = letter;
    const box = { ...(this.#boxes.get(stream) ?? NO_LETTERS) };
    const fresh = this.#letters.get(keyOf(letter)) === undefined ? [letter] : [];
    for (const each of fresh) putOn(box, each);
    const gone = isBounded ? this.#makeRoom(stream, box, fresh) : [];
    return { stream, box, gone, puts: fresh.map(putOf) };
  }

  /** Takes the oldest off the counts until they are within the limits: stored ones, whose keys it gives, then new ones. */
  #makeRoom(stream: string, box: Box, fresh: DeadLetter[]): LetterKey[] {
    const gone: LetterKey[] = [];
    const full = (): boolean => box.letters > this.#limits.lettersMax || box.bytes > this.#limits.bytesMax;
    while (full()) {
      const keys = this.#letters.keys({
        ...(gone.length === 0 ? { from: [stream] } : { after: gone.at(-1) as LetterKey }),
        before: streamEnd(stream),
        limit: OLDEST_PER_LOOK,
      }) as LetterKey[];
      if (keys.length === 0) break;
      for (const key of keys) {
        if (!full()) break;
        const letter = this.#read(key);
        gone.push(key);
        takeOff(box, letter === null ? 0 : letterBytes(letter));
        box.dropped++;
      }
    }
    let newGone = 0;
    while (newGone < fresh.length && full()) {
      takeOff(box, letterBytes(fresh[newGone++] as DeadLetter));
      box.dropped++;
    }
    fresh.splice(0, newGone);
    return gone;
  }

  async #write(changes: readonly Change[]): Promise<void> {
    const boxes = changes.map(({ stream, box: { letters, bytes, dropped, seq, index } }): [string, Buffer] => {
      return [stream, sealed(packr.pack([letters, bytes, dropped, seq, index]), seedOfBox(stream))];
    });
    await this.#environment.write(() => {
      for (const { gone, puts } of changes) {
        for (const key of gone) this.#letters.remove(key);
        for (const [key, value] of puts) this.#letters.put(key, value);
      }
      for (const [stream, value] of boxes) this.#boxTable.put(stream, value);
    });
    for (const { stream, box } of changes) this.#boxes.set(stream, box);
  }

  /** Null when it is not there or not what was written. */
  #read(key: LetterKey): StoredLetter | null {
    const value = this.#letters.get(key);
    if (value === undefined) return null;
    const letter = decodeLetter(key, value);
    if (letter === null) this.#damaged++;
    return letter;
  }

  #readBox(stream: string): Box {
    const packed = unsealed(this.#boxTable.get(stream), seedOfBox(stream));
    if (typeof packed === 'string') return this.#recount(stream);
    const [letters, bytes, dropped, seq, index] = packr.unpack(packed) as [number, number, number, number, number];
    return { letters, bytes, dropped, seq, index };
  }

  /** What the letters themselves tell, when the box is damaged. How many were dropped is lost. */
  #recount(stream: string): Box {
    this.#damaged++;
    const box = { ...NO_LETTERS };
    const keys = this.#letters.keys({ from: [stream], before: streamEnd(stream), limit: Number.MAX_SAFE_INTEGER });
    for (const key of keys as LetterKey[]) {
      const letter = this.#read(key);
      box.letters++;
      box.bytes += letter === null ? 0 : letterBytes(letter);
      [, box.seq, box.index] = key;
    }
    return box;
  }
}

/** Sorts behind all keys of the stream's letters. */
const streamEnd = (stream: string): [string, number] => [stream, Number.MAX_VALUE];

const keyOf = ({ index, seq, stream }: DeadLetter): LetterKey => [stream, seq, index];

function putOf(letter: DeadLetter): [LetterKey, Buffer] {
  const key = keyOf(letter);
  return [key, encodeLetter(key, letter)];
}

function putOn(box: Box, letter: DeadLetter): void {
  box.letters++;
  box.bytes += letterBytes(letter);
  if (isBehind(letter, box)) Object.assign(box, { seq: letter.seq, index: letter.index });
}

function takeOff(box: Box, bytes: number): void {
  box.letters--;
  // A damaged letter's bytes are not known when it goes: with the last one they are put right.
  box.bytes = box.letters === 0 ? 0 : box.bytes - bytes;
}
