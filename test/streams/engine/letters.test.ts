/**
 * Dead letters of events of a batch: each has its event, and is refused again when replayed, whatever it would be as a
 * batch by itself. Of rows that came in columns, too.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pack } from 'msgpackr';
import { encodeColumns } from '../../../src/streams/decode/column-format.ts';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import type { WireFormat } from '../../../src/streams/engine/task.ts';
import { openRig } from './rig.ts';

const stream: StreamDefinition = {
  name: 's',
  schema: { fields: { n: 'integer', city: 'string', heat: { type: 'number', optional: true } } },
};

test('of a row of columns that is refused the letter has the values', async () => {
  const rig = await openRig([stream]);
  try {
    const body = encodeColumns({
      n: Float64Array.of(1, 2.5, 3, 4),
      city: ['Köln', 'Bonn', null, 'Ulm'],
      heat: Float64Array.of(1, Number.NaN, 3, Number.POSITIVE_INFINITY),
      other: [true, false, true, null],
    });
    const told = await rig.service.accept('s', 'test', {
      ...{ format: 'columns', partition: '', body, position: '', batchId: '', traceparent: '', correlationId: '' },
    });
    assert.deepEqual(told, { accepted: 1, rejected: 3, late: 0 });
    const letters = await rig.service.deadLetters('s', '', 10);
    assert.deepEqual(
      letters.slice(0, 2).map(({ text }) => JSON.parse(text) as unknown),
      [
        { n: 2.5, city: 'Bonn', heat: null },
        { n: 3, city: null, heat: 3 },
      ],
    );
    // JSON has no infinity: an event without it would be another one, which would be taken.
    assert.ok(letters[2]?.base64);
    assert.match(Buffer.from(letters[2].text, 'base64').toString(), /^MRC1.*"name":"city".*Ulm/s);
    const ids = letters.map(({ id }) => id);
    assert.deepEqual(await rig.service.replayDeadLetters('s', ids), { letters: 3, accepted: 0, rejected: 3, late: 0 });
    const again = await rig.service.deadLetters('s', '', 10);
    const plain = (reason: string): string => reason.replace(/^row \d+: /, '');
    assert.deepEqual(
      again.map(({ reason }) => plain(reason)),
      letters.map(({ reason }) => plain(reason)),
    );
  } finally {
    await rig.close();
  }
});

const event = { n: 1, city: 'Ulm' };
const LISTS: readonly [WireFormat, string, Uint8Array, number][] = [
  ['json', 'an empty list, and a list of an event', Buffer.from(JSON.stringify([event, [], [event]])), 2],
  ['json', 'what stands behind the list', Buffer.from(`${JSON.stringify([event])} []`), 1],
  ['json', 'what is missing behind the last event', Buffer.from(`[${JSON.stringify(event)}`), 1],
  ['msgpack', 'an empty list, and a list of an event', pack([event, [], [event]]), 2],
  ['msgpack', 'what stands behind the list', Buffer.concat([pack([event]), pack([])]), 1],
  ['msgpack', 'an event that is missing', Buffer.concat([Buffer.of(0x92), pack(event)]), 1],
];

for (const [format, what, body, refused] of LISTS) {
  test(`refused again when replayed: ${what}, in ${format}`, async () => {
    const rig = await openRig([stream]);
    try {
      const batch = { format, partition: '', body, position: '', batchId: '', traceparent: '', correlationId: '' };
      assert.deepEqual(await rig.service.accept('s', 'test', batch), { accepted: 1, rejected: refused, late: 0 });
      const letters = await rig.service.deadLetters('s', '', 10);
      const ids = letters.map(({ id }) => id);
      const told = { letters: refused, accepted: 0, rejected: refused, late: 0 };
      assert.deepEqual(await rig.service.replayDeadLetters('s', ids), told);
      const again = await rig.service.deadLetters('s', '', 10);
      const shown = (each: typeof letters): unknown => each.map(({ text, base64 }) => ({ text, base64 }));
      assert.deepEqual(shown(again), shown(letters));
    } finally {
      await rig.close();
    }
  });
}
