/**
 * A body that stands in the memory of the batch to be is read as one beside it, as often as it is tried, and whether the
 * memory is large enough or not.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Packr } from 'msgpackr';
import { BODY_AT } from '../../../src/streams/decode/event-batch.ts';
import type { WireFormat } from '../../../src/streams/engine/task.ts';
import { type Decoded, decode, planOf, rowsOf } from './plan-of.ts';

const plan = planOf({ at: 'integer', k: 'string', v: 'number?' }, { timestamp: 'at', keys: [['k']] });

const events = Array.from({ length: 200 }, (_, i) => ({
  at: 1000 + i,
  // Texts with escapes are appended behind the body.
  k: i % 3 === 0 ? `a "${i}" \n` : `k${i % 7}`,
  ...(i % 5 === 0 ? {} : { v: i / 8 }),
}));
const cloudEvents = events.map((data, i) => ({ specversion: '1.0', id: `${i}`, source: 's', type: 't', data }));
const packr = new Packr({ useRecords: false });
const lines = [...events.map((event) => JSON.stringify(event)), '{"at":"no number"}'].join('\n');

const BODIES: readonly (readonly [WireFormat, Uint8Array])[] = [
  ['ndjson', Buffer.from(lines)],
  ['json', Buffer.from(JSON.stringify(events))],
  ['msgpack', Uint8Array.from(packr.pack(events))],
  ['cloudevents-batch', Buffer.from(JSON.stringify(cloudEvents))],
];

const shown = ({ accepted, events: batch, partials, rejected, tsMax }: Decoded): object => ({
  ...{ accepted, partials, rejected, tsMax },
  rows: rowsOf(batch),
  originals: Array.from({ length: batch.count }, (_, row) => batch.original(row)),
});

for (const [format, body] of BODIES) {
  test(`${format}, in memory of any size`, () => {
    const expected = decode(plan, format, body);
    assert.equal(expected.accepted, 200);
    const enough = expected.batchBytes;
    for (const bytes of [BODY_AT + body.length, Math.floor(enough / 2) + body.length, enough - 8, enough, 3 * enough]) {
      const memory = new SharedArrayBuffer(Math.max(bytes, BODY_AT + body.length));
      new Uint8Array(memory).fill(0xff);
      for (let tries = 0; tries < 2; tries++) {
        const decoded = decode(plan, format, body, { memory });
        assert.deepEqual(shown(decoded), shown(expected), `${bytes} bytes`);
        assert.equal(decoded.usesSpare, decoded.batch === memory);
        assert.deepEqual(Buffer.from(memory, BODY_AT, body.length), Buffer.from(body));
        // Texts of which more came than was thought take other memory.
        if (bytes >= enough && format === 'msgpack') assert.ok(decoded.usesSpare);
      }
    }
  });
}
