/**
 * Every accepted event counts once and every window is emitted once, whatever is lost: threads at any step of a task
 * (fault 29, 30), the process between any two steps of the log.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { randomFrom } from '../../random.ts';
import { joinCaseArbitrary, randomCase } from '../oracle/arbitrary.ts';
import { type OracleCase, windowOf } from '../oracle/case.ts';
import { comparePairs, compareResults } from '../oracle/compare.ts';
import { expectedJoin } from '../oracle/joins.ts';
import { expectedWindows } from '../oracle/windows.ts';
import { lastingStores, MortalThreads } from './faults.ts';
import { partsBy, play, playStep, tapped } from './replay-case.ts';
import { createTap, openRig } from './rig.ts';

const SEEDS = Number(process.env['STREAM_SEEDS'] ?? 100);
const FIRST = Number(process.env['STREAM_SEED'] ?? 1);

/** Asks DuckDB once: what is returned compares with that, as often as one likes. */
async function judgeOf(given: OracleCase): Promise<(lines: readonly string[]) => string> {
  if (given.streams.some(({ joins }) => joins !== undefined)) {
    const pairs = await expectedJoin(given);
    return (lines) => comparePairs(pairs, lines, 'j');
  }
  const windows = await expectedWindows(given);
  const { window } = windowOf(given, '');
  return (lines) => compareResults(windows, lines, window);
}

function caseOf(seed: number): OracleCase {
  if (seed % 4 !== 0) return randomCase(seed);
  return fc.sample(joinCaseArbitrary(), { seed, numRuns: 1 })[0] as OracleCase;
}

/** Lines of a run whose threads end; how many of them did. */
async function withMortalThreads(given: OracleCase, seed: number): Promise<{ lines: string[]; losses: number }> {
  let threads: MortalThreads | null = null;
  const rig = await openRig(tapped(given), {
    ...partsBy(seed),
    threads: (parts) => {
      threads = new MortalThreads(parts, randomFrom(seed), 0.15);
      return threads;
    },
  });
  await play(rig, given);
  const lines = rig.tap.lines();
  await rig.close();
  return { lines, losses: (threads as MortalThreads | null)?.losses ?? 0 };
}

/** Lines of a run whose process ends between steps. */
async function withMortalProcesses(given: OracleCase, seed: number): Promise<string[]> {
  const random = randomFrom(seed);
  const stores = lastingStores();
  const tap = createTap();
  const options = { ...partsBy(seed), stores, tap };
  let rig = await openRig(tapped(given), options);
  for (const step of given.steps) {
    const fate = random();
    if (fate < 0.1) await rig.checkpoint();
    // What was not acknowledged is sent again, as a client would: here the log may hold it or not.
    await playStep(rig, step);
    if (fate > 0.8) {
      await rig.abandon();
      rig = await openRig(tapped(given), options);
    }
  }
  const lines = tap.lines();
  await rig.close();
  return lines;
}

describe('nothing is lost and nothing is doubled', () => {
  test(`when threads end, and when the process ends, ${SEEDS} seeded cases`, async () => {
    let lost = 0;
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
      const given = caseOf(seed);
      const differenceOf = await judgeOf(given);
      const { lines, losses } = await withMortalThreads(given, seed);
      assert.equal(differenceOf(lines), '', `threads, seed ${seed}`);
      assert.equal(differenceOf(await withMortalProcesses(given, seed)), '', `processes, seed ${seed}`);
      lost += losses;
    }
    assert.ok(lost > SEEDS, `only ${lost} threads were lost`);
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
