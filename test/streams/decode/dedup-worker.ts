/** One of the threads of the dedup test: adds the ids first … last − 1 and says how many were new. */
import { parentPort, workerData } from 'node:worker_threads';
import { DedupSet, NEW } from '../../../src/streams/decode/dedup-set.ts';

const SPINS_MAX = 2000;
const { buffer, gate, ids, seq } = workerData as {
  buffer: SharedArrayBuffer;
  gate: SharedArrayBuffer;
  ids: number;
  seq: number;
};
const set = new DedupSet(buffer);
const started = new Int32Array(gate);
// Both threads at once, or there is nothing to see.
Atomics.add(started, 0, 1);
while (Atomics.load(started, 0) < 2);
const taken: number[] = [];
const own = seq;
const other = 3 - seq;
for (let id = 0; id < ids; id++) {
  // In step, but for a thread that does not run: the same id at the same moment, again and again.
  Atomics.store(started, own, id);
  for (let spins = 0; Atomics.load(started, other) < id && spins < SPINS_MAX; spins++);
  if (set.add(id, Math.imul(id, 0x9e3779b1), seq, 1_000_000, 3_600_000) === NEW) taken.push(id);
}
parentPort?.postMessage(taken);
