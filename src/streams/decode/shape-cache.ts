// HOT PATH
/**
 * Programs for the shapes that a stream's events have had, and when to make another one.
 *
 * Role: tries the few programs there are on the objects at hand; counts the objects that none of them took, and after
 * so many makes one of such an object's shape. Senders decide on shapes: past `SHAPES_MAX` the least useful program is
 * replaced, and only after many misses, so that ever new shapes cost no more than a share of reading them.
 * It changes how fast events are read and nothing else.
 */
import type { BatchWriter } from './batch-writer.ts';
import type { JsonCursor } from './json-cursor.ts';
import type { ObjectScanner } from './object-scanner.ts';
import type { Sequence } from './shape-code.ts';
import { compileShape, shapeKey, shapeOf } from './shape-program.ts';
import type { Program, ShapeWindow } from './shape-window.ts';

export const SHAPES_MAX = 4;
const MISSES_BEFORE_LEARNING = 16;
const MISSES_BEFORE_REPLACING = 4096;
const FAILURES_BEFORE_PAUSE = 8;
const PAUSE_OBJECTS_MAX = 64;

interface Learned {
  readonly key: string;
  readonly program: Program;
  /** Rows it took, halved whenever a program is replaced. */
  rows: number;
}

/** Of one stream and one way of following one another. */
export class Shapes {
  readonly #sequence: Sequence;
  readonly #learned: Learned[] = [];
  /** Null before the first program. */
  #window: ShapeWindow | null = null;
  #latest = 0;
  /** Stopped at the very object that is next; −1 for none. */
  #stopped = -1;
  #misses = 0;
  /** Misses until the next look at a shape. */
  #patience = MISSES_BEFORE_LEARNING;
  /** Objects in a row that no program took, and how many are now left to the scanner at once. */
  #failures = 0;
  #pause = 0;

  constructor(sequence: Sequence) {
    this.#sequence = sequence;
  }

  get size(): number {
    return this.#learned.length;
  }

  /** At the begin of a body. */
  start(): void {
    this.#window?.forget();
    this.#stopped = -1;
    this.#failures = 0;
    this.#pause = 0;
  }

  /** Lets programs take objects from the cursor on; whether any was taken. */
  take(writer: BatchWriter, cursor: JsonCursor): boolean {
    if (this.#pause > 0) {
      this.#pause -= 1;
      return false;
    }
    const { row } = writer;
    const shapeWindow = this.#window;
    if (shapeWindow !== null) {
      shapeWindow.open(writer, cursor.at);
      while (this.#takeSome(writer, shapeWindow));
      shapeWindow.flush(writer);
      cursor.at = shapeWindow.at;
      // It stopped for want of rows, not of objects.
      if (writer.row === writer.capacity) this.#stopped = -1;
    }
    if (writer.row > row) {
      this.#failures = 0;
      return true;
    }
    this.#failures += 1;
    if (this.#failures >= FAILURES_BEFORE_PAUSE) this.#pause = Math.min(PAUSE_OBJECTS_MAX, this.#failures);
    return false;
  }

  /** The next program that takes objects; whether there was one, and may be another. */
  #takeSome(writer: BatchWriter, shapeWindow: ShapeWindow): boolean {
    const learned = this.#learned;
    for (let i = 0; i < learned.length; i++) {
      const tried = (this.#latest + i) % learned.length;
      if (tried === this.#stopped) continue;
      const each = learned[tried] as Learned;
      const taken = shapeWindow.run(each.program, writer);
      if (taken === 0) continue;
      each.rows += taken;
      this.#latest = tried;
      this.#stopped = tried;
      return true;
    }
    return false;
  }

  /** The scanner took the object [at, end), which no program did. */
  missed(writer: BatchWriter, scanner: ObjectScanner, at: number, end: number): void {
    this.#stopped = -1;
    this.#misses += 1;
    if (this.#misses < this.#patience) return;
    this.#misses = 0;
    const full = this.#learned.length === SHAPES_MAX;
    // Looking at a shape costs as much as reading some objects, so that fruitless looks become rare.
    this.#patience = Math.min(this.#patience * 2, MISSES_BEFORE_REPLACING);
    if (full && this.#patience < MISSES_BEFORE_REPLACING) return;
    const shape = shapeOf(scanner, writer.schema, writer.bytes, at, end);
    if (shape === null) return;
    const key = shapeKey(shape);
    // Known: it was a value that the program left alone.
    if (this.#learned.some((known) => known.key === key)) return;
    const program = compileShape(shape, writer.schema, this.#sequence);
    if (program === null) return;
    if (full) this.#forgetOne();
    this.#pause = 0;
    this.#learned.push({ key, program, rows: 0 });
    // It may hold the body of another stream.
    this.#window = program.shapeWindow;
    this.#window.forget();
    if (!full) this.#patience = MISSES_BEFORE_LEARNING;
  }

  /** An object or a line was passed in another way. */
  passed(): void {
    this.#stopped = -1;
  }

  #forgetOne(): void {
    let least = 0;
    this.#learned.forEach((each, i) => {
      if (each.rows < (this.#learned[least] as Learned).rows) least = i;
    });
    this.#learned.splice(least, 1);
    for (const each of this.#learned) each.rows /= 2;
    this.#latest = 0;
  }
}

export class ShapeCache {
  readonly lines = new Shapes('lines');
  readonly array = new Shapes('array');
}
