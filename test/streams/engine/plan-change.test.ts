/**
 * A plan that is without an operator holds none of its keys, whatever kind of operator it was.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { StreamRefusal } from '../../../src/streams/engine/port.ts';
import { lastingStores } from './faults.ts';
import { openRig } from './rig.ts';

const KEYS = 40;

/** What has the same key as the window that stays. */
const DROPPED: Readonly<Record<string, Partial<StreamDefinition>>> = {
  'a tumbling window': { windows: [{ name: 'x', type: 'tumbling', sizeMs: 1e9, aggregates: { n: 'count' } }] },
  'a hopping window': {
    windows: [{ name: 'x', type: 'hopping', sizeMs: 1e9, slideMs: 1e8, aggregates: { n: 'count' } }],
  },
  'a session window': { windows: [{ name: 'x', type: 'session', gapMs: 1e9, aggregates: { n: 'count' } }] },
  'a count window': { windows: [{ name: 'x', type: 'count', count: 1000, aggregates: { n: 'count' } }] },
  'a pattern': {
    patterns: [{ name: 'x', steps: [{ name: 'a' }, { name: 'b', where: 'v > 5' }], select: { v: 'last(b).v' } }],
  },
  'an anomaly': { anomalies: [{ name: 'x', value: 'v', type: 'zscore' }] },
};

const KEPT: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer', k: 'string', v: 'number' }, timestamp: { field: 'at' }, key: ['k'] },
  limits: { keysMax: KEYS },
};
const WINDOW = { name: 'w', type: 'tumbling' as const, sizeMs: 100, aggregates: { n: 'count' as const } };

function withOperators(more: Partial<StreamDefinition>): StreamDefinition {
  return { ...KEPT, ...more, windows: [WINDOW, ...(more.windows ?? [])] };
}

const eventsOf = (prefix: string, at: number): object[] =>
  Array.from({ length: KEYS }, (_, i) => ({ at, k: `${prefix}${i}`, v: 1 }));

describe('keys of an operator that a new plan is without are let go', () => {
  for (const [name, dropped] of Object.entries(DROPPED)) {
    test(`${name}`, async () => {
      const stores = lastingStores();
      const before = await openRig([withOperators(dropped)], { stores });
      await before.send('s', eventsOf('a', 1));
      await before.checkpoint();
      await before.abandon();

      const rig = await openRig([withOperators({})], { stores });
      // The window of the first keys closes; only one key is left, until it closes as well.
      await rig.send('s', [{ at: 1000, k: 'z', v: 1 }]);
      await rig.send('s', [{ at: 5000, k: 'z', v: 1 }]);
      await rig.send('s', eventsOf('b', 9000));
      assert.equal((await rig.rows('s', 'w')).length, KEYS + 2);
      const full = await rig.send('s', [{ at: 9001, k: 'c', v: 1 }]).then(
        () => '',
        (error: unknown) => (error instanceof StreamRefusal ? error.refusal : String(error)),
      );
      assert.equal(full, '', 'there is room again');
      await rig.close();
    });
  }
});
