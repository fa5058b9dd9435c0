/**
 * The process is ended the moment it has said that a window is removed: the next one has neither the window nor its state.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { StreamDefinition, WindowDefinition } from '../../../src/streams/define/definition.ts';
import { openStores } from '../../../src/streams/stores.ts';
import { openRig } from '../engine/rig.ts';
import { ChildNode } from './child-node.ts';

const tumbling = (name: string): WindowDefinition => ({
  name,
  type: 'tumbling',
  sizeMs: 1000,
  aggregates: { n: 'count' },
});
const DEFINITIONS: StreamDefinition[] = [
  {
    name: 's',
    durability: 'fsync',
    schema: { fields: { at: 'integer', k: 'string' }, timestamp: { field: 'at' }, key: ['k'] },
    windows: [tumbling('own')],
  },
];
const FAR_MS = 3_600_000;

test('a window that was removed is gone after a kill, and what stays has counted on', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'removed-'));
  const child = new ChildNode();
  const said = async (
    order: Parameters<ChildNode['tell']>[0],
    kind: Parameters<ChildNode['says']>[0],
  ): Promise<void> => {
    child.tell(order);
    await child.says(kind);
  };
  try {
    await child.says('loaded');
    await said({ kind: 'open', definitions: DEFINITIONS, dataDir, checkpointMs: FAR_MS }, 'opened');
    for (const name of ['stays', 'goes'])
      await said({ kind: 'define', stream: 's', window: tumbling(name) }, 'changed');
    const body = Buffer.from('{"at":1,"k":"a"}');
    const heading = { stream: 's', partition: '', source: 'test', arrivalMs: 1, format: 'ndjson', body } as const;
    await said({ kind: 'batch', id: 'b1', ...heading }, 'taken');
    await said({ kind: 'remove', stream: 's', name: 'goes' }, 'changed');
    await child.kill();
    const stores = () => openStores({ definitions: DEFINITIONS, dataDir, logBytesMax: 2 ** 28 });
    const rig = await openRig(DEFINITIONS, { stores });
    assert.deepEqual(
      rig.service.plan.operators.map(({ name }) => name),
      ['own', 'stays'],
    );
    const counted = async (name: string) => (await rig.rows('s', name, 'open')).map(({ values }) => values);
    for (const name of ['own', 'stays']) assert.deepEqual(await counted(name), [{ n: 1 }]);
    await rig.service.define('s', 'windows', tumbling('goes'));
    assert.deepEqual(await counted('goes'), []);
    assert.deepEqual(rig.troubles, []);
    await rig.close();
  } finally {
    await child.kill();
    await rm(dataDir, { recursive: true, force: true });
  }
});
