/**
 * Events derived from results are not in the log: a checkpoint that holds their origin holds them as well.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { lastingStores } from './faults.ts';
import { createTap, openRig } from './rig.ts';

const DEFINITIONS: StreamDefinition[] = [
  {
    name: 'readings',
    schema: { fields: { at: 'integer' }, timestamp: { field: 'at' } },
    windows: [{ name: 'tens', type: 'tumbling', sizeMs: 10, aggregates: { n: 'count' } }],
    sinks: [{ type: 'stream', stream: 'sums' }],
  },
  {
    name: 'sums',
    schema: { fields: { end: 'integer', n: 'integer' }, timestamp: { field: 'end' } },
    windows: [{ name: 'hundreds', type: 'tumbling', sizeMs: 100, aggregates: { n: { fn: 'sum', of: 'n' } } }],
    sinks: [{ type: 'tap' }],
  },
];

test('a checkpoint asked for between a result and the event made of it loses neither', async () => {
  const stores = lastingStores();
  const tap = createTap();
  let rig = await openRig(DEFINITIONS, { stores, tap });
  for (let at = 0; at < 400; at += 5) {
    const send = (): Promise<unknown> => rig.send('readings', [{ at }, { at: at + 2 }], { batchId: `${at}` });
    const sent = send().catch(() => undefined);
    // At any point of the record's way; then the process ends.
    for (let turns = at % 16; turns > 0; turns--) await setImmediate();
    await rig.checkpoint();
    await rig.abandon();
    await sent;
    rig = await openRig(DEFINITIONS, { stores, tap });
    await send();
  }
  await rig.settled();
  const sums = tap.lines().map((line) => {
    const { start, values } = JSON.parse(line) as { start: number; values: { n: number } };
    return [start, values.n];
  });
  // Of the window of ten that ends at 100, the event is at 100.
  assert.deepEqual(sums, [
    [0, 36],
    [100, 40],
    [200, 40],
  ]);
  await rig.close();
});
