/**
 * What copying into shared memory costs per byte, by where both sides begin in a word, beside memory that is not shared and
 * `copyToShared`. The fastest of many runs is told.
 *
 * Run: node dist/bench/micro/shared-copy.js [bytes]
 */
import { copyToShared } from '../../src/streams/shared-copy.ts';

const BYTES = Number(process.argv[2] ?? 440_000);
const RUNS = 300;

function nsPerByte(work: () => void): string {
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < RUNS; run++) {
    const begun = performance.now();
    work();
    best = Math.min(best, performance.now() - begun);
  }
  return ((best * 1e6) / BYTES).toFixed(3);
}

const plain = new Uint8Array(BYTES + 8);
const other = new Uint8Array(BYTES + 8);
const shared = new Uint8Array(new SharedArrayBuffer(BYTES + 8));
process.stdout.write('from  to    not shared   shared   copyToShared   (ns per byte)\n');
for (const [from, to] of [
  [0, 0],
  [3, 3],
  [3, 0],
  [0, 5],
] as const) {
  const source = plain.subarray(from, from + BYTES);
  const row = [() => other.set(source, to), () => shared.set(source, to), () => copyToShared(source, shared, to)];
  process.stdout.write(`+${from}    +${to}    ${row.map(nsPerByte).join('        ')}\n`);
}
