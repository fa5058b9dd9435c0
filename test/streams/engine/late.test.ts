/**
 * An event that comes too late is a result of the output `late`: with its key, its time, what it says, and its id.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition, WindowDefinition } from '../../../src/streams/define/definition.ts';
import type { ResultLine } from '../../../src/streams/engine/port.ts';
import { openRig } from './rig.ts';

const SHAPES: readonly Pick<WindowDefinition, 'type' | 'sizeMs' | 'slideMs' | 'gapMs' | 'accumulation' | 'trigger'>[] =
  [
    { type: 'tumbling', sizeMs: 10 },
    { type: 'hopping', sizeMs: 20, slideMs: 10 },
    { type: 'hopping', sizeMs: 20, slideMs: 10, accumulation: 'discarding', trigger: { everyCount: 5 } },
    { type: 'session', gapMs: 10 },
  ];

const definitionOf = (shape: (typeof SHAPES)[number]): StreamDefinition => ({
  name: 's',
  schema: {
    fields: {
      at: 'integer',
      host: 'string',
      load: { type: 'number', optional: true },
      up: { type: 'boolean', optional: true },
      note: { type: 'string', optional: true },
    },
    timestamp: { field: 'at' },
    key: ['host'],
  },
  windows: [{ name: 'w', late: 'side-output', aggregates: { mean: { fn: 'mean', of: 'load' } }, ...shape }],
  sinks: [{ type: 'tap' }],
});

for (const shape of SHAPES) {
  test(`late in a ${shape.accumulation ?? ''} ${shape.type} window`, async () => {
    const rig = await openRig([definitionOf(shape)]);
    await rig.send('s', [{ at: 5, host: 'a', load: 1, up: true }]);
    await rig.send('s', [{ at: 1000, host: 'a', load: 2 }]);
    const events = [
      { at: 3, host: 'a', load: 0.5, up: false, note: 'sent "twice"' },
      { at: 1001, host: 'a' },
      { at: 4, host: 'b' },
    ];
    const { late } = await rig.send('s', events);
    assert.equal(late, 2);
    await rig.settled();
    const rows = rig.tap.lines().flatMap((line) => {
      const { context, end, key, output, start, timing, values } = JSON.parse(line) as ResultLine;
      return output === 'late' ? [{ key, start, end, timing, values, events: context?.events }] : [];
    });
    const seq = Number(rows[0]?.events?.[0]?.split(':')[0]);
    assert.deepEqual(
      rows.toSorted((a, b) => Number(a.start) - Number(b.start)),
      [
        { key: { host: 'a' }, start: 3, end: 3, timing: 'late', values: events[0], events: [`${seq}:0`] },
        {
          key: { host: 'b' },
          start: 4,
          end: 4,
          timing: 'late',
          values: { ...events[2], load: null, up: null, note: null },
          events: [`${seq}:2`],
        },
      ],
    );
    await rig.close();
  });
}
