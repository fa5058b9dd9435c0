/**
 * Replays a file of NDJSON, or standard input: as fast as it is taken, or in its own time, or faster by a factor.
 *
 * Options: `path` (`-` for standard input), `speed` (1: as it happened, 60: a minute a second, 0: no pauses, the
 * default), `timestamp` (field that paces it, ms; needed when `speed` is not 0), `batchLines` (at most, default 1000).
 * A file ends: what is written to it later is not waited for. Lines are handed on as soon as they have been read, so
 * that a program that writes to standard input now and then is not held back.
 * Position: bytes of the file that have been taken; standard input cannot be taken up again.
 */
import { createReadStream } from 'node:fs';
import { optionalInteger, optionalNumber, optionalText, requiredText } from '../connector-options.ts';
import { DefinitionProblem } from '../define/definition-problem.ts';
import { type BatchMaker, type PacedBatch, PacedSource } from './paced-source.ts';
import type { SourceHost, SourceKind } from './port.ts';

const BATCH_BYTES_MAX = 1024 * 1024;
/** A line longer than this is no line: the file is something else. */
const LINE_BYTES_MAX = 16 * 1024 * 1024;

interface ReplayOptions {
  readonly path: string;
  readonly speed: number;
  readonly timestamp: string;
  readonly batchLines: number;
}

export const fileSourceKind: SourceKind = {
  type: 'file',
  options: ['path', 'speed', 'timestamp', 'batchLines'],
  create(options, stream, host) {
    const name = `${stream}/file`;
    const replay: ReplayOptions = {
      path: requiredText(options, name, 'path'),
      speed: optionalNumber(options, name, 'speed', 0, 0, 1e9),
      timestamp: optionalText(options, name, 'timestamp', ''),
      batchLines: optionalInteger(options, name, 'batchLines', 1000, 1, 100_000),
    };
    if (replay.speed > 0 && replay.timestamp === '') {
      throw DefinitionProblem.of(`${name}.timestamp`, undefined, 'the field that paces the replay, since speed is set');
    }
    return new PacedSource(host, replay.path, (position) => Promise.resolve(new Replay(replay, position, host)));
  },
};

class Replay implements BatchMaker {
  readonly notBeforeMs = 0;
  readonly #options: ReplayOptions;
  readonly #host: SourceHost;
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #input: NodeJS.ReadableStream & { destroy?: () => void };
  #rest = Buffer.alloc(0);
  #ended = false;
  #closed = false;
  #taken: number;
  /** Host time and event time of the first event. */
  #begin: { readonly hostMs: number; readonly eventMs: number } | null = null;

  constructor(options: ReplayOptions, position: string, host: SourceHost) {
    this.#options = options;
    this.#host = host;
    this.#taken = position === '' ? 0 : Number(position);
    this.#input =
      options.path === '-'
        ? process.stdin
        : createReadStream(options.path, { start: this.#taken, highWaterMark: BATCH_BYTES_MAX });
    this.#chunks = (this.#input as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  }

  async next(): Promise<PacedBatch | null> {
    while (!this.#closed) {
      const end = this.#batchEnd();
      if (end > 0) return this.#take(end);
      if (this.#ended) return this.#rest.length === 0 ? null : this.#take(this.#rest.length);
      await this.#readMore();
    }
    return null;
  }

  async #readMore(): Promise<void> {
    if (this.#rest.length > LINE_BYTES_MAX) {
      throw new Error(`${this.#options.path}: no end of line in ${LINE_BYTES_MAX} bytes from byte ${this.#taken}`);
    }
    try {
      const { done, value } = await this.#chunks.next();
      if (done === true) this.#ended = true;
      else this.#rest = Buffer.concat([this.#rest, value]);
    } catch (error) {
      // Closed while it waited for input.
      if (!this.#closed) throw error;
    }
  }

  /** Bytes of the whole lines that have been read, as many as a batch may have; 0 when more must be read. */
  #batchEnd(): number {
    let lines = 0;
    let end = 0;
    for (let at = this.#rest.indexOf(10); at >= 0; at = this.#rest.indexOf(10, end)) {
      end = at + 1;
      lines += 1;
      if (lines >= this.#options.batchLines || end >= BATCH_BYTES_MAX) return end;
      // In its own time every line that is due by itself goes by itself.
      if (this.#options.speed > 0) return end;
    }
    return end;
  }

  #take(end: number): PacedBatch {
    const body = this.#rest.subarray(0, end);
    this.#rest = this.#rest.subarray(end);
    this.#taken += end;
    const position = this.#options.path === '-' ? '' : String(this.#taken);
    return { format: 'ndjson', body, position, dueMs: this.#due(body) };
  }

  #due(body: Buffer): number {
    const { speed, timestamp } = this.#options;
    if (speed === 0) return 0;
    const eventMs = timeOf(body, timestamp);
    if (Number.isNaN(eventMs)) return 0;
    this.#begin ??= { hostMs: this.#host.now(), eventMs };
    return this.#begin.hostMs + (eventMs - this.#begin.eventMs) / speed;
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#input.destroy?.();
    return Promise.resolve();
  }
}

/** NaN when the line has none: then it is due at once, and the decoder says what is wrong with it. */
function timeOf(line: Buffer, field: string): number {
  try {
    const value = (JSON.parse(line.toString('utf8')) as Record<string, unknown> | null)?.[field];
    return typeof value === 'number' ? value : Number.NaN;
  } catch {
    // Not JSON.
    return Number.NaN;
  }
}
