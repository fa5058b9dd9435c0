/**
 * What happens to a window whose panes are looked at one by one: batches in disorder, ticks between them, restarts from a
 * checkpoint or from the log; and the engine it happens to.
 *
 * Role: shared by the tests of panes, which bring the window and a model of it. The last batch is so far ahead that every
 * window before it closes.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { StreamDefinition, WindowDefinition } from '../../../src/streams/define/definition.ts';
import type { ResultLine } from '../../../src/streams/engine/port.ts';
import { lastingStores } from '../engine/faults.ts';
import { createTap, openRig, type Rig } from '../engine/rig.ts';

export const EVERY_MS = 10;
/** By the clock of the rig, at first. */
export const NOW_MS = 1_000_000;
/** Ahead of all else. */
const CLOSING_MS = 1_000_000;
export const CLOSING_KEY = 'end';

export interface PaneEvent {
  readonly at: number;
  readonly k: string;
  readonly v: number | null;
}

export type Action =
  | { readonly kind: 'batch'; readonly events: readonly PaneEvent[] }
  | { readonly kind: 'tick'; readonly passMs: number }
  | { readonly kind: 'restart'; readonly saved: boolean };

export interface PaneCase<W extends WindowDefinition = WindowDefinition> {
  readonly window: W;
  readonly outOfOrderMs: number;
  readonly shards: number;
  readonly actions: readonly Action[];
}

/** `at`: how far behind the clock of the case, which goes on by `aheadMs`. */
const batches = fc.record({
  aheadMs: fc.oneof(fc.integer({ min: 0, max: 60 }), fc.constantFrom(0, 200)),
  events: fc.array(
    fc.record({
      at: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 120 }), fc.integer({ min: 0, max: 900 })),
      k: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'ä"', ''),
      v: fc.option(fc.integer({ min: 0, max: 5 }), { freq: 4 }),
    }),
    { minLength: 1, maxLength: 8 },
  ),
});

export function casesOf<W extends WindowDefinition>(windows: fc.Arbitrary<W>): fc.Arbitrary<PaneCase<W>> {
  return fc
    .record({
      window: windows,
      outOfOrderMs: fc.constantFrom(0, 50),
      shards: fc.constantFrom(1, 2, 8),
      steps: fc.array(
        fc.oneof(
          { weight: 5, arbitrary: batches },
          {
            weight: 4,
            arbitrary: fc.record({ kind: fc.constant('tick' as const), passMs: fc.integer({ min: 0, max: 15 }) }),
          },
          { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), saved: fc.boolean() }) },
        ),
        { minLength: 4, maxLength: 24, size: 'max' },
      ),
    })
    .map(({ steps, ...rest }) => {
      let clockMs = 10_000;
      const actions = steps.map((step): Action => {
        if ('kind' in step) return step;
        clockMs += step.aheadMs;
        return { kind: 'batch', events: step.events.map(({ at, ...others }) => ({ at: clockMs - at, ...others })) };
      });
      const closing = { at: clockMs + CLOSING_MS, k: CLOSING_KEY, v: null };
      return { ...rest, actions: [...actions, { kind: 'batch', events: [closing] }] };
    });
}

export function streamOf({ outOfOrderMs, window }: Pick<PaneCase, 'outOfOrderMs' | 'window'>): StreamDefinition {
  return {
    name: 's',
    schema: {
      fields: { at: 'integer', k: 'string', v: { type: 'integer', optional: true } },
      timestamp: { field: 'at' },
    },
    time: { outOfOrderMs, idleAfterMs: 0, maxFutureMs: 0 },
    // Memory for a million ids would cost more than all else when it is made and copied.
    dedup: { idsMax: 100, batchIdsMax: 100 },
    windows: [window],
    sinks: [{ type: 'tap' }],
  };
}

/** All results, in the order in which a sink is given them. */
export async function ran(given: PaneCase): Promise<ResultLine[]> {
  const [stores, tap] = [lastingStores(), createTap()];
  const open = (): Promise<Rig> => openRig([streamOf(given)], { shards: given.shards, stores, tap });
  let rig = await open();
  for (const action of given.actions) {
    if (action.kind === 'batch')
      await rig.send(
        's',
        action.events.map(({ v, ...event }) => (v === null ? event : { ...event, v })),
      );
    else if (action.kind === 'tick') {
      rig.nowMs += action.passMs;
      rig.tick();
    } else {
      const { nowMs } = rig;
      await rig.settled();
      if (action.saved) await rig.checkpoint();
      await rig.abandon();
      rig = await open();
      rig.nowMs = nowMs;
    }
  }
  await rig.settled();
  assert.deepEqual(rig.troubles, []);
  await rig.close();
  return tap.lines().map((line) => JSON.parse(line) as ResultLine);
}

/** Plays a case to a model. `tick`: by the clock of the rig. */
export function play(
  { actions }: PaneCase,
  model: { batch(events: readonly PaneEvent[]): void; tick(nowMs: number): void },
): void {
  let nowMs = NOW_MS;
  for (const action of actions) {
    if (action.kind === 'batch') model.batch(action.events);
    else if (action.kind === 'tick') {
      nowMs += action.passMs;
      model.tick(nowMs);
    }
  }
}

/** The first row that differs, and those before it. */
export function differenceOf(expected: readonly unknown[], actual: readonly unknown[]): string {
  const [wanted, found] = [expected, actual].map((rows) => rows.map((row) => JSON.stringify(row))) as [
    string[],
    string[],
  ];
  const count = Math.max(wanted.length, found.length);
  const at = Array.from({ length: count }, (_, i) => i).find((i) => wanted[i] !== found[i]);
  if (at === undefined) return '';
  return [...wanted.slice(Math.max(0, at - 3), at), `expected ${wanted[at]}`, `got      ${found[at]}`].join('\n');
}
