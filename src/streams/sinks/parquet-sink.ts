/**
 * Results as Parquet files of a folder, exactly once.
 *
 *   part-00000007-4711.parquet   the seventh file; its results are complete up to record 4711 of the log
 *   open-00000008.ndjson         results since then, with marks: a file as of `file-sink.ts`
 *   part-00000008.tmp            is being written; left behind by a crash, it is deleted
 *
 * Options: `path` (of the folder, from the one of the file that declares it), `rows` (a file is finished when it has so many, default 100,000), `everyMs` (and when its
 * oldest row is so old, default 60,000). A file may be longer than `rows` by one batch, and is shorter where rows are
 * long (`JOURNAL_BYTES_MAX`). What is still open when the sink
 * is closed becomes a file, too, and so does one that somebody deleted or moved while it was open.
 * Role: `write` is one durable append; from time to time what was appended is written as a Parquet file under another
 * name, which is safe before it gets its own. Only then the appended part goes: where both are there, it is what is
 * deleted.
 */
import { open, readdir, rename, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { inWorkingDirectory, optionalInteger, requiredText } from '../connector-options.ts';
import { linesOf } from '../lines/lines-of.ts';
import { makeFolder } from '../make-folder.ts';
import { FileSink, syncFolder } from './file-sink.ts';
import { countOf } from './line-batch.ts';
import type { Sink, SinkBatch, SinkKind } from './port.ts';

const DAY_MS = 86_400_000;
/** Of what is read at a time to make a file of it. */
const JOURNAL_BYTES_MAX = 64 * 1024 * 1024;
const PART = /^part-(\d{8,15})-([\d.]+)\.parquet$/;
const OPEN = /^open-(\d{8,15})\.ndjson$/;
const TEMPORARY = /^part-\d{8,15}\.tmp$/;

export const parquetSinkKind: SinkKind = {
  type: 'parquet',
  guarantee: 'exactly-once',
  options: ['path', 'rows', 'everyMs'],
  place: ({ path }, fileAt) => fileAt(String(path)),
  create: (options, name, fileAt = inWorkingDirectory) =>
    new ParquetSink(fileAt(requiredText(options, name, 'path')), name, {
      rows: optionalInteger(options, name, 'rows', 100_000, 1, 1_000_000),
      everyMs: optionalInteger(options, name, 'everyMs', 60_000, 10, DAY_MS),
    }),
};

/** Its package is loaded by sinks that are opened, not by every process that could declare one. */
type Writer = typeof import('./parquet-rows.ts');

class ParquetSink implements Sink {
  readonly #folder: string;
  readonly #name: string;
  readonly #limits: { readonly rows: number; readonly everyMs: number };
  #part = 1;
  #writer: Writer | null = null;
  #journal: FileSink | null = null;
  #closed = true;
  #seq = 0;
  #rows = 0;
  /** The rows of the journal are in a file under its own name: with more of them it would be another one beside it. */
  #isNamed = false;
  #timer: NodeJS.Timeout | null = null;
  /** One after the other: writing, and turning what was written into a file. */
  #turn: Promise<void> = Promise.resolve();

  constructor(folder: string, name: string, limits: { readonly rows: number; readonly everyMs: number }) {
    this.#folder = folder;
    this.#name = name;
    this.#limits = limits;
  }

  async open(): Promise<number> {
    this.#writer ??= await import('./parquet-rows.ts');
    await makeFolder(this.#folder);
    const names = await readdir(this.#folder);
    let newest = 0;
    for (const name of names) {
      const [, part, seq] = PART.exec(name) ?? [];
      if (part === undefined || Number(part) <= newest) continue;
      newest = Number(part);
      this.#seq = Number(seq);
    }
    for (const name of names) {
      const part = OPEN.exec(name)?.[1];
      if (TEMPORARY.test(name) || (part !== undefined && Number(part) <= newest))
        await unlink(join(this.#folder, name));
    }
    this.#part = newest + 1;
    await this.#begin();
    this.#closed = false;
    return this.#seq;
  }

  async #begin(): Promise<void> {
    this.#rows = 0;
    this.#isNamed = false;
    this.#journal = null;
    const journal = new FileSink(this.#journalPath);
    // 0: nothing of its own yet.
    const seq = await journal.open();
    this.#journal = journal;
    if (seq > 0) {
      this.#seq = seq;
      this.#rows = (await this.#lines(journal)).length;
    }
    if (this.#rows > 0) this.#schedule();
  }

  write(batch: SinkBatch): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#closed) throw new Error(`${this.#folder} is not open`);
      if (this.#journal === null) await this.#begin();
      // Before anything is written: when it fails, the batch has not been taken and comes again.
      if (this.#isFull || this.#isNamed || (await this.#journal?.isMoved())) await this.#finishPart();
      await (this.#journal as FileSink).write(batch);
      this.#seq = batch.seq;
      this.#rows += countOf(batch);
      if (this.#rows > 0) this.#schedule();
    });
  }

  get #isFull(): boolean {
    return this.#rows >= this.#limits.rows || (this.#journal?.size ?? 0) >= JOURNAL_BYTES_MAX;
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#inTurn(() => this.#finishPart()).catch(() => {
        // It is all in the open file. The next try is by a full file, which tells the engine, or after the same time.
        if (!this.#closed) this.#schedule();
      });
    }, this.#limits.everyMs);
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #finishPart(): Promise<void> {
    const journal = this.#journal;
    if (this.#rows === 0 || journal === null) return;
    if (!this.#isNamed) await this.#writePart(journal);
    await syncFolder(this.#folder);
    await journal.close();
    await rm(this.#journalPath, { force: true });
    this.#part += 1;
    await this.#begin();
  }

  async #writePart(journal: FileSink): Promise<void> {
    const { parquetOf } = this.#writer as Writer;
    const bytes = parquetOf(await this.#lines(journal), {
      'millrace.seq': String(this.#seq),
      'millrace.sink': this.#name,
    });
    const part = this.#padded;
    const temporary = join(this.#folder, `part-${part}.tmp`);
    const file = await open(temporary, 'w');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, join(this.#folder, `part-${part}-${this.#seq}.parquet`));
    this.#isNamed = true;
  }

  /** Of whole batches: one that was not taken comes again, whatever of it is there. */
  async #lines(journal: FileSink): Promise<string[]> {
    return linesOf(await journal.read()).filter((line) => !line.startsWith('{"millrace":'));
  }

  get #padded(): string {
    return String(this.#part).padStart(8, '0');
  }

  get #journalPath(): string {
    return join(this.#folder, `open-${this.#padded}.ndjson`);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#inTurn(() => this.#finishPart()).catch(() => {
      // It stays in the open file, where the next `open` finds it.
    });
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const journal = this.#journal;
    this.#journal = null;
    await journal?.close();
  }
}
