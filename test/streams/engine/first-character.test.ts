/**
 * Texts that begin with U+FEFF, which decoders of whole files take for a mark of the byte order and leave out: here it is
 * a character like any other, wherever a text is kept and read back.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { readContextBytes } from '../../../src/streams/joins/row-context.ts';
import { ByteReader, ByteWriter } from '../../../src/streams/patterns/byte-writer.ts';
import { textOfBytes } from '../../../src/streams/state/key-bytes.ts';
import { openRig } from './rig.ts';

const MARK = '\uFEFF';
const TEXTS = [MARK, `${MARK}a`, `${MARK}${MARK}ä`, `${MARK}${'long '.repeat(20)}`];

const STREAM: StreamDefinition = {
  name: 's',
  schema: { fields: { v: 'string', at: 'integer' }, timestamp: { field: 'at' } },
  windows: [
    {
      name: 'w',
      type: 'tumbling',
      sizeMs: 1000,
      aggregates: {
        first: { fn: 'first', of: 'v' },
        last: { fn: 'last', of: 'v' },
        top: { fn: 'top', of: 'v', limit: 10 },
        all: { fn: 'collect', of: 'v', limit: 10 },
      },
    },
  ],
};

describe('a text that begins with U+FEFF', () => {
  test('is the value of an aggregate as it came', async () => {
    const rig = await openRig([STREAM]);
    await rig.send('s', [...TEXTS.map((v, at) => ({ v, at })), { v: '', at: 5000 }]);
    const [row] = await rig.rows('s', 'w');
    assert.ok(row !== undefined);
    const { top, ...values } = row.values as { top: { value: string }[] };
    assert.deepEqual(values, { first: TEXTS[0], last: TEXTS.at(-1), all: TEXTS });
    assert.deepEqual(top.map(({ value }) => value).sort(), TEXTS.toSorted());
    await rig.close();
  });

  test('is kept as it is by patterns, in keys and in the contexts of rows', () => {
    const writer = new ByteWriter();
    const reader = new ByteReader();
    for (const text of TEXTS) writer.text(text);
    reader.open(writer.written);
    const bytes = TEXTS.map((text) => Buffer.from(text));
    assert.deepEqual(
      TEXTS.map(() => reader.text()),
      TEXTS,
    );
    assert.deepEqual(
      bytes.map((each) => textOfBytes(each, 0, each.length)),
      TEXTS,
    );
    for (const [i, each] of bytes.entries()) {
      const row = new Uint8Array(8 + each.length + 3);
      row.set(each, 8);
      const words = new Uint32Array([0, each.length]);
      assert.deepEqual(readContextBytes(row, words, 0), { traceparent: '', correlationId: TEXTS[i] });
    }
  });

  test('is shown as it is among dead letters', async () => {
    const rig = await openRig([STREAM]);
    const body = Buffer.from(`${MARK}{"v":1}`);
    await rig.send('s', [], { body });
    const [letter] = await rig.service.deadLetters('s', '', 10);
    assert.equal(letter?.text, body.toString('utf8'));
    await rig.close();
  });
});
