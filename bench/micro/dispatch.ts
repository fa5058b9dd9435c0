/**
 * What the front-end thread spends on one job between `submit` and its sink, without sockets and threads: admission,
 * board, batching, delivery. The worker is played: it finishes every slot of a batch at once.
 *
 * Run: node dist/bench/micro/dispatch.js
 */
import { Buffer } from 'node:buffer';
import { Admission } from '../../src/admission/admission.ts';
import { ServiceTimes } from '../../src/admission/service-times.ts';
import type { CatalogueHolder, Entry } from '../../src/catalogue/entry.ts';
import { JobDispatcher } from '../../src/dispatch/dispatcher.ts';
import { Flights, WorkerLoad } from '../../src/dispatch/flights.ts';
import { Job, type JobSink } from '../../src/dispatch/job.ts';
import { JobBoard } from '../../src/dispatch/job-board.ts';
import { Quarantine } from '../../src/dispatch/quarantine.ts';
import { Sender } from '../../src/dispatch/sender.ts';
import { RuntimeMeters } from '../../src/observe/meters.ts';
import type { Batch, OverflowResult, PoolWorker, WorkerPool } from '../../src/pool/port.ts';
import { REVISION_2026_07_28 } from '../../src/protocol/revisions.ts';

const JOBS_PER_TURN = 32;
const TURNS = 20_000;
const ignore = (): void => undefined;
const quiet = { debug: ignore, info: ignore, warn: ignore, error: ignore };
const body = Buffer.alloc(283, 0x20);

const entry: Entry = {
  key: 1,
  kind: 'tool',
  name: 'echo',
  run: 'pool',
  module: null,
  definition: { kind: 'tool', name: 'echo', handler: () => '' },
  concurrency: Number.POSITIVE_INFINITY,
  timeoutMs: 0,
  callerRuns: true,
  repeatable: true,
  cacheTtlMs: 0,
  cacheScope: 'private',
  paramHeaders: [],
  task: 'never',
};

class InstantPool implements WorkerPool {
  readonly size = 1;

  run(_worker: PoolWorker, batch: Batch): Promise<readonly OverflowResult[] | null> {
    for (const [i, slot] of batch.slots.entries()) this.#finish(slot, batch.sequences[i] as number);
    const mailbox = workerSide.mailbox(0);
    while (!mailbox.isEmpty()) {
      this.#finish(mailbox.slotNext(), mailbox.sequenceNext());
      mailbox.take();
    }
    mailbox.sleep();
    return Promise.resolve(null);
  }

  #finish(slot: number, sequence: number): void {
    workerSide.claim(slot, sequence);
    workerSide.spent(slot, 4, 4);
    workerSide.finish(slot, 200, 0, 180);
  }

  post = ignore;
  catchUp = ignore;
  kill = ignore;
  utilization = (): number => 0;
  close = (): Promise<void> => Promise.resolve();
}

let completed = 0;
const sink: JobSink = {
  completed: () => {
    completed += 1;
  },
  refused: ignore,
  emitted: ignore,
  asked: ignore,
  becameTask: ignore,
  releasedConnection: ignore,
};

const now = (): number => performance.now();
const times = new ServiceTimes();
const admission = new Admission<Job>(
  { queueSize: 1000, maxConcurrent: 100, overload: 'reject', callerRunsBudgetMs: 0, callerRunsShare: 0 },
  times,
);
const board = JobBoard.create(2, 1200);
const workerSide = new JobBoard(board.shared, board.workers, board.slots);
const flights = new Flights(board);
flights.loads[0] = new WorkerLoad({ index: 0, threadId: 1 }, 0);
const pool = new InstantPool();
const meters = new RuntimeMeters();
const catalogue = { current: { epoch: 1, manifest: { epoch: 1, entries: [] } } } as unknown as CatalogueHolder;
const sender = new Sender({
  pool,
  flights,
  times,
  catalogue,
  meters,
  now,
  batching: true,
  batchDone: (load, slots, sequences, overflow) => dispatcher.batchDone(load, slots, sequences, overflow),
});
const dispatcher: JobDispatcher = new JobDispatcher({
  admission,
  times,
  flights,
  pool,
  sender,
  meters,
  now,
  quarantine: new Quarantine(5, 1000),
  log: quiet,
  caller: null as never,
  callerIndex: 1,
  bus: null as never,
  wake: ignore,
  full: ignore,
  stray: ignore,
  inlineMax: 0,
  restingMax: 0,
  requestTimeoutMs: 5_000,
  pumped: () => undefined,
});

async function turns(count: number): Promise<number> {
  const begun = performance.now();
  for (let turn = 0; turn < count; turn++) {
    for (let i = 0; i < JOBS_PER_TURN; i++) {
      dispatcher.submit(new Job(entry, REVISION_2026_07_28, 1, 'share', null, sink, 5000), body);
    }
    dispatcher.pump();
    await Promise.resolve();
    await Promise.resolve();
  }
  return ((performance.now() - begun) / (count * JOBS_PER_TURN)) * 1e6;
}

await turns(2000);
for (let round = 0; round < 5; round++) process.stdout.write(`${(await turns(TURNS)).toFixed(0)} ns/job\n`);
process.stdout.write(`${completed} completed\n`);
meters.close();
