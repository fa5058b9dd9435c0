/**
 * A log that is full takes records again: what checkpoints have is cut off, though nothing new can be applied meanwhile.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { StreamRefusal } from '../../../src/streams/engine/port.ts';
import { openStores } from '../../../src/streams/stores.ts';
import { eventually } from '../../clients/eventually.ts';
import { openRig } from './rig.ts';

const STREAM: StreamDefinition = {
  name: 'm',
  durability: 'fsync',
  schema: { fields: { at: 'number', text: 'string' }, timestamp: { field: 'at', unit: 'ms' } },
  windows: [{ name: 'w', type: 'tumbling', sizeMs: 1000, aggregates: { n: 'count' } }],
};
const LOG_BYTES_MAX = 100_000;

test('a log that is full after one checkpoint takes records again', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'log-room-'));
  const stores = () => openStores({ definitions: [STREAM], dataDir, logBytesMax: LOG_BYTES_MAX });
  const rig = await openRig([STREAM], { logBytesMax: LOG_BYTES_MAX, stores, checkpointMs: 50, tickMs: 50 });
  try {
    const event = { at: 1000, text: 'x'.repeat(9000) };
    await rig.send('m', [event]);
    await rig.checkpoint();
    // All at once: checkpoints that come meanwhile cut nothing of it off.
    const sent = await Promise.allSettled(Array.from({ length: 20 }, () => rig.send('m', [event])));
    const refused = sent.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
    assert.ok(refused.length > 0, 'the log is full');
    for (const error of refused)
      assert.ok(error instanceof StreamRefusal && error.refusal === 'unavailable', `${error}`);
    const take = (): Promise<string> =>
      rig.send('m', [event]).then(
        () => 'taken',
        (error: unknown) => String(error),
      );
    await eventually('the log takes records', take, (outcome) => outcome === 'taken');
  } finally {
    await rig.close();
    await rm(dataDir, { recursive: true, force: true });
  }
});

test('a start with another declaration makes room in a log that is full', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'log-room-'));
  const stores = () => openStores({ definitions: [STREAM], dataDir, logBytesMax: LOG_BYTES_MAX });
  let rig = await openRig([STREAM], { logBytesMax: LOG_BYTES_MAX, stores });
  try {
    let accepted = 0;
    for (let room = 20_000; room > 100; room = Math.floor(room / 2)) {
      const event = { at: 1000, text: 'x'.repeat(room) };
      const took = (): Promise<boolean> =>
        rig.send('m', [event]).then(
          () => true,
          () => false,
        );
      while (await took()) accepted += 1;
    }
    await rig.abandon();
    const more = { name: 'more', type: 'tumbling', sizeMs: 2000, aggregates: { n: 'count' } } as const;
    const changed: StreamDefinition = { ...STREAM, windows: [...(STREAM.windows ?? []), more] };
    rig = await openRig([changed], { logBytesMax: LOG_BYTES_MAX, stores });
    assert.equal((await rig.rows('m', 'w', 'open'))[0]?.values['n'], accepted);
    await rig.send('m', [{ at: 1000, text: 'y' }]);
    assert.equal((await rig.rows('m', 'more', 'open'))[0]?.values['n'], 1);
  } finally {
    await rig.close();
    await rm(dataDir, { recursive: true, force: true });
  }
});
