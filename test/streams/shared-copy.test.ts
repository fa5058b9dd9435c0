/**
 * Copies into shared memory: whatever places in a word both sides begin at, bytes arrive as they were, and no others change.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { copyToShared } from '../../src/streams/shared-copy.ts';

const LENGTHS = [0, 1, 7, 511, 512, 513, 16_383, 16_384, 16_385, 40_001];
const GUARD = 0xee;

test('bytes arrive, from memory that is shared and memory that is not, at every place of a word', () => {
  const largest = Math.max(...LENGTHS) + 16;
  const pattern = Uint8Array.from({ length: largest }, (_, i) => (i * 31 + (i >> 8)) & 0xff);
  for (const Memory of [ArrayBuffer, SharedArrayBuffer]) {
    const source = new Uint8Array(new Memory(largest));
    source.set(pattern);
    for (const length of LENGTHS) {
      for (let from = 0; from < 8; from++) {
        for (const [offset, at] of [
          [0, 0],
          [0, 5],
          [3, 8],
          [4, 1],
        ] as const) {
          const to = new Uint8Array(new SharedArrayBuffer(largest + 16)).fill(GUARD);
          copyToShared(source.subarray(from, from + length), to.subarray(offset), at);
          const begin = offset + at;
          const what = `${Memory.name}, ${length} bytes from ${from} to ${begin}`;
          assert.deepEqual(to.slice(begin, begin + length), pattern.slice(from, from + length), what);
          assert.ok(
            to.slice(0, begin).every((byte) => byte === GUARD),
            what,
          );
          assert.ok(
            to.slice(begin + length).every((byte) => byte === GUARD),
            what,
          );
        }
      }
    }
  }
});
