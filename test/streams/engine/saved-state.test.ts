/**
 * State from a checkpoint is gone on with as it was written, or not at all.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Checkpoint } from '../../../src/streams/checkpoints/port.ts';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { lastingStores } from './faults.ts';
import { openRig, type Rig } from './rig.ts';

const KEYS = 50;
const COUNTED: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer', k: 'string', of: 'string' }, timestamp: { field: 'at' }, key: ['k'] },
  time: { idleAfterMs: 0 },
  windows: [
    { name: 'w', type: 'tumbling', sizeMs: 1000, aggregates: { n: 'count' } },
    { name: 'others', type: 'tumbling', sizeMs: 1000, key: ['of'], aggregates: { n: 'count' } },
  ],
};
const events = Array.from({ length: KEYS }, (_, i) => ({ at: 10, k: `k${i}`, of: 'all' }));

async function saved(stores: ReturnType<typeof lastingStores>): Promise<void> {
  const rig = await openRig([COUNTED], { stores, shards: 4 });
  await rig.send('s', events);
  await rig.checkpoint();
  await rig.abandon();
}

async function counts(rig: Rig, name: string): Promise<number[]> {
  await rig.send('s', events);
  return (await rig.rows('s', name, 'open')).map(({ values }) => values['n'] as number);
}

const warnings = ({ troubles }: Rig): string[] => troubles.map(({ message }) => message);

describe('state that was saved', () => {
  for (const shards of [2, 16]) {
    test(`by 4 shards goes on in 4, though ${shards} are configured`, async () => {
      const stores = lastingStores();
      await saved(stores);
      const rig = await openRig([COUNTED], { stores, shards });
      assert.deepEqual(await counts(rig, 'w'), new Array(KEYS).fill(2));
      assert.equal(rig.service.plan.shards, 4);
      assert.deepEqual(warnings(rig), ['the number of shards is that of the saved state']);
      const more = { ...COUNTED.windows?.[0], name: 'more', key: ['of', 'k'] };
      const { operators } = await rig.service.define('s', 'windows', more);
      assert.ok(
        operators.every(({ kept, name }) => kept || name === 's/more'),
        'nor does a new plan move the keys',
      );
      await rig.close();
    });
  }

  test('by a version with another layout begins anew, and nothing else does', async () => {
    const stores = lastingStores();
    await saved(stores);
    const { checkpoints } = await stores();
    const checkpoint = (await checkpoints?.newest(() => undefined)) as Checkpoint;
    const facts = JSON.parse(checkpoint.factsJson) as { shapes: Record<string, string> };
    facts.shapes['s/others'] = (facts.shapes['s/others'] as string).replace(/own \d+/, 'own 0');
    await checkpoints?.save({ ...checkpoint, factsJson: JSON.stringify(facts) });

    const rig = await openRig([COUNTED], { stores, shards: 4 });
    assert.deepEqual(await counts(rig, 'w'), new Array(KEYS).fill(2), 'the first one is as it was');
    assert.deepEqual(await counts(rig, 'others'), [2 * KEYS], 'the second one has what came since');
    assert.deepEqual(warnings(rig), ['state of an earlier version cannot be read; it starts empty']);
    const [trouble] = rig.troubles as [Rig['troubles'][number]];
    assert.match((trouble.fields as { why: string }).why, /^s\/others: layout was "keys \d+, own 0" and is/);
    await rig.close();
  });
});
