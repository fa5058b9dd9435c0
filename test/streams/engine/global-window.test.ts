/**
 * The global window has no length: what is told per length of the window has none to tell.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ResultLine } from '../../../src/streams/engine/port.ts';
import { openRig } from './rig.ts';

test('a rate needs a window with a length: one by count has its bounds, the global one has none', async () => {
  const aggregates = { perSecond: { fn: 'rate' } } as const;
  const rig = await openRig([
    {
      name: 's',
      schema: { fields: { at: 'integer' }, timestamp: { field: 'at' } },
      windows: [
        { name: 'four', type: 'count', count: 4, aggregates },
        { name: 'all', type: 'global', trigger: { everyCount: 4 }, aggregates },
      ],
      sinks: [{ type: 'tap' }],
    },
  ]);
  try {
    await rig.send(
      's',
      [0, 500, 1000, 2000].map((at) => ({ at })),
    );
    const told = rig.tap.lines().map((line) => {
      const { end, name, start, values } = JSON.parse(line) as ResultLine;
      return [name, start, end, values['perSecond']];
    });
    assert.deepEqual(told, [
      ['four', 0, 2000, 2],
      ['all', null, null, null],
    ]);
  } finally {
    await rig.close();
  }
});
