/**
 * A shard's memory in a file, and back: what a thread does with a shard that does not fit into memory.
 *
 * Role: on the thread that has the shard in hand, since reading, writing and checking are work. Buffers are cut and
 * checked as in checkpoints (`checkpoints/manifest.ts`); what says where they are, with the checksums, stays in memory
 * (`StoredBuffer`), so a file that is cut, altered or another one's is recognised and nothing else need be in it.
 *
 *   file = pieces of the first buffer, of the second, …        each without the zeros at its end
 *
 * Nothing is flushed: after a crash the files are rubbish, log and checkpoints are the state.
 */
import { closeSync, openSync, readvSync, rmSync, writevSync } from 'node:fs';
import { PIECE_BYTES, type Piece, pieceOf, pieceProblem, trimmedBytes } from '../../checkpoints/manifest.ts';
import type { MemoryImage } from '../../state/memory.ts';
import {
  type HeldMemory,
  type HeldShard,
  PROGRESS_BYTES,
  PROGRESS_DISK,
  type ShardImage,
  SpillProblem,
  type StoredBuffer,
} from '../task.ts';

/** Only the process itself reads them: they hold what users sent. */
const FILE_MODE = 0o600;
/** The system takes 1024 at a time. */
const PIECES_PER_CALL = 64;

type AnyBuffer = SharedArrayBuffer | StoredBuffer;

export const isInMemory = (buffer: AnyBuffer): buffer is SharedArrayBuffer => buffer instanceof SharedArrayBuffer;

/** All of it: then a thread can go on with it as it is. */
export function isImage(held: HeldShard): held is ShardImage {
  for (const { buffers } of held.groups) if (!buffers.every(isInMemory)) return false;
  for (const { buffers } of held.operators) if (!buffers.every(isInMemory)) return false;
  return true;
}

/** Its buffers, wherever they are. */
export function buffersOf({ groups, operators }: HeldShard): AnyBuffer[] {
  return [...groups, ...operators].flatMap(({ buffers }) => buffers);
}

/** Bytes that its buffers take in memory. */
export function bytesOf(held: HeldShard): number {
  let sum = 0;
  for (const { buffers } of held.groups) for (const { byteLength } of buffers) sum += byteLength;
  for (const { buffers } of held.operators) for (const { byteLength } of buffers) sum += byteLength;
  return sum;
}

/** All of it is in files: a task reads it and leaves it as it is. */
export const isAtRest = (held: HeldShard): boolean => !buffersOf(held).some(isInMemory);

/** Files that hold a part of the shard. */
export function filesOf(held: HeldShard): string[] {
  return buffersOf(held).flatMap((buffer) => (isInMemory(buffer) ? [] : [buffer.file]));
}

export function storedBytesOf({ pieces }: StoredBuffer): number {
  return pieces.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
}

/** What is read and written in one call, seen from outside: a disk that does not answer is no fault of the steps. */
export class DiskWork {
  readonly #progress: Int32Array;

  constructor(progress: Int32Array) {
    this.#progress = progress;
  }

  do<T>(call: () => T): T {
    Atomics.add(this.#progress, PROGRESS_DISK, 1);
    try {
      return call();
    } finally {
      Atomics.add(this.#progress, PROGRESS_DISK, 1);
    }
  }
}

/** Of the engine's own thread: nobody looks. */
const unseen = (): DiskWork => new DiskWork(new Int32Array(PROGRESS_BYTES / Int32Array.BYTES_PER_ELEMENT));

/** Writes all buffers to a new file. Throws what the file system says, with the file's name, and leaves none. */
export function storeShard(image: ShardImage, file: string, disk: DiskWork): HeldShard {
  return writing(file, disk, (write) => {
    const stored = ({ buffers, generation }: MemoryImage): HeldMemory => ({
      generation,
      buffers: buffers.map((buffer) => write(new Uint8Array(buffer))),
    });
    return { ...image, groups: image.groups.map(stored), operators: image.operators.map(stored) };
  });
}

/** The same of one buffer. */
export const storeBuffer = (bytes: Uint8Array, file: string): StoredBuffer =>
  writing(file, unseen(), (write) => write(bytes));

function writing<T>(file: string, disk: DiskWork, run: (write: (bytes: Uint8Array) => StoredBuffer) => T): T {
  const descriptor = disk.do(() => openSync(file, 'wx', FILE_MODE));
  let at = 0;
  try {
    return run((bytes) => {
      const stored = { file, at, byteLength: bytes.byteLength, pieces: writeBytes(descriptor, bytes, at, disk) };
      at += storedBytesOf(stored);
      return stored;
    });
  } catch (error) {
    rmSync(file, { force: true });
    throw new Error(`${file}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  } finally {
    closeSync(descriptor);
  }
}

function writeBytes(descriptor: number, bytes: Uint8Array, from: number, disk: DiskWork): Piece[] {
  const pieces: Piece[] = [];
  let waiting: Uint8Array[] = [];
  let at = from;
  const flush = (): void => {
    if (waiting.length === 0) return;
    disk.do(() => writeAll(descriptor, waiting, at));
    for (const { byteLength } of waiting) at += byteLength;
    waiting = [];
  };
  for (let begin = 0; begin < bytes.byteLength; begin += PIECE_BYTES) {
    const whole = bytes.subarray(begin, begin + PIECE_BYTES);
    const trimmed = whole.subarray(0, trimmedBytes(whole));
    pieces.push(pieceOf(trimmed));
    if (trimmed.byteLength > 0) waiting.push(trimmed);
    if (waiting.length >= PIECES_PER_CALL) flush();
  }
  flush();
  return pieces;
}

/** A disk that is filling up takes a part first, and says why with the rest. */
function writeAll(descriptor: number, views: readonly Uint8Array[], at: number): void {
  let rest = views;
  let position = at;
  while (rest.length > 0) {
    const taken = writevSync(descriptor, rest as Uint8Array[], position);
    position += taken;
    rest = behind(rest, taken);
  }
}

function behind(views: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let skipped = bytes;
  return views.flatMap((view) => {
    const skip = Math.min(skipped, view.byteLength);
    skipped -= skip;
    return skip < view.byteLength ? [view.subarray(skip)] : [];
  });
}

/** The shard in memory: buffers that are there as they are, the others read. Throws `SpillProblem` when one is damaged. */
export function loadShard(held: HeldShard, spares: SpareBuffers, disk: DiskWork): ShardImage {
  const load = ({ buffers, generation }: HeldMemory): MemoryImage => ({
    generation,
    buffers: buffers.map((buffer) => {
      if (isInMemory(buffer)) return buffer;
      const loaded = spares.take(buffer.byteLength);
      const problem = readProblem(buffer, loaded, disk);
      if (problem === null) return loaded;
      throw new SpillProblem(`${buffer.file}: ${problem}`, { shard: held.shard, kind: 'damaged' });
    }),
  });
  return { ...held, groups: held.groups.map(load), operators: held.operators.map(load) };
}

/** One buffer in memory of its own. Throws when it is damaged. */
export function loadBuffer(stored: StoredBuffer): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(stored.byteLength);
  const problem = readProblem(stored, buffer, unseen());
  if (problem !== null) throw new Error(`${stored.file}: ${problem}`);
  return buffer;
}

/** Reads all of it, zeros included; null when it is what was written. */
function readProblem({ at, file, pieces }: StoredBuffer, into: SharedArrayBuffer, disk: DiskWork): string | null {
  const views = pieces.map(({ storedBytes }, piece) => new Uint8Array(into, piece * PIECE_BYTES, storedBytes));
  try {
    const problem = readAll(file, views, at, disk);
    if (problem !== null) return problem;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  for (const [number, view] of views.entries()) {
    const problem = pieceProblem(view, pieces[number] as Piece);
    if (problem !== null) return `piece ${number} of what begins at ${at}: ${problem}`;
    const end = Math.min(into.byteLength, (number + 1) * PIECE_BYTES);
    new Uint8Array(into, number * PIECE_BYTES + view.byteLength, end - number * PIECE_BYTES - view.byteLength).fill(0);
  }
  return null;
}

function readAll(file: string, views: readonly Uint8Array[], at: number, disk: DiskWork): string | null {
  const descriptor = disk.do(() => openSync(file, 'r'));
  try {
    let position = at;
    for (let first = 0; first < views.length; first += PIECES_PER_CALL) {
      let rest: readonly Uint8Array[] = behind(views.slice(first, first + PIECES_PER_CALL), 0);
      while (rest.length > 0) {
        const read = disk.do(() => readvSync(descriptor, rest as Uint8Array[], position));
        if (read === 0) return `ends at ${position}`;
        position += read;
        rest = behind(rest, read);
      }
    }
    return null;
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Buffers of the shard a thread had in hand last, for the next one, which is about as large. V8 does not count shared
 * memory: what is not used again would pile up until the collector happens to look. Bound: one shard's.
 */
export class SpareBuffers {
  #free: SharedArrayBuffer[] = [];

  /** Not zero. */
  take(byteLength: number): SharedArrayBuffer {
    const at = this.#free.findIndex((buffer) => buffer.byteLength === byteLength);
    return at < 0 ? new SharedArrayBuffer(byteLength) : (this.#free.splice(at, 1)[0] as SharedArrayBuffer);
  }

  /** Nobody reads or writes its buffers any more. */
  give(image: ShardImage): void {
    this.#free = buffersOf(image).filter(isInMemory);
  }
}
