/**
 * A task whose job runs on this node: the job, its record, and the questions it has asked.
 *
 * Role: keeps the pairing of question keys with the job's ask ids, and the rule that a key is never used twice in the
 * life of a task, whatever the tool calls its questions. Status and storage are the manager's.
 */
import type { Ask, Job } from '../dispatch/job.ts';
import { isJsonObject } from '../protocol/message-shape.ts';
import type { TaskRecord } from './port.ts';

/** Questions one task may ask in its life: its keys are remembered that long. */
export const ASKS_PER_TASK_MAX = 1024;

export class RunningTask {
  readonly job: Job;
  readonly record: TaskRecord;
  /** The store holds what another node needs to run it. */
  readonly canRunAgain: boolean;
  /** Open questions: key on the wire → ask id of the job. */
  readonly #open = new Map<string, number>();
  readonly #usedKeys = new Set<string>();
  /** The last write, while it is under way: writes of one task must not overtake each other. */
  writing: Promise<void> | null = null;
  /** The store has not taken the last change: it is away. */
  unsaved = false;

  constructor(job: Job, record: TaskRecord, canRunAgain: boolean) {
    this.job = job;
    this.record = record;
    this.canRunAgain = canRunAgain;
  }

  /** Publishes the question under a key of its own. False when the task has asked too often. */
  open(ask: Ask): boolean {
    if (this.#usedKeys.size >= ASKS_PER_TASK_MAX) return false;
    const wanted = ask.key === '' ? 'input' : ask.key;
    let key = wanted;
    for (let n = 2; this.#usedKeys.has(key); n += 1) key = `${wanted}-${n}`;
    this.#usedKeys.add(key);
    this.#open.set(key, ask.askId);
    this.record.inputRequests.set(key, `{"method":${JSON.stringify(ask.method)},"params":${ask.paramsJson}}`);
    return true;
  }

  /**
   * Closes the open questions that `responses` answers and returns their ask ids with the answers as JSON. Keys that
   * were never issued or are answered already are ignored; so is an answer that is no object: the question stays open.
   */
  close(responses: Record<string, unknown>): { readonly askId: number; readonly resultJson: string }[] {
    const answers: { askId: number; resultJson: string }[] = [];
    for (const [key, askId] of this.#open) {
      const response = Object.hasOwn(responses, key) ? responses[key] : undefined;
      if (!isJsonObject(response)) continue;
      this.#open.delete(key);
      this.record.inputRequests.delete(key);
      answers.push({ askId, resultJson: JSON.stringify(response) });
    }
    return answers;
  }

  get waiting(): boolean {
    return this.#open.size > 0;
  }
}
