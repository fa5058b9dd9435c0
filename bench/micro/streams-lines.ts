/**
 * Ways to put a piece of a line into a buffer, and numbers: what `lines/line-buffer.ts` does beside what it does not.
 *
 * Run: node dist/bench/micro/streams-lines.js; CPU time per piece, each way in turn, so that the compiler has seen others.
 */
import { LineBuffer } from '../../src/streams/lines/line-buffer.ts';
import { pieceOf } from '../../src/streams/lines/line-piece.ts';

const CALLS = 500_000;
const ROUNDS = 5;
const LENGTHS = [11, 20, 50, 90, 200];
const MASK = 0x3fff;

const source = new Uint8Array(new SharedArrayBuffer(2 ** 16)).fill(65);
const from = new DataView(source.buffer);
const target = new Uint8Array(2 ** 16);
const to = new DataView(target.buffer);

type Copy = (at: number, fromAt: number, length: number) => void;

const COPIES: Readonly<Record<string, Copy>> = {
  'byte by byte'(at, fromAt, length) {
    for (let i = 0; i < length; i++) target[at + i] = source[fromAt + i] as number;
  },
  'set of a subarray'(at, fromAt, length) {
    target.set(source.subarray(fromAt, fromAt + length), at);
  },
  'four bytes at a time'(at, fromAt, length) {
    for (let i = 0; i < length; i += 4) to.setInt32(at + i, from.getInt32(fromAt + i, true), true);
  },
  'eight bytes at a time'(at, fromAt, length) {
    for (let i = 0; i < length; i += 8) to.setFloat64(at + i, from.getFloat64(fromAt + i, true), true);
  },
  'eight, as big integers'(at, fromAt, length) {
    for (let i = 0; i < length; i += 8) to.setBigInt64(at + i, from.getBigInt64(fromAt + i, true), true);
  },
};

function measure(name: string, run: () => void): void {
  let bestNs = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const begun = process.cpuUsage();
    run();
    const { system, user } = process.cpuUsage(begun);
    bestNs = Math.min(bestNs, ((system + user) * 1000) / CALLS);
  }
  process.stdout.write(`${name.padEnd(48)} ${bestNs.toFixed(1).padStart(7)} ns\n`);
}

for (const [name, copy] of Object.entries(COPIES)) {
  for (const length of LENGTHS) {
    measure(`${length} bytes, ${name}`, () => {
      for (let i = 0; i < CALLS; i++) copy((i * 7) & MASK, (i * 11) & MASK, length);
    });
  }
}

const out = new LineBuffer();
function written(name: string, write: (i: number) => void): void {
  measure(name, () => {
    for (let i = 0; i < CALLS; i++) {
      out.at = 0;
      write(i);
    }
  });
}

const piece = pieceOf('","stream":"bid","name":"q0","key":');
written('a piece of 35 bytes', () => out.piece(piece));
written('a text of 35 characters', () => out.text('","stream":"bid","name":"q0","key":'));
written('a string of 50 bytes', (i) => out.string(from, i & MASK, 50));
written('a time, 13 digits', (i) => out.number(1_700_000_000_000 + i));
written('a price with up to three decimals', (i) => out.number(i / 1000));
written('the same by way of a text', (i) => out.text(`${i / 1000}`));
written('a product, 17 digits mostly', (i) => out.number(i * 0.1 * 0.3));
