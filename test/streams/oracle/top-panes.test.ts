/**
 * Every pane of rankings, the early ones too, is what plain loops say: whatever the disorder, the number of shards, the
 * ticks between the batches, and restarts from a checkpoint or from the log. One seed is one case.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { casesOf, differenceOf, EVERY_MS, type PaneCase, play, ran } from './pane-case.ts';
import { type PaneRow, type RankedWindow, TopModel } from './top-model.ts';

const SEEDS = Number(process.env['STREAM_SEEDS'] ?? 200);
const FIRST = Number(process.env['STREAM_SEED'] ?? 1);

const windows: fc.Arbitrary<RankedWindow> = fc
  .record({
    sizes: fc.constantFrom<Pick<RankedWindow, 'type' | 'sizeMs' | 'slideMs'>[]>(
      { type: 'tumbling', sizeMs: 100 },
      { type: 'hopping', sizeMs: 300, slideMs: 100 },
      { type: 'hopping', sizeMs: 150, slideMs: 100 },
      { type: 'cumulating', sizeMs: 300, slideMs: 100 },
    ),
    accumulation: fc.constantFrom('accumulating' as const, 'retracting' as const),
    allowedLatenessMs: fc.constantFrom(0, 100, 1000),
    top: fc.record({
      by: fc.constantFrom('n', 'best'),
      limit: fc.integer({ min: 1, max: 4 }),
      ties: fc.boolean(),
    }),
  })
  .map(({ sizes, ...rest }) => ({
    ...{ name: 'w', key: ['k'], aggregates: { n: 'count', best: { fn: 'max', of: 'v' } } },
    ...{ trigger: { everyMs: EVERY_MS }, ...sizes, ...rest },
  }));

const cases = casesOf(windows);

async function rowsOf(given: PaneCase): Promise<PaneRow[]> {
  return (await ran(given)).map(({ end, key, pane, retraction = false, start, timing, values }) => [
    ...([`${start}-${end}`, pane, retraction, timing] as const),
    ...([key['k'] as string, values['n'] as number, values['best'] as number | null] as const),
  ]);
}

function modelled(given: PaneCase<RankedWindow>): readonly PaneRow[] {
  const model = new TopModel(given.window, given.outOfOrderMs);
  play(given, model);
  return model.rows;
}

test(`panes of rankings, ${SEEDS} seeded cases`, async () => {
  const timings = new Map<string, number>();
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const [given] = fc.sample(cases, { seed, numRuns: 1 }) as [PaneCase<RankedWindow>];
    const expected = modelled(given);
    const difference = differenceOf(expected, await rowsOf(given));
    assert.equal(difference, '', `seed ${seed}: ${JSON.stringify(given)}\n${difference}`);
    for (const [, pane, , timing] of expected) {
      const kind = `${timing}${pane > 0 ? ' again' : ''}`;
      timings.set(kind, (timings.get(kind) ?? 0) + 1);
    }
  }
  for (const kind of ['early', 'early again', 'on-time', 'on-time again', 'late', 'late again']) {
    assert.ok((timings.get(kind) ?? 0) > 0, `no case had a pane that was ${kind}`);
  }
});
