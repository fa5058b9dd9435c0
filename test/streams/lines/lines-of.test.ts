/** Lines as texts and as bytes, there and back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytesOfLines, linesOf } from '../../../src/streams/lines/lines-of.ts';
import { chunksOf, countOf, LineBatch } from '../../../src/streams/sinks/line-batch.ts';

const line = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).map((text) => JSON.stringify(text));

test('what was joined is split, however long it is', () => {
  fc.assert(
    fc.property(fc.array(line), fc.constantFrom(0, 1, 3000), fc.constantFrom('x', 'é'), (few, more, letter) => {
      const lines = [...few, ...Array.from({ length: more }, (_, i) => letter.repeat(1 + ((i * 37) % 90)))];
      assert.deepEqual(linesOf(bytesOfLines(lines)), lines);
    }),
    { numRuns: 60 },
  );
  const long = ['y'.repeat(200_000), 'z', 'ü'.repeat(70_000), 'end'];
  assert.deepEqual(linesOf(bytesOfLines(long)), long);
});

test('a batch gives the lines it was made of, in order, and again after more came', () => {
  const batch = LineBatch.of({ seq: 3, lines: ['a', 'b'] });
  assert.deepEqual(batch.lines, ['a', 'b']);
  batch.absorb(LineBatch.of({ seq: 5, lines: ['c'] }));
  batch.absorb(LineBatch.of({ seq: 6, lines: [] }));
  assert.deepEqual([batch.seq, batch.lines, countOf(batch)], [6, ['a', 'b', 'c'], 3]);
  assert.equal(batch.byteLength, 6);
  const plain = { seq: 6, lines: ['a', 'b', 'c'] };
  assert.equal(Buffer.concat([...chunksOf(batch)]).toString(), Buffer.concat([...chunksOf(plain)]).toString());
});
