/** A task manager with a fake dispatcher, clock and bus that record what they are told. */
import type { Entry } from '../../src/catalogue/entry.ts';
import { type Ask, Job, type JobSink, type TaskWish } from '../../src/dispatch/job.ts';
import type { Fault } from '../../src/protocol/faults.ts';
import { REVISION_2026_07_28 } from '../../src/protocol/revisions.ts';
import type { Change } from '../../src/subscriptions/port.ts';
import { TaskManager } from '../../src/tasks/manager.ts';
import { MemoryTaskStore } from '../../src/tasks/memory-store.ts';
import type { TaskStore } from '../../src/tasks/port.ts';

export type TaskView = {
  resultType?: string;
  taskId: string;
  status: string;
  statusMessage?: string;
  createdAt: string;
  lastUpdatedAt: string;
  ttlMs: number | null;
  pollIntervalMs: number;
  inputRequests?: Record<string, { method: string; params: unknown }>;
  result?: Record<string, unknown>;
  error?: { code: number; message: string; data?: unknown };
};

export type Answered = { job: Job; askId: number; resultJson: string | null; error: { code: number } | null };

const nobody: JobSink = {
  completed: () => undefined,
  refused: () => undefined,
  emitted: () => undefined,
  asked: () => undefined,
  becameTask: () => undefined,
  releasedConnection: () => undefined,
};

export const newJob = (): Job =>
  new Job({ key: 1, kind: 'tool', name: 'slow' } as Entry, REVISION_2026_07_28, 0, 'ann', null, nobody, 1_000);

export const WISH: TaskWish = { ttlMs: 60_000, pollIntervalMs: 250 };

export class FakeEngine {
  nowMs = Date.UTC(2026, 10, 21);
  readonly answered: Answered[] = [];
  readonly cancelled: Job[] = [];
  readonly started: { taskId: string; deadlineMs: number }[] = [];
  readonly told: TaskView[] = [];
  readonly logged: object[] = [];
  readonly tasks: TaskManager;
  #ids = 0;

  constructor(options: { store?: TaskStore; tasksMax?: number; metaJson?: string } = {}) {
    this.tasks = new TaskManager({
      store: options.store ?? new MemoryTaskStore({ tasksMax: options.tasksMax ?? 16 }),
      bus: { publish: (change) => this.#published(change), subscribe: () => () => undefined },
      catalogue: { current: { tool: () => undefined } as never, onChange: () => () => undefined },
      dispatcher: () => ({
        submit: () => undefined,
        answer: (job, askId, resultJson, error) => this.answered.push({ job, askId, resultJson, error }),
        cancel: (job) => this.cancelled.push(job),
        taskStarted: (_job, taskId, deadlineMs) => this.started.push({ taskId, deadlineMs }),
      }),
      settings: { max: 16, ttlMsMax: 3_600_000, pollIntervalMs: 1_000, deadlineMs: 5_000 },
      log: {
        error: (fields) => this.logged.push(fields),
        warn: (fields) => this.logged.push(fields),
        info: () => undefined,
      },
      metaJson: options.metaJson ?? '',
      now: () => this.nowMs,
      monotonicMs: () => this.nowMs,
      randomId: () => {
        this.#ids += 1;
        return `task-${this.#ids}`;
      },
    });
  }

  /** A task of `ann`, with the means to drive its job. */
  async start(principalId: string | null = 'ann', wish: TaskWish = WISH) {
    const job = newJob();
    const created = await this.tasks.create(job, principalId, wish, null);
    if ('message' in created) throw new Error(`refused: ${created.message}`);
    const { taskId, sink } = created;
    const respond = (response: object) =>
      sink.completed(job, 200, Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, ...response })));
    const ask = (askId: number, key: string) => {
      const question: Ask = { askId, key, method: 'elicitation/create', paramsJson: `{"message":"q${askId}"}` };
      sink.asked(job, question);
    };
    return { job, taskId, sink, respond, ask, created: JSON.parse(created.resultJson) as TaskView };
  }

  async view(taskId: string, principalId: string | null = 'ann'): Promise<TaskView> {
    return JSON.parse(textOf(await this.tasks.get(taskId, principalId))) as TaskView;
  }

  #published(change: Change): void {
    if (change.kind === 'task') this.told.push(JSON.parse(change.taskJson) as TaskView);
  }
}

export function textOf(answer: string | Fault): string {
  if (typeof answer === 'string') return answer;
  throw new Error(`refused: ${answer.message}`);
}
