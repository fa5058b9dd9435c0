/**
 * The pool of threads by itself: threads that end while they start, at once after it, or again and again; batches for
 * a thread that has just come up; what a thread said last.
 */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { foldedAfter, foldedNow } from '../../src/dispatch/folded-time.ts';
import { JobBoard, STATE } from '../../src/dispatch/job-board.ts';
import { PiscinaPool } from '../../src/pool/piscina.ts';
import type { ControlOut, LossCause, PoolWorker, WorkerSetup } from '../../src/pool/port.ts';
import { REVISION_2026_07_28 } from '../../src/protocol/revisions.ts';
import { SharedSecret } from '../../src/protocol/shared-secret.ts';
import * as sly from './fixtures/sly-tools.ts';
import { bodyOf, sourced, until, withPath } from './harness.ts';

const WORKERS = 2;
const CLOSINGS = 12;
const SECRET = SharedSecret.of('secret');

type Changeable<T> = { -readonly [K in keyof T]: T[K] };

/** A pool, its board, and what it has told. */
class PoolRig {
  readonly board = JobBoard.create(WORKERS + 1, 8);
  readonly live = new Map<number, PoolWorker>();
  readonly lost: { worker: PoolWorker; cause: LossCause; after: number }[] = [];
  readonly heard: ControlOut[] = [];
  readonly troubles: Error[] = [];
  unable = 0;
  onReady: (worker: PoolWorker) => void = () => undefined;
  /** Read anew for each thread that is started. */
  readonly setup: Changeable<WorkerSetup>;
  readonly pool: PiscinaPool;
  #sequence = 0;

  constructor() {
    this.setup = {
      board: this.board.shared,
      boardWorkers: this.board.workers,
      boardSlots: this.board.slots,
      server: { name: 'test', version: '1' },
      stateSecret: SECRET.shared,
      resultBytesMax: 1_000_000,
      jsonDepthMax: 64,
      heapBytesMax: 0,
    };
    this.pool = new PiscinaPool({
      workers: WORKERS,
      heapMiB: 64,
      setup: this.setup,
      events: {
        ready: (worker) => {
          this.board.resetWorker(worker.index);
          this.live.set(worker.index, worker);
          this.onReady(worker);
        },
        lost: (worker, cause) => {
          this.live.delete(worker.index);
          this.lost.push({ worker, cause, after: this.heard.length });
        },
        control: (_worker, message) => {
          this.heard.push(message);
        },
        trouble: (error) => this.troubles.push(error),
        unable: () => {
          this.unable += 1;
        },
      },
    });
  }

  until(holds: () => boolean): Promise<void> {
    return until(holds);
  }

  allUp(): Promise<void> {
    return this.until(() => this.live.size === WORKERS);
  }

  /** Runs a tool on this worker; resolves with its slot when the batch was answered or the thread is gone. */
  async run(worker: PoolWorker, tool: string, args: object = {}): Promise<number> {
    const slot = this.#sequence % this.board.slots;
    const sequence = ++this.#sequence;
    const entries = sourced('sly-tools', sly).map(({ definition, module }, key) => {
      if (module === null || definition.kind !== 'tool') throw new Error('the fixture holds tools of a module');
      return { key, kind: 'tool' as const, name: definition.name, module, paramHeaders: [], task: 'never' as const };
    });
    const key = entries.findIndex(({ name }) => name === tool);
    this.board.writeBody(slot, bodyOf(tool, args, sequence, { progressToken: 'p' }), '');
    this.board.publish(slot, key, REVISION_2026_07_28.index, 2, foldedAfter(foldedNow(), 100_000), sequence);
    const manifest = { epoch: 1, entries };
    const batch = { worker: worker.index, slots: [slot], sequences: [sequence], manifest, overflow: null };
    await this.pool.run(worker, batch).catch(() => null);
    await this.until(
      () => this.board.state(slot) === STATE.DONE || this.heardDone(slot) || !this.live.has(worker.index),
    );
    return slot;
  }

  heardDone(slot: number): boolean {
    return this.heard.some((message) => message.type === 'done' && message.slots.includes(slot));
  }

  text(slot: number): string {
    const at = this.board.resultAt(slot);
    const message = JSON.parse(
      Buffer.from(this.board.bytes.subarray(at, at + this.board.resultBytes(slot))).toString(),
    );
    return message.result.content[0].text;
  }

  worker(index: number): PoolWorker {
    const worker = this.live.get(index);
    if (worker === undefined) throw new Error(`worker ${index} is not up`);
    return worker;
  }
}

/** A reader that stands in native code until it is released: a thread in there cannot be ended. */
class StandingReader {
  readonly path: string;
  #pipe = -1;

  constructor(folder: string, name: string) {
    this.path = join(folder, name);
    execFileSync('mkfifo', [this.path]);
  }

  /** Whether it stands: a pipe lets nobody open it to write, without waiting, before another has it open to read. */
  stands(): boolean {
    try {
      this.#pipe = openSync(this.path, constants.O_WRONLY | constants.O_NONBLOCK);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENXIO') return false;
      throw error;
    }
  }

  release(): void {
    writeSync(this.#pipe, 'x');
    closeSync(this.#pipe);
  }
}

let rig: PoolRig;
afterEach(() => rig.pool.close());

test('threads ended at once after they came up are replaced, each time', async () => {
  rig = new PoolRig();
  let ended = 0;
  rig.onReady = (worker) => {
    if (ended++ < 6) rig.pool.kill(worker);
  };
  await rig.until(() => rig.lost.length === 6 && rig.live.size === WORKERS);
  assert.deepEqual(
    rig.lost.map(({ cause }) => cause),
    Array.from({ length: 6 }, () => 'killed'),
  );
});

test('threads that end while they start are started again, until they come up', async () => {
  rig = new PoolRig();
  await rig.allUp();
  // Their code throws while it is loaded.
  rig.setup.stateSecret = new SharedArrayBuffer(0);
  for (const worker of [...rig.live.values()]) rig.pool.kill(worker);
  await rig.until(() => rig.troubles.length >= 6);
  assert.equal(rig.live.size, 0);
  rig.setup.stateSecret = SECRET.shared;
  await rig.allUp();
  // And are replaced as ever after that.
  const before = rig.lost.length;
  rig.pool.kill(rig.worker(0));
  await rig.until(() => rig.lost.length > before);
  await rig.allUp();
});

test('a pool can be closed at any moment of its start', async () => {
  const beganMs = performance.now();
  rig = new PoolRig();
  await rig.allUp();
  const startMs = performance.now() - beganMs;
  await rig.pool.close();
  // What Node.js does not survive takes the whole process along: this file would fail.
  for (let i = 0; i <= CLOSINGS; i++) {
    rig = new PoolRig();
    await new Promise((resolve) => setTimeout(resolve, (startMs * i) / CLOSINGS));
    await rig.pool.close();
  }
});

test('that none comes up is told', async () => {
  rig = new PoolRig();
  await rig.allUp();
  rig.setup.stateSecret = new SharedArrayBuffer(0);
  for (const worker of [...rig.live.values()]) rig.pool.kill(worker);
  await rig.until(() => rig.unable > 0);
});

test('a batch for a thread that has just come up is run by that thread, whoever gets one beside it', async () => {
  rig = new PoolRig();
  await rig.allUp();
  for (let round = 0; round < 3; round++) {
    const fresh = new Promise<PoolWorker>((resolve) => {
      rig.onReady = resolve;
    });
    rig.pool.kill(rig.worker(0));
    const ran = fresh.then((first) => {
      const second = rig.worker(1 - first.index);
      return Promise.all([rig.run(first, 'which-thread'), rig.run(second, 'which-thread'), first, second]);
    });
    const [slot, other, first, second] = await ran;
    assert.deepEqual([rig.text(slot), rig.text(other)], [String(first.threadId), String(second.threadId)]);
  }
});

test('what a thread said before it ended is delivered before its loss is told', async () => {
  rig = new PoolRig();
  await rig.allUp();
  const worker = rig.worker(0);
  await rig.run(worker, 'which-thread');
  await rig.run(worker, 'last-words', { bytes: 10 });
  await rig.until(() => rig.lost.length > 0);
  assert.equal(rig.heard.slice(0, rig.lost[0]?.after).filter(({ type }) => type === 'emit').length, 1);
  assert.equal(rig.lost[0]?.cause, 'exit');
});

test('nothing reaches the thread that has the index of one that has ended', async () => {
  rig = new PoolRig();
  await rig.allUp();
  const old = rig.worker(0);
  rig.pool.kill(old);
  // Not by whether its index is free: another one may have it before anybody looks.
  await rig.until(() => rig.lost.length === 1);
  await rig.allUp();
  const { index } = old;
  rig.pool.kill(old);
  assert.equal(rig.pool.utilization(old), 0);
  await assert.rejects(rig.pool.run(old, { worker: index, slots: [], sequences: [], manifest: null, overflow: null }));
  await rig.run(rig.worker(index), 'which-thread');
  assert.equal(rig.lost.length, 1);
});

test("what a tool posts to the parent port of its thread is nobody's", async () => {
  rig = new PoolRig();
  await rig.allUp();
  const slot = await rig.run(rig.worker(0), 'posts-home');
  assert.equal(rig.text(slot), 'posted');
  assert.equal(rig.text(await rig.run(rig.worker(0), 'cheap')), 'worker');
});

test('a thread that stands in native code is replaced while it does, and as often as there are workers', async () => {
  rig = new PoolRig();
  await rig.allUp();
  await withPath(async (folder) => {
    mkdirSync(folder);
    const readers = Array.from({ length: WORKERS }, (_, stands) => new StandingReader(folder, String(stands)));
    for (const reader of readers) {
      const worker = rig.worker(0);
      const over = rig.run(worker, 'reads-pipe', { path: reader.path });
      await rig.until(() => reader.stands());
      rig.pool.kill(worker);
      await over;
      await rig.allUp();
      for (const other of [...rig.live.values()]) assert.equal(rig.text(await rig.run(other, 'cheap')), 'worker');
    }
    assert.equal(rig.lost.length, WORKERS);
    for (const reader of readers) reader.release();
  });
});

test('a thread that stands when as many do already is replaced as soon as one of those has ended', async () => {
  rig = new PoolRig();
  await rig.allUp();
  await withPath(async (folder) => {
    mkdirSync(folder);
    const readers = Array.from({ length: WORKERS + 1 }, (_, stands) => new StandingReader(folder, String(stands)));
    const overs: Promise<number>[] = [];
    for (const [stands, reader] of readers.entries()) {
      const worker = rig.worker(0);
      const over = rig.run(worker, 'reads-pipe', { path: reader.path });
      overs.push(over);
      await rig.until(() => reader.stands());
      rig.pool.kill(worker);
      if (stands === WORKERS) break;
      await over;
      await rig.allUp();
    }
    await rig.until(() => rig.troubles.some(({ message }) => message.includes('as many as there are workers')));
    assert.equal(rig.lost.length, WORKERS);
    readers[0]?.release();
    await overs.at(-1);
    await rig.allUp();
    assert.equal(rig.lost.length, WORKERS + 1);
    for (const reader of readers.slice(1)) reader.release();
  });
});
