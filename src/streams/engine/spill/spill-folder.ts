/**
 * The folder that shards lie in while memory has no room for them: names, sizes, and what can go.
 *
 * Role: one per engine, for as long as it lives, through all its plans. Threads write the files (`spill-file.ts`), each
 * under a name that is given out here once; a file goes when nobody holds it any more. Nothing in it outlives the
 * process: what a crash left is removed by the next start. In the data folder when there is one, else in a temporary one
 * whose name tells the process it belongs to.
 */
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { rm, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const NAME = 'spill';
const TEMPORARY = 'millrace-spill-';
const FOLDER_MODE = 0o700;
/** A thread that is ending may still make a file while the folder goes. */
const REMOVAL_TRIES = 5;

export class SpillFolder {
  readonly #dataDir: string;
  /** `''` until the first file. */
  #folder = '';
  #number = 0;
  /** Given out and not removed. */
  readonly #files = new Set<string>();
  /** Files that somebody reads who is not asked, and by how many. */
  readonly #pinned = new Map<string, number>();
  readonly #removals = new Set<Promise<void>>();

  /** `dataDir` `''`: what is computed is in memory only. Throws when what an earlier process left cannot be removed. */
  constructor(dataDir: string) {
    this.#dataDir = dataDir;
    if (dataDir !== '') rmSync(join(dataDir, NAME), { recursive: true, force: true });
  }

  /** Files there are: none, and nothing is to be done for them. */
  get size(): number {
    return this.#files.size;
  }

  /** A name for a new file. Throws when the folder cannot be made. */
  name(of: string): string {
    if (this.#folder === '') this.#folder = this.#dataDir === '' ? this.#temporary() : folderIn(this.#dataDir);
    this.#number += 1;
    const file = join(this.#folder, `${of}-${this.#number}`);
    this.#files.add(file);
    return file;
  }

  /** No file was made under this name. */
  forget(file: string): void {
    this.#files.delete(file);
  }

  /** These stay until the function that is given is called. */
  pin(files: Iterable<string>): () => void {
    const pinned = [...new Set(files)];
    for (const file of pinned) this.#pinned.set(file, (this.#pinned.get(file) ?? 0) + 1);
    return () => {
      for (const file of pinned.splice(0)) {
        const left = (this.#pinned.get(file) ?? 0) - 1;
        if (left > 0) this.#pinned.set(file, left);
        else this.#pinned.delete(file);
      }
    };
  }

  /** Removes all files but these and those that are pinned. No task that was given a name may be running. */
  keep(files: ReadonlySet<string>): void {
    for (const file of this.#files) {
      if (files.has(file) || this.#pinned.has(file)) continue;
      this.#files.delete(file);
      // A thread that was lost may not have made it; a file that cannot be removed goes with the folder.
      this.#remove(unlink(file));
    }
  }

  #remove(removal: Promise<void>): void {
    const done = removal.catch(() => undefined).finally(() => this.#removals.delete(done));
    this.#removals.add(done);
  }

  #temporary(): string {
    const parent = tmpdir();
    // What cannot be removed now is there for the next one to try.
    for (const folder of leftOver(parent)) this.#remove(rm(folder, { recursive: true, force: true }));
    return mkdtempSync(join(parent, `${TEMPORARY}${process.pid}-`));
  }

  /** Removes everything. */
  async close(): Promise<void> {
    await Promise.all(this.#removals);
    this.#files.clear();
    if (this.#folder !== '') await rm(this.#folder, { recursive: true, force: true, maxRetries: REMOVAL_TRIES });
    this.#folder = '';
  }
}

function folderIn(dataDir: string): string {
  const folder = join(dataDir, NAME);
  mkdirSync(folder, { recursive: true, mode: FOLDER_MODE });
  return folder;
}

/** Folders of processes that are no more, of this user. */
function leftOver(parent: string): string[] {
  const owner = process.getuid?.();
  return readdirSync(parent)
    .filter((name) => name.startsWith(TEMPORARY) && hasEnded(Number.parseInt(name.slice(TEMPORARY.length), 10)))
    .map((name) => join(parent, name))
    .filter((folder) => owner === undefined || lstatSync(folder, { throwIfNoEntry: false })?.uid === owner);
}

function hasEnded(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
