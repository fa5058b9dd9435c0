/**
 * Checkpoints for tests, arbitrary ones and ones whose content follows from their sequence number.
 */
import fc from 'fast-check';
import type { Checkpoint } from '../../../src/streams/checkpoints/port.ts';

/** Comparable: chunks as plain `Uint8Array`s in an object. */
export function plain(checkpoint: Checkpoint | null): unknown {
  if (checkpoint === null) return null;
  const { seq, definitionsJson, factsJson, chunks } = checkpoint;
  return { seq, definitionsJson, factsJson, chunks: [...chunks].map(([name, bytes]) => [name, new Uint8Array(bytes)]) };
}

function noise(seed: number, byteLength: number, zerosAtEnd: number, shared: boolean): Uint8Array {
  const bytes = shared ? new Uint8Array(new SharedArrayBuffer(byteLength)) : new Uint8Array(byteLength);
  for (let i = 0, x = seed + 1; i < byteLength - zerosAtEnd; i++) {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) | 0;
    bytes[i] = x >>> 24;
  }
  return bytes;
}

/** Several pieces, a long zero tail, nothing, and only zeros. */
export function numberedCheckpoint(seq: number): Checkpoint {
  return {
    seq,
    definitionsJson: JSON.stringify({ streams: seq }),
    factsJson: JSON.stringify({ positions: 'p'.repeat(seq % 1000) }),
    chunks: new Map([
      ['shard 0 group 0', noise(seq, 2_500_000, 0, true)],
      ['shard 0 operator 1', noise(seq + 1, 1_500_000, 1_400_003, true)],
      ['empty', new Uint8Array(0)],
      ['zeros', new Uint8Array(3_000_000)],
      ['results', noise(seq + 2, 777, 0, false)],
    ]),
  };
}

/** A few pages altogether, so that every part of what is stored can be damaged in turn. */
export function smallCheckpoint(seq: number): Checkpoint {
  return {
    seq,
    definitionsJson: '{"streams":[]}',
    factsJson: `{"seq":${seq}}`,
    chunks: new Map([
      ['a', noise(seq, 9000, 100, false)],
      ['b', noise(seq + 9, 700, 0, false)],
    ]),
  };
}

const chunk = fc
  .record({
    seed: fc.nat(),
    byteLength: fc.oneof(fc.nat(300), fc.nat(20_000), fc.nat(3_000_000)),
    tail: fc.double({ min: 0, max: 1, noNaN: true }),
    shared: fc.boolean(),
  })
  .map(({ seed, byteLength, tail, shared }) => noise(seed, byteLength, Math.floor(tail * byteLength), shared));

/** Sequence numbers are given by the test. */
export const anyCheckpoint: fc.Arbitrary<Checkpoint> = fc.record({
  seq: fc.nat(),
  definitionsJson: fc.jsonValue().map((value) => JSON.stringify(value)),
  factsJson: fc.string({ unit: 'grapheme' }),
  chunks: fc
    .uniqueArray(fc.tuple(fc.string({ unit: 'grapheme' }), chunk), { selector: ([name]) => name, maxLength: 6 })
    .map((chunks) => new Map(chunks)),
});

export const notDamaged = (seq: number, reason: string): void => {
  throw new Error(`checkpoint ${seq} is told to be damaged: ${reason}`);
};
