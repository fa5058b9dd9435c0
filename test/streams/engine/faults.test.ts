/**
 * Every accepted event counts once and every window is emitted once, whatever is lost: threads at any step of a task
 * (fault 29, 30), the process between any two steps of the log.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { joinCaseArbitrary, randomCase } from '../oracle/arbitrary.ts';
import { type OracleCase, windowOf } from '../oracle/case.ts';
import { comparePairs, compareResults } from '../oracle/compare.ts';
import { expectedJoin } from '../oracle/joins.ts';
import { expectedWindows } from '../oracle/windows.ts';
import { lastingStores, MortalThreads, randomFrom } from './faults.ts';
import { play, playStep, tapped } from './replay-case.ts';
import { createTap, openRig } from './rig.ts';

const SEEDS = Number(process.env['STREAM_SEEDS'] ?? 100);
const FIRST = Number(process.env['STREAM_SEED'] ?? 1);

async function difference(given: OracleCase, lines: readonly string[]): Promise<string> {
  if (given.streams.some(({ joins }) => joins !== undefined)) {
    return comparePairs(await expectedJoin(given), lines, 'j');
  }
  return compareResults(await expectedWindows(given), lines, windowOf(given, '').window);
}

function caseOf(seed: number): OracleCase {
  if (seed % 4 !== 0) return randomCase(seed);
  return fc.sample(joinCaseArbitrary(), { seed, numRuns: 1 })[0] as OracleCase;
}

describe('nothing is lost and nothing is doubled', () => {
  test(`when threads end, ${SEEDS} seeded cases`, async () => {
    let losses = 0;
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
      const given = caseOf(seed);
      let threads: MortalThreads | null = null;
      const rig = await openRig(tapped(given), {
        threads: (parts) => {
          threads = new MortalThreads(parts, randomFrom(seed), 0.15);
          return threads;
        },
      });
      await play(rig, given);
      assert.equal(await difference(given, rig.tap.lines()), '', `seed ${seed}`);
      losses += (threads as MortalThreads | null)?.losses ?? 0;
      await rig.close();
    }
    assert.ok(losses > SEEDS, `only ${losses} threads were lost`);
  });

  test(`when the process ends, ${SEEDS} seeded cases`, async () => {
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
      const random = randomFrom(seed);
      const given = caseOf(seed);
      const stores = lastingStores();
      const tap = createTap();
      let rig = await openRig(tapped(given), { stores, tap });
      for (const step of given.steps) {
        const fate = random();
        if (fate < 0.1) await rig.checkpoint();
        // What was not acknowledged is sent again, as a client would: here the log may hold it or not.
        await playStep(rig, step);
        if (fate > 0.8) {
          await rig.abandon();
          rig = await openRig(tapped(given), { stores, tap });
        }
      }
      assert.equal(await difference(given, tap.lines()), '', `seed ${seed}`);
      await rig.close();
    }
  });

  test('when the process ends before an answer, the same batch id counts once', async () => {
    const definitions = [
      {
        name: 's',
        schema: { fields: { at: 'integer' as const }, timestamp: { field: 'at' } },
        windows: [{ name: 'w', type: 'tumbling' as const, sizeMs: 10, aggregates: { n: 'count' as const } }],
        sinks: [{ type: 'tap' }],
      },
    ];
    const stores = lastingStores();
    const tap = createTap();
    let rig = await openRig(definitions, { stores, tap });
    const unanswered = rig.send('s', [{ at: 1 }, { at: 2 }], { batchId: 'b1' });
    unanswered.catch(() => undefined);
    await rig.abandon();
    rig = await openRig(definitions, { stores, tap });
    assert.deepEqual(await rig.send('s', [{ at: 1 }, { at: 2 }], { batchId: 'b1' }), {
      accepted: 2,
      rejected: 0,
      late: 0,
    });
    await rig.send('s', [{ at: 50 }]);
    assert.deepEqual(
      tap.lines().map((line) => JSON.parse(line).values),
      [{ n: 2 }],
    );
    await rig.close();
  });
});
