/**
 * Replays a file of NDJSON, or standard input: as fast as it is taken, or at the pace of its own time, or a multiple of
 * it.
 *
 * Options: `path` (relative to the folder of the file that declares it; `-` for standard input), `speed` (1: as it
 * happened, 60: a minute per second, 0: no pauses, the default), `timestamp` (field that paces it; needed when `speed`
 * is not 0), `unit` of it (as in a schema: s, ms, us, ns or iso; default ms), `batchLines` (at most, default 1000).
 * A file ends: what is written to it later is not waited for. Lines are handed on as soon as they have been read, so
 * that a program that writes to standard input now and then is not held back.
 * A last line without a line feed counts as a line. If it was not a whole JSON text, and the file goes on behind it at
 * a restart, the line is read again from its beginning.
 * Position, kept under `path` as it is written: how many bytes have been taken, a checksum of the first of them, and
 * where an incomplete last line begins; standard input cannot be resumed. A file that is shorter than what was taken,
 * or begins otherwise, is another file: the source fails, also when the file becomes so while it is read.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { crc32 } from 'node:zlib';
import { optionalChoice, optionalInteger, optionalNumber, optionalText, requiredText } from '../connector-options.ts';
import { DefinitionProblem } from '../define/definition-problem.ts';
import { type BatchMaker, monotonic, type PacedBatch, PacedSource } from './paced-source.ts';
import type { SourceKind } from './port.ts';
import { lineText, PACE_UNITS, ReplayPace } from './replay-pace.ts';

const BATCH_BYTES_MAX = 1024 * 1024;
/** A line longer than this is no line: the file is something else. */
const LINE_BYTES_MAX = 16 * 1024 * 1024;

/** At the beginning of a file: tells it from another one. */
const HEAD_BYTES = 4096;

/** As a path. */
const STDIN = '-';

interface ReplayOptions {
  /** Absolute, or `STDIN`. */
  readonly file: string;
  readonly batchLines: number;
  /** Null: no pauses. */
  readonly pace: ReplayPace | null;
}

export const fileSourceKind: SourceKind = {
  type: 'file',
  options: ['path', 'speed', 'timestamp', 'unit', 'batchLines'],
  needs: [
    {
      options: ['timestamp', 'unit'],
      isMet: ({ speed }) => Number(speed ?? 0) > 0,
      expected: 'speed above 0 beside it: lines are taken without pauses',
    },
  ],
  readsByPartition: true,
  create(options, stream, host) {
    const name = `${stream}/file`;
    const speed = optionalNumber(options, name, 'speed', 0, 0, 1e9);
    const timestamp = optionalText(options, name, 'timestamp', '');
    const unit = optionalChoice(options, name, 'unit', PACE_UNITS);
    const path = requiredText(options, name, 'path');
    const file = path === STDIN ? STDIN : host.fileAt(path);
    const batchLines = optionalInteger(options, name, 'batchLines', 1000, 1, 100_000);
    if (speed > 0 && timestamp === '') {
      throw DefinitionProblem.of(`${name}.timestamp`, undefined, 'the field that paces the replay, since speed is set');
    }
    const open = async (position: string, positions: ReadonlyMap<string, string>): Promise<Replay> => {
      const pace = speed > 0 ? new ReplayPace({ name, speed, timestamp, unit }, monotonic) : null;
      const place = position === '' && file !== STDIN ? await placeUnderOtherName(file, positions) : position;
      return new Replay({ file, batchLines, pace }, place);
    };
    return new PacedSource(host, path, open);
  },
};

class Replay implements BatchMaker {
  readonly notBeforeMs = 0;
  readonly #options: ReplayOptions;
  /** From the first `next` on: what fails before somebody waits for it would end the process. */
  #input: (NodeJS.ReadableStream & { destroy?: () => void }) | null = null;
  #chunks: AsyncIterator<Buffer> | null = null;
  /** Null: standard input, or not open yet. It stays this file whatever is under its path. */
  #file: FileHandle | null = null;
  #rest = Buffer.alloc(0);
  #ended = false;
  #closed = false;
  #taken: number;
  /** Of what was taken, the first bytes. */
  #head = Buffer.alloc(0);
  /** Checksum of them when the position was logged; `''`: it has none. */
  readonly #mark: string;
  /** Where the last line that was taken begins, as it was not whole; NaN: it was. */
  readonly #openAt: number;

  constructor(options: ReplayOptions, position: string) {
    this.#options = options;
    const [taken = '', mark = '', openAt = ''] = position.split(' ');
    this.#taken = Number(taken);
    this.#mark = mark;
    this.#openAt = openAt === '' ? NaN : Number(openAt);
  }

  async next(): Promise<PacedBatch | null> {
    this.#chunks ??= await this.#begin();
    while (!this.#closed) {
      const { dueMs, end } = this.#batch();
      if (end > 0) return this.#take(end, dueMs);
      if (this.#ended) return this.#rest.length === 0 ? null : this.#takeRest();
      await this.#readMore(this.#chunks);
    }
    return null;
  }

  async #begin(): Promise<AsyncIterator<Buffer>> {
    const { file } = this.#options;
    if (this.#taken > 0) await this.#check(file);
    if (file === STDIN) this.#input = process.stdin;
    else {
      this.#file = await open(file);
      const from = { start: this.#taken, highWaterMark: BATCH_BYTES_MAX, autoClose: false };
      this.#input = this.#file.createReadStream(from);
    }
    return (this.#input as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  }

  async #check(path: string): Promise<void> {
    const file = await open(path);
    try {
      const why = await whyAnother(file, this.#taken, this.#mark);
      if (why !== '') {
        const advice = 'under another name of the source it is read from its beginning';
        throw new Error(`${path} ${why}: it is another file; ${advice}`);
      }
      this.#head = await headOf(file, this.#taken);
      if (await this.#wentOn(file)) {
        this.#taken = this.#openAt;
        this.#head = this.#head.subarray(0, this.#taken);
      }
    } finally {
      await file.close();
    }
  }

  /** What was taken last was the beginning of a line. */
  async #wentOn(file: FileHandle): Promise<boolean> {
    if (Number.isNaN(this.#openAt)) return false;
    const next = Buffer.alloc(2);
    const { bytesRead } = await file.read(next, 0, next.length, this.#taken);
    return bytesRead > 0 && !/^\r?\n/.test(next.toString('latin1'));
  }

  async #readMore(chunks: AsyncIterator<Buffer>): Promise<void> {
    if (this.#rest.length > LINE_BYTES_MAX) {
      throw new Error(`${this.#options.file}: no end of line in ${LINE_BYTES_MAX} bytes from byte ${this.#taken}`);
    }
    try {
      const { done, value } = await chunks.next();
      if (done === true) {
        await this.#checkRead();
        this.#ended = true;
      } else this.#rest = Buffer.concat([this.#rest, value]);
    } catch (error) {
      // Closed while it waited for input.
      if (!this.#closed) throw error;
    }
  }

  /** What was emptied or written anew while it was read ends somewhere, but has not been read to its end. */
  async #checkRead(): Promise<void> {
    if (this.#file === null) return;
    const read = this.#taken + this.#rest.length;
    const why = await whyAnother(
      this.#file,
      read,
      markOf(Buffer.concat([this.#head, this.#rest]).subarray(0, HEAD_BYTES)),
    );
    if (why !== '') throw new Error(`${this.#options.file} was changed while it was read: it ${why}`);
  }

  /** The whole lines that have been read, as many as a batch may have; `end` 0 when more must be read. */
  #batch(): { readonly end: number; readonly dueMs: number } {
    const { batchLines, pace } = this.#options;
    if (pace !== null) return pace.first(this.#rest, batchLines);
    let lines = 0;
    let end = 0;
    for (let at = this.#rest.indexOf(10); at >= 0; at = this.#rest.indexOf(10, end)) {
      end = at + 1;
      lines += 1;
      if (lines >= batchLines || end >= BATCH_BYTES_MAX) break;
    }
    return { end, dueMs: 0 };
  }

  /** The last line, which has no end. */
  #takeRest(): PacedBatch {
    const due = this.#options.pace?.due(this.#rest) ?? 0;
    const openAt = isWhole(this.#rest) ? '' : ` ${this.#taken}`;
    return this.#take(this.#rest.length, Number.isNaN(due) ? 0 : due, openAt);
  }

  #take(end: number, dueMs: number, openAt = ''): PacedBatch {
    const body = this.#rest.subarray(0, end);
    this.#rest = this.#rest.subarray(end);
    this.#taken += end;
    if (this.#head.length < HEAD_BYTES) {
      this.#head = Buffer.concat([this.#head, body.subarray(0, HEAD_BYTES - this.#head.length)]);
    }
    const position = this.#options.file === STDIN ? '' : `${this.#taken} ${markOf(this.#head)}${openAt}`;
    return { format: 'ndjson', body, position, dueMs };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#input?.destroy?.();
    await this.#file?.close();
  }
}

/**
 * The position of a file that is declared by another path now, or by another spelling of it; `''`: none. Paths used to
 * be relative to the working directory, whatever declared them.
 */
async function placeUnderOtherName(path: string, positions: ReadonlyMap<string, string>): Promise<string> {
  for (const [name, position] of positions) {
    const [taken, mark = ''] = position.split(' ');
    if (resolve(name) === path && mark !== '' && (await isSame(path, Number(taken), mark))) return position;
  }
  return '';
}

async function isSame(path: string, taken: number, mark: string): Promise<boolean> {
  const file = await open(path).catch(() => null);
  if (file === null) return false;
  try {
    return (await whyAnother(file, taken, mark)) === '';
  } finally {
    await file.close();
  }
}

/** `mark`: `''` when it is not known. */
async function whyAnother(file: FileHandle, taken: number, mark: string): Promise<string> {
  const { size } = await file.stat();
  if (size < taken) return `has ${size} bytes, of which ${taken} were taken`;
  if (mark === '' || mark === markOf(await headOf(file, taken))) return '';
  return `does not begin as it did when ${taken} bytes of it were taken`;
}

async function headOf(file: FileHandle, taken: number): Promise<Buffer<ArrayBuffer>> {
  const head = Buffer.alloc(Math.min(HEAD_BYTES, taken));
  if (head.length === 0) return head;
  const { bytesRead } = await file.read(head, 0, head.length, 0);
  return head.subarray(0, bytesRead);
}

/** A JSON text does not go on behind its end. */
function isWhole(line: Buffer): boolean {
  try {
    JSON.parse(lineText(line));
    return true;
  } catch {
    return false;
  }
}

const markOf = (head: Buffer): string => crc32(head).toString(16);
