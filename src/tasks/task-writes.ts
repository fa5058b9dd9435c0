/**
 * Stores the tasks of this node, one write after the other for each, and publishes what was stored.
 *
 * Role: the way from a record to the store and the bus. A store that answers at once leaves no promise behind. What
 * cannot be stored is marked, and is written again when the keeper says so.
 */
import type { Log } from '../observe/port.ts';
import type { Bus, Change } from '../subscriptions/port.ts';
import type { PutAnswer, TaskRecord, TaskStore } from './port.ts';
import type { RunningTask } from './running-task.ts';
import { detailedTaskJson } from './task-json.ts';

export interface TaskWritesOptions {
  readonly store: TaskStore;
  readonly bus: Bus;
  readonly log: Pick<Log, 'error'>;
  /** Told before the change is published. False: the task is not this node's any more, and nothing is published. */
  readonly written: (task: RunningTask, answer: PutAnswer) => boolean;
}

export class TaskWrites {
  readonly #options: TaskWritesOptions;

  constructor(options: TaskWritesOptions) {
    this.#options = options;
  }

  save(task: RunningTask): void {
    const { store } = this.#options;
    const change = changeOf(task.record);
    if (task.writing !== null) {
      this.#follow(
        task,
        task.writing.then(() => store.put(task.record)),
        change,
      );
      return;
    }
    const stored = store.put(task.record);
    if (stored instanceof Promise) this.#follow(task, stored, change);
    else this.#stored(task, stored, change);
  }

  publish(record: TaskRecord): void {
    this.#options.bus.publish(changeOf(record));
  }

  #follow(task: RunningTask, stored: Promise<PutAnswer>, change: Change): void {
    const { taskId } = task.record;
    const writing: Promise<void> = stored
      .then(
        (answer) => this.#stored(task, answer, change),
        (cause: unknown) => {
          task.unsaved = true;
          this.#options.log.error({ err: cause, taskId }, 'a task could not be stored');
        },
      )
      .finally(() => {
        if (task.writing === writing) task.writing = null;
      });
    task.writing = writing;
  }

  #stored(task: RunningTask, answer: PutAnswer, change: Change): void {
    task.unsaved = false;
    if (this.#options.written(task, answer)) this.#options.bus.publish(change);
  }
}

function changeOf(record: TaskRecord): Change {
  return { kind: 'task', taskId: record.taskId, taskJson: detailedTaskJson(record) };
}
