/**
 * What the engine emits equals the batch answer that DuckDB computes over the same events, whatever the disorder, the
 * definitions, and the way the work was cut. Seeds are printed, and one seed is one case.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { joinCaseArbitrary, randomCase } from '../oracle/arbitrary.ts';
import { windowOf } from '../oracle/case.ts';
import { comparePairs, compareResults } from '../oracle/compare.ts';
import { expectedJoin } from '../oracle/joins.ts';
import { expectedWindows } from '../oracle/windows.ts';
import { partsBy, play, tapped } from './replay-case.ts';
import { openRig } from './rig.ts';

const SEEDS = Number(process.env['STREAM_SEEDS'] ?? 400);
const FIRST = Number(process.env['STREAM_SEED'] ?? 1);

describe('equals the batch answer', () => {
  test(`windows, ${SEEDS} seeded cases`, async () => {
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
      const given = randomCase(seed);
      const rig = await openRig(tapped(given), partsBy(seed));
      await play(rig, given);
      const { window } = windowOf(given, '');
      const difference = compareResults(await expectedWindows(given), rig.tap.lines(), window);
      assert.equal(difference, '', `seed ${seed}: ${JSON.stringify(window)}\n${difference}`);
      assert.deepEqual(rig.troubles, [], `seed ${seed}`);
      await rig.close();
    }
  });

  test(`joins, ${SEEDS} seeded cases`, async () => {
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
      const [given] = fc.sample(joinCaseArbitrary(), { seed, numRuns: 1 });
      assert.ok(given !== undefined);
      const rig = await openRig(tapped(given));
      await play(rig, given);
      const difference = comparePairs(await expectedJoin(given), rig.tap.lines(), 'j');
      assert.equal(difference, '', `seed ${seed}: ${JSON.stringify(given.streams[0]?.joins)}\n${difference}`);
      await rig.close();
    }
  });
});
