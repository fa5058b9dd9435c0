/**
 * The one home of LMDB: a directory with several tables of bytes, written by one group after the other.
 *
 * Role: what the event log, checkpoints and dead letters that survive a restart are kept in.
 * Invariants: the jobs of a group are one transaction; `write` resolves when it is flushed to disk; groups are written
 * in the order asked for, one at a time; after a failed one nothing is written until `recover` has shown that writing
 * works, so what was acknowledged never has a gap before it. Whoever opens the directory last owns it: its fencing
 * epoch is checked inside each transaction, and an earlier owner, in whatever process, can write no more. It is not opened
 * while another process of this machine is seen to have it (`owner.ts`), so that nobody takes it by mistake.
 *
 * Settings that look odd, and why:
 * - `overlappingSync: false`: a commit then includes the flush, and its failure rejects. With LMDB-js's default, the
 *   promise of a flush that failed never settles. Throughput is the same when commits are grouped [measured].
 * - `eventTurnBatching: false`: the batches it makes leave a rejected promise nobody can reach when a commit fails,
 *   which would end the process.
 * - `noSubdir: false`: a directory whose name has a dot is otherwise taken for a file.
 * - A commit that fails is also written to stderr, as text and not as a line of the log: by `console.error` of LMDB-js before
 *   it rejects, by `fprintf` of LMDB when a page cannot be had. There is no option for either.
 * - LMDB is not asked to write what the disk has no room for: for the text of a write that fails it has 100 bytes, which
 *   large numbers exceed, and `malloc` ends the process, at once or some writes later; and of its lock it maps pages that
 *   the disk may not have, which is a SIGBUS [seen, LMDB-js 3.5.6].
 * - `mapSize` is no limit (LMDB-js enlarges it); it only spares remapping.
 */
import { existsSync, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Database, open, type RootDatabase } from 'lmdb';
import { restoreLength } from './file-length.ts';
import { disown, own, ownerOf } from './owner.ts';
import { sealed, seedOf, unsealed } from './sealed-value.ts';

export const TABLES_MAX = 16;
export const JOBS_WAITING_MAX = 65_536;
/** A commit that takes longer counts as failed: a hung disk must not hang its callers. */
export const COMMIT_MS_MAX = 30_000;
const MAP_BYTES_AT_START = 2 ** 30;
/** Room that must be there before writing goes on: a full disk often still takes a few small writes. */
const PROBE_BYTES = 2 ** 20;
/** Free on the disk beside what is written: pages of the trees that it changes. */
const ROOM_BYTES = 2 ** 20;
/** A value takes whole ones, at most. */
const PAGE_BYTES = 4096;
const OWNER = 'owner';
const PROBE = 'probe';
const TABLES = 'tables';
const TABLES_SEED = seedOf(TABLES);

export type TableKey = string | number | (string | number)[];

/** LMDB cannot be written, now or (`lost`) never again by this opener. */
export class StoreUnavailable extends Error {
  readonly lost: boolean;
  constructor(message: string, lost: boolean, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StoreUnavailable';
    this.lost = lost;
  }
}

export interface KeyRange {
  /** First key, exclusive. */
  readonly after?: TableKey;
  /** First key, inclusive. */
  readonly from?: TableKey;
  /** Last key, exclusive. */
  readonly before?: TableKey;
  readonly reverse?: boolean;
  readonly limit: number;
}

/** A table of bytes. Reads see what is committed; `put` and `remove` may only be called by a job of `write`. */
export class LmdbTable {
  readonly #database: Database<Buffer, TableKey>;
  readonly #changes: Change[];

  /** `changes`: where those of a job are put down. */
  constructor(database: Database<Buffer, TableKey>, changes: Change[]) {
    this.#database = database;
    this.#changes = changes;
  }

  get count(): number {
    return (this.#database.getStats() as { entryCount: number }).entryCount;
  }

  /**
   * A copy that stays valid: what LMDB-js hands out is a larger buffer with a `length` of its own making (so that
   * `Buffer.from` copies too much), overwritten by the next read, or the mapped file itself.
   */
  get(key: TableKey): Buffer | undefined {
    const volatile = this.#database.getBinaryFast(key);
    if (volatile === undefined) return undefined;
    const copy = Buffer.allocUnsafe(volatile.length);
    copy.set(volatile.subarray(0, volatile.length));
    return copy;
  }

  keys(range: KeyRange): TableKey[] {
    const { after, from, before, reverse = false, limit } = range;
    const start = after ?? from;
    return [
      ...this.#database.getKeys({
        ...(start === undefined ? {} : { start, exclusiveStart: after !== undefined }),
        ...(before === undefined ? {} : { end: before }),
        reverse,
        limit,
      }),
    ];
  }

  /** The bytes are read by LMDB's thread until the write resolves: they may not change before. */
  put(key: TableKey, value: Buffer): void {
    this.#changes.push({ database: this.#database, key, value });
  }

  remove(key: TableKey): void {
    this.#changes.push({ database: this.#database, key, value: null });
  }
}

/** `value` null: it is removed. */
interface Change {
  readonly database: Database<Buffer, TableKey>;
  readonly key: TableKey;
  readonly value: Buffer | null;
}

interface WaitingJob {
  readonly job: () => void;
  readonly resolve: () => void;
  readonly reject: (error: StoreUnavailable) => void;
}

export interface LmdbOptions {
  readonly commitMsMax?: number;
}

export class LmdbEnvironment {
  readonly directory: string;
  readonly #root: RootDatabase<Buffer, TableKey>;
  readonly #owner: Database<Buffer, TableKey>;
  readonly #epoch: number;
  readonly #commitMsMax: number;
  /** Of the jobs that run now. */
  readonly #changes: Change[] = [];
  #waiting: WaitingJob[] = [];
  #writing = false;
  #idle: (() => void)[] = [];
  #failure: StoreUnavailable | null = null;
  #stuck = false;
  #recovering: Promise<void> | null = null;

  /** Opens or makes the directory and takes it over. Throws `StoreUnavailable`. */
  constructor(directory: string, options: LmdbOptions = {}) {
    this.directory = directory;
    this.#commitMsMax = options.commitMsMax ?? COMMIT_MS_MAX;
    const owner = ownerOf(directory);
    if (owner !== 0) throw new StoreUnavailable(`${directory} is in use by process ${owner}`, true);
    try {
      needRoom(directory, ROOM_BYTES);
      const problem = restoreLength(join(directory, 'data.mdb'));
      if (problem !== null) throw new Error(problem);
      this.#root = open<Buffer, TableKey>(directory, {
        noSubdir: false,
        overlappingSync: false,
        eventTurnBatching: false,
        encoding: 'binary',
        maxDbs: TABLES_MAX,
        mapSize: MAP_BYTES_AT_START,
      });
      this.#owner = this.#root.openDB<Buffer, TableKey>({ name: 'owner', encoding: 'binary', useVersions: true });
      this.#epoch = this.#takeOver();
      own(directory);
    } catch (error) {
      throw new StoreUnavailable(`cannot open ${directory}: ${String(error)}`, true, { cause: error });
    }
  }

  /** Why nothing can be written now; null when it can. */
  get failure(): StoreUnavailable | null {
    return this.#failure;
  }

  /** Made when it is not there. One that was there and is not any more is damage, not a new beginning: `StoreUnavailable`. */
  table(name: string): LmdbTable {
    const names = this.#tableNames();
    const options = { name, encoding: 'binary', create: !names.includes(name) } as const;
    const database: Database<Buffer, TableKey> | undefined = this.#root.openDB<Buffer, TableKey>(options);
    if (database === undefined) throw new StoreUnavailable(`${this.directory} has lost its table ${name}`, true);
    if (options.create) this.#owner.putSync(TABLES, sealed(Buffer.from([...names, name].join()), TABLES_SEED));
    return new LmdbTable(database, this.#changes);
  }

  /** Puts and removes of the job become durable together or not at all. Jobs must not throw. Rejects with `StoreUnavailable`. */
  write(job: () => void): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    if (this.#waiting.length >= JOBS_WAITING_MAX) {
      return Promise.reject(new StoreUnavailable(`${JOBS_WAITING_MAX} writes are waiting`, false));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ job, resolve, reject });
      if (this.#writing) return;
      this.#writing = true;
      // What the same turn still asks for goes along.
      queueMicrotask(() => void this.#writeGroups());
    });
  }

  /** Resolves when a write of `PROBE_BYTES` has worked. Rejects with `StoreUnavailable`. */
  recover(): Promise<void> {
    if (this.#failure === null) return Promise.resolve();
    this.#recovering ??= this.#probe().finally(() => {
      this.#recovering = null;
    });
    return this.#recovering;
  }

  /** Waits for what was asked to be written. */
  async close(): Promise<void> {
    if (this.#writing) await new Promise<void>((resolve) => this.#idle.push(resolve));
    this.#failure = new StoreUnavailable(`${this.directory} is closed`, true);
    // Closing would wait for the commit that hangs.
    if (this.#stuck) return;
    await this.#root.close();
    disown(this.directory);
  }

  #tableNames(): string[] {
    const value = this.#owner.getBinary(TABLES);
    if (value === undefined) return [];
    const names = unsealed(Buffer.from(value), TABLES_SEED);
    if (typeof names === 'string') throw new StoreUnavailable(`tables of ${this.directory}: ${names}`, true);
    return names.toString('utf8').split(',');
  }

  #takeOver(): number {
    return this.#root.transactionSync(() => {
      const epoch = (this.#owner.getEntry(OWNER)?.version ?? 0) + 1;
      void this.#owner.put(OWNER, Buffer.from(`${process.pid}`), epoch);
      return epoch;
    });
  }

  async #writeGroups(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      try {
        for (const { job } of group) job();
        await this.#commit(this.#changes.splice(0));
        for (const { resolve } of group) resolve();
      } catch (error) {
        this.#changes.length = 0;
        const failure = this.#failed(error);
        for (const { reject } of group) reject(failure);
        for (const { reject } of this.#waiting) reject(failure);
        this.#waiting = [];
      }
    }
    this.#writing = false;
    for (const resolve of this.#idle) resolve();
    this.#idle = [];
  }

  #failed(error: unknown): StoreUnavailable {
    const failure =
      error instanceof StoreUnavailable
        ? error
        : new StoreUnavailable(`cannot write to ${this.directory}: ${String(error)}`, false, { cause: error });
    this.#failure = failure;
    return failure;
  }

  async #commit(changes: readonly Change[]): Promise<void> {
    needRoom(
      this.directory,
      changes.reduce((sum, { value }) => sum + PAGE_BYTES + (value?.byteLength ?? 0), ROOM_BYTES),
    );
    const done = this.#owner.ifVersion(OWNER, this.#epoch, () => {
      for (const { database, key, value } of changes) {
        if (value === null) void database.remove(key);
        else void database.put(key, value);
      }
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(resolve, this.#commitMsMax, 'late');
    });
    const outcome = await Promise.race([done.catch(causeOf), late]).finally(() => clearTimeout(timer));
    if (outcome === true) return;
    if (outcome === false) throw new StoreUnavailable(`${this.directory} was opened by another process`, true);
    if (outcome !== 'late') throw outcome;
    this.#stuck = true;
    const settled = (): void => {
      this.#stuck = false;
    };
    void done.then(settled, settled);
    throw new StoreUnavailable(`a commit to ${this.directory} takes longer than ${this.#commitMsMax} ms`, false);
  }

  async #probe(): Promise<void> {
    const failure = this.#failure as StoreUnavailable;
    if (failure.lost || this.#stuck || this.#writing) throw failure;
    this.#writing = true;
    try {
      await this.#commit([{ database: this.#root, key: PROBE, value: Buffer.alloc(PROBE_BYTES) }]);
      await this.#commit([{ database: this.#root, key: PROBE, value: null }]);
      this.#failure = null;
    } catch (error) {
      throw this.#failed(error);
    } finally {
      this.#writing = false;
    }
  }
}

/** What made a commit fail. LMDB-js keeps it in a promise of its own, which must be handled or it ends the process. */
async function causeOf(error: unknown): Promise<Error> {
  const { commitError } = error as { commitError?: Promise<never> };
  const cause = commitError?.catch((each: unknown) => each as Error);
  // It is rejected in the callback that rejected the commit; should it not be, the outer error has to do.
  const outer = new Promise<Error>((resolve) => setImmediate(resolve, error as Error));
  return cause === undefined ? (error as Error) : Promise.race([cause, outer]);
}

/** Throws when the disk that holds the directory, or will hold it, has fewer bytes free. */
function needRoom(directory: string, bytes: number): void {
  let existing = directory;
  while (!existsSync(existing) && dirname(existing) !== existing) existing = dirname(existing);
  const { bavail, bsize } = statfsSync(existing);
  const free = bavail * bsize;
  if (free < bytes) throw new Error(`no space left: ${free} bytes are free on its disk, ${bytes} may be needed`);
}
