/**
 * The file that Piscina requires into each thread is CommonJS through and through.
 *
 * A thread that is ended at the wrong moment of requiring an ES module takes the whole process along. That moment is
 * some ten microseconds long, so a test that ends threads would pass nearly always: what is held here is the cause.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { JobBoard } from '../../src/dispatch/job-board.ts';
import { SharedSecret } from '../../src/protocol/shared-secret.ts';

/** Compiled in any case: nothing but Node.js itself is to have a part in loading it. */
const compiled = import.meta.url.endsWith('.ts') ? 'dist/' : '';
const entry = fileURLToPath(new URL(`../../${compiled}workers/entry.cjs`, import.meta.url));

/** As Piscina does it; what was required on the way is in the cache of CommonJS. */
const LOADS = `
  const { parentPort, workerData } = require('node:worker_threads');
  const before = Object.keys(require.cache);
  const { runTask } = require(workerData[0]);
  const required = Object.keys(require.cache).filter((path) => !before.includes(path));
  parentPort.postMessage({ required, waits: runTask instanceof Promise });
  runTask.then((loaded) => parentPort.postMessage({ loaded: typeof loaded }));
`;

test('nothing but a CommonJS file is required, and what it exports is waited for', async () => {
  const board = JobBoard.create(2, 8);
  const setup = {
    board: board.shared,
    boardWorkers: board.workers,
    boardSlots: board.slots,
    server: { name: 'test', version: '1' },
    stateSecret: SharedSecret.of('secret').shared,
    resultBytesMax: 1_000_000,
    jsonDepthMax: 64,
    heapBytesMax: 0,
  };
  const thread = new Worker(LOADS, { eval: true, workerData: [entry, setup] });
  const told: object[] = [];
  await new Promise((resolve, failed) => {
    thread.once('error', failed);
    thread.on('message', (message: object) => {
      told.push(message);
      if ('loaded' in message) resolve(null);
    });
  });
  await thread.terminate();
  assert.deepEqual(
    told.filter((message) => !('millrace' in message)),
    [{ required: [entry], waits: true }, { loaded: 'function' }],
  );
});
