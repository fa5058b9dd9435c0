/**
 * A plan that could not be put in force is not in the log: the next start does not fail at it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { lastingStores } from './faults.ts';
import { createTap, openRig } from './rig.ts';

const READINGS: StreamDefinition = {
  name: 'readings',
  schema: { fields: { at: 'integer' }, timestamp: { field: 'at' } },
  windows: [{ name: 'tens', type: 'tumbling', sizeMs: 10, aggregates: { n: 'count' } }],
  sinks: [{ type: 'tap' }],
};
const WITHOUT_SINK = [{ ...READINGS, sinks: [{ type: 'no-such-sink' }] }];

test('a start with a sink that cannot be made fails, and the next one with a good one does not', async () => {
  const stores = lastingStores();
  await assert.rejects(openRig(WITHOUT_SINK, { stores }), /no-such-sink/);
  const rig = await openRig([READINGS], { stores });
  await rig.send('readings', [{ at: 1 }, { at: 30 }]);
  assert.equal((await rig.rows('readings', 'tens')).length, 1);
  await rig.close();
});

test('a change that cannot be made leaves what is in force, and its sinks, as they were', async () => {
  const stores = lastingStores();
  const tap = createTap();
  const rig = await openRig([READINGS], { stores, tap });
  const { eventLog } = await stores();
  const append = eventLog.append.bind(eventLog);
  eventLog.append = () => {
    throw new Error('the log takes nothing');
  };
  const windows = [{ name: 'fives', type: 'tumbling', sizeMs: 5, aggregates: { n: 'count' } }];
  await assert.rejects(rig.service.define('readings', 'windows', windows[0]), /takes nothing/);
  eventLog.append = append;
  await rig.send('readings', [{ at: 1 }, { at: 30 }]);
  await rig.settled();
  assert.equal(tap.lines().length, 1);
  await rig.close();
});
