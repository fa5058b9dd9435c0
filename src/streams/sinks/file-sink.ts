/**
 * NDJSON to a file, exactly once: the file itself says how far it is.
 *
 * Each batch is one append that ends in a mark line, `{"millrace":{"seq":n}}`; opening reads the last whole mark and
 * cuts off what follows it, so a batch is in the file whole or not at all. Durable after `write`: the data is flushed.
 * The file can be rotated (moved, deleted or emptied) at any time: before each batch the sink checks that the path
 * still leads to what it wrote, and opens the path anew if not. The first mark of the new file repeats the last place,
 * so that results that went away with the old file are not written again.
 * Rotation by copying and emptying (`copytruncate` of logrotate) loses what is appended between the two: rotate by
 * moving.
 * Option: `path`, relative to the folder of the file that declares it.
 * Role: readers skip lines with a `millrace` member.
 */
import { type FileHandle, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { inWorkingDirectory, requiredText } from '../connector-options.ts';
import { chunksOf } from './line-batch.ts';
import type { Sink, SinkBatch, SinkKind } from './port.ts';

const PART_BYTES = 1024 * 1024;
/** Of a mark, with the line feed before it. */
const MARK_BYTES_MAX = 64;
const MARK = '{"millrace":{"seq":';

export const fileSinkKind: SinkKind = {
  type: 'file',
  guarantee: 'exactly-once',
  options: ['path'],
  place: ({ path }, fileAt) => fileAt(String(path)),
  create: (options, name, fileAt = inWorkingDirectory) => new FileSink(fileAt(requiredText(options, name, 'path'))),
};

export class FileSink implements Sink {
  readonly #path: string;
  #file: FileHandle | null = null;
  #size = 0;
  /** Of the newest mark. */
  #seq = 0;
  /** A write failed: behind `#size` there may be a part of it. */
  #torn = false;
  #writing: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
  }

  /** Bytes of whole batches. */
  get size(): number {
    return this.#size;
  }

  /** Whole batches, where the path does not lead to them any more as well. */
  async read(): Promise<Buffer> {
    if (this.#file === null) throw new Error(`${this.#path} is not open`);
    const bytes = Buffer.alloc(this.#size);
    const { bytesRead } = await this.#file.read(bytes, 0, bytes.byteLength, 0);
    return bytes.subarray(0, bytesRead);
  }

  /** Somebody moved or deleted it: what was written is all there, for `read`, until the next batch begins it anew. */
  async isMoved(): Promise<boolean> {
    if (this.#file === null) return false;
    const { cut, elsewhere } = await this.#look(this.#file);
    return elsewhere && !cut;
  }

  async open(): Promise<number> {
    const opened = this.#openAt(0);
    this.#writing = opened.then(
      () => undefined,
      () => undefined,
    );
    await opened;
    return this.#seq;
  }

  /** `first`: for the mark of a file that has none. Nothing changes when it fails. */
  async #openAt(first: number): Promise<FileHandle> {
    const file = await open(this.#path, 'a+');
    try {
      const { end, seq } = await begun(file, this.#path, first);
      this.#size = end;
      this.#seq = seq;
    } catch (error) {
      await file.close();
      throw error;
    }
    this.#torn = false;
    this.#file = file;
    return file;
  }

  write(batch: SinkBatch): Promise<void> {
    const written = this.#write(batch);
    this.#writing = written.catch(() => undefined);
    return written;
  }

  async #write(batch: SinkBatch): Promise<void> {
    if (this.#file === null) throw new Error(`${this.#path} is not open`);
    const file = await this.#whereItLeads(this.#file);
    const bytes = Buffer.concat([...chunksOf(batch), markOf(batch.seq)]);
    if (this.#torn) await file.truncate(this.#size);
    this.#torn = true;
    await file.appendFile(bytes);
    await file.datasync();
    this.#torn = false;
    this.#size += bytes.byteLength;
    this.#seq = batch.seq;
  }

  async #whereItLeads(file: FileHandle): Promise<FileHandle> {
    const { cut, elsewhere } = await this.#look(file);
    if (!cut && !elsewhere) return file;
    const next = await this.#openAt(this.#seq);
    await file.close();
    return next;
  }

  /** `elsewhere`: the path leads there, or nowhere. `cut`: the file is shorter than what is known to be whole. */
  async #look(file: FileHandle): Promise<{ readonly elsewhere: boolean; readonly cut: boolean }> {
    const [ours, there] = await Promise.all([
      file.stat({ bigint: true }),
      stat(this.#path, { bigint: true }).catch(nullWhereAbsent),
    ]);
    return { elsewhere: ours.ino !== there?.ino || ours.dev !== there.dev, cut: ours.size < this.#size };
  }

  /** Waits for the batch that is being written. */
  async close(): Promise<void> {
    await this.#writing;
    await this.#file?.close();
    this.#file = null;
  }
}

/** A new name in a folder is safe when the folder is. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const markOf = (seq: number): Buffer => Buffer.from(`${MARK}${seq}}}\n`);

/** Where whole batches end in it, and its newest mark: with `first`, where it has nothing yet. */
async function begun(file: FileHandle, path: string, first: number): Promise<{ end: number; seq: number }> {
  const { size } = await file.stat();
  // A first mark that was not finished is not somebody's content.
  if (size === 0 || (await isPartOfMark(file, size))) {
    const mark = markOf(first);
    await file.truncate(0);
    await file.appendFile(mark);
    await file.datasync();
    await syncFolder(dirname(path));
    return { end: mark.byteLength, seq: first };
  }
  const found = await lastMark(file, size);
  // Somebody else's file is not cut off.
  if (found.end === 0) throw new Error(`${path} has content, but not of this sink: expected lines ${MARK}…`);
  if (found.end < size) await file.truncate(found.end);
  return found;
}

async function isPartOfMark(file: FileHandle, size: number): Promise<boolean> {
  if (size >= MARK_BYTES_MAX) return false;
  const { buffer } = await file.read(Buffer.alloc(size), 0, size, 0);
  const text = buffer.toString('latin1');
  return MARK.startsWith(text) || (text.startsWith(MARK) && /^[\d.]*\}{0,2}$/.test(text.slice(MARK.length)));
}

function nullWhereAbsent(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}

/** Reads backwards until a whole mark line is found. What a crash has left behind it may be as large as a batch. */
async function lastMark(file: FileHandle, size: number): Promise<{ end: number; seq: number }> {
  /** What follows the part that is looked at: a mark may begin in the one and end in the other. */
  let behind = Buffer.alloc(0);
  for (let from = size; from > 0; ) {
    const bytes = Math.min(PART_BYTES, from);
    from -= bytes;
    const { buffer } = await file.read(Buffer.alloc(bytes), 0, bytes, from);
    const part = Buffer.concat([buffer, behind]);
    for (let at = part.lastIndexOf(MARK); at >= 0; at = at === 0 ? -1 : part.lastIndexOf(MARK, at - 1)) {
      const end = part.indexOf(10, at);
      const startsLine = from + at === 0 || (at > 0 && part[at - 1] === 10);
      const match = /^\{"millrace":\{"seq":([\d.]+)\}\}$/.exec(part.toString('latin1', at, Math.max(at, end)));
      if (end >= 0 && startsLine && match !== null) return { end: from + end + 1, seq: Number(match[1]) };
    }
    behind = part.subarray(0, MARK_BYTES_MAX);
  }
  return { end: 0, seq: 0 };
}
