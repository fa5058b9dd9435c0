/**
 * Runs jobs on the front-end thread: `inline` entries, and caller-runs when the queue is full.
 *
 * Role: the same runner as in a worker, over the same board, with direct calls in place of messages. The thread has
 * the last worker header of the board, so that a look at the board shows what it runs. What a tool leaves behind here,
 * or a `process.exit` of its, must not end the server: see `caller-guard.ts`.
 */
import type { ResultEncoder } from '../../workers/encode-result.ts';
import { type LoadedEntry, loadEntry } from '../../workers/load-entry.ts';
import type { EntryHost, RunnerPort } from '../../workers/port.ts';
import { JobRunner, RAN } from '../../workers/runner.ts';
import type { CompleteCallback, Definition } from '../catalogue/define.ts';
import type { CatalogueHolder } from '../catalogue/entry.ts';
import type { ControlIn, ControlOut, OverflowResult } from '../pool/port.ts';
import type { RequestStateCodec } from '../protocol/request-state.ts';
import { insideCall, outsideCall, type StrayReport } from './caller-guard.ts';
import type { Job } from './job.ts';
import type { JobBoard } from './job-board.ts';

export interface CallerThreadOptions {
  readonly board: JobBoard;
  /** Last header of the board. */
  readonly worker: number;
  readonly catalogue: CatalogueHolder;
  readonly encoder: ResultEncoder;
  readonly codec: RequestStateCodec;
  readonly resultBytesMax: number;
  readonly jsonDepthMax: number;
  /** What a worker would have sent. */
  readonly control: (message: ControlOut) => void;
}

export class CallerThread {
  readonly #runner: JobRunner;
  readonly #stray: StrayReport;

  constructor(options: CallerThreadOptions) {
    const control = (message: ControlOut): void => outsideCall(() => options.control(message));
    this.#stray = (entryKey, kind, message) => control({ type: 'stray', entryKey, kind, message });
    this.#runner = new JobRunner({
      ...options,
      host: new LocalHost(options.catalogue),
      port: localPort(control),
    });
  }

  /** `done`: the job is DONE on return; `overflow`: its result, if that did not fit the slot. */
  run(job: Job): { done: boolean; overflow: OverflowResult | null } {
    const extras = job.overflow !== null && job.extras !== null ? JSON.stringify(job.extras) : '';
    const ran = insideCall(job.entry.key, this.#stray, () =>
      this.#runner.run(job.slot, job.sequence, job.overflow, extras),
    );
    const overflow = ran === RAN.DONE ? (this.#runner.overflow.pop() ?? null) : null;
    return { done: ran === RAN.DONE, overflow };
  }

  post(message: ControlIn): void {
    if (message.type === 'cancel') this.#runner.cancel(message.slot, message.sequence, message.reason);
    else if (message.type === 'task') this.#runner.taskStarted(message.slot, message.sequence, message.taskId);
    else if (message.type === 'answer')
      this.#runner.answer(message.slot, message.sequence, message.askId, message.resultJson, message.error);
  }
}

function localPort(control: (message: ControlOut) => void): RunnerPort {
  return {
    emit: (slot, sequence, message, progress) => control({ type: 'emit', slot, sequence, message, progress }),
    ask: (slot, sequence, askId, method, paramsJson, key) =>
      control({ type: 'ask', slot, sequence, askId, method, paramsJson, key }),
    task: (slot, sequence, ttlMs, pollIntervalMs) => control({ type: 'task', slot, sequence, ttlMs, pollIntervalMs }),
    release: (slot, sequence, retryMs) => control({ type: 'release', slot, sequence, retryMs }),
    publish: (change) => control({ type: 'publish', change }),
    forget: (tool) => control({ type: 'forget', tool }),
    log: (level, entry, correlationId, message) => control({ type: 'log', level, entry, correlationId, message }),
    stray: (entryKey, kind, message) => control({ type: 'stray', entryKey, kind, message }),
    settled: (slot, sequence, bytes) => {
      const overflow = bytes === null ? [] : [{ slot, sequence, bytes }];
      control({ type: 'done', slots: [slot], sequences: [sequence], overflow });
    },
  };
}

/** Entries straight from the catalogue, loaded on first use and forgotten when they leave it. */
class LocalHost implements EntryHost {
  readonly #catalogue: CatalogueHolder;
  #loaded = new Map<number, LoadedEntry | Error>();
  #epoch = -1;

  constructor(catalogue: CatalogueHolder) {
    this.#catalogue = catalogue;
  }

  find(key: number): LoadedEntry | Error {
    const { current } = this.#catalogue;
    if (this.#epoch !== current.epoch) {
      const live = new Set(current.entries.map((entry) => entry.key));
      for (const known of this.#loaded.keys()) if (!live.has(known)) this.#loaded.delete(known);
      this.#epoch = current.epoch;
    }
    return this.#loaded.get(key) ?? this.#load(key);
  }

  #load(key: number): LoadedEntry | Error {
    const entry = this.#catalogue.current.entries.find((candidate) => candidate.key === key);
    if (entry === undefined) return new Error('this tool was removed');
    const loaded = loadEntry(entry, entry.definition as Definition | CompleteCallback);
    this.#loaded.set(key, loaded);
    return loaded;
  }
}
