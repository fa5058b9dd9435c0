/**
 * A runner over a board of its own, on the test's thread: what one call leaves on the board and says over its port.
 */
import { Buffer } from 'node:buffer';
import type { Definition } from '../../src/catalogue/define.ts';
import { foldedAfter, foldedNow } from '../../src/dispatch/folded-time.ts';
import { JOB_FLAG, type JobExtras } from '../../src/dispatch/job.ts';
import { JobBoard, OUTCOMES, STATE } from '../../src/dispatch/job-board.ts';
import { RequestStateCodec } from '../../src/protocol/request-state.ts';
import { REVISION_2026_07_28, type Revision } from '../../src/protocol/revisions.ts';
import { SharedSecret } from '../../src/protocol/shared-secret.ts';
import { ResultEncoder } from '../../workers/encode-result.ts';
import { type LoadedEntry, loadEntry } from '../../workers/load-entry.ts';
import type { RunnerPort } from '../../workers/port.ts';
import { JobRunner, RAN } from '../../workers/runner.ts';

const VERSION = 'io.modelcontextprotocol/protocolVersion';
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';

export interface Said {
  readonly what: keyof RunnerPort;
  readonly values: readonly unknown[];
}

export interface Answer {
  readonly outcome: string;
  readonly status: number;
  readonly message: {
    id?: unknown;
    result?: Record<string, unknown>;
    error?: { code: number; message: string; data?: unknown };
  };
  readonly blockingUs: number;
  readonly wallUs: number;
}

export interface CallOptions {
  readonly args?: object;
  readonly params?: object;
  readonly capabilities?: object;
  readonly meta?: object;
  readonly revision?: Revision;
  readonly extras?: JobExtras;
  /** From now; negative: it has passed. */
  readonly deadlineMs?: number;
  /** Runs between the claim of the slot and anything else that happens to it. */
  readonly beforeRun?: () => void;
}

export class RunnerRig {
  readonly board = JobBoard.create(1, 4);
  readonly said: Said[] = [];
  /** Hears what is said while it is said, as the front-end thread's own port does. */
  onSaid: (what: keyof RunnerPort, values: readonly unknown[]) => void = () => undefined;
  readonly runner: JobRunner;
  /** What `find` answers until it is resolved by the test, if set. */
  loading: Promise<LoadedEntry | Error> | null = null;
  readonly #entries: LoadedEntry[];
  #settled: (() => void) | null = null;
  #sequence = 0;

  constructor(definitions: readonly Definition[]) {
    this.#entries = definitions.map((definition, key) => {
      const { kind, name } = definition;
      return loadEntry({ key, kind, name, paramHeaders: [] }, definition);
    });
    this.runner = new JobRunner({
      board: this.board,
      worker: 0,
      port: this.#port(),
      host: { find: (key) => this.loading ?? (this.#entries[key] as LoadedEntry) },
      encoder: new ResultEncoder({ name: 'test', version: '1' }),
      codec: new RequestStateCodec(SharedSecret.of('secret')),
      resultBytesMax: 100_000,
      jsonDepthMax: 64,
    });
  }

  #port(): RunnerPort {
    const note =
      (what: keyof RunnerPort) =>
      (...values: unknown[]): void => {
        this.said.push({ what, values });
        this.onSaid(what, values);
        if (what === 'settled') this.#settled?.();
      };
    const names = ['emit', 'ask', 'task', 'release', 'publish', 'forget', 'log', 'stray', 'settled'] as const;
    return Object.fromEntries(names.map((name) => [name, note(name)])) as unknown as RunnerPort;
  }

  heard(what: keyof RunnerPort): (readonly unknown[])[] {
    return this.said.filter((one) => one.what === what).map((one) => one.values);
  }

  entry(name: string): LoadedEntry {
    const entry = this.#entries.find((candidate) => candidate.name === name);
    if (entry === undefined) throw new Error(`no tool ${name}`);
    return entry;
  }

  /** Starts a call in a slot of its own; resolves when its slot is DONE. */
  call(name: string, options: CallOptions = {}): { slot: number; sequence: number; done: Promise<Answer> } {
    const slot = this.#sequence % this.board.slots;
    const sequence = ++this.#sequence;
    const revision = options.revision ?? REVISION_2026_07_28;
    const _meta = { [VERSION]: '2026-07-28', [CAPABILITIES]: options.capabilities ?? {}, ...options.meta };
    const params = { name, arguments: options.args ?? {}, _meta, ...options.params };
    const { method } = this.entry(name);
    const body = JSON.stringify({ jsonrpc: '2.0', id: sequence, method, params });
    const extras = options.extras === undefined ? '' : JSON.stringify(options.extras);
    const large = this.board.writeBody(slot, Buffer.from(body), extras) ? null : Buffer.from(body);
    const deadlineAt = foldedAfter(foldedNow(), options.deadlineMs ?? 10_000);
    this.board.publish(slot, this.entry(name).key, revision.index, JOB_FLAG.CAN_STREAM, deadlineAt, sequence);
    options.beforeRun?.();
    const ran = this.runner.run(slot, sequence, large, large === null ? '' : extras);
    const settled = ran === RAN.DONE ? Promise.resolve() : this.#untilDone(slot);
    return { slot, sequence, done: settled.then(() => this.answer(slot)) };
  }

  #untilDone(slot: number): Promise<void> {
    return new Promise((resolve) => {
      const before = this.#settled;
      this.#settled = () => {
        before?.();
        if (this.board.state(slot) === STATE.DONE) resolve();
      };
    });
  }

  answer(slot: number): Answer {
    const { board } = this;
    const at = board.resultAt(slot);
    const bytes = board.resultBytes(slot);
    const large = this.runner.overflow.find((one) => one.slot === slot)?.bytes ?? this.#announced(slot);
    const text = bytes === -1 ? Buffer.from(large).toString() : board.bytes.utf8Slice(at, at + bytes);
    return {
      outcome: OUTCOMES[board.outcome(slot)] ?? '?',
      status: board.status(slot),
      message: JSON.parse(text),
      blockingUs: board.blockingUs(slot),
      wallUs: board.wallUs(slot),
    };
  }

  #announced(slot: number): Uint8Array {
    const found = this.heard('settled').findLast((values) => values[0] === slot);
    return (found?.[2] as Uint8Array | undefined) ?? new Uint8Array();
  }
}

export function textOf(answer: Answer): string {
  const content = answer.message.result?.['content'] as { text: string }[] | undefined;
  return content?.[0]?.text ?? JSON.stringify(answer.message.error);
}
