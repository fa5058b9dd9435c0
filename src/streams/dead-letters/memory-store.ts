/**
 * Dead letters in memory: for streams that keep nothing on disk, and for tests.
 */
import {
  DEAD_LETTER_LIMITS,
  type DeadLetter,
  type DeadLetterLimits,
  type DeadLetterStore,
  LETTER_PAGE_MAX,
  type LetterCounts,
  type LetterId,
  type LetterPage,
  letterBytes,
  letterId,
  placeOf,
  type StoredLetter,
} from './port.ts';

interface Box {
  /** In the order of their places. */
  readonly letters: Map<LetterId, StoredLetter>;
  bytes: number;
  dropped: number;
  seq: number;
  index: number;
}

export class MemoryDeadLetterStore implements DeadLetterStore {
  readonly idPrefix = '';
  readonly #limits: DeadLetterLimits;
  readonly #boxes = new Map<string, Box>();

  constructor(limits: DeadLetterLimits = DEAD_LETTER_LIMITS) {
    this.#limits = limits;
  }

  add(letters: readonly DeadLetter[]): Promise<void> {
    for (const letter of letters) this.#add(letter);
    return Promise.resolve();
  }

  list(stream: string, { after, limit }: LetterPage): Promise<readonly StoredLetter[]> {
    const [seq, index] = placeOf(after) ?? [-1, -1];
    const page: StoredLetter[] = [];
    for (const letter of this.#boxes.get(stream)?.letters.values() ?? []) {
      if (page.length >= Math.min(limit, LETTER_PAGE_MAX)) break;
      if (letter.seq > seq || (letter.seq === seq && letter.index > index)) page.push(letter);
    }
    return Promise.resolve(page);
  }

  take(stream: string, ids: readonly LetterId[]): Promise<readonly StoredLetter[]> {
    const box = this.#boxes.get(stream);
    const taken: StoredLetter[] = [];
    if (box === undefined) return Promise.resolve(taken);
    for (const id of ids) {
      const letter = box.letters.get(id);
      if (letter === undefined) continue;
      taken.push(letter);
      removeFrom(box, letter);
    }
    return Promise.resolve(taken);
  }

  async remove(stream: string, ids: readonly LetterId[]): Promise<number> {
    return (await this.take(stream, ids)).length;
  }

  counts(): readonly LetterCounts[] {
    return [...this.#boxes]
      .map(([stream, { letters, bytes, dropped }]) => ({ stream, letters: letters.size, bytes, dropped }))
      .sort((a, b) => (a.stream < b.stream ? -1 : 1));
  }

  close(): Promise<void> {
    this.#boxes.clear();
    return Promise.resolve();
  }

  #add(letter: DeadLetter): void {
    let box = this.#boxes.get(letter.stream);
    if (box === undefined) {
      box = { letters: new Map(), bytes: 0, dropped: 0, seq: -1, index: -1 };
      this.#boxes.set(letter.stream, box);
    }
    if (letter.seq < box.seq || (letter.seq === box.seq && letter.index <= box.index)) return;
    box.seq = letter.seq;
    box.index = letter.index;
    const id = letterId(letter.seq, letter.index);
    box.letters.set(id, { ...letter, id, bytes: letter.bytes.slice() });
    box.bytes += letterBytes(letter);
    while (box.letters.size > this.#limits.lettersMax || box.bytes > this.#limits.bytesMax) {
      const [oldest] = box.letters.values();
      removeFrom(box, oldest as StoredLetter);
      box.dropped++;
    }
  }
}

function removeFrom(box: Box, letter: StoredLetter): void {
  box.letters.delete(letter.id);
  box.bytes -= letterBytes(letter);
}
