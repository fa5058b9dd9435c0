/**
 * Keeps the claims of this node's tasks, and looks after tasks whose node has gone.
 *
 * Role: the clockwork between a shared store and the manager. Three times within a claim it renews, stores what could
 * not be stored, and takes orphans; at once when another node says that there is news.
 *
 *   tick ─► renew ─► lost: stop the job   ─► answers: hand them to it   ─► missing, unsaved: store anew
 *        └► orphans ─► adopt
 *
 * Invariants: one tick at a time; a store that is away is asked again with the next one, and nothing is given up
 * meanwhile: whether a claim was lost is for the store to say, since every write is checked there.
 */
import type { Log } from '../observe/port.ts';
import { RedisUnavailable } from '../redis/unavailable.ts';
import type { Orphan, SharedTaskStore, TaskRecord } from './port.ts';

/** What the keeper tells the manager. */
export interface KeptTasks {
  runs(taskId: string): boolean;
  lost(taskId: string): void;
  answered(taskId: string, answers: ReadonlyMap<string, string>): void;
  saveAgain(missing: readonly string[]): void;
  adopt(orphan: Orphan): void;
}

const TICKS_PER_CLAIM = 3;
/** Whoever asks first takes orphans: the others need not ask in the same moment. */
const ORPHANS_WITHIN_MS = 50;

export class TaskKeeper {
  readonly #store: SharedTaskStore;
  readonly #tasks: KeptTasks;
  readonly #log: Pick<Log, 'error' | 'warn'>;
  readonly #timer: NodeJS.Timeout;
  /** What is under way, for the end. */
  readonly #busy = new Set<Promise<void>>();
  #ticking = false;
  #closed = false;

  constructor(store: SharedTaskStore, tasks: KeptTasks, log: Pick<Log, 'error' | 'warn'>) {
    this.#store = store;
    this.#tasks = tasks;
    this.#log = log;
    this.#timer = setInterval(() => this.#do(this.#tick()), Math.max(10, store.claimMs / TICKS_PER_CLAIM));
    this.#timer.unref();
    store.onNews = (taskId) => this.#news(taskId);
  }

  /** Gives a task to whoever takes it. */
  release(taskId: string): void {
    this.#do(this.#store.release(taskId));
  }

  /** Stores a record without a job here; `stored` is called when it stands. */
  store(record: TaskRecord, stored: () => void): void {
    this.#do(
      Promise.resolve(this.#store.put(record)).then((answer) => {
        if (answer === 'stored') stored();
      }),
    );
  }

  /** What is under way ends; nothing new is begun. */
  close(): void {
    this.#closed = true;
    this.#store.onNews = null;
    clearInterval(this.#timer);
  }

  async quiet(): Promise<void> {
    await Promise.all(this.#busy);
  }

  #do(work: Promise<void>): void {
    const done: Promise<void> = work
      .catch((cause: unknown) => {
        // Told by the connection; the next tick goes on.
        if (cause instanceof RedisUnavailable) return;
        this.#log.error({ err: cause }, 'the claims of tasks could not be checked');
      })
      .finally(() => this.#busy.delete(done));
    this.#busy.add(done);
  }

  async #tick(): Promise<void> {
    if (this.#ticking) return;
    this.#ticking = true;
    try {
      const news = await this.#store.renew();
      for (const taskId of news.lost) this.#tasks.lost(taskId);
      this.#tasks.saveAgain(news.missing);
      for (const taskId of news.answered) await this.#attend(taskId);
      await this.#adoptOrphans();
    } finally {
      this.#ticking = false;
    }
  }

  async #adoptOrphans(): Promise<void> {
    if (this.#closed) return;
    for (const orphan of await this.#store.takeOrphans()) this.#tasks.adopt(orphan);
  }

  async #attend(taskId: string): Promise<void> {
    const answers = await this.#store.takeAnswers(taskId);
    if (answers === null) this.#tasks.lost(taskId);
    else if (answers.size > 0) this.#tasks.answered(taskId, answers);
  }

  #news(taskId: string): void {
    if (taskId === '') {
      setTimeout(() => this.#do(this.#adoptOrphans()), ORPHANS_WITHIN_MS * Math.random()).unref();
    } else if (this.#tasks.runs(taskId)) this.#do(this.#attend(taskId));
  }
}
