/**
 * The dispatcher under random interleavings, with workers that are played by the test: whatever is submitted, run,
 * cancelled, expired, taken back or lost, each job has exactly one ending (none if it was cancelled first), and
 * nothing stays behind.
 */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import fc from 'fast-check';
import { Admission } from '../../src/admission/admission.ts';
import { ServiceTimes } from '../../src/admission/service-times.ts';
import type { CatalogueHolder, Entry } from '../../src/catalogue/entry.ts';
import { JobDispatcher } from '../../src/dispatch/dispatcher.ts';
import { Flights, WorkerLoad } from '../../src/dispatch/flights.ts';
import { Job } from '../../src/dispatch/job.ts';
import { JobBoard, RESULT_BYTES, STATE } from '../../src/dispatch/job-board.ts';
import { Losses } from '../../src/dispatch/losses.ts';
import { Quarantine } from '../../src/dispatch/quarantine.ts';
import { Sender } from '../../src/dispatch/sender.ts';
import { Supervisor } from '../../src/dispatch/supervisor.ts';
import { RuntimeMeters } from '../../src/observe/meters.ts';
import type { Batch, OverflowResult, PoolWorker, WorkerPool } from '../../src/pool/port.ts';
import { REVISION_2026_07_28 } from '../../src/protocol/revisions.ts';
import { RecordingSink } from './harness.ts';

const WORKERS = 2;
const QUEUE = 6;
const PERMITS = 4;
const ignore = (): void => undefined;
const quietLog = { debug: ignore, info: ignore, warn: ignore, error: ignore };

interface Handed {
  readonly worker: PoolWorker;
  readonly batch: Batch;
  resolve(results: readonly OverflowResult[] | null): void;
  reject(error: Error): void;
}

/** Threads played by the test: batches wait until the test runs, ends or loses them. */
class PlayedPool implements WorkerPool {
  readonly size = WORKERS;
  handed: Handed[] = [];
  killed: PoolWorker[] = [];

  run(worker: PoolWorker, batch: Batch): Promise<readonly OverflowResult[] | null> {
    return new Promise((resolve, reject) => this.handed.push({ worker, batch, resolve, reject }));
  }

  post(): void {
    // Nobody listens: the test itself plays the tools.
  }
  catchUp(): void {
    // Nothing is ever posted.
  }
  kill(worker: PoolWorker): void {
    this.killed.push(worker);
  }
  utilization(): number {
    return 0;
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

function entryOf(key: number, repeatable: boolean, concurrency: number): Entry {
  const definition = { kind: 'tool', name: `t${key}`, handler: () => '' } as const;
  return {
    key,
    kind: 'tool',
    name: `t${key}`,
    run: 'pool',
    module: null,
    definition,
    concurrency,
    timeoutMs: 0,
    callerRuns: false,
    repeatable,
    paramHeaders: [],
    task: 'never',
  };
}

const ENTRIES = [
  entryOf(1, true, Number.POSITIVE_INFINITY),
  entryOf(2, false, 1),
  entryOf(3, false, Number.POSITIVE_INFINITY),
];

class Rig {
  nowMs = 0;
  nextThread = 1;
  readonly pool = new PlayedPool();
  readonly board = JobBoard.create(WORKERS + 1, QUEUE + PERMITS + 8);
  readonly flights = new Flights(this.board);
  readonly times = new ServiceTimes();
  readonly admission = new Admission(
    { queueSize: QUEUE, maxConcurrent: PERMITS, overload: 'reject', callerRunsBudgetMs: 0, callerRunsShare: 0 },
    this.times,
  );
  readonly losses: Losses;
  readonly dispatcher: JobDispatcher;
  readonly supervisor: Supervisor;
  readonly jobs: { job: Job; sink: RecordingSink; cancelled: boolean }[] = [];

  constructor() {
    const now = (): number => this.nowMs;
    const meters = new RuntimeMeters();
    const { admission, board, flights, pool, times } = this;
    const quarantine = new Quarantine(1000, 1000);
    const catalogue = { current: { epoch: 1, manifest: { epoch: 1, entries: [] } } } as unknown as CatalogueHolder;
    this.losses = new Losses({
      admission,
      flights,
      quarantine,
      meters,
      now,
      log: quietLog,
      dispatcher: () => this.dispatcher,
      pool: () => pool,
      entryName: String,
      wake: () => undefined,
    });
    const sender = new Sender({
      pool,
      flights,
      times,
      catalogue,
      meters,
      now,
      batchDone: (load, jobs, slots, overflow) => this.dispatcher.batchDone(load, jobs, slots, overflow),
    });
    this.dispatcher = new JobDispatcher({
      admission,
      times,
      flights,
      pool,
      sender,
      quarantine,
      meters,
      now,
      log: quietLog,
      caller: null as never,
      callerIndex: WORKERS,
      bus: null as never,
      wake: () => undefined,
      stray: () => undefined,
      inlineMax: 0,
    });
    this.supervisor = new Supervisor(
      {
        admission,
        dispatcher: this.dispatcher,
        flights,
        pool,
        losses: this.losses,
        meters,
        now,
        residentBytes: () => 0,
      },
      { killGraceMs: 50, residentBytesMax: 0, callerIndex: WORKERS },
    );
    for (let index = 0; index < WORKERS; index++) this.up(index);
    void board;
  }

  up(index: number): void {
    this.board.resetWorker(index);
    this.flights.loads[index] = new WorkerLoad({ index, threadId: this.nextThread++ }, this.nowMs);
    this.dispatcher.pump();
  }

  submit(entry: number, share: string, timeoutMs: number): void {
    const sink = new RecordingSink();
    const job = new Job(ENTRIES[entry] as Entry, REVISION_2026_07_28, 0, share, null, sink, timeoutMs);
    this.jobs.push({ job, sink, cancelled: false });
    this.dispatcher.submit(job, Buffer.from('{}'));
    assert.ok(this.admission.waiting <= QUEUE, 'more jobs wait than may');
    assert.ok(this.admission.inFlight <= PERMITS, 'more permits are out than there are');
    this.dispatcher.pump();
  }

  /** One slot of one batch starts; `finish` also ends it. */
  start(pick: number, finish: boolean): void {
    const handed = this.pool.handed[pick % Math.max(1, this.pool.handed.length)];
    if (handed === undefined) return;
    const slot = handed.batch.slots.find(
      (candidate) => this.board.state(candidate) === STATE.READY && this.mine(handed, candidate),
    );
    if (slot === undefined || !this.board.swapState(slot, STATE.READY, STATE.RUNNING)) return;
    if (finish) this.finish(slot);
  }

  mine(handed: Handed, slot: number): boolean {
    return this.flights.jobs[slot]?.worker === handed.worker.index;
  }

  finish(slot: number): void {
    const text = '{"jsonrpc":"2.0","id":1,"result":{}}';
    assert.ok(text.length < RESULT_BYTES);
    this.board.bytes.write(text, this.board.resultAt(slot));
    this.board.finish(slot, 200, 0, text.length, 10);
  }

  /** All that runs in the batch ends, and the batch with it. */
  endBatch(pick: number): void {
    const [handed] = this.pool.handed.splice(pick % Math.max(1, this.pool.handed.length), 1);
    if (handed === undefined) return;
    for (const slot of handed.batch.slots) {
      if (!this.mine(handed, slot)) continue;
      this.board.swapState(slot, STATE.READY, STATE.RUNNING);
      if (this.board.state(slot) === STATE.RUNNING) this.finish(slot);
    }
    handed.resolve(null);
  }

  lose(index: number): void {
    const load = this.flights.loads[index];
    if (load === null || load === undefined) return;
    const gone = this.pool.handed.filter((handed) => handed.worker === load.worker);
    this.pool.handed = this.pool.handed.filter((handed) => handed.worker !== load.worker);
    for (const handed of gone) handed.reject(new Error('gone'));
    this.pool.killed = this.pool.killed.filter((worker) => worker !== load.worker);
    this.losses.lost(load, 'exit', 'played');
    this.up(index);
  }

  cancel(pick: number): void {
    const chosen = this.jobs[pick % Math.max(1, this.jobs.length)];
    if (chosen === undefined || chosen.job.settled) return;
    chosen.cancelled = true;
    this.dispatcher.cancel(chosen.job, 'test');
  }

  tick(ms: number): void {
    this.nowMs += ms;
    for (const load of this.flights.loads)
      if (load !== null && load.worker.index < WORKERS) this.board.beat(load.worker.index, 0);
    this.supervisor.tick();
    this.supervisor.stop();
    for (const worker of [...this.pool.killed]) this.lose(worker.index);
  }

  async settle(): Promise<void> {
    for (let round = 0; round < 200 && this.dispatcher.active > 0; round++) {
      while (this.pool.handed.length > 0) this.endBatch(0);
      await Promise.resolve();
      await Promise.resolve();
      this.dispatcher.pump();
      this.tick(1);
    }
  }
}

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('submit' as const),
      entry: fc.nat(2),
      share: fc.constantFrom('a', 'b', 'c'),
      timeoutMs: fc.constantFrom(20, 1000),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('start' as const), pick: fc.nat(9), finish: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('end' as const), pick: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lose' as const), index: fc.nat(WORKERS - 1) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cancel' as const), pick: fc.nat(40) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('tick' as const), ms: fc.constantFrom(1, 15, 60) }) },
);

test('each job has one ending, or none when it was cancelled, and everything is given back', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const rig = new Rig();
      for (const s of steps) {
        if (s.do === 'submit') rig.submit(s.entry, s.share, s.timeoutMs);
        else if (s.do === 'start') rig.start(s.pick, s.finish);
        else if (s.do === 'end') rig.endBatch(s.pick);
        else if (s.do === 'lose') rig.lose(s.index);
        else if (s.do === 'cancel') rig.cancel(s.pick);
        else rig.tick(s.ms);
        await Promise.resolve();
        await Promise.resolve();
      }
      await rig.settle();
      for (const { sink, cancelled } of rig.jobs) assert.equal(sink.endings, cancelled ? 0 : 1);
      assert.equal(rig.dispatcher.active, 0);
      assert.equal(rig.admission.inFlight, 0);
      assert.equal(rig.admission.waiting, 0);
      for (const load of rig.flights.loads) if (load !== null) assert.equal(load.jobs, 0);
    }),
    { numRuns: 400 },
  );
});
