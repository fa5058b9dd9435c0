/**
 * CloudEvents with white space behind their data, as pretty-printing and files with a last line feed have it.
 * (For test/streams/decode/ or test/streams/engine/; written for the latter.)
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { wrapBinaryEvent } from '../../../src/streams/ingest/binary-cloud-event.ts';
import { openRig } from './rig.ts';

const STREAM: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer', k: 'string' }, timestamp: { field: 'at' }, key: ['k'] },
};

const ONE = { accepted: 1, rejected: 0, late: 0 };
const data = { at: 1, k: 'a' };
const event = (id: string): object => ({ specversion: '1.0', id, source: 'x', type: 't', data });

test('CloudEvents are taken with white space wherever JSON may have it', async () => {
  const rig = await openRig([STREAM]);
  const send = (format: 'cloudevent' | 'cloudevents-batch', body: string | Uint8Array): ReturnType<typeof rig.send> =>
    rig.send('s', [], { format, body: Buffer.from(body) });
  try {
    assert.deepEqual(await send('cloudevent', JSON.stringify(event('plain'))), ONE);
    const binary = wrapBinaryEvent(
      { specversion: '1.0', id: 'binary', source: 'x', type: 't' },
      'application/json',
      Buffer.from(`${JSON.stringify(data)}\n`),
    );
    assert.deepEqual(await send('cloudevent', binary as Uint8Array), ONE, 'binary mode, data with a last line feed');
    assert.deepEqual(await send('cloudevent', JSON.stringify(event('pretty'), null, 2)), ONE, 'pretty-printed');
    assert.deepEqual(
      await send('cloudevents-batch', JSON.stringify([event('batch')], null, 2)),
      ONE,
      'a batch of these',
    );
  } finally {
    await rig.close();
  }
});
