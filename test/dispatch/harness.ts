/**
 * An engine with real worker threads over the hostile tools, and sinks that record what a job was told.
 */
import { Buffer } from 'node:buffer';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCatalogue, type MutableCatalogue } from '../../src/catalogue/compile.ts';
import type { Definition } from '../../src/catalogue/define.ts';
import type { SourcedDefinition } from '../../src/catalogue/entries.ts';
import { compileSettings } from '../../src/config/compile.ts';
import type { Settings } from '../../src/config/settings.ts';
import { type Ask, JOB_FLAG, Job, type JobExtras, type JobSink, type TaskWish } from '../../src/dispatch/job.ts';
import { STATE } from '../../src/dispatch/job-board.ts';
import { createLog } from '../../src/observe/log.ts';
import { RuntimeMeters } from '../../src/observe/meters.ts';
import type { Fault } from '../../src/protocol/faults.ts';
import { REVISION_2026_07_28, type Revision } from '../../src/protocol/revisions.ts';
import { SharedSecret } from '../../src/protocol/shared-secret.ts';
import { createEngine, type Engine } from '../../src/runtime/engine.ts';
import { MemoryBus } from '../../src/subscriptions/memory-bus.ts';
import * as greedy from './fixtures/greedy-tools.ts';
import * as hostile from './fixtures/hostile-tools.ts';
import * as sly from './fixtures/sly-tools.ts';
import * as stray from './fixtures/stray-tools.ts';

const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';

/** The definitions a fixture exports; another `version` is another module to whoever imports it. */
export function sourced(file: string, exports: object, version = ''): SourcedDefinition[] {
  const { href } = new URL(`./fixtures/${file}.${extension}${version}`, import.meta.url);
  const definitions = Object.entries(exports) as [string, Definition][];
  return definitions.map(([exportName, definition]) => ({
    definition,
    module: { url: href, exportName, form: 'definition' },
  }));
}

export interface Ended {
  readonly how: 'completed' | 'refused';
  readonly status: number;
  readonly fault: Fault | null;
  readonly message: {
    id?: unknown;
    result?: Record<string, unknown>;
    error?: { code: number; message: string; data?: unknown };
  };
}

export class RecordingSink implements JobSink {
  readonly ended: Promise<Ended>;
  readonly emitted_: string[] = [];
  endings = 0;
  #resolve!: (ended: Ended) => void;

  constructor() {
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  completed(_job: Job, status: number, bytes: Uint8Array): void {
    this.endings += 1;
    this.#resolve({ how: 'completed', status, fault: null, message: JSON.parse(Buffer.from(bytes).toString('utf8')) });
  }

  refused(_job: Job, fault: Fault): void {
    this.endings += 1;
    this.#resolve({ how: 'refused', status: 0, fault, message: {} });
  }

  emitted(_job: Job, bytes: Uint8Array): void {
    this.emitted_.push(Buffer.from(bytes).toString('utf8'));
  }

  asked(_job: Job, _ask: Ask): void {
    throw new Error('no question was expected');
  }

  becameTask(_job: Job, _wish: TaskWish): void {
    throw new Error('no task was expected');
  }

  releasedConnection(_job: Job, _retryMs: number): void {
    throw new Error('no release was expected');
  }
}

export interface Rig {
  readonly engine: Engine;
  readonly catalogue: MutableCatalogue;
  readonly log: string[];
  /** Resolves when a log line with this text has been written. */
  logged(text: string): Promise<void>;
  /** The same, of lines after the first `from`. */
  loggedSince(from: number, text: string): Promise<void>;
  /** Resolves when the sink has heard so many notifications. */
  heard(sink: RecordingSink, count: number): Promise<void>;
  /** Resolves when a worker runs the job, or it has ended. */
  started(job: Job): Promise<void>;
  /** Calls a tool that does not stop until one of its calls runs: on a busy machine others are too late to start. */
  running(tool: string, args?: object, options?: CallOptions): Promise<Called>;
  /** The same; resolves with the ending of the one that ran. */
  overrun(tool: string, args?: object, options?: CallOptions): Promise<Ended>;
  /** Calls a tool that does not stop until a worker was ended for it: on a busy machine some do not come to their loop. */
  loseWorker(tool: string, options?: CallOptions): Promise<Ended>;
  /** Calls a tool that makes this file when it runs, until it is there. */
  begun(tool: string, path: string, options?: CallOptions): Promise<Called>;
  /** Resolves when no client waits for an answer. */
  settledDown(): Promise<void>;
  /** Resolves when the supervisor has found that a worker stands. */
  standing(): Promise<void>;
  readonly meters: RuntimeMeters;
  call(tool: string, args?: object, options?: CallOptions): Called;
  close(): Promise<void>;
}

export interface Called {
  readonly job: Job;
  readonly sink: RecordingSink;
  readonly ended: Promise<Ended>;
}

export interface CallOptions {
  readonly timeoutMs?: number;
  readonly share?: string;
  readonly meta?: object;
  readonly revision?: Revision;
  readonly extras?: JobExtras;
  readonly sink?: RecordingSink;
}

const VERSION = 'io.modelcontextprotocol/protocolVersion';
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';

export function bodyOf(tool: string, args: object, id: number, meta: object = {}): Buffer {
  const _meta = { [VERSION]: '2026-07-28', [CAPABILITIES]: {}, ...meta };
  return Buffer.from(
    JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: tool, arguments: args, _meta } }),
  );
}

/** No call is late on a busy machine unless its test says when it is. */
const TIMEOUT_MS = 60_000;

export async function startRig(raw: Parameters<typeof compileSettings>[0] = {}): Promise<Rig> {
  const settings: Settings = compileSettings({ workers: 2, killGraceMs: 100, requestTimeoutMs: TIMEOUT_MS, ...raw });
  const log: string[] = [];
  const logger = createLog(
    'debug',
    {},
    {
      write: (line) => log.push(line),
    },
  );
  const meters = new RuntimeMeters();
  const catalogue = createCatalogue({
    pageSize: 100,
    server: settings.server,
    listTtlMs: 0,
    listCacheScope: 'private',
    capabilities: { logging: true, tasks: true, listChanged: true, resourceSubscribe: true } as never,
    secret: SharedSecret.of('test'),
  });
  catalogue.replace([
    ...sourced('greedy-tools', greedy),
    ...sourced('hostile-tools', hostile),
    ...sourced('sly-tools', sly),
    ...sourced('stray-tools', stray),
  ]);
  const bus = new MemoryBus({ log: logger });
  const engine = createEngine({
    settings,
    catalogue,
    bus,
    log: logger,
    meters,
    now: () => performance.now(),
    stateSecret: SharedSecret.of('secret'),
  });
  await engine.ready;
  let nextId = 1;
  const rig: Rig = {
    engine,
    catalogue,
    log,
    meters,
    logged: (text) => until(() => log.some((line) => line.includes(text))),
    loggedSince: (from, text) => until(() => log.slice(from).some((line) => line.includes(text))),
    settledDown: () => engine.dispatcher.idle(),
    heard: (sink, count) => until(() => sink.emitted_.length >= count),
    started: (job) => {
      const { slot } = job;
      return until(() => job.slot !== slot || engine.flights.board.state(slot) === STATE.RUNNING);
    },
    async running(tool, args, options) {
      for (;;) {
        const called = rig.call(tool, args, options);
        await rig.started(called.job);
        if (called.sink.endings === 0) return called;
      }
    },
    async overrun(tool, args, options) {
      for (;;) {
        const ended = await rig.call(tool, args, options).ended;
        if (!NEVER_STARTED.test(ended.fault?.message ?? ended.message.error?.message ?? '')) return ended;
      }
    },
    async loseWorker(tool, options) {
      for (;;) {
        const from = log.length;
        const { ended, job } = rig.call(tool, {}, options);
        const ending = await ended;
        await until(() => job.slot === -1);
        if (log.slice(from).some((line) => line.includes('worker lost'))) return ending;
      }
    },
    async begun(tool, path, options) {
      const called = rig.call(tool, { path }, options);
      await until(() => existsSync(path) || called.sink.endings > 0);
      return called;
    },
    standing: () => until(() => engine.flights.loads.some((load) => load?.stuck === true)),
    call(tool, args = {}, options = {}) {
      const entry = catalogue.current.tool(tool);
      if (entry === undefined) throw new Error(`no tool ${tool}`);
      const sink = options.sink ?? new RecordingSink();
      const timeoutMs = options.timeoutMs ?? (entry.timeoutMs === 0 ? settings.requestTimeoutMs : entry.timeoutMs);
      const flags = JOB_FLAG.CAN_STREAM;
      const revision = options.revision ?? REVISION_2026_07_28;
      const share = options.share ?? 'one';
      const job = new Job(entry, revision, flags, share, options.extras ?? null, sink, timeoutMs);
      engine.dispatcher.submit(job, bodyOf(tool, args, nextId++, options.meta));
      return { job, sink, ended: sink.ended };
    },
    close: () => engine.close(),
  };
  return rig;
}

/** In the queue, or while its worker loaded the module. */
const NEVER_STARTED = /before (it|the call) could start$/;

/** Gives up after a time no machine needs. */
const PATIENCE_MS = 120_000;
/** Threads that are waited for need the core more than whoever waits. */
const LOOK_MS = 2;

export async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`it did not come to be within ${PATIENCE_MS} ms: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** The work is done with a path nobody else uses. */
export async function withPath(work: (path: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-'));
  try {
    await work(join(folder, 'begun'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export function textOf(ended: Ended): string {
  const content = ended.message.result?.['content'] as { text: string }[] | undefined;
  return content?.[0]?.text ?? JSON.stringify(ended.message.error ?? ended.fault);
}
