/**
 * A log that is full takes records again: what checkpoints have is cut off, though nothing new can be applied meanwhile.
 * (For test/streams/engine/.)
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { StreamRefusal } from '../../../src/streams/engine/port.ts';
import { openStores } from '../../../src/streams/stores.ts';
import { openRig } from './rig.ts';

const STREAM: StreamDefinition = {
  name: 'm',
  durability: 'fsync',
  schema: { fields: { at: 'number', text: 'string' }, timestamp: { field: 'at', unit: 'ms' } },
  windows: [{ name: 'w', type: 'tumbling', sizeMs: 1000, aggregates: { n: 'count' } }],
};
const LOG_BYTES_MAX = 100_000;
const PATIENCE_MS = 20_000;

test('a log that is full after one checkpoint takes records again', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'log-room-'));
  const stores = () => openStores({ definitions: [STREAM], dataDir, logBytesMax: LOG_BYTES_MAX });
  const rig = await openRig([STREAM], { logBytesMax: LOG_BYTES_MAX, stores, checkpointMs: 50, tickMs: 50 });
  try {
    const event = { at: 1000, text: 'x'.repeat(9000) };
    let refused: unknown = null;
    while (refused === null) {
      await rig.send('m', [event]).catch((error: unknown) => {
        refused = error;
      });
    }
    assert.ok(refused instanceof StreamRefusal && refused.refusal === 'unavailable', String(refused));
    const untilMs = Date.now() + PATIENCE_MS;
    let taken = false;
    while (!taken && Date.now() < untilMs) {
      taken = await rig.send('m', [event]).then(
        () => true,
        () => false,
      );
      if (!taken) await pause(20);
    }
    assert.ok(taken, 'the log stays full for ever');
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
