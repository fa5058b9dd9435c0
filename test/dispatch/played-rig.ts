/**
 * The dispatcher with its board, admission and supervisor, and workers that the test plays: they come to their batches,
 * finish calls and announce them when they are told to, and time passes when it is told to.
 */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { Admission } from '../../src/admission/admission.ts';
import { ServiceTimes } from '../../src/admission/service-times.ts';
import type { CatalogueHolder, Entry } from '../../src/catalogue/entry.ts';
import { JobDispatcher } from '../../src/dispatch/dispatcher.ts';
import { Flights, WorkerLoad } from '../../src/dispatch/flights.ts';
import { Job } from '../../src/dispatch/job.ts';
import { JobBoard, RESULT_BYTES, STATE } from '../../src/dispatch/job-board.ts';
import { Losses } from '../../src/dispatch/losses.ts';
import type { Mailbox } from '../../src/dispatch/mailbox.ts';
import { Quarantine } from '../../src/dispatch/quarantine.ts';
import { Sender } from '../../src/dispatch/sender.ts';
import { Supervisor } from '../../src/dispatch/supervisor.ts';
import { RuntimeMeters } from '../../src/observe/meters.ts';
import type { Batch, ControlIn, OverflowResult, PoolWorker, WorkerPool } from '../../src/pool/port.ts';
import { REVISION_2026_07_28 } from '../../src/protocol/revisions.ts';
import { RecordingSink } from './harness.ts';

export const WORKERS = 2;
const QUEUE = 6;
export const PERMITS = 4;
/** Fewer than could be. */
const RESTING = 3;
export const REQUEST_TIMEOUT_MS = 100;
const ignore = (): void => undefined;
const quietLog = { debug: ignore, info: ignore, warn: ignore, error: ignore };

interface Handed {
  readonly worker: PoolWorker;
  readonly batch: Batch;
  /** Positions in the batch that the worker has claimed and not finished. */
  readonly running: Set<number>;
  /** Results too large for their slots. */
  readonly large: OverflowResult[];
  resolve(results: readonly OverflowResult[] | null): void;
  reject(error: Error): void;
}

/** Threads played by the test: batches wait until the test runs, ends or loses them. */
class PlayedPool implements WorkerPool {
  readonly size = WORKERS;
  handed: Handed[] = [];
  killed: PoolWorker[] = [];

  run(worker: PoolWorker, batch: Batch): Promise<readonly OverflowResult[] | null> {
    return new Promise((resolve, reject) =>
      this.handed.push({ worker, batch, running: new Set(), large: [], resolve, reject }),
    );
  }

  /** The worker has gone through its mailbox, and says so. */
  looked: (worker: PoolWorker, overflow: readonly OverflowResult[] | null) => void = () => undefined;

  /** Nobody listens, the test itself plays the tools; but a worker that is sent for comes. */
  post(worker: PoolWorker, message: ControlIn): void {
    if (message.type !== 'look') return;
    const batch: Batch = { worker: worker.index, slots: [], sequences: [], manifest: null, overflow: null };
    const resolve = (overflow: readonly OverflowResult[] | null): void => this.looked(worker, overflow);
    this.handed.push({ worker, batch, running: new Set(), large: [], resolve, reject: () => undefined });
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

function entryOf(key: number, repeatable: boolean, concurrency: number, run: 'pool' | 'isolated' = 'pool'): Entry {
  const definition = { kind: 'tool', name: `t${key}`, handler: () => '' } as const;
  return {
    key,
    kind: 'tool',
    name: `t${key}`,
    run,
    module: null,
    definition,
    concurrency,
    timeoutMs: 0,
    callerRuns: false,
    repeatable,
    cacheTtlMs: 0,
    cacheScope: 'private',
    paramHeaders: [],
    task: 'never',
  };
}

const ENTRIES = [
  entryOf(1, true, Number.POSITIVE_INFINITY),
  entryOf(2, false, 1),
  entryOf(3, false, Number.POSITIVE_INFINITY),
  entryOf(4, true, Number.POSITIVE_INFINITY, 'isolated'),
];

const answerOf = (id: number): string => `{"jsonrpc":"2.0","id":${id},"result":{}}`;

/** Its client has not answered yet. */
class AskedSink extends RecordingSink {
  override asked(): void {
    assert.equal(this.endings, 0);
  }
}

export class PlayedRig {
  readonly #known: boolean;
  nowMs = 0;
  /** Times that work was handed out, as far as there is any: each look of the supervisor is followed by one. */
  looks = 0;
  /** That the process has for itself. */
  cores = 1;
  /** Of the whole process; above 1000 the supervisor looks for a worker to end. */
  residentBytes = 0;
  nextThread = 1;
  readonly pool = new PlayedPool();
  readonly board = JobBoard.create(WORKERS + 1, QUEUE + PERMITS + RESTING + 8);
  readonly flights = new Flights(this.board);
  readonly times = new ServiceTimes();
  readonly admission = new Admission<Job>(
    { queueSize: QUEUE, maxConcurrent: PERMITS, overload: 'reject', callerRunsBudgetMs: 0, callerRunsShare: 0 },
    this.times,
  );
  readonly losses: Losses;
  readonly dispatcher: JobDispatcher;
  readonly supervisor: Supervisor;
  /** Announcements on their way. */
  late: (() => void)[] = [];
  readonly jobs: { job: Job; sink: RecordingSink; cancelled: boolean }[] = [];
  /** What each worker has claimed from its mailbox and not finished. */
  posted: ({ slot: number; sequence: number } | null)[] = [];
  /** The board as each worker's thread sees it. */
  readonly sides: JobBoard[] = [];
  /** Started and left pending when their batch was answered. */
  pending: { worker: PoolWorker; slot: number; sequence: number; id: number }[] = [];

  /** `known`: calls are known to be cheap, and go into mailboxes from the first on. */
  constructor(known = false) {
    this.#known = known;
    if (known) for (const { key } of ENTRIES) for (let i = 0; i < 3; i++) this.times.observe(key, 10);
    const now = (): number => this.nowMs;
    const meters = new RuntimeMeters();
    const { admission, flights, pool, times } = this;
    const quarantine = new Quarantine(1000, 1000);
    const catalogue = { current: { epoch: 1, manifest: { epoch: 1, entries: [] } } } as unknown as CatalogueHolder;
    this.losses = new Losses({
      admission,
      times,
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
      batching: true,
      batchDone: (load, slots, sequences, overflow) => this.dispatcher.batchDone(load, slots, sequences, overflow),
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
      full: () => undefined,
      stray: () => undefined,
      inlineMax: 0,
      restingMax: RESTING,
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
      pumped: () => {
        this.looks += 1;
      },
    });
    this.supervisor = new Supervisor(
      {
        admission,
        dispatcher: this.dispatcher,
        flights,
        losses: this.losses,
        heaps: null,
        now,
        cpuMs: () => this.nowMs * this.cores,
        residentBytes: () => this.residentBytes,
      },
      { killGraceMs: 50, residentBytesMax: 1000, callerIndex: WORKERS },
    );
    pool.looked = (worker, overflow) => {
      const load = this.flights.loads[worker.index];
      if (load?.worker === worker) this.dispatcher.control(load, { type: 'looked', overflow });
    };
    for (let index = 0; index < WORKERS; index++) this.up(index);
  }

  up(index: number): void {
    this.board.resetWorker(index);
    this.sides[index] = new JobBoard(this.board.shared, this.board.workers, this.board.slots);
    this.posted[index] = null;
    const load = new WorkerLoad({ index, threadId: this.nextThread++ }, this.nowMs);
    if (this.#known) {
      load.epoch = 1;
      load.epochHeard = 1;
    }
    this.flights.loads[index] = load;
    this.dispatcher.pump();
  }

  submit(entry: number, share: string, timeoutMs: number): void {
    const sink = new AskedSink();
    const job = new Job(ENTRIES[entry] as Entry, REVISION_2026_07_28, 0, share, null, sink, timeoutMs);
    const id = this.jobs.push({ job, sink, cancelled: false }) - 1;
    this.dispatcher.submit(job, Buffer.from(String(id)));
    assert.ok(this.admission.waiting <= QUEUE, 'more jobs wait than may');
    assert.ok(this.admission.inFlight <= PERMITS, 'more permits are out than there are');
    this.dispatcher.pump();
  }

  /** One slot of one batch starts; `finish` also ends it. */
  start(pick: number, finish: boolean): void {
    const handed = this.pool.handed[pick % Math.max(1, this.pool.handed.length)];
    if (handed === undefined) return;
    const { sequences, slots } = handed.batch;
    const at = slots.findIndex((slot, i) => this.board.claim(slot, sequences[i] as number));
    if (at === -1) {
      this.startPosted(handed);
      if (finish) this.endPosted(handed, false);
      return;
    }
    this.board.markStarted(slots[at] as number, 1);
    handed.running.add(at);
    if (finish) this.finish(handed, at);
  }

  /** A call that runs asks its client. */
  ask(pick: number): void {
    const running = this.jobs.filter(({ job }) => job.slot !== -1 && this.board.state(job.slot) === STATE.RUNNING);
    const { job } = running[pick % Math.max(1, running.length)] ?? {};
    if (job === undefined) return;
    const { sequence, slot, worker } = job;
    const question = { askId: 1, method: 'roots/list', paramsJson: '{}', key: 'roots' };
    this.dispatcher.control(this.flights.loads[worker] ?? null, { type: 'ask', slot, sequence, ...question });
    assert.ok(this.jobs.filter((each) => each.job.waits === 'resting').length <= RESTING);
  }

  mailboxOf({ worker }: Handed): Mailbox {
    return (this.sides[worker.index] as JobBoard).mailbox(worker.index);
  }

  /** The worker takes the next entry of its mailbox that it can win, unless it has one. */
  startPosted(handed: Handed): boolean {
    const { index } = handed.worker;
    const mailbox = this.mailboxOf(handed);
    mailbox.wake();
    while (this.posted[index] === null && !mailbox.isEmpty()) {
      const slot = mailbox.slotNext();
      const sequence = mailbox.sequenceNext();
      if (this.board.claim(slot, sequence)) {
        this.board.markStarted(slot, 1);
        this.posted[index] = { slot, sequence };
      } else mailbox.take();
    }
    return this.posted[index] !== null;
  }

  /** The synchronous part of what it took is over; the call ends with it, or stays pending. */
  endPosted(handed: Handed, pending: boolean): void {
    const { worker } = handed;
    const posted = this.posted[worker.index];
    if (posted === null || posted === undefined) return;
    const { sequence, slot } = posted;
    const id = this.idIn(slot);
    if (pending) this.pending.push({ worker, slot, sequence, id });
    else {
      if (id % 3 === 0) handed.large.push({ slot, sequence, bytes: Buffer.from(answerOf(id)) });
      this.write(slot, id);
    }
    this.posted[worker.index] = null;
    this.mailboxOf(handed).take();
  }

  /** All that is in the mailbox; or a call that stays pending, after which the worker's time is over. */
  emptyMailbox(handed: Handed, leave: boolean): void {
    if (leave) {
      if (this.startPosted(handed)) this.endPosted(handed, true);
      this.mailboxOf(handed).leave();
      return;
    }
    while (this.startPosted(handed)) this.endPosted(handed, false);
    assert.ok(this.mailboxOf(handed).sleep(), 'nobody was sent for');
  }

  finish(handed: Handed, at: number): void {
    const slot = handed.batch.slots[at] as number;
    const sequence = handed.batch.sequences[at] as number;
    handed.running.delete(at);
    const id = this.idIn(slot);
    // Every third result does not fit its slot.
    if (id % 3 === 0) handed.large.push({ slot, sequence, bytes: Buffer.from(answerOf(id)) });
    this.write(slot, id);
  }

  idIn(slot: number): number {
    const at = this.board.requestAt(slot);
    return Number(this.board.bytes.utf8Slice(at, at + this.board.bodyBytes(slot)));
  }

  write(slot: number, id: number): void {
    const text = answerOf(id);
    assert.ok(text.length < RESULT_BYTES);
    this.board.spent(slot, 10, 10);
    if (id % 3 !== 0) this.board.bytes.write(text, this.board.resultAt(slot));
    this.board.finish(slot, 200, 0, id % 3 === 0 ? -1 : text.length);
  }

  /** The batch is answered; what of it still runs ends now, or stays pending. */
  endBatch(pick: number, leave: boolean): void {
    const [handed] = this.pool.handed.splice(pick % Math.max(1, this.pool.handed.length), 1);
    if (handed === undefined) return;
    const { sequences, slots } = handed.batch;
    for (let i = 0; i < slots.length; i++) {
      if (!this.board.claim(slots[i] as number, sequences[i] as number)) continue;
      this.board.markStarted(slots[i] as number, 1);
      handed.running.add(i);
    }
    for (const i of [...handed.running]) {
      const slot = slots[i] as number;
      if (leave)
        this.pending.push({ worker: handed.worker, slot, sequence: sequences[i] as number, id: this.idIn(slot) });
      else this.finish(handed, i);
    }
    this.emptyMailbox(handed, leave);
    handed.resolve(handed.large.length === 0 ? null : handed.large);
  }

  /** A pending call settles; its announcement may come later than the state it speaks of. */
  settlePending(pick: number, announce: boolean): void {
    const [settled] = this.pending.splice(pick % Math.max(1, this.pending.length), 1);
    if (settled === undefined) return;
    const { id, sequence, slot, worker } = settled;
    this.write(slot, id);
    if (!announce) this.dispatcher.pump();
    const load = this.flights.loads[worker.index];
    const overflow = id % 3 === 0 ? [{ slot, sequence, bytes: Buffer.from(answerOf(id)) }] : [];
    const message = { type: 'done', slots: [slot], sequences: [sequence], overflow } as const;
    const tell = (): void => {
      if (load !== null && load !== undefined && this.flights.loads[worker.index] === load)
        this.dispatcher.control(load, message);
    };
    if (announce) tell();
    else this.late.push(tell);
  }

  lose(index: number): void {
    const load = this.flights.loads[index];
    if (load === null || load === undefined) return;
    const gone = this.pool.handed.filter((handed) => handed.worker === load.worker);
    this.pool.handed = this.pool.handed.filter((handed) => handed.worker !== load.worker);
    for (const handed of gone) handed.reject(new Error('gone'));
    this.pending = this.pending.filter((one) => one.worker !== load.worker);
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
      while (this.pool.handed.length > 0) this.endBatch(0, false);
      while (this.pending.length > 0) this.settlePending(0, true);
      for (const tell of this.late.splice(0)) tell();
      // What was announced is looked into after the turn.
      await new Promise((resolve) => setImmediate(resolve));
      this.dispatcher.pump();
      this.tick(1);
    }
  }
}
