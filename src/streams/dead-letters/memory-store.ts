/**
 * Dead letters in memory: for streams that keep nothing on disk, and for tests.
 */
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

  addNoted(note: DeadLetter, letter: DeadLetter | null): Promise<void> {
    if (this.#boxes.get(note.stream)?.letters.has(letterId(note.seq, note.index)) === true) return Promise.resolve();
    insertInto(this.#box(note.stream), note);
    if (letter !== null) {
      const box = this.#box(letter.stream);
      insertInto(box, letter);
      this.#makeRoom(box);
    }
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

  newestSeq(): number {
    return Math.max(0, ...[...this.#boxes.values()].map(({ seq }) => seq));
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
    const box = this.#box(letter.stream);
    if (!isBehind(letter, box)) return;
    insertInto(box, letter);
    this.#makeRoom(box);
  }

  #box(stream: string): Box {
    const known = this.#boxes.get(stream);
    if (known !== undefined) return known;
    const box = { letters: new Map(), bytes: 0, dropped: 0, seq: -1, index: -1 };
    this.#boxes.set(stream, box);
    return box;
  }

  #makeRoom(box: Box): void {
    while (box.letters.size > this.#limits.lettersMax || box.bytes > this.#limits.bytesMax) {
      const [oldest] = box.letters.values();
      removeFrom(box, oldest as StoredLetter);
      box.dropped++;
    }
  }
}

/** At its place, which is behind all others but for what a replay leaves out. */
function insertInto(box: Box, letter: DeadLetter): void {
  const id = letterId(letter.seq, letter.index);
  if (box.letters.has(id)) return;
  const later = [...box.letters].filter(([, each]) => isBehind(each, letter));
  for (const [each] of later) box.letters.delete(each);
  box.letters.set(id, { ...letter, id, bytes: letter.bytes.slice() });
  for (const [each, stored] of later) box.letters.set(each, stored);
  box.bytes += letterBytes(letter);
  if (isBehind(letter, box)) Object.assign(box, { seq: letter.seq, index: letter.index });
}

function removeFrom(box: Box, letter: StoredLetter): void {
  box.letters.delete(letter.id);
  box.bytes -= letterBytes(letter);
}
