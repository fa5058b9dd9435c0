/**
 * One event may close more windows than fit the arguments of a call; and whoever waits for a round that fails is told.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { Retained } from '../../../src/streams/engine/results/retained.ts';
import { createTap, openRig } from './rig.ts';

const KEYS = 150_000;
const PER_BATCH = 30_000;

const stream: StreamDefinition = {
  name: 's',
  schema: { fields: { ts: 'integer', key: 'integer' }, timestamp: { field: 'ts' }, key: ['key'] },
  time: { outOfOrderMs: 0, maxFutureMs: 0, idleAfterMs: 0 },
  windows: [{ name: 'w', type: 'tumbling', sizeMs: 1000, aggregates: { n: 'count' }, retainRows: 1 }],
  sinks: [{ type: 'tap' }],
};

const batchFrom = (first: number): object[] => Array.from({ length: PER_BATCH }, (_, i) => ({ ts: 5, key: first + i }));

describe('results of one record', () => {
  test('may be more than a call takes arguments', async () => {
    const rig = await openRig([stream], { shards: 2 });
    for (let first = 0; first < KEYS; first += PER_BATCH) await rig.send('s', batchFrom(first));
    await rig.send('s', [{ ts: 1000, key: -1 }]);
    await rig.settled();
    assert.deepEqual(rig.troubles, []);
    const keys = new Set(rig.tap.lines().map((line) => (JSON.parse(line) as { key: { key: number } }).key.key));
    assert.equal(keys.size, KEYS);
    await rig.close();
  });

  test('that cannot be given out stop the streams, and whoever sent the record is told', async () => {
    const tap = createTap();
    const rig = await openRig([stream], { tap });
    await rig.send('s', [{ ts: 5, key: 1 }]);
    // What a fault of this code would do.
    const original = Retained.prototype.add;
    Retained.prototype.add = () => {
      throw new RangeError('no room for results');
    };
    try {
      await assert.rejects(rig.send('s', [{ ts: 1000, key: 2 }]), /no room for results|streams/);
    } finally {
      Retained.prototype.add = original;
    }
    assert.deepEqual(rig.service.degraded, ['streams']);
    await rig.abandon();
  });
});
