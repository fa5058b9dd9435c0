/**
 * The embedded task store: the tasks of this process, gone with it.
 *
 * Role: bounds. At most `tasksMax` records, and at most `charsMax` characters of results and questions between them.
 * When either is reached, the task that ended longest ago makes room; a task that still runs is never evicted, so a
 * store full of running tasks refuses new ones. Expired tasks go at `sweep`.
 * It has no clock and decides nothing about status.
 */
import type { PutAnswer, TaskRecord, TaskStore } from './port.ts';
import { isExpired, isTerminal } from './transitions.ts';

/** Characters of JSON kept for all tasks together. */
export const TASK_CHARS_MAX = 128 * 1024 * 1024;

export interface MemoryTaskStoreOptions {
  readonly tasksMax: number;
  /** Default `TASK_CHARS_MAX`. */
  readonly charsMax?: number;
}

interface Kept {
  record: TaskRecord;
  chars: number;
}

export class MemoryTaskStore implements TaskStore {
  readonly #tasksMax: number;
  readonly #charsMax: number;
  readonly #kept = new Map<string, Kept>();
  /** Ids of ended tasks, in the order they ended. */
  readonly #ended = new Set<string>();
  #chars = 0;

  constructor(options: MemoryTaskStoreOptions) {
    this.#tasksMax = options.tasksMax;
    this.#charsMax = options.charsMax ?? TASK_CHARS_MAX;
  }

  get size(): number {
    return this.#kept.size;
  }

  put(record: TaskRecord): PutAnswer {
    let kept = this.#kept.get(record.taskId);
    if (kept === undefined) {
      if (this.#kept.size >= this.#tasksMax && !this.#evict(record.taskId)) return 'full';
      kept = { record, chars: 0 };
      this.#kept.set(record.taskId, kept);
    }
    const chars = charsOf(record);
    this.#chars += chars - kept.chars;
    kept.record = record;
    kept.chars = chars;
    if (isTerminal(record.status)) this.#ended.add(record.taskId);
    while (this.#chars > this.#charsMax && this.#evict(record.taskId));
    return 'stored';
  }

  get(taskId: string): TaskRecord | undefined {
    return this.#kept.get(taskId)?.record;
  }

  delete(taskId: string): void {
    const kept = this.#kept.get(taskId);
    if (kept === undefined) return;
    this.#chars -= kept.chars;
    this.#kept.delete(taskId);
    this.#ended.delete(taskId);
  }

  sweep(nowMs: number): void {
    for (const [taskId, { record }] of this.#kept) {
      if (isExpired(record, nowMs)) this.delete(taskId);
    }
  }

  /** Removes the task that ended first, other than `spared`. False when every other task still runs. */
  #evict(spared: string): boolean {
    for (const taskId of this.#ended) {
      if (taskId === spared) continue;
      this.delete(taskId);
      return true;
    }
    return false;
  }
}

function charsOf(record: TaskRecord): number {
  let chars = record.resultJson.length + record.errorJson.length + record.statusMessage.length;
  for (const [key, json] of record.inputRequests) chars += key.length + json.length;
  return chars;
}
