/**
 * NDJSON to a file, exactly once: the file itself says how far it is.
 *
 * Each batch is one append that ends in a mark line, `{"millrace":{"seq":n}}`; opening reads the last whole mark and cuts
 * off what follows it, so a batch is in the file whole or not at all. Durable after `write`: the data is flushed.
 * Role: readers skip lines with a `millrace` member.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { requiredText } from '../connector-options.ts';
import type { Sink, SinkBatch, SinkKind } from './port.ts';

const TAIL_BYTES = 64 * 1024;
const MARK = '{"millrace":{"seq":';

export const fileSinkKind: SinkKind = {
  type: 'file',
  guarantee: 'exactly-once',
  create: (options, name) => new FileSink(resolve(requiredText(options, name, 'path'))),
};

class FileSink implements Sink {
  readonly #path: string;
  #file: FileHandle | null = null;
  #size = 0;

  constructor(path: string) {
    this.#path = path;
  }

  async open(): Promise<number> {
    const file = await open(this.#path, 'a+');
    const { size } = await file.stat();
    this.#file = file;
    if (size === 0) {
      await this.write({ seq: 0, lines: [] });
      return 0;
    }
    const { end, seq } = await lastMark(file, size);
    // Somebody else's file is not cut off.
    if (end === 0) throw new Error(`${this.#path} has content, but not of this sink: expected lines ${MARK}…`);
    if (end < size) await file.truncate(end);
    this.#size = end;
    return seq;
  }

  async write({ lines, seq }: SinkBatch): Promise<void> {
    const file = this.#file;
    if (file === null) throw new Error('the file is not open');
    const text = `${lines.length === 0 ? '' : `${lines.join('\n')}\n`}${MARK}${seq}}}\n`;
    try {
      await file.appendFile(text);
      await file.datasync();
      this.#size += Buffer.byteLength(text);
    } catch (error) {
      // A part of it may be there: the next try begins where this one did.
      await file.truncate(this.#size);
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = null;
  }
}

/** Reads backwards until a whole mark line is found. */
async function lastMark(file: FileHandle, size: number): Promise<{ end: number; seq: number }> {
  let tail = Buffer.alloc(0);
  for (let from = size; from > 0; ) {
    const bytes = Math.min(TAIL_BYTES, from);
    from -= bytes;
    const { buffer } = await file.read(Buffer.alloc(bytes), 0, bytes, from);
    tail = Buffer.concat([buffer, tail]);
    for (let at = tail.lastIndexOf(MARK); at >= 0; at = at === 0 ? -1 : tail.lastIndexOf(MARK, at - 1)) {
      const end = tail.indexOf(10, at);
      const startsLine = from + at === 0 || (at > 0 && tail[at - 1] === 10);
      const match = /^\{"millrace":\{"seq":([\d.]+)\}\}$/.exec(tail.toString('utf8', at, Math.max(at, end)));
      if (end >= 0 && startsLine && match !== null) return { end: from + end + 1, seq: Number(match[1]) };
    }
  }
  return { end: 0, seq: 0 };
}
