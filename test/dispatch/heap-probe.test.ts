/**
 * Threads of every kind are asked what their heaps hold: those that are in a loop, those that end, those there are not.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { openHeapProbe } from '../../src/pool/heap-probe.ts';
import type { HeapProbe, PoolWorker } from '../../src/pool/port.ts';
import { until } from './harness.ts';

const MIB = 1024 * 1024;
const SAYS = "const { parentPort } = require('node:worker_threads'); parentPort.postMessage('here');";
const WAITS = `${SAYS} setInterval(() => undefined, 1000);`;
/** Where no interrupt reaches it. */
const BLOCKS = `${SAYS} Atomics.wait(new Int32Array(require('node:worker_threads').workerData), 0, 0);`;
/** Keeps 40 MB for ever, and 60 more until the word it is given is 1; then that is 2. */
const LOOPS = `
  const megabytes = (count) => Array.from({ length: count }, () => new Array(125_000).fill(1));
  const kept = megabytes(40);
  let passing = megabytes(60);
  ${SAYS}
  const word = new Int32Array(require('node:worker_threads').workerData);
  while (Atomics.load(word, 0) !== 1);
  passing = null;
  Atomics.store(word, 0, 2);
  for (;;);`;

const probe = openHeapProbe() as HeapProbe;
const threads: Worker[] = [];
after(async () => {
  probe.rest();
  await Promise.all(threads.map((thread) => thread.terminate()));
});

async function started(code: string): Promise<{ thread: Worker; worker: PoolWorker; word: Int32Array }> {
  const shared = new SharedArrayBuffer(4);
  const thread = new Worker(code, { eval: true, workerData: shared });
  threads.push(thread);
  await once(thread, 'message');
  return { thread, worker: { index: 0, threadId: thread.threadId }, word: new Int32Array(shared) };
}

test('a thread in a loop that never ends says what it holds, and collects what it does not need', async () => {
  const { word, worker } = await started(LOOPS);
  const before = (await probe.usedBytes(worker)) as number;
  assert.ok(before > 95 * MIB, `${before}`);
  await probe.collect(worker);
  assert.ok(((await probe.usedBytes(worker)) as number) > 95 * MIB);
  Atomics.store(word, 0, 1);
  await until(() => Atomics.load(word, 0) === 2);
  await probe.collect(worker);
  const left = (await probe.usedBytes(worker)) as number;
  assert.ok(left > 38 * MIB && left < 60 * MIB, `${left} of ${before}`);
});

test('threads are told apart', async () => {
  const [waits, loops] = [await started(WAITS), await started(LOOPS)];
  assert.ok(((await probe.usedBytes(waits.worker)) as number) < 20 * MIB);
  assert.ok(((await probe.usedBytes(loops.worker)) as number) > 38 * MIB);
});

test('one that ends, or that has ended, is answered for with nothing', async () => {
  const { thread, worker } = await started(LOOPS);
  assert.notEqual(await probe.usedBytes(worker), null);
  const asked = Promise.all(Array.from({ length: 20 }, () => probe.usedBytes(worker)));
  await thread.terminate();
  assert.equal((await asked).length, 20);
  assert.equal(await probe.usedBytes(worker), null);
  await probe.collect(worker);
});

test('what was not answered yet is answered with nothing when the probe rests, and it can be asked again', async () => {
  const [blocked, loops] = [await started(BLOCKS), await started(LOOPS)];
  let bytes: number | null = 0;
  // It may answer until it has come to its wait.
  while (bytes !== null) {
    const asked = probe.usedBytes(blocked.worker);
    assert.notEqual(await probe.usedBytes(loops.worker), null);
    probe.rest();
    bytes = await asked;
  }
  assert.notEqual(await probe.usedBytes(loops.worker), null);
});
