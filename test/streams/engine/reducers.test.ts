/**
 * Custom reducers in every kind of window: their states are decoded once per batch, and say what one thread that forgets
 * nothing would say, however tasks are cut and whatever is lost.
 */
import assert from 'node:assert/strict';
import { extname } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { StreamDefinition, WindowDefinition } from '../../../src/streams/define/definition.ts';
import { randomFrom } from '../../random.ts';
import { lastingStores, MortalThreads } from './faults.ts';
import { openRig } from './rig.ts';

const module = fileURLToPath(new URL(`./counting-reducer${extname(import.meta.url)}`, import.meta.url));
const aggregates = {
  list: { fn: 'custom', of: 'v', module, export: 'list' },
  all: { fn: 'collect', of: 'v', limit: 1000 },
} as const;

const WINDOWS: readonly WindowDefinition[] = [
  { name: 'tumbling', type: 'tumbling', sizeMs: 100, aggregates },
  { name: 'hopping', type: 'hopping', sizeMs: 100, slideMs: 20, aggregates },
  { name: 'late', type: 'tumbling', sizeMs: 50, allowedLatenessMs: 80, accumulation: 'retracting', aggregates },
  { name: 'early', type: 'tumbling', sizeMs: 100, trigger: { everyCount: 3 }, aggregates },
  {
    name: 'discarding',
    type: 'hopping',
    sizeMs: 60,
    slideMs: 20,
    trigger: { everyCount: 2 },
    accumulation: 'discarding',
    aggregates,
  },
  { name: 'session', type: 'session', gapMs: 7, aggregates },
  { name: 'count', type: 'count', count: 5, aggregates },
  { name: 'global', type: 'global', trigger: { everyCount: 4 }, accumulation: 'retracting', aggregates },
];

const DEFINED: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer', k: 'string', v: 'integer' }, timestamp: { field: 'at' }, key: ['k'] },
  time: { outOfOrderMs: 10 },
  windows: [...WINDOWS],
  sinks: [{ type: 'tap' }],
};

function batches(seed: number): object[][] {
  const random = randomFrom(seed);
  let at = 0;
  let v = 0;
  return Array.from({ length: 25 }, () =>
    Array.from({ length: 1 + Math.floor(random() * 12) }, () => {
      at += Math.floor(random() * 6);
      v += 1;
      return { at: Math.max(0, at - Math.floor(random() * 40)), k: `k${Math.floor(random() * 4)}`, v };
    }),
  );
}

const sorted = (values: unknown): unknown[] =>
  [...((values as unknown[] | null) ?? [])].sort((a, b) => Number(a) - Number(b));

for (const seed of [1, 2, 3, 4, 5]) {
  test(`a reducer sees each event once in every window, seed ${seed}`, async () => {
    const runs: string[][] = [];
    for (const chance of [0, 0.2]) {
      const stores = lastingStores();
      const rig = await openRig([DEFINED], {
        stores,
        threads: (parts) => new MortalThreads(parts, randomFrom(seed), chance),
      });
      for (const batch of batches(seed)) {
        await rig.send('s', batch);
        await rig.rows('s', 'hopping', 'open');
      }
      await rig.send('s', [{ at: 100_000, k: 'k0', v: 0 }]);
      await rig.settled();
      runs.push(rig.tap.lines());
      await rig.close();
    }
    const [lines = [], mortal = []] = runs;
    assert.ok(lines.length > 200);
    for (const line of lines) {
      const { values } = JSON.parse(line) as { values: { list: unknown; all: unknown } };
      assert.deepEqual(sorted(values.list), sorted(values.all), line);
    }
    assert.deepEqual(mortal, lines);
  });
}
