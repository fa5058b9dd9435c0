/**
 * Windows of processing time end with their last millisecond, not before it: what arrives in it is in them.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WindowDefinition } from '../../../src/streams/define/definition.ts';
import { openRig } from './rig.ts';

const STARTED_MS = 1_000_000;
const WINDOWS: WindowDefinition[] = [
  { name: 'session', type: 'session', gapMs: 100, time: 'processing', aggregates: { n: 'count' } },
  { name: 'tumbling', type: 'tumbling', sizeMs: 100, time: 'processing', aggregates: { n: 'count' } },
];

for (const window of WINDOWS) {
  test(`a ${window.type} window takes what arrives in its last millisecond, after a tick`, async () => {
    const rig = await openRig([
      { name: 's', schema: { fields: { v: 'number' } }, windows: [window], sinks: [{ type: 'tap' }] },
    ]);
    await rig.send('s', [{ v: 1 }]);
    rig.nowMs = STARTED_MS + 99;
    rig.tick();
    await rig.send('s', [{ v: 2 }]);
    await rig.settled();
    assert.deepEqual(rig.tap.lines(), []);
    rig.nowMs = STARTED_MS + 199;
    rig.tick();
    await rig.settled();
    const rows = rig.tap.lines().map((line) => {
      const { end, start, values } = JSON.parse(line) as { start: number; end: number; values: { n: number } };
      return [start - STARTED_MS, end - STARTED_MS, values.n];
    });
    assert.deepEqual(rows, [[0, window.type === 'session' ? 199 : 100, 2]]);
    await rig.close();
  });
}

for (const window of WINDOWS) {
  test(`nothing is late for a ${window.type} window, be the clock set back`, async () => {
    const rig = await openRig([
      { name: 's', schema: { fields: { v: 'number' } }, windows: [window], sinks: [{ type: 'tap' }] },
    ]);
    const tickAt = (ms: number): void => {
      rig.nowMs = STARTED_MS + ms;
      rig.tick();
    };
    await rig.send('s', [{ v: 1 }]);
    tickAt(250);
    rig.nowMs = STARTED_MS + 20;
    await rig.send('s', [{ v: 2 }]);
    tickAt(600);
    await rig.settled();
    const counts = rig.tap.lines().map((line) => (JSON.parse(line) as { values: { n: number } }).values.n);
    assert.deepEqual(counts, [1, 1]);
    await rig.close();
  });
}
