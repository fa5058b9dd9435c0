/**
 * Looking at the events behind results changes nothing of what is known: what comes again is still told.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { openRig } from './rig.ts';

const STREAM: StreamDefinition = {
  name: 's',
  dedup: { idsMax: 8 },
  schema: { fields: { at: 'integer', k: 'string' }, timestamp: { field: 'at' }, key: ['k'] },
};

test('looking at events behind results takes no id from those that are known', async () => {
  const rig = await openRig([STREAM]);
  const send = (n: number): ReturnType<typeof rig.send> => {
    const event = { specversion: '1.0', id: `e${n}`, source: 'x', type: 't', data: { at: 1, k: 'a' } };
    return rig.send('s', [], { format: 'cloudevent', body: Buffer.from(JSON.stringify(event)) });
  };
  try {
    for (let n = 0; n < 12; n++) await send(n);
    // The newest six are always there.
    for (let n = 0; n < 5; n++) await rig.service.events('s', [`${2 + n}:0`]);
    for (let n = 6; n < 12; n++) assert.deepEqual(await send(n), { accepted: 0, rejected: 0, late: 0 }, `event ${n}`);
  } finally {
    await rig.close();
  }
});
