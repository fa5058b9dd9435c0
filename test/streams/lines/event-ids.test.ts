/** Ids of events in a list: the texts they would be, whichever batches they are of and in whatever order those come. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EventIds } from '../../../src/streams/lines/event-ids.ts';
import { LineBuffer } from '../../../src/streams/lines/line-buffer.ts';

const seq = fc.oneof(fc.nat({ max: 40 }), fc.constantFrom(2 ** 31 - 1, 2 ** 31, 2 ** 32 + 5, Number.MAX_SAFE_INTEGER));
const event = fc.tuple(seq, fc.nat({ max: 2 ** 21 - 1 }));

test('lists of ids are the JSON of their texts', () => {
  const ids = new EventIds();
  fc.assert(
    fc.property(fc.array(event, { minLength: 1, maxLength: 8 }), (events) => {
      const out = new LineBuffer();
      out.text('[');
      for (const [i, [of, row]] of events.entries()) {
        ids.turn(of);
        if (i === 0) ids.first(row, out);
        else ids.next(row, out);
      }
      ids.end(out);
      out.text(']');
      const texts = events.map(([of, row]) => `${of}:${row}`);
      assert.equal(Buffer.from(out.bytes.subarray(0, out.at)).toString(), JSON.stringify(texts));
    }),
    { numRuns: 500 },
  );
});
