/**
 * When a thread is asked what its heap holds, and what is made of the answer; with a probe that says what it is told.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Flights, WorkerLoad } from '../../src/dispatch/flights.ts';
import { HeapWatch } from '../../src/dispatch/heap-watch.ts';
import { JobBoard } from '../../src/dispatch/job-board.ts';
import type { Losses } from '../../src/dispatch/losses.ts';
import type { HeapProbe, PoolWorker } from '../../src/pool/port.ts';
import { until } from './harness.ts';

const MAX = 100;
/** Longer than a thread may be silent. */
const SILENT_MS = 60;

class PlayedProbe implements HeapProbe {
  /** Of the thread: with garbage, and without. */
  used: number | null = 0;
  live = 0;
  readonly did: string[] = [];
  #garbage = true;

  usedBytes(_worker: PoolWorker): Promise<number | null> {
    this.did.push('used');
    const bytes = this.#garbage ? this.used : this.live;
    this.#garbage = true;
    return Promise.resolve(bytes);
  }

  collect(_worker: PoolWorker): Promise<void> {
    this.did.push('collect');
    this.#garbage = false;
    return Promise.resolve();
  }

  rest(): void {
    this.did.push('rest');
  }
}

class PlayedHeap {
  nowMs = 0;
  readonly board = JobBoard.create(2, 4);
  readonly flights = new Flights(this.board);
  readonly probe = new PlayedProbe();
  readonly killed: string[] = [];
  readonly load = new WorkerLoad({ index: 0, threadId: 7 }, 0);
  readonly watch: HeapWatch;

  constructor() {
    this.flights.loads[0] = this.load;
    const losses = {
      culprit: () => null,
      kill: (load: WorkerLoad, reason: string) => {
        load.ending = true;
        this.killed.push(reason);
      },
    } as unknown as Losses;
    this.watch = new HeapWatch({ flights: this.flights, losses, probe: this.probe, now: () => this.nowMs }, MAX);
  }

  /** The thread says that it is full; what was done about it. */
  async full(): Promise<string> {
    this.nowMs += 1000;
    this.probe.did.length = 0;
    this.watch.full(this.load);
    await new Promise((resolve) => setImmediate(resolve));
    return this.probe.did.join();
  }

  async silence(): Promise<void> {
    this.board.beat(0, 0);
    const beganMs = performance.now();
    await until(() => performance.now() - beganMs > SILENT_MS);
  }
}

test('a thread that holds more than it may when its garbage is gone is ended, for its memory', async () => {
  const heap = new PlayedHeap();
  Object.assign(heap.probe, { used: 130, live: 101 });
  assert.equal(await heap.full(), 'used,collect,used');
  assert.deepEqual(heap.killed, ['memory']);
  assert.equal(await heap.full(), '');
});

test('garbage ends nobody, and is collected again only when half of the limit has come on top', async () => {
  const heap = new PlayedHeap();
  Object.assign(heap.probe, { used: 130, live: 90 });
  assert.equal(await heap.full(), 'used,collect,used');
  heap.probe.used = 140;
  assert.equal(await heap.full(), 'used');
  heap.probe.used = 141;
  assert.equal(await heap.full(), 'used,collect,used');
  assert.deepEqual(heap.killed, []);
  Object.assign(heap.probe, { used: 141, live: 141 });
  await heap.full();
  assert.deepEqual(heap.killed, ['memory']);
});

test('a thread that shows beats is not asked, nor one that never had a call; a silent one is', async () => {
  const heap = new PlayedHeap();
  heap.watch.look(5000);
  assert.deepEqual(heap.probe.did, ['rest']);
  await heap.silence();
  heap.watch.look(6000);
  heap.watch.look(6001);
  assert.deepEqual(heap.probe.did, ['rest', 'used']);
  await new Promise((resolve) => setImmediate(resolve));
  let nowMs = 6001;
  // On a busy machine the beat may be old when it is looked at.
  await until(() => {
    heap.probe.did.length = 0;
    nowMs += 2000;
    heap.board.beat(0, 0);
    heap.watch.look(nowMs);
    return heap.probe.did.join() === 'rest';
  });
  heap.watch.stop();
});

test('a thread that stays silent is asked again and again without anybody else', async () => {
  const heap = new PlayedHeap();
  await heap.silence();
  heap.watch.look(0);
  await until(() => {
    heap.nowMs += 5;
    return heap.probe.did.filter((each) => each === 'used').length > 5;
  });
  heap.watch.stop();
});

test('of a thread that has ended meanwhile nothing is told, and the one after it is left alone', async () => {
  const heap = new PlayedHeap();
  heap.probe.used = null;
  assert.equal(await heap.full(), 'used');
  Object.assign(heap.probe, { used: 130, live: 130 });
  heap.nowMs += 1000;
  heap.watch.full(heap.load);
  heap.flights.loads[0] = new WorkerLoad({ index: 0, threadId: 8 }, 0);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(heap.killed, []);
});
